use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use time::OffsetDateTime;

use super::decide::{Verdict, decide};
use super::directive::{Actor, ConsentDirective, Criterion, Request};
use super::policy::ConsentSettings;
use crate::access::{Denial, Permit, Refusal, Requester, Role};
use crate::directory::Roster;
use crate::domain::{MemberCode, PersonRecords, PurposeOfUse, RecordKey};

/// The consents on file, and the only place where a [`Permit`] is made.
pub struct ConsentBook {
    settings: ConsentSettings,
    by_anchor: RwLock<HashMap<RecordKey, Vec<Arc<ConsentDirective>>>>,
}

impl ConsentBook {
    /// A book without a store behind it, for tests of every room.
    pub fn in_memory(settings: ConsentSettings) -> Self {
        Self { settings, by_anchor: RwLock::default() }
    }

    /// Decides what the requester may see of a person, from the consents on file of all the person's
    /// records, or else the exchange's default policy.
    ///
    /// Refused where no record at all may be shown.
    pub fn decide(
        &self,
        requester: &Arc<Requester>,
        person: &PersonRecords,
        purpose: PurposeOfUse,
        roster: &Roster,
        now: OffsetDateTime,
    ) -> Result<Permit, Refusal> {
        requester.may(Role::Query)?;
        requester.purpose(Some(purpose.code()))?;
        let on_file = self.in_force(&person.records, now);
        let directives: Vec<&ConsentDirective> = on_file.iter().map(AsRef::as_ref).collect();
        let about = |holder: Option<&MemberCode>| {
            let request = Request { requester, purpose, now, roster, holder };
            decide(&self.settings, &directives, &request)
        };

        let others = about(None);
        let verdicts: BTreeMap<&MemberCode, Verdict> = members_named(person, &directives, roster)
            .into_iter()
            .map(|member| (member, about(Some(member))))
            .collect();
        let mut records: Vec<RecordKey> = person
            .records
            .iter()
            .filter(|record| verdicts.get(&record.member).is_some_and(|one| one.outcome.is_ok()))
            .cloned()
            .collect();
        if records.is_empty() {
            return Err(Refusal::NotPermitted(denial(&verdicts, &others)));
        }
        records.sort_unstable();
        let broke_glass = verdicts.values().chain([&others]).any(|one| one.broke_glass);
        let decided = verdicts.into_iter().map(|(code, one)| (code.clone(), one.outcome.ok()));
        Ok(Permit {
            requester: Arc::clone(requester),
            person: person.id,
            purpose,
            records,
            members: decided.collect(),
            others: others.outcome.ok(),
            broke_glass,
            decided_at: now,
        })
    }

    /// The directives of these records that hold now and that no newer one superseded.
    fn in_force(&self, records: &[RecordKey], now: OffsetDateTime) -> Vec<Arc<ConsentDirective>> {
        let by_anchor = self.by_anchor.read().unwrap_or_else(PoisonError::into_inner);
        let holding: Vec<&Arc<ConsentDirective>> = records
            .iter()
            .filter_map(|record| by_anchor.get(record))
            .flatten()
            .filter(|directive| directive.in_force(now))
            .collect();
        holding
            .iter()
            .filter(|one| !holding.iter().any(|other| other.supersedes(one)))
            .map(|one| Arc::clone(one))
            .collect()
    }

    /// Puts a directive in the place of its earlier version.
    pub(super) fn keep(&self, directive: ConsentDirective) {
        let mut by_anchor = self.by_anchor.write().unwrap_or_else(PoisonError::into_inner);
        let of_record = by_anchor.entry(directive.anchor.clone()).or_default();
        of_record.retain(|other| other.id != directive.id);
        of_record.push(Arc::new(directive));
    }
}

/// Members with a record of the person, or named as custodian by a directive.
fn members_named<'a>(
    person: &'a PersonRecords,
    directives: &[&'a ConsentDirective],
    roster: &'a Roster,
) -> BTreeSet<&'a MemberCode> {
    let custodians = directives
        .iter()
        .flat_map(|directive| std::iter::once(&directive.root).chain(&directive.exceptions))
        .filter_map(|rule| match &rule.custodians {
            Criterion::Any => None,
            Criterion::OneOf(actors) => Some(actors),
        })
        .flatten()
        .filter_map(|actor: &Actor| actor.member(roster));
    person.records.iter().map(|record| &record.member).chain(custodians).collect()
}

/// Somebody's objection, where there is one, before the default policy.
fn denial(verdicts: &BTreeMap<&MemberCode, Verdict>, others: &Verdict) -> Denial {
    let objected =
        verdicts.values().chain([others]).any(|one| one.outcome == Err(Denial::Directive));
    if objected { Denial::Directive } else { Denial::DefaultPolicy }
}
