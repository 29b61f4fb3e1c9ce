//! Groups of resources that tell one fact, over everything that was sent.

use std::{collections::BTreeSet, hash::BuildHasher as _};

use foldhash::{HashMap, HashMapExt, fast::FixedState};

use super::{
    RecordIssueKind,
    grouping::{Ties, group, no_ties},
    intake::{Intake, Told},
    same_fact::{Fact, LinkView, Rule, Verdict, rule},
    targets::Targets,
};

/// Pairs of one code that are compared at most. Beyond it (2,000 readings that one moment cannot
/// tell apart) the code's resources stay apart, and the record says so.
const PAIRS_OF_ONE_CODE_MAX: usize = 2_000_000;

/// What tells what: places are places in [`Intake::told`].
pub(super) struct Facts {
    /// Places that tell one fact, each list sorted and of at least two, in order of first place.
    pub(super) groups: Vec<Vec<u32>>,
    /// Pairs of which one denies what the other states.
    pub(super) opposed: BTreeSet<(u32, u32)>,
    /// Types whose facts could not all be compared.
    pub(super) unbounded: BTreeSet<(RecordIssueKind, String)>,
}

/// Finds the facts, types that others link to first.
pub(super) fn find_facts(intake: &Intake, targets: &Targets<'_>) -> Facts {
    let finder = Finder { intake, targets };
    let mut known = Known::new(intake);
    let mut facts =
        Facts { groups: Vec::new(), opposed: BTreeSet::new(), unbounded: BTreeSet::new() };
    let mut kinds: Vec<(&'static Rule, std::ops::Range<usize>)> = Vec::new();
    let mut start = 0;
    for chunk in
        intake.told.chunk_by(|a, b| a.resource.resource_type() == b.resource.resource_type())
    {
        let kind = chunk.first().map_or("", |told| told.resource.resource_type());
        kinds.push((rule(kind), start..start + chunk.len()));
        start += chunk.len();
    }
    kinds.sort_by_key(|(rule, places)| (rule.stage, places.start));
    for (rule, places) in kinds {
        if rule.identifiers.is_empty() && !rule.by_content {
            continue;
        }
        let found = finder.of_type(rule, places, &known, &mut facts);
        known.learn(&found, intake);
        facts.groups.extend(found);
    }
    facts.groups.sort_unstable();
    facts
}

/// The groups found so far, for comparing links.
struct Known {
    /// Of each place, the first place of its group.
    label: Vec<u32>,
    members: HashMap<u32, Vec<u16>>,
    member_of: Vec<u16>,
}

impl Known {
    fn new(intake: &Intake) -> Self {
        Self {
            label: (0..intake.told.len() as u32).collect(),
            members: HashMap::new(),
            member_of: intake.told.iter().map(|told| told.member).collect(),
        }
    }

    fn learn(&mut self, groups: &[Vec<u32>], intake: &Intake) {
        for group in groups {
            let Some(first) = group.first() else { continue };
            for place in group {
                if let Some(label) = self.label.get_mut(*place as usize) {
                    *label = *first;
                }
            }
            let members = group.iter().filter_map(|place| intake.told.get(*place as usize));
            self.members.insert(*first, members.map(|told| told.member).collect());
        }
    }

    fn label(&self, place: u32) -> u32 {
        self.label.get(place as usize).copied().unwrap_or(place)
    }

    fn is_told_by_member_of(&self, label: u32, other: u32) -> bool {
        let member = self.member_of.get(other as usize);
        self.members.get(&label).is_some_and(|members| member.is_some_and(|m| members.contains(m)))
    }
}

impl LinkView for Known {
    fn one_fact(&self, a: u32, b: u32) -> bool {
        self.label(a) == self.label(b)
    }

    fn known_apart(&self, a: u32, b: u32) -> bool {
        let (x, y) = (self.label(a), self.label(b));
        x != y && (self.is_told_by_member_of(x, b) || self.is_told_by_member_of(y, a))
    }
}

struct Finder<'f, 'a> {
    intake: &'a Intake,
    targets: &'f Targets<'a>,
}

impl<'a> Finder<'_, 'a> {
    fn told(&self, place: u32) -> Option<&'a Told> {
        self.intake.told.get(place as usize)
    }

    fn of_type(
        &self,
        rule: &'static Rule,
        places: std::ops::Range<usize>,
        known: &Known,
        facts: &mut Facts,
    ) -> Vec<Vec<u32>> {
        let atoms = self.atoms(places);
        let read: Vec<(u32, u16, Fact<'a>)> = atoms
            .firsts
            .iter()
            .filter_map(|place| {
                let told = self.told(*place)?;
                let resolver = self.targets.seen_by(told.member);
                Some((*place, told.member, Fact::read(told.resource.head(), rule, &resolver)))
            })
            .collect();
        let ties = ties(&read, known, facts);
        let member_of =
            |place: u32| known.member_of.get(place as usize).copied().unwrap_or(u16::MAX);
        atoms.unfold(group(&ties, member_of))
    }

    /// Resources of one member that are identical in everything but id and meta, under the first.
    fn atoms(&self, places: std::ops::Range<usize>) -> Atoms {
        let mut atoms = Atoms { firsts: Vec::with_capacity(places.len()), twins: HashMap::new() };
        let mut by_content: HashMap<(u16, u64), u32> = HashMap::with_capacity(places.len());
        for place in places {
            let Some(told) = self.intake.told.get(place) else { continue };
            let place = place as u32;
            let first = *by_content.entry((told.member, told.content_hash)).or_insert(place);
            // Contents of one hash that differ stay apart, but for a third that is like the second:
            // then there is one more single fact.
            let is_twin = first != place
                && self.told(first).is_some_and(|first| content(first) == content(told));
            if is_twin {
                atoms.twins.entry(first).or_insert_with(|| vec![first]).push(place);
            } else {
                atoms.firsts.push(place);
            }
        }
        atoms
    }
}

