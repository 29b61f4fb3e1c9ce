//! How a person came to be what it is, from its first record to the last decision.

use std::collections::BTreeSet;

use serde::Deserialize;
use time::OffsetDateTime;

use crate::{
    access::StewardPermit,
    domain::{EnterpriseId, LocalId, RecordKey},
    storage::JournalRow,
};

use super::{
    Index, IndexError,
    deed::{Deed, Standing},
    registry::Registry,
    review::TaskState,
};

/// Entries told of one person; a longer story is told from its end.
const ENTRIES_MAX: usize = 2_000;

/// One event in a person's story.
#[derive(Clone, Debug, PartialEq)]
pub struct StoryEvent {
    /// The journal entry, by which a steward's decision can be undone.
    pub decision: u64,
    /// When it was decided.
    pub recorded: OffsetDateTime,
    /// When it held at the source, where told.
    pub event_time: Option<OffsetDateTime>,
    /// The journal's kind.
    pub kind: String,
    /// The record concerned, where it is one.
    pub record: Option<RecordKey>,
    /// What happened, in one sentence; it names records, never demographics.
    pub text: String,
    /// Why, in the steward's words; it may name the patient.
    pub reason: Option<String>,
    /// The client that brought it about.
    pub by: String,
    /// Whether it was undone.
    pub undone: bool,
}

/// A person's story.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// The person, today.
    pub person: EnterpriseId,
    /// The ids that lead to it, its own not among them.
    pub aliases: Vec<EnterpriseId>,
    /// From the first to the last.
    pub events: Vec<StoryEvent>,
    /// Whether the beginning is left out, since there is too much.
    pub cut: bool,
}

/// What a story needs of any entry.
#[derive(Deserialize)]
struct ToldEntry {
    #[serde(default)]
    link: String,
    #[serde(default)]
    gone: Vec<EnterpriseId>,
    #[serde(default)]
    evidence: Vec<ToldEvidence>,
    #[serde(default)]
    tasks: serde_json::Value,
    #[serde(default)]
    fed_by: String,
    #[serde(default)]
    discovered: Option<String>,
}

#[derive(Deserialize)]
struct ToldEvidence {
    person: EnterpriseId,
    bits: f32,
}

impl Index {
    /// A person's story; `None` where nobody has or had the id.
    pub async fn story(
        &self,
        _permit: &StewardPermit,
        id: EnterpriseId,
    ) -> Result<Option<Story>, IndexError> {
        let Some((person, aliases, records)) = self.protagonists(id) else { return Ok(None) };
        let mut seqs = self.entries_of(&aliases, &records).await?;
        let cut = seqs.len() > ENTRIES_MAX;
        while seqs.len() > ENTRIES_MAX {
            seqs.pop_first();
        }
        let rows = self.db.reader().journal_entries(&seqs.into_iter().collect::<Vec<_>>()).await?;
        let state = self.shared.read();
        let events = rows.iter().filter_map(|row| event(row, &state.registry)).collect();
        let aliases = aliases.into_iter().filter(|alias| *alias != person).collect();
        Ok(Some(Story { person, aliases, events, cut }))
    }

    fn protagonists(
        &self,
        id: EnterpriseId,
    ) -> Option<(EnterpriseId, Vec<EnterpriseId>, Vec<u32>)> {
        let state = self.shared.read();
        let registry = &state.registry;
        registry.is_person(id).then(|| {
            let person = registry.living(id);
            let aliases = registry.aliases(person).collect();
            (person, aliases, registry.records_of(person).to_vec())
        })
    }

    async fn entries_of(
        &self,
        persons: &[EnterpriseId],
        records: &[u32],
    ) -> Result<BTreeSet<u64>, IndexError> {
        let mut seqs = self.db.reader().record_history(records).await?;
        seqs.extend(self.db.reader().person_history(persons).await?);
        Ok(seqs)
    }

