//! What of a record a search means: which telling of each fact, in which order, and what goes with it.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashSet},
};

use time::OffsetDateTime;

use super::{MergedRecord, Original};
use crate::fhir::{
    Criteria, Reference, Resource, Verdict,
    dates::TimeRange,
    search_parameters::{Parameter, ReadValue, fold, main_date},
};

/// A search for resources of one type.
#[derive(Clone, Debug)]
pub struct Selecting {
    /// The type.
    pub resource_type: String,
    /// What each must meet.
    pub criteria: Criteria,
    /// In which order; by the type's date, the latest first, where empty.
    pub order: Vec<SortKey>,
    /// What is told beside the matches.
    pub includes: Vec<Include>,
    /// Only the first in order of each code that this parameter reads, and what has no such code.
    pub latest_of_each: Option<Parameter>,
}

/// One key of an order.
#[derive(Clone, Copy, Debug)]
pub struct SortKey {
    /// By what.
    pub by: SortBy,
    /// Whether the greatest comes first. What tells nothing comes last either way.
    pub descending: bool,
}

/// What resources can be put in order by.
#[derive(Clone, Copy, Debug)]
pub enum SortBy {
    /// `_id`
    Id,
    /// `_lastUpdated`
    LastUpdated,
    /// A search parameter.
    Parameter(Parameter),
}

/// What is told beside the matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Include {
    /// `_include`: what resources of a type refer to.
    Forward {
        /// Their type.
        source: String,
        /// By which parameter; by every reference where `None` (`Type:*`).
        parameter: Option<Parameter>,
        /// Only targets of this type.
        target: Option<String>,
        /// From what is included, too.
        iterate: bool,
    },
    /// `_revinclude` of one of [`REVERSE`].
    Reverse(&'static str),
}

/// What may be asked for by what it refers to.
pub const REVERSE: [&str; 3] = ["Provenance:target", "Linkage:item", "DetectedIssue:implicated"];

/// Places of matches in [`MergedRecord::originals`], in order.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// The matches.
    pub places: Vec<u32>,
    /// Facts that meet every criterion but those of date, and tell no such date.
    pub undated: usize,
    /// Facts that meet every criterion but those on what they refer to, which is not in the record.
    pub unfollowed: usize,
}

/// What goes with some matches.
#[derive(Clone, Debug, Default)]
pub struct Included {
    /// Places in [`MergedRecord::originals`].
    pub originals: Vec<u32>,
    /// Places in [`MergedRecord::own`].
    pub own: Vec<u32>,
    /// Whether the person is referred to.
    pub person: bool,
}

impl MergedRecord {
    /// Of each fact of the type, the telling that meets the criteria: the one that is shown for it
    /// where it does, else the first. So a copy that was told otherwise never hides the fact.
    pub fn select(&self, selecting: &Selecting, now: OffsetDateTime) -> Selected {
        let mut selected = Selected::default();
        let mut keyed: Vec<(Vec<Key>, u32)> = Vec::new();
        let order = order_of(selecting);
        let follow = |told: &str| self.follow(told);
        for tellings in self.tellings_of(&selecting.resource_type) {
            let mut open = None;
            let found = tellings.iter().find_map(|place| {
                let original = self.originals().get(*place as usize)?;
                // What was rewritten here is well formed.
                let resource = Resource::parse(original.json.as_bytes()).ok()?;
                match selecting.criteria.verdict(&resource, now, &follow) {
                    Verdict::Meets => Some((keys(&order, original, &resource), *place)),
                    verdict => {
                        open = open.or((verdict != Verdict::Fails).then_some(verdict));
                        None
                    }
                }
            });
            if found.is_none() {
                selected.undated += usize::from(open == Some(Verdict::Undated));
                selected.unfollowed += usize::from(open == Some(Verdict::Unfollowed));
            }
            keyed.extend(found);
        }
        keyed.sort();
        selected.places = keyed.into_iter().map(|(_, place)| place).collect();
        if let Some(parameter) = selecting.latest_of_each {
            let mut seen = HashSet::new();
            selected.places.retain(|place| self.is_new(*place, parameter, &mut seen));
        }
        selected
    }

    /// What goes with some matches: what was asked for, and every contradiction that one takes part
    /// in, asked for or not.
    pub fn included(&self, places: &[u32], includes: &[Include]) -> Included {
        let mut included = Included::default();
        let matches: HashSet<u32> = places.iter().copied().collect();
        let mut found: BTreeSet<u32> = BTreeSet::new();
        let mut sources: Vec<u32> = places.to_vec();
        let mut is_first = true;
        while !sources.is_empty() {
            let mut next = Vec::new();
            for place in sources {
                for (kind, id) in self.referred(place, includes, is_first) {
                    if kind == "Patient" && !id.contains('.') {
                        included.person = true;
                        continue;
                    }
                    let target = self.place(&kind, &id).filter(|target| !matches.contains(target));
                    next.extend(target.filter(|target| found.insert(*target)));
                }
            }
            sources = next;
            is_first = false;
        }
        let shown: HashSet<String> = places
            .iter()
            .filter_map(|place| self.originals().get(*place as usize))
            .map(|one| format!("{}/{}", one.resource_type, one.gateway_id))
            .collect();
        let asked = |name: &str| includes.contains(&Include::Reverse(reverse(name)));
        let refers = |json: &str| refers_to(json, &shown);
        included.own = self
            .own()
            .enumerate()
            .filter(|(_, own)| match own.resource_type {
                "DetectedIssue" => refers(own.json),
                kind => asked(kind) && refers(own.json),
            })
            .map(|(place, _)| place as u32)
            .collect();
        if asked("Provenance") {
            let told = self.tellings_of("Provenance").flatten();
            found.extend(told.filter(|place| {
                let original = self.originals().get(*place as usize);
                original.is_some_and(|original| refers(&original.json))
            }));
        }
        included.originals = found.into_iter().collect();
        included
    }

