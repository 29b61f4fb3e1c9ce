//! A merged record on one page, as an emergency physician reads it: what is missing, who, what
//! contradicts, what kills, what is taken.

mod clinical;
mod devices;
pub(super) mod directives;
mod page;
mod person;
pub(super) mod reading;
mod results;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::Value;
use time::OffsetDateTime;

pub(super) use self::clinical::{is_current, medication_of};
use self::page::Page;
use super::{ConflictKind, MergedRecord, Original};
use crate::fhir::{Issue, Reference};

/// What a brief is made of.
pub struct BriefInput<'a> {
    /// The person, as the exchange shows them (FHIR R4 `Patient`).
    pub person: &'a Value,
    /// The record.
    pub record: &'a MergedRecord,
    /// Who answered and what is missing.
    pub statement: &'a [Issue],
    /// The moment from which ages are told.
    pub now: OffsetDateTime,
}

/// The page, section by section; what is missing comes first.
#[derive(Clone, Debug)]
pub struct Brief {
    /// In the order of reading.
    pub sections: Vec<Section>,
}

/// One part of the page.
#[derive(Clone, Debug)]
pub struct Section {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub title: &'static str,
    /// How it is read.
    pub tone: Tone,
    /// What it says.
    pub lines: Vec<Line>,
}

/// One statement.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// In words.
    pub text: String,
    /// The members that say so, by code.
    pub sources: Vec<String>,
    /// When it was, as precisely as was told.
    pub date: Option<String>,
    /// What others contradict in it, most dangerous first.
    pub conflicts: Vec<ConflictKind>,
    /// The resources behind it, as `Type/<gateway id>`.
    pub resources: Vec<String>,
    /// How it is read.
    pub tone: Tone,
}

/// How a line is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As any text.
    #[default]
    Plain,
    /// Somebody may die of overlooking it.
    Alarm,
    /// Doubtful or missing.
    Caution,
    /// Of lesser weight.
    Faint,
}

impl Tone {
    /// One word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Alarm => "alarm",
            Self::Caution => "caution",
            Self::Faint => "faint",
        }
    }
}

impl Section {
    const fn new(code: &'static str, title: &'static str, tone: Tone) -> Self {
        Self { code, title, tone, lines: Vec::new() }
    }

    fn remark(&mut self, text: impl Into<String>, tone: Tone) {
        self.lines.push(Line { text: text.into(), tone, ..Line::default() });
    }
}

impl Brief {
    /// Puts the page together.
    pub fn of(input: &BriefInput<'_>) -> Self {
        let chart = Chart::of(input);
        let sections = [
            person::missing(input),
            person::who(input),
            clinical::contradictions(&chart),
            clinical::allergies(&chart),
            clinical::medications(&chart),
            clinical::problems(&chart),
            clinical::alerts(&chart),
            devices::devices(&chart),
            directives::directives(&chart),
            results::laboratory(&chart),
            results::vital_signs(&chart),
            clinical::encounters(&chart),
            clinical::procedures(&chart),
            clinical::immunizations(&chart),
            clinical::documents(&chart),
            person::answered(input),
        ];
        Self { sections: sections.into_iter().filter(|one| !one.lines.is_empty()).collect() }
    }

    /// As text of 100 columns: `!` in the margin marks what somebody may die of overlooking, `?` what
    /// is doubtful or missing.
    pub fn to_text(&self) -> String {
        let mut page = Page::new();
        for section in &self.sections {
            page.heading(section.title);
            for line in &section.lines {
                page.item(&line.with_conflicts(), &in_words(&line.sources), line.tone);
            }
        }
        page.into_text()
    }
}

impl Line {
    /// The statement, and what others contradict in it.
    fn with_conflicts(&self) -> String {
        let mut text = self.text.clone();
        for conflict in &self.conflicts {
            text = format!("{text} · CONTRADICTED: {}", conflict.text());
        }
        text
    }
}

/// `mercy`, or `3 sources: lakeside mercy stanne`.
fn in_words(sources: &[String]) -> String {
    match sources {
        [] => String::new(),
        [one] => one.clone(),
        several => format!("{} sources: {}", several.len(), several.join(" ")),
    }
}

