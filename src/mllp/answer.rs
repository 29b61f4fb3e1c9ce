//! What a sender is told: the exchange's errors meet HL7 v2 here, and nowhere else.

use crate::{
    access::Refusal,
    exchange::ExchangeError,
    hl7v2::{Acknowledgement, Condition, Fault, Location},
    index::LocalRefusal,
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
        ExchangeError::Local(refusal) => of_local(refusal),
        ExchangeError::Busy => {
            Fault::reject(Condition::Locked, "too much is under way; send it again")
        }
        // Questions and other writings end so; no message leads there.
        _ => {
            tracing::error!(%error, "a message could not be taken");
            Fault::reject(Condition::Internal, "the message could not be taken")
        }
    };
    (Acknowledgement::refuse(fault), true)
}

/// What a member said of its records and was not followed in.
fn of_local(refusal: &LocalRefusal) -> Fault {
    let (pid, mrg) = (Location::field("PID", 3), Location::field("MRG", 1));
    let unknown = |text, place| Fault::error(Condition::UnknownKey, text).at(place);
    let duplicate = |text, place| Fault::error(Condition::DuplicateKey, text).at(place);
    match refusal {
        LocalRefusal::SameRecord => {
            Fault::error(Condition::DuplicateKey, "both identifiers name the same patient")
        }
        LocalRefusal::UnknownRecord => {
            Fault::error(Condition::UnknownKey, "no patient is registered under the identifier")
        }
        LocalRefusal::UnknownSubsumed => {
            unknown("no patient is registered under the identifier that is to be merged", mrg)
        }
        LocalRefusal::UnknownSurvivor => {
            unknown("no patient is registered under the identifier that is to survive", pid)
        }
        LocalRefusal::SubsumedAlready => {
            unknown("the identifier was merged into another before", mrg)
        }
        LocalRefusal::SurvivorSubsumed => {
            unknown("the identifier that is to survive was itself merged into another", pid)
        }
        LocalRefusal::OtherAuthority => {
            unknown("the identifiers are of two assigning authorities", mrg)
        }
        LocalRefusal::IdentifierInUse | LocalRefusal::NamedOtherwise => {
            duplicate("a patient is registered under the new identifier; merge the two", pid)
        }
        LocalRefusal::Index(_) => unknown("the identifier was merged into another", pid),
    }
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
