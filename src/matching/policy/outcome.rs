//! What the policy says, and why.

use serde::Serialize;

use super::table::{PolicyAttribute, RuleId};

/// How two records agree on one attribute, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Some known values are equal.
    Exact,
    /// First names that are forms of one name by the nickname table: counts as exact.
    Nickname,
    /// One edit apart, or one day.
    Fuzzy,
    /// Told on both sides, and nothing in common.
    Conflict,
    /// Told by a placeholder only: neither agreement nor conflict.
    Suppressed,
    /// Not told on one side at least.
    Missing,
}

/// A rule that two records satisfy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FiredRule {
    /// Its number in the table.
    pub id: RuleId,
    /// The attributes that agree only nearly.
    pub fuzzy: Vec<PolicyAttribute>,
}

/// Why satisfied rules do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyRefusal {
    /// Both tell a generational suffix, and they differ: it negates every rule.
    SuffixConflict,
}

/// The policy's verdict on two records, with all that an audit record needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyVerdict {
    /// Version of the table of combinations.
    pub table: &'static str,
    /// Every rule that is satisfied.
    pub fired: Vec<FiredRule>,
    /// Rules whose combination agrees, but whose first names may be those of twins.
    pub guarded: Vec<RuleId>,
    /// Agreement on each attribute.
    pub attributes: Vec<(PolicyAttribute, Agreement)>,
    /// What negates the fired rules.
    pub refusal: Option<PolicyRefusal>,
    /// Versions of what the verdict rests on.
    pub versions: PolicyVersions,
}

impl PolicyVerdict {
    /// Whether the records are one person's by policy.
    pub fn is_satisfied(&self) -> bool {
        self.refusal.is_none() && !self.fired.is_empty()
    }
}

/// Versions of the program and of its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyVersions {
    /// The program.
    pub software: &'static str,
    /// The nickname table.
    pub nicknames: &'static str,
    /// The suffix table.
    pub suffixes: &'static str,
    /// The placeholder tables.
    pub placeholders: &'static str,
}

/// What may be answered, given how many persons satisfy the policy (CMS 3.3.0, tiered uniqueness).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Determination {
    /// Nobody satisfies it.
    NoMatch,
    /// Exactly one person does: release.
    Release,
    /// Two do: nothing is released; more attributes may decide.
    Escalate,
    /// Three or more do: nothing is released.
    Decline,
}

impl Determination {
    /// Decides by the number of persons, never of records: several records of one person are one.
    pub const fn of(persons: usize) -> Self {
        match persons {
            0 => Self::NoMatch,
            1 => Self::Release,
            2 => Self::Escalate,
            _ => Self::Decline,
        }
    }
}