/// A resource as it is read for a page.
pub(super) struct Told<'a> {
    pub(super) original: &'a Original,
    pub(super) json: Value,
    /// Whether it is the one that is shown for its fact.
    pub(super) is_shown: bool,
}

/// A record, with what a page asks of it again and again.
pub(super) struct Chart<'a> {
    pub(super) record: &'a MergedRecord,
    pub(super) now: OffsetDateTime,
    /// The group of a resource that is told by several.
    groups: BTreeMap<String, Vec<&'a Original>>,
    conflicts: BTreeMap<&'a str, BTreeSet<ConflictKind>>,
    read: RefCell<BTreeMap<String, Rc<Vec<Told<'a>>>>>,
}

impl<'a> Chart<'a> {
    pub(super) fn of(input: &BriefInput<'a>) -> Self {
        let mut groups = BTreeMap::new();
        for group in input.record.groups() {
            for original in &group {
                groups.insert(reference(original), group.clone());
            }
        }
        let mut conflicts: BTreeMap<&'a str, BTreeSet<ConflictKind>> = BTreeMap::new();
        for conflict in input.record.conflicts() {
            for implicated in &conflict.implicated {
                conflicts.entry(implicated).or_default().insert(conflict.kind);
            }
        }
        let read = RefCell::default();
        Self { record: input.record, now: input.now, groups, conflicts, read }
    }

    /// All tellings of a type that their sources have not withdrawn, those that stand behind another
    /// too: each may say another dose or status.
    pub(super) fn told(&self, resource_type: &str) -> Rc<Vec<Told<'a>>> {
        if let Some(read) = self.read.borrow().get(resource_type) {
            return Rc::clone(read);
        }
        let told = self.record.of_type(resource_type).iter().filter_map(|original| {
            let json: Value = serde_json::from_str(&original.json).ok()?;
            let withdrawn = json["status"] == "entered-in-error"
                || reading::says(&json["verificationStatus"], &["entered-in-error"]);
            let is_shown = original.role != super::Role::Alternate;
            (!withdrawn).then_some(Told { original, json, is_shown })
        });
        let told = Rc::new(told.collect());
        self.read.borrow_mut().insert(resource_type.to_owned(), Rc::clone(&told));
        told
    }

    /// A resource of the record by reference.
    pub(super) fn read(&self, text: &str) -> Option<(&'a Original, Value)> {
        let Reference::Relative { resource_type, id } = Reference::parse(text) else { return None };
        let original = self.record.original(resource_type, id)?;
        Some((original, serde_json::from_str(&original.json).ok()?))
    }

    /// Who tells a fact, and what contradicts it.
    pub(super) fn standing(&self, resource: &str) -> (Vec<String>, Vec<ConflictKind>) {
        let told = Reference::parse(resource);
        let original = match told {
            Reference::Relative { resource_type, id } => self.record.original(resource_type, id),
            _ => None,
        };
        let Some(original) = original else { return (Vec::new(), Vec::new()) };
        let told = Told { original, json: Value::Null, is_shown: true };
        let line = self.line(String::new(), [&told], None, Tone::Plain);
        (line.sources, line.conflicts)
    }

    /// A line about some tellings: with all who tell the same facts, and what contradicts them.
    fn line<'t>(
        &self,
        text: String,
        told: impl IntoIterator<Item = &'t Told<'a>>,
        date: Option<String>,
        tone: Tone,
    ) -> Line
    where
        'a: 't,
    {
        let mut resources: BTreeSet<String> = BTreeSet::new();
        let mut sources: BTreeSet<String> = BTreeSet::new();
        for one in told {
            let own = reference(one.original);
            let group = self.groups.get(&own).cloned().unwrap_or_else(|| vec![one.original]);
            for original in group {
                sources.insert(original.member.to_string());
                resources.insert(reference(original));
            }
        }
        let conflicts: BTreeSet<ConflictKind> = resources
            .iter()
            .filter_map(|one| self.conflicts.get(one.as_str()))
            .flatten()
            .copied()
            .collect();
        Line {
            text,
            sources: sources.into_iter().collect(),
            date,
            conflicts: conflicts.into_iter().collect(),
            resources: resources.into_iter().collect(),
            tone,
        }
    }
}

fn reference(original: &Original) -> String {
    format!("{}/{}", original.resource_type, original.gateway_id)
}

#[cfg(test)]
pub(super) mod tests;
