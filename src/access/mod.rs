//! Who may do what: authentication, roles, purposes, consent, and the audit trail.
//!
//! Below the workers, so that a `&Permit` or a [`FeedPermit`] is an argument that nobody can do
//! without.

mod certificate;
mod clients;
mod consent;
mod feed;
mod labels;
mod permit;
mod refusal;
mod requester;

pub use certificate::{InvalidRevocations, Revocations};
pub use clients::{Clients, InvalidClient, InvalidClients};
pub use consent::{
    ConsentBook, ConsentDirective, ConsentPatient, ConsentSettings, DefaultPolicy, InvalidConsent,
    ToldConsent, Unlabelled,
};
pub use feed::FeedPermit;
pub use labels::{Confidentiality, Restrictions, SecurityLabel};
pub use permit::Permit;
pub use refusal::{Denial, Refusal};
pub use requester::{Requester, RequestingOrganization, Role, RoleSet};
