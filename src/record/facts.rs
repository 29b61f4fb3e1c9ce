//! Groups of resources that tell one fact, over everything that was sent.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt};

use super::{
    RecordIssueKind,
    element::Element,
    grouping::{Ties, group, no_ties},
    intake::{Intake, Told},
    same_fact::{Fact, LinkView, Resolve, Rule, Verdict, rule},
};
use crate::fhir::Reference;

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
pub(super) fn find_facts(intake: &Intake) -> Facts {
    let finder = Finder::new(intake);
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

struct Finder<'a> {
    intake: &'a Intake,
    /// Member, type and original id to place.
    places: HashMap<(u16, &'a str, &'a str), u32>,
}

impl<'a> Finder<'a> {
    fn new(intake: &'a Intake) -> Self {
        let mut places = HashMap::with_capacity(intake.told.len());
        for (place, told) in intake.told.iter().enumerate() {
            let Some(id) = told.resource.id() else { continue };
            let has_the_id = !super::gateway_id::is_hashed(&told.gateway_id);
            let key = (told.member, told.resource.resource_type(), id);
            // Of two under one id, references lead to the one that has it.
            if has_the_id || !places.contains_key(&key) {
                places.insert(key, place as u32);
            }
        }
        Self { intake, places }
    }

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
            .keys()
            .filter_map(|place| {
                let told = self.told(*place)?;
                let resolver = Resolver { finder: self, member: told.member };
                Some((*place, told.member, Fact::read(told.resource.json(), rule, &resolver)))
            })
            .collect();
        let ties = ties(&read, known, facts);
        let member_of =
            |place: u32| known.member_of.get(place as usize).copied().unwrap_or(u16::MAX);
        let mut groups: Vec<Vec<u32>> = group(&ties, member_of);
        let grouped: BTreeSet<u32> = groups.iter().flatten().copied().collect();
        groups.extend(atoms.keys().filter(|atom| !grouped.contains(atom)).map(|atom| vec![*atom]));
        for group in &mut groups {
            let all: Vec<u32> =
                group.iter().filter_map(|atom| atoms.get(atom)).flatten().copied().collect();
            *group = all;
            group.sort_unstable();
        }
        groups.retain(|group| group.len() > 1);
        groups
    }

    /// Resources of one member that are identical in everything but id and meta, under the first.
    fn atoms(&self, places: std::ops::Range<usize>) -> BTreeMap<u32, Vec<u32>> {
        let mut atoms: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut by_content: HashMap<(u16, u64), Vec<u32>> = HashMap::new();
        for place in places {
            let Some(told) = self.intake.told.get(place) else { continue };
            let place = place as u32;
            let alike = by_content.entry((told.member, told.content_hash)).or_default();
            let twin = alike.iter().find(|other| {
                self.told(**other).is_some_and(|other| content(other) == content(told))
            });
            if let Some(twin) = twin {
                atoms.entry(*twin).or_default().push(place);
            } else {
                alike.push(place);
                atoms.insert(place, vec![place]);
            }
        }
        atoms
    }
}

struct Resolver<'f, 'a> {
    finder: &'f Finder<'a>,
    member: u16,
}

impl<'a> Resolve<'a> for Resolver<'_, 'a> {
    fn resource(&self, from: Element<'a>, reference: &str) -> Option<Element<'a>> {
        if let Reference::Contained(id) = Reference::parse(reference) {
            let contained = from.field("contained")?;
            return contained.items().find(|inner| inner.text_of("id").as_deref() == Some(id));
        }
        let told = self.finder.told(self.place(reference)?)?;
        Some(Element::new(told.resource.json()))
    }

    fn place(&self, reference: &str) -> Option<u32> {
        let sender = self.finder.intake.members.get(usize::from(self.member))?;
        let (kind, id) = Reference::parse(reference).on_server(&sender.base_url)?;
        self.finder.places.get(&(self.member, kind, id)).copied()
    }
}

/// Compares what could be one fact: what shares a code at overlapping times, or an identifier.
fn ties<'a>(read: &[(u32, u16, Fact<'a>)], known: &Known, facts: &mut Facts) -> Ties {
    let mut ties = no_ties();
    let mut compared: foldhash::HashSet<(u32, u32)> = foldhash::HashSet::default();
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
            Verdict::Opposed => {
                facts.opposed.insert(pair);
            }
        }
    };
    let mut by_identifier: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    let mut by_code: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (i, (_, _, fact)) in read.iter().enumerate() {
        for id in &fact.identifiers {
            by_identifier.entry((&id.system, &id.value)).or_default().push(i);
        }
        if fact.has_content_key() {
            for code in &fact.codes {
                by_code.entry((&code.system, &code.code)).or_default().push(i);
            }
        }
    }
    let everywhere = |list: &[usize]| list.iter().map(|i| (i64::MIN, i64::MAX, *i)).collect();
    let when = |list: &[usize]| {
        let mut spans: Vec<(i64, i64, usize)> = list
            .iter()
            .filter_map(|i| read.get(*i).map(|(_, _, fact)| (fact, *i)))
            .map(|(fact, i)| (fact.window().0, fact.window().1, i))
            .collect();
        spans.sort_unstable();
        spans
    };
    let buckets: Vec<Vec<(i64, i64, usize)>> = by_identifier
        .values()
        .map(|list| everywhere(list))
        .chain(by_code.values().map(|list| when(list)))
        .filter(|bucket| bucket.len() > 1)
        .collect();
    for bucket in buckets {
        let Some(pairs) = overlapping(&bucket) else {
            let kind = bucket.first().and_then(|(_, _, i)| read.get(*i));
            let kind = kind.map_or("", |(_, _, fact)| fact.rule.resource_type);
            facts.unbounded.insert((RecordIssueKind::TooManyToCompare, kind.to_owned()));
            continue;
        };
        for (i, j) in pairs {
            if let (Some(a), Some(b)) = (read.get(i), read.get(j)) {
                compare(a, b);
            }
        }
    }
    ties
}

/// Pairs whose spans overlap, of spans sorted by their start; `None` beyond the bound.
fn overlapping(spans: &[(i64, i64, usize)]) -> Option<Vec<(usize, usize)>> {
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
    let mut fields: Vec<_> = Element::new(told.resource.json())
        .fields()
        .filter(|(name, _)| name != "id" && name != "meta")
        .map(|(name, value)| (name, value.raw()))
        .collect();
    fields.sort_unstable();
    fields
}
