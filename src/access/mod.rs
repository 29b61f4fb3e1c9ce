//! Who may do what: authentication, roles, purposes, consent, and the audit trail.
//!
//! Below the workers, so that a `&Permit` or a [`FeedPermit`] is an argument that nobody can do
//! without.

mod audit;
mod certificate;
mod clients;
mod consent;
mod feed;
#[cfg(test)]
mod fixture;
mod labels;
mod permit;
mod refusal;
mod requester;

pub use audit::{
    AuditError, AuditLog, AuditNote, AuditSettings, AuditStart, Closing, Disclosure, Interaction,
    OpenAudit, RawRequest, Released,
};
pub use certificate::{InvalidRevocations, Revocations};
pub use clients::{Clients, InvalidClient, InvalidClients};
pub use consent::{
    ConsentBook, ConsentDirective, ConsentError, ConsentPatient, ConsentSettings, DefaultPolicy,
    InvalidConsent, Recorded, ToldConsent, Unlabelled,
};
pub use feed::FeedPermit;
pub use labels::{Confidentiality, Restrictions, SecurityLabel};
pub use permit::Permit;
pub use refusal::{Denial, Refusal};
pub use requester::{Requester, RequestingOrganization, Role, RoleSet};
