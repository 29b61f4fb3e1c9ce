use std::fmt;

use serde::{Deserialize, Serialize};

/// What is odd about a member's server, told by an operator or learned by a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// Declares `$everything` but must not be asked for it.
    NoEverything,
    /// Wants searches by POST, so that identifiers stay out of its access log.
    PostSearch,
    /// Takes no search by POST; without this, people are looked for by POST, so that their
    /// demographics stay out of addresses.
    GetOnly,
    /// Fails on `_count`.
    NoCount,
    /// Fails on or ignores `_lastUpdated` and `_since`.
    NoSince,
    /// Refuses a search by patient alone for types that it wants narrowed by category, intent or
    /// status: only the narrowed searches are sent.
    CategoryRequired,
    /// Forgets the criteria of a search on its next page, so that other patients' data would come:
    /// no `next` link is followed.
    LosesCriteria,
}

impl Quirk {
    /// As `members.toml` spells it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoEverything => "no_everything",
            Self::PostSearch => "post_search",
            Self::GetOnly => "get_only",
            Self::NoCount => "no_count",
            Self::NoSince => "no_since",
            Self::CategoryRequired => "category_required",
            Self::LosesCriteria => "loses_criteria",
        }
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
