//! Who is in the exchange: members, how to reach them, what they may cost.

mod authority;
mod authorization;
mod book;
mod change;
mod discovery;
mod invalid_member;
mod learned;
mod member;
mod member_limits;
mod member_status;
mod quirk;
mod roster;

pub use authority::{AssigningAuthority, ContradictingAuthority};
pub use authorization::{Authorization, SigningAlgorithm, is_token_endpoint};
pub use book::{Directory, DirectoryError, EntryVersion, stored_roster};
pub use change::{Change, FieldChange, changes};
pub use discovery::Discovery;
pub use invalid_member::InvalidMember;
pub use learned::Learned;
pub use member::{Member, TlsVersion, ToldMember};
pub use member_limits::MemberLimits;
pub use member_status::MemberStatus;
pub use quirk::Quirk;
pub use roster::{InvalidRoster, Roster, parse_members_toml};

/// A TOML error as one line: where, and which key.
pub(crate) fn toml_complaint(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}
