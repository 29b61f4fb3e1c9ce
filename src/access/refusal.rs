use thiserror::Error;

use super::Role;
use crate::domain::PurposeOfUse;

/// Why somebody may not do what was asked. Names no patient and no secret; safe to show and to log.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The certificate cannot be read.
    #[error("the client certificate cannot be read")]
    UnreadableCertificate,
    /// Its validity has not begun.
    #[error("the client certificate is not valid yet")]
    CertificateNotYetValid,
    /// Its validity has ended.
    #[error("the client certificate has expired")]
    CertificateExpired,
    /// Its serial number is on a revocation list.
    #[error("the client certificate was revoked")]
    CertificateRevoked,
    /// No client has one of its SAN URIs.
    #[error("no client of this exchange has this certificate")]
    UnknownClient,
    /// Its SAN URIs name more than one client.
    #[error("the certificate names more than one client")]
    AmbiguousClient,
    /// It speaks an older TLS than its member may.
    #[error("this member must speak TLS 1.3")]
    OldTls,
    /// The client lacks the role.
    #[error("the client has no {0} role")]
    MissingRole(Role),
    /// Not a purpose that the exchange knows.
    #[error("the purpose of use is not known to this exchange")]
    UnknownPurpose,
    /// No purpose was told and the client has no default one.
    #[error("a purpose of use must be told")]
    NoPurpose,
    /// The client may not ask for this purpose.
    #[error("the client may not act for the purpose {0}")]
    PurposeNotAllowed(PurposeOfUse),
    /// The client belongs to no member, so it has no records to feed.
    #[error("the client belongs to no member")]
    NotAMember,
    /// The client acts for another member than the one that named it.
    #[error("the client acts for another member")]
    AnotherMember,
    /// The directory does not let the member feed now.
    #[error("the member is not open for feeds")]
    MemberMayNotFeed,
    /// The identifier system is not one of the member's own.
    #[error("the identifier system is not one of the member's own")]
    ForeignIdentifierSystem,
    /// The id of the Patient says that it is another member's.
    #[error(
        "the Patient is another member's: its id does not begin with the feeding member's code"
    )]
    ForeignPatientId,
    /// Consent or the exchange's policy denies it. Which of them is for the audit trail only: that
    /// somebody objected is itself protected.
    #[error("the exchange's consent policy does not permit this")]
    NotPermitted(Denial),
}

/// What denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The default policy; nothing on file permits.
    DefaultPolicy,
    /// A consent directive on file.
    Directive,
}

impl Refusal {
    /// The reason as the audit trail tells it.
    pub fn audit_reason(&self) -> String {
        match self {
            Self::NotPermitted(Denial::DefaultPolicy) => {
                "denied by the exchange's default consent policy".to_owned()
            }
            Self::NotPermitted(Denial::Directive) => "denied by a consent on file".to_owned(),
            other => other.to_string(),
        }
    }
}
