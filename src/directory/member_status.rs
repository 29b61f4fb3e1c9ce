use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a member stands between coming and going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// Known and may feed; not yet asked.
    #[default]
    Onboarding,
    /// May feed; asked by operators' checks, never for a clinician.
    Testing,
    /// May feed and is asked.
    Active,
    /// On its way out: still asked, feeds no more.
    Draining,
    /// Neither feeds nor is asked.
    Suspended,
}

impl MemberStatus {
    /// Whether a feed from it is taken.
    pub const fn may_feed(self) -> bool {
        matches!(self, Self::Onboarding | Self::Testing | Self::Active)
    }

    /// Whether a clinician's query goes to it.
    pub const fn is_asked(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }
}

impl fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Onboarding => "onboarding",
            Self::Testing => "testing",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Suspended => "suspended",
        })
    }
}