    /// Whether a resource has a code by the parameter that none before it had, or has no code.
    fn is_new(&self, place: u32, parameter: Parameter, seen: &mut HashSet<String>) -> bool {
        let Some(original) = self.originals().get(place as usize) else { return false };
        let Ok(resource) = Resource::parse(original.json.as_bytes()) else { return false };
        let codes: Vec<String> = parameter
            .read(resource.head())
            .into_iter()
            .filter_map(|value| match value {
                ReadValue::Token { system, code } => {
                    Some(format!("{}|{code}", system.unwrap_or_default()))
                }
                _ => None,
            })
            .collect();
        let known = seen.len();
        let has_none = codes.is_empty();
        seen.extend(codes);
        has_none || seen.len() > known
    }

    /// What a reference leads to in this record.
    fn follow(&self, told: &str) -> Option<Resource> {
        let Reference::Relative { resource_type, id } = Reference::parse(told) else { return None };
        let place = self.place(resource_type, id)?;
        Resource::parse(self.originals().get(place as usize)?.json.as_bytes()).ok()
    }

    /// What a resource refers to, as far as it was asked for.
    fn referred(&self, place: u32, includes: &[Include], is_match: bool) -> Vec<(String, String)> {
        let Some(original) = self.originals().get(place as usize) else { return Vec::new() };
        let mut wanted = includes.iter().filter_map(|include| match include {
            Include::Forward { source, parameter, target, iterate }
                if *source == *original.resource_type && (is_match || *iterate) =>
            {
                Some((parameter, target))
            }
            _ => None,
        });
        let Some(first) = wanted.next() else { return Vec::new() };
        let Ok(resource) = Resource::parse(original.json.as_bytes()) else { return Vec::new() };
        let mut found = Vec::new();
        for (parameter, target) in std::iter::once(first).chain(wanted) {
            let told: Vec<String> = match parameter {
                Some(parameter) => parameter
                    .read(resource.head())
                    .into_iter()
                    .filter_map(|value| match value {
                        ReadValue::Reference(told) => Some(told.into_owned()),
                        _ => None,
                    })
                    .collect(),
                None => resource
                    .links()
                    .filter(|link| !link.is_attachment())
                    .filter_map(|link| Some(link.text()?.into_owned()))
                    .collect(),
            };
            found.extend(told.iter().filter_map(|told| match Reference::parse(told) {
                Reference::Relative { resource_type, id }
                    if target.as_ref().is_none_or(|target| target == resource_type) =>
                {
                    Some((resource_type.to_owned(), id.to_owned()))
                }
                _ => None,
            }));
        }
        found
    }
}

/// The entry of [`REVERSE`] for a type.
fn reverse(kind: &str) -> &'static str {
    REVERSE.into_iter().find(|told| told.split(':').next() == Some(kind)).unwrap_or_default()
}

fn refers_to(json: &str, shown: &HashSet<String>) -> bool {
    let Ok(resource) = Resource::parse(json.as_bytes()) else { return false };
    resource.links().any(|link| link.text().is_some_and(|told| shown.contains(&*told)))
}

/// What a key of the order finds; what finds nothing comes last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Up(KeyValue),
    Down(Reverse<KeyValue>),
    Nothing,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum KeyValue {
    Time(i128),
    Text(String),
}

fn order_of(selecting: &Selecting) -> Vec<SortKey> {
    if !selecting.order.is_empty() {
        return selecting.order.clone();
    }
    let date = main_date(&selecting.resource_type);
    date.map(|date| SortKey { by: SortBy::Parameter(date), descending: true }).into_iter().collect()
}

/// The keys of one resource; its id decides between equals, so that every order is one order.
fn keys(order: &[SortKey], original: &Original, resource: &Resource) -> Vec<Key> {
    let mut keys: Vec<Key> = order
        .iter()
        .map(|key| match (value(key.by, original, resource), key.descending) {
            (None, _) => Key::Nothing,
            (Some(value), false) => Key::Up(value),
            (Some(value), true) => Key::Down(Reverse(value)),
        })
        .collect();
    keys.push(Key::Up(KeyValue::Text(original.gateway_id.clone())));
    keys
}

fn value(by: SortBy, original: &Original, resource: &Resource) -> Option<KeyValue> {
    match by {
        SortBy::Id => Some(KeyValue::Text(original.gateway_id.clone())),
        SortBy::LastUpdated => {
            let told = resource.head().first_at("meta.lastUpdated")?.text()?;
            Some(KeyValue::Time(begin(TimeRange::parse(&told).ok()?)))
        }
        SortBy::Parameter(parameter) => {
            parameter.read(resource.head()).into_iter().next().map(|value| match value {
                ReadValue::Date(range) => KeyValue::Time(begin(range)),
                ReadValue::Token { code, .. } => KeyValue::Text(fold(&code)),
                ReadValue::Text(text) | ReadValue::Reference(text) => KeyValue::Text(fold(&text)),
            })
        }
    }
}

/// Nanoseconds since 1970; a stretch that is open at its start is older than all others.
fn begin(range: TimeRange) -> i128 {
    range.start().map_or(i128::MIN, OffsetDateTime::unix_timestamp_nanos)
}