/// Resources that are compared, and those that are identical to one of them.
struct Atoms {
    firsts: Vec<u32>,
    /// The first of each, to it and all that are like it.
    twins: HashMap<u32, Vec<u32>>,
}

impl Atoms {
    /// Groups of atoms as groups of resources.
    fn unfold(mut self, groups: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
        let mut unfolded: Vec<Vec<u32>> = groups
            .into_iter()
            .map(|group| {
                let all = group
                    .into_iter()
                    .flat_map(|atom| self.twins.remove(&atom).unwrap_or_else(|| vec![atom]));
                let mut all: Vec<u32> = all.collect();
                all.sort_unstable();
                all
            })
            .collect();
        unfolded.extend(self.twins.into_values());
        unfolded
    }
}

/// Compares what could be one fact: what shares a code at overlapping times, or an identifier.
fn ties<'a>(read: &[(u32, u16, Fact<'a>)], known: &Known, facts: &mut Facts) -> Ties {
    let mut ties = no_ties();
    let mut compared: foldhash::HashSet<(u32, u32)> = foldhash::HashSet::default();
    let mut opposed = Vec::new();
    let mut compare = |a: &(u32, u16, Fact<'a>), b: &(u32, u16, Fact<'a>)| {
        let pair = (a.0.min(b.0), a.0.max(b.0));
        if a.1 == b.1 || !compared.insert(pair) {
            return;
        }
        match a.2.compare(&b.2, known) {
            Verdict::Different => {}
            Verdict::Same(evidence) => {
                ties.insert(pair, evidence);
            }
            Verdict::Opposed => opposed.push(pair),
        }
    };
    let always = |_: &Fact<'a>| (i64::MIN, i64::MAX);
    let by_identifier = buckets(read, |fact, hashes| {
        hashes.extend(fact.identifiers.iter().map(|id| hash(&id.system, &id.value)));
    });
    let by_code = buckets(read, |fact, hashes| {
        if fact.has_content_key() {
            hashes.extend(fact.codes.iter().map(|code| hash(&code.system, &code.code)));
        }
    });
    let mut take = |bucket: &[(u64, u32)], window: &dyn Fn(&Fact<'a>) -> (i64, i64)| {
        let mut spans: Vec<(i64, i64, u32)> = bucket
            .iter()
            .filter_map(|(_, i)| Some((read.get(*i as usize)?, *i)))
            .map(|((_, _, fact), i)| {
                let (from, to) = window(fact);
                (from, to, i)
            })
            .collect();
        spans.sort_unstable();
        let Some(pairs) = overlapping(&spans) else {
            let kind = read.first().map_or("", |(_, _, fact)| fact.rule.resource_type);
            facts.unbounded.insert((RecordIssueKind::TooManyToCompare, kind.to_owned()));
            return;
        };
        for (i, j) in pairs {
            if let (Some(a), Some(b)) = (read.get(i as usize), read.get(j as usize)) {
                compare(a, b);
            }
        }
    };
    for bucket in by_identifier.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
        take(bucket, &always);
    }
    for bucket in by_code.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
        take(bucket, &|fact| fact.window());
    }
    facts.opposed.extend(opposed);
    ties
}

/// What of `read` has one hash stands side by side. Two texts of one hash only cost a comparison.
fn buckets<'a>(
    read: &[(u32, u16, Fact<'a>)],
    hashes_of: impl Fn(&Fact<'a>, &mut Vec<u64>),
) -> Vec<(u64, u32)> {
    let (mut all, mut hashes) = (Vec::with_capacity(read.len()), Vec::new());
    for (i, (_, _, fact)) in read.iter().enumerate() {
        hashes_of(fact, &mut hashes);
        all.extend(hashes.drain(..).map(|hash| (hash, i as u32)));
    }
    all.sort_unstable();
    all
}

fn hash(system: &str, value: &str) -> u64 {
    FixedState::default().hash_one((system, value))
}

/// Pairs whose spans overlap, of spans sorted by their start; `None` beyond the bound.
fn overlapping(spans: &[(i64, i64, u32)]) -> Option<Vec<(u32, u32)>> {
    let mut pairs = Vec::new();
    for (at, (_, end, i)) in spans.iter().enumerate() {
        for (start, _, j) in spans.iter().skip(at + 1) {
            if start > end {
                break;
            }
            if pairs.len() == PAIRS_OF_ONE_CODE_MAX {
                return None;
            }
            pairs.push((*i, *j));
        }
    }
    Some(pairs)
}

/// Everything a resource says but its id and meta, in order of name.
fn content(told: &Told) -> Vec<(std::borrow::Cow<'_, str>, &str)> {
    let mut fields: Vec<_> = told
        .resource
        .head()
        .fields()
        .filter(|(name, _)| name != "id" && name != "meta")
        .map(|(name, value)| (name, value.raw()))
        .collect();
    fields.sort_unstable();
    fields
}