    /// Since when records of a person that are to leave were shown as one with those that stay.
    pub(super) async fn mixed_since(
        &self,
        person: EnterpriseId,
        leaving: &[LocalId],
    ) -> Result<OffsetDateTime, IndexError> {
        let Some((person, aliases, records)) = self.protagonists(person) else {
            return Ok(OffsetDateTime::UNIX_EPOCH);
        };
        let seqs: Vec<u64> = self.entries_of(&aliases, &records).await?.into_iter().collect();
        let rows = self.db.reader().journal_entries(&seqs).await?;
        let state = self.shared.read();
        let registry = &state.registry;
        let is_leaving = |no: &u32| leaving.contains(&registry.key(*no).local_id);
        let leaves: Vec<u32> = records.iter().copied().filter(is_leaving).collect();
        let came = |part: &dyn Fn(u32) -> bool| {
            let records = records.iter().copied().filter(|&no| registry.is_active(no) && part(no));
            records.filter_map(|no| came_to(&rows, registry, person, no)).min()
        };
        let (left, stays) = (came(&|no| leaves.contains(&no)), came(&|no| !leaves.contains(&no)));
        Ok(left.max(stays).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// The span in which a person that a decision took apart was shown as one, and the ids that it
    /// had; `None` where the decision took nothing apart.
    pub async fn mixed_span(
        &self,
        _permit: &StewardPermit,
        decision: u64,
    ) -> Result<Option<MixedSpan>, IndexError> {
        let Some(row) = self.db.reader().journal_entry(decision).await? else { return Ok(None) };
        let Ok(deed) = serde_json::from_str::<Deed>(&row.decision) else { return Ok(None) };
        let Some(moved) = deed.moved.first() else { return Ok(None) };
        let since = match deed.mixed_since {
            Some(micros) => OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
            None => OffsetDateTime::UNIX_EPOCH,
        };
        let state = self.shared.read();
        let persons = state.registry.aliases(moved.from).collect();
        Ok(Some(MixedSpan { persons, since, until: row.recorded }))
    }
}

/// When two persons were shown as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixedSpan {
    /// The ids under which they were shown.
    pub persons: Vec<EnterpriseId>,
    /// From when on.
    pub since: OffsetDateTime,
    /// When they were taken apart.
    pub until: OffsetDateTime,
}

/// When a record last came to a person, by the entries of both.
fn came_to(
    rows: &[JournalRow],
    registry: &Registry,
    person: EnterpriseId,
    record_no: u32,
) -> Option<OffsetDateTime> {
    let key = registry.key(record_no);
    let (mut at, mut came) = (None, None);
    for row in rows {
        let before = at;
        match &*row.kind {
            "registered" | "revived" if row.record.as_ref() == Some(&key) => at = row.person,
            "joined" => {
                let told: ToldEntry = serde_json::from_str(&row.decision).ok()?;
                if at.is_some_and(|at| told.gone.contains(&at)) {
                    at = row.person;
                }
            }
            _ => {
                let deed = serde_json::from_str::<Deed>(&row.decision).unwrap_or_default();
                let moved = deed.moved.iter().find(|moved| moved.record == record_no);
                at = moved.map(|moved| moved.to).or(at);
            }
        }
        if at != before && at == Some(person) {
            came = Some(row.recorded);
        }
    }
    // A record that was renamed is registered under another key; then the time it is known counts.
    came.or(Some(registry.record(record_no).since))
}

fn event(row: &JournalRow, registry: &Registry) -> Option<StoryEvent> {
    let deed = super::DeedKind::parse(&row.kind)
        .and_then(|_| serde_json::from_str::<Deed>(&row.decision).ok());
    let (text, reason, by) = if let Some(deed) = deed {
        (deed_text(row, &deed, registry), deed.reason.clone(), deed.by)
    } else {
        let told: ToldEntry = serde_json::from_str(&row.decision).ok()?;
        (entry_text(row, &told)?, None, told.fed_by)
    };
    Some(StoryEvent {
        decision: row.seq,
        recorded: row.recorded,
        event_time: row.event_time,
        kind: row.kind.clone().into_owned(),
        record: row.record.clone(),
        text,
        reason,
        by,
        undone: registry.is_undone(row.seq),
    })
}

fn named(key: &RecordKey) -> String {
    format!("{} of {}", key.local_id.value(), key.member)
}

fn entry_text(row: &JournalRow, told: &ToldEntry) -> Option<String> {
    let record = row.record.as_ref().map(named).unwrap_or_default();
    let person = row.person.map(|person| person.to_string()).unwrap_or_default();
    let bits = |person: Option<EnterpriseId>| {
        let evidence = told.evidence.iter().find(|one| Some(one.person) == person);
        evidence.map_or(String::new(), |one| format!(" ({:.1} bits)", one.bits))
    };
    let asked = told.tasks.as_array().map_or(0, Vec::len);
    let asked = match asked {
        0 => String::new(),
        1 => "; a steward is asked".to_owned(),
        many => format!("; a steward is asked {many} questions"),
    };
    let came = match &*told.link {
        "certain" => {
            format!("linked to person {person}, the only one who is certain{}", bits(row.person))
        }
        "joined" => format!("linked to person {person}, whom it showed to be one with others"),
        "ambiguous" => format!("a person of its own, {person}: several others are certain"),
        "held_out" => format!("a person of its own, {person}: its source does not know who it is"),
        _ => format!("a person of its own, {person}: nobody else is certain"),
    };
    let found = told.discovered.as_ref().map(|mode| match &**mode {
        "match" => "found at its member by $match",
        _ => "found at its member by a search",
    });
    Some(match (&*row.kind, found) {
        ("registered" | "revived", Some(found)) => format!("Record {record} was {found}: {came}."),
        ("registered", None) => format!("Record {record} was registered: {came}{asked}."),
        ("revived", _) => format!("Record {record} was registered again: {came}{asked}."),
        ("updated", _) => format!("Record {record} was updated and stays{asked}."),
        ("confirmed", _) => format!("Record {record} was told again, unchanged."),
        ("stale", _) => {
            format!("Something older was told late of record {record}, and not believed.")
        }
        ("joined", _) => {
            let gone: Vec<String> = told.gone.iter().map(ToString::to_string).collect();
            let gone = gone.join(" and ");
            format!(
                "Record {record} showed that person {gone} and person {person} are one: the id {person} stays."
            )
        }
        _ => return None,
    })
}

fn deed_text(row: &JournalRow, deed: &Deed, registry: &Registry) -> String {
    let record = row.record.as_ref().map(named).unwrap_or_default();
    let records = |numbers: &mut dyn Iterator<Item = u32>| {
        let names: Vec<String> = numbers.map(|no| named(&registry.key(no))).collect();
        names.join(", ")
    };
    let mut text = match &*row.kind {
        _ if deed.late.is_some() => {
            format!("Its member said late of record {record}: {}. Not followed.", row.kind)
        }
        "retired" if deed.expired => {
            format!("The time of record {record}, which was found and never fed, was over.")
        }
        "retired" => format!("Its member ended record {record}."),
        "merged_locally" => {
            let mut gone = deed
                .standings
                .iter()
                .filter(|change| matches!(change.to, Standing::Subsumed { .. }));
            let gone = records(&mut gone.by_ref().map(|change| change.record));
            format!("Its member merged record {gone} into record {record}.")
        }
        "renamed" => match &deed.renamed {
            Some(rename) => format!(
                "Its member gave record {} the identifier {}.",
                rename.from.value(),
                rename.to.value()
            ),
            None => String::new(),
        },
        "named" => match &deed.named {
            Some(naming) => {
                format!("Its member calls the patient of record {record} {}.", naming.id.value())
            }
            None => String::new(),
        },
        "linked" | "unlinked" => {
            let mut told = deed.rule.iter().flat_map(|rule| rule.sides.iter().flatten().copied());
            let what = if row.kind == "linked" { "one person" } else { "two persons" };
            format!("Its member said that records {} are {what}.", records(&mut told))
        }
        "task_claimed" => "A steward took or put back a question.".to_owned(),
        "task_decided" => decided_text(deed),
        "persons_merged" => "A steward decided that two persons are one.".to_owned(),
        "person_separated" => "A steward took records out of the person.".to_owned(),
        "undone" => format!("A steward took back decision {}.", deed.undoes.unwrap_or_default()),
        _ => "Another model decides from here on.".to_owned(),
    };
    let mut goals: Vec<EnterpriseId> = deed.moved.iter().map(|moved| moved.to).collect();
    goals.dedup();
    for goal in goals {
        let mut moved = deed.moved.iter().filter(|moved| moved.to == goal);
        let moved = records(&mut moved.by_ref().map(|moved| moved.record));
        text = format!("{text} To person {goal} went {moved}.");
    }
    if !deed.asked.is_empty() {
        text.push_str(" A steward is asked.");
    }
    text
}

fn decided_text(deed: &Deed) -> String {
    let answer = deed.tasks.iter().find(|change| Some(change.no) == deed.answers);
    let answer = match answer.map(|change| change.to) {
        Some(TaskState::Same) => "one person",
        Some(TaskState::Different) => "two persons",
        _ => "nobody can tell",
    };
    format!("A steward answered question {}: {answer}.", deed.answers.unwrap_or_default())
}
