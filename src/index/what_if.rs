//! What another model, or another threshold, would link: tried on everything that is told today,
//! and nothing of it is kept.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::{MatchGrade, Model, PersonVerdict, Population, RecordNo},
    storage::Reader,
};

use super::{IndexError, IndexLimits, fold::fold, registry::Registry};

/// More persons at once are a steward's, as for a new record.
const PERSONS_MAX: usize = 3;

/// What would be linked otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// The version of the model that was tried.
    pub model: String,
    /// The model that was activated last, if any ever was.
    pub activated: Option<String>,
    /// Records that take part: those that are told of, by a source that knows who it is.
    pub records: usize,
    /// Persons that have them today.
    pub persons_today: usize,
    /// Persons that would have them.
    pub persons_then: usize,
    /// Persons that would be one.
    pub made: Vec<LinkChange>,
    /// Persons that would be several.
    pub broken: Vec<LinkChange>,
}

/// Persons that would be linked otherwise, by one record each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// The persons of today.
    pub persons: Vec<EnterpriseId>,
    /// One record of each part.
    pub records: Vec<RecordKey>,
    /// Whether a word of a steward or a member holds against it: then nothing would change.
    pub is_held: bool,
}

/// Links everything that is told today anew with this model, in the order of registration, and
/// compares with today. Scores every record once; the journal stays as it is.
pub async fn what_if(
    reader: &Reader,
    model: Arc<Model>,
    limits: &IndexLimits,
) -> Result<WhatIf, IndexError> {
    let version = model.version().to_owned();
    let (folded, _) = fold(reader, &model, None).await?;
    let state = folded.state;
    let registry = &state.registry;
    let mut trial = Trial::default();
    let mut records = Vec::new();
    for record_no in 0..registry.next_record_no() {
        let Some(entry) = registry.record(record_no).entry else { continue };
        if registry.is_active(record_no) {
            trial.place(&state.population, limits, entry);
            records.push((record_no, entry));
        }
    }
    let mut then: BTreeMap<usize, BTreeMap<EnterpriseId, Vec<u32>>> = BTreeMap::new();
    let mut today: BTreeMap<EnterpriseId, BTreeMap<usize, Vec<u32>>> = BTreeMap::new();
    for &(record_no, entry) in &records {
        let (person, group) = (registry.person_of(record_no), trial.group_of[&entry]);
        then.entry(group).or_default().entry(person).or_default().push(record_no);
        today.entry(person).or_default().entry(group).or_default().push(record_no);
    }
    let made = then.values().filter(|persons| persons.len() > 1).map(|persons| {
        let parts: Vec<&[u32]> = persons.values().map(Vec::as_slice).collect();
        change(registry, persons.keys().copied().collect(), &parts, |left, right| {
            registry.rules().forbid(left, right)
        })
    });
    let broken = today.iter().filter(|(_, groups)| groups.len() > 1).map(|(person, groups)| {
        let parts: Vec<&[u32]> = groups.values().map(Vec::as_slice).collect();
        change(registry, vec![*person], &parts, |left, right| registry.rules().demand(left, right))
    });
    Ok(WhatIf {
        model: version,
        activated: registry.activated_model().map(str::to_owned),
        records: records.len(),
        persons_today: today.len(),
        persons_then: then.len(),
        made: made.collect(),
        broken: broken.collect(),
    })
}

fn change(
    registry: &Registry,
    persons: Vec<EnterpriseId>,
    parts: &[&[u32]],
    holds: impl Fn(&[u32], &[u32]) -> bool,
) -> LinkChange {
    let pairs = parts
        .iter()
        .enumerate()
        .flat_map(|(at, left)| parts[at + 1..].iter().map(move |right| (*left, *right)));
    let is_held = pairs.into_iter().any(|(left, right)| holds(left, right));
    LinkChange {
        persons,
        records: parts.iter().map(|part| registry.key(part[0])).collect(),
        is_held,
    }
}

/// Groups of entries that would be persons.
#[derive(Default)]
struct Trial {
    group_of: HashMap<RecordNo, usize, RandomState>,
    groups: Vec<Vec<RecordNo>>,
}

impl Trial {
    /// Decides about one entry as the linker does about a new record.
    fn place(&mut self, population: &Population, limits: &IndexLimits, entry: RecordNo) {
        let probe = population.probe_of(entry);
        let candidates = population.candidates(&probe).into_iter();
        let near: BTreeSet<usize> =
            candidates.filter_map(|other| self.group_of.get(&other).copied()).collect();
        let latest = |group: &Vec<RecordNo>| -> Vec<RecordNo> {
            group.iter().rev().take(limits.person_records_judged_max).copied().collect()
        };
        let is_one =
            |verdict: PersonVerdict| verdict.grade == MatchGrade::Certain && !verdict.contradicted;
        let mut certain: Vec<usize> = near.into_iter().collect();
        certain.retain(|at| is_one(population.judge_person(&probe, &latest(&self.groups[*at]))));
        let records: usize = certain.iter().map(|at| self.groups[*at].len()).sum();
        let may_join = (2..=PERSONS_MAX).contains(&certain.len())
            && records < limits.person_records_judged_max
            && certain.iter().enumerate().all(|(at, left)| {
                certain[at + 1..].iter().all(|right| {
                    let (left, right) = (&self.groups[*left], &self.groups[*right]);
                    is_one(population.judge_join(&probe, &latest(left), &latest(right)))
                })
            });
        let home = match certain[..] {
            [one] => one,
            [first, ..] if may_join => {
                for &gone in &certain[1..] {
                    let moved = std::mem::take(&mut self.groups[gone]);
                    for &entry in &moved {
                        self.group_of.insert(entry, first);
                    }
                    self.groups[first].extend(moved);
                }
                self.groups[first].sort_unstable();
                first
            }
            _ => {
                self.groups.push(Vec::new());
                self.groups.len() - 1
            }
        };
        self.groups[home].push(entry);
        self.group_of.insert(entry, home);
    }
}
