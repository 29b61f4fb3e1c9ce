//! What a sender is told: the exchange's errors meet HL7 v2 here, and nowhere else.

use crate::{
    access::Refusal,
    exchange::ExchangeError,
    hl7v2::{Acknowledgement, Condition, Fault, Location},
};

/// The acknowledgement of a message that was not taken, and whether the sender is one that the
/// exchange goes on talking with.
pub(super) fn of_error(error: &ExchangeError) -> (Acknowledgement, bool) {
    let fault = match error {
        ExchangeError::InvalidMessage(fault) => *fault,
        ExchangeError::Refused(refusal) => {
            return (Acknowledgement::refuse(of_refusal(*refusal)), false);
        }
        ExchangeError::UnknownPatient => {
            Fault::error(Condition::UnknownKey, "no such patient is known")
                .at(Location::field("PID", 3))
        }
        ExchangeError::SeveralPatients => {
            Fault::error(Condition::DuplicateKey, "the identifiers name several patients")
                .at(Location::field("PID", 3))
        }
        ExchangeError::Index(_) | ExchangeError::Audit(_) => {
            tracing::error!(%error, "a message could not be taken");
            Fault::reject(Condition::Internal, "nothing can be stored at present; send it again")
        }
        ExchangeError::Busy => {
            Fault::reject(Condition::Locked, "too much is under way; send it again")
        }
        // No message leads there.
        ExchangeError::UnknownResource
        | ExchangeError::PageExpired
        | ExchangeError::InvalidResource(_)
        | ExchangeError::InvalidPatient(_)
        | ExchangeError::TooLittle
        | ExchangeError::IdentifierMismatch
        | ExchangeError::NotSupported(_)
        | ExchangeError::InvalidConsent(_)
        | ExchangeError::Consent(_)
        | ExchangeError::NoMemberAnswered(_) => {
            tracing::error!(%error, "a message could not be taken");
            Fault::reject(Condition::Internal, "the message could not be taken")
        }
    };
    (Acknowledgement::refuse(fault), true)
}

fn of_refusal(refusal: Refusal) -> Fault {
    let text = match refusal {
        Refusal::MissingRole(_) | Refusal::NotAMember => "this client may not feed",
        Refusal::MemberMayNotFeed => "feeds of this member are not taken at present",
        Refusal::CertificateRevoked => "the client certificate was revoked",
        Refusal::CertificateExpired => "the client certificate has expired",
        Refusal::OldTls => "this member must speak TLS 1.3",
        _ => "no client of this exchange has this certificate",
    };
    Fault::reject(Condition::Internal, text)
}
