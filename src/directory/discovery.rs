use serde::{Deserialize, Serialize};

/// How the gateway comes to know a patient's local identifier at a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discovery {
    /// The member feeds its patients.
    #[default]
    Feed,
    /// `Patient/$match` is asked there.
    Match,
    /// `Patient?…` is asked there.
    Search,
}

impl Discovery {
    /// As `members.toml` spells it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Match => "match",
            Self::Search => "search",
        }
    }
}
