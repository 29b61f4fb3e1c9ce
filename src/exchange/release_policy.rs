use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Exchange, ExchangeError};
use crate::{
    access::AuditNote,
    domain::{Demographics, PartialDate},
    index::{PersonMatch, PersonPolicy},
    matching::policy::{Determination, Policy},
};

/// What has to agree before `$match` shows a person with identifiers and links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleasePolicy {
    /// The probabilistic verdict: certain, and nobody else is.
    #[default]
    Probabilistic,
    /// That, and the named combinations of the CMS table: they identify the same person, and no other.
    Both,
}

/// What the named combinations say of the persons found, where they are asked.
pub(super) struct PolicyFindings {
    persons: Vec<PersonPolicy>,
    determination: Determination,
}

impl PolicyFindings {
    /// Asks them of everybody found; `None` where the exchange does not.
    pub(super) async fn ask(
        exchange: &Exchange,
        told: &Demographics,
        found: &[PersonMatch],
        now: OffsetDateTime,
    ) -> Result<Option<Self>, ExchangeError> {
        if exchange.settings.release_policy == ReleasePolicy::Probabilistic {
            return Ok(None);
        }
        let policy = Policy::default();
        let persons = exchange.index.policy_on(&policy, told, found, day(now)).await?;
        let satisfied = persons.iter().filter(|one| one.is_satisfied()).count();
        Ok(Some(Self { persons, determination: Determination::of(satisfied) }))
    }

    /// Whether the person found at this place, and nobody else, may be released.
    pub(super) fn releases(&self, at: usize) -> bool {
        self.determination == Determination::Release
            && self.persons.get(at).is_some_and(PersonPolicy::is_satisfied)
    }

    /// What the audit trail keeps of the question (CMS 3.3.0 §VII): no person, no value.
    pub(super) fn notes(&self) -> Vec<AuditNote> {
        let satisfied = self.persons.iter().filter(|one| one.is_satisfied()).count();
        let mut notes = vec![
            AuditNote::new("policy-table", Policy::TABLE_VERSION),
            AuditNote::new("policy-persons-judged", self.persons.len().to_string()),
            AuditNote::new("policy-persons-satisfying", satisfied.to_string()),
            AuditNote::new("policy-determination", code(&self.determination)),
        ];
        if let Some(versions) = self.persons.iter().find_map(|one| one.versions) {
            let told = format!(
                "software={}; nicknames={}; suffixes={}; placeholders={}",
                versions.software, versions.nicknames, versions.suffixes, versions.placeholders
            );
            notes.push(AuditNote::new("policy-versions", told));
        }
        notes
    }

    /// What it keeps of one person who is shown: the rules, exact or nearly, and each attribute.
    pub(super) fn notes_on(&self, at: usize) -> Vec<AuditNote> {
        let Some(person) = self.persons.get(at) else { return Vec::new() };
        let mut rules = String::new();
        for rule in &person.fired {
            let comma = if rules.is_empty() { "" } else { ", " };
            // Writing into a string has no way to fail.
            let _ = write!(rules, "{comma}{}", code(&rule.id));
            if !rule.fuzzy.is_empty() {
                let nearly: Vec<String> = rule.fuzzy.iter().map(code).collect();
                let _ = write!(rules, " (nearly: {})", nearly.join(" "));
            }
        }
        let rules = if rules.is_empty() { "none".to_owned() } else { rules };
        let told = person.attributes.iter();
        let told: Vec<String> =
            told.map(|(attribute, how)| format!("{}={}", code(attribute), code(how))).collect();
        let mut notes = vec![
            AuditNote::new("policy-rules", rules),
            AuditNote::new("policy-attributes", told.join("; ")),
        ];
        if let Some(refusal) = person.refusal {
            notes.push(AuditNote::new("policy-refusal", code(&refusal)));
        }
        notes
    }
}

/// The code that a value is written as.
fn code(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(code)) => code,
        other => unreachable!("codes are strings: {other:?}"),
    }
}

fn day(now: OffsetDateTime) -> PartialDate {
    let year = u16::try_from(now.year()).unwrap_or(9_999);
    PartialDate::new(year, now.month().into(), Some(now.day())).expect("the clock tells a date")
}
