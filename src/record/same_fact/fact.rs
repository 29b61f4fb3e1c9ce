//! What a resource says, read once, and compared pair by pair under its type's rule.

use std::{borrow::Cow, cell::OnceCell};

use super::{
    clinical_time::{ClinicalTime, TimeAgreement},
    code::{Code, agree, codes, folded, known_system},
    rule::{Clock, Link, Rule},
    rules::SERIAL,
    value::Value,
};
use crate::fhir::{Element, Head};

/// A business identifier: its type where told, its namespace, its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::record) struct BusinessId<'a> {
    kind: String,
    pub(in crate::record) system: Cow<'a, str>,
    pub(in crate::record) value: Cow<'a, str>,
}

/// Slots of a rule's clinical time.
const TIME_SLOTS_MAX: usize = 2;

/// The head of one resource, as its rule reads it.
pub(in crate::record) struct Fact<'a> {
    pub(in crate::record) rule: &'static Rule,
    resource: Head<'a>,
    pub(in crate::record) identifiers: Vec<BusinessId<'a>>,
    pub(in crate::record) codes: Vec<Code<'a>>,
    /// By slot of the rule; none has more than two.
    times: [Option<ClinicalTime>; TIME_SLOTS_MAX],
    negated: bool,
    /// Targets of the rule's links, by place in the intake; empty where unresolved.
    links: Vec<Vec<u32>>,
    content: OnceCell<Content<'a>>,
}

struct Content<'a> {
    same: Vec<Option<Value<'a>>>,
    compatible: Vec<Option<Value<'a>>>,
    preferred: Vec<Option<Value<'a>>>,
    /// The text beside its code, folded. It makes no fact and parts none; it only decides between
    /// candidates that agree in everything else.
    words: String,
    /// Preliminary, or a correction: its value may differ from its other telling's.
    in_flux: bool,
}

/// How two resources stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record) enum Verdict {
    Different,
    Same(Evidence),
    /// One denies what the other states.
    Opposed,
}

/// What ties two resources, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::record) enum Evidence {
    /// A shared business identifier.
    Identifier,
    /// The content, and all that else could tell two candidates apart.
    Whole,
    /// The content.
    Content,
    /// The content, one telling less precise in time.
    Vague,
}

/// Finds resources by reference, as their sender meant it.
pub(in crate::record) trait Resolve<'a> {
    /// The resource behind a reference, contained ones included.
    fn resource(&self, from: Head<'a>, reference: &str) -> Option<Element<'a>>;
    /// Its place in the intake.
    fn place(&self, reference: &str) -> Option<u32>;
}

impl<'a> Fact<'a> {
    pub(in crate::record) fn read(
        resource: Head<'a>,
        rule: &'static Rule,
        resolve: &impl Resolve<'a>,
    ) -> Self {
        Self {
            rule,
            identifiers: identifiers(resource, rule),
            codes: what(resource, rule, resolve),
            times: std::array::from_fn(|slot| first_time(resource, rule.when.get(slot)?)),
            negated: is_negated(resource, rule),
            links: rule.links.iter().map(|(path, _)| targets(resource, path, resolve)).collect(),
            resource,
            content: OnceCell::new(),
        }
    }

    /// The span in which it may have happened, in seconds since 1970, wide enough for its clock;
    /// everything where it has no time.
    pub(in crate::record) fn window(&self) -> (i64, i64) {
        let slack = match self.rule.clock {
            Clock::Timeless => return (i64::MIN, i64::MAX),
            Clock::Moment => 0,
            Clock::Minute => 60,
            Clock::Day => 86_400 + 14 * 3600,
        };
        let Some(time) = self.times.iter().flatten().next() else { return (i64::MIN, i64::MAX) };
        let (from, to) = time.window();
        (from - slack, to + slack)
    }

    /// Whether it can be tied to anything at all by its content.
    pub(in crate::record) fn has_content_key(&self) -> bool {
        let timed = self.rule.clock == Clock::Timeless || self.times.iter().any(Option::is_some);
        self.rule.by_content && timed && !self.codes.is_empty()
    }

    /// How two resources of two members stand to each other. `links` knows
    /// the groups of the types that this one refers to.
    pub(in crate::record) fn compare(&self, other: &Self, links: &impl LinkView) -> Verdict {
        let shared = match shared_identifier(&self.identifiers, &other.identifiers) {
            Shared::Contradicted => return Verdict::Different,
            Shared::Yes => true,
            Shared::No => false,
        };
        let comparable = self.has_content_key() && other.has_content_key();
        if !shared && !comparable {
            return Verdict::Different;
        }
        let coded = match (self.codes.is_empty(), other.codes.is_empty()) {
            (true, true) => true,
            (false, false) => agree(&self.codes, &other.codes),
            _ => false,
        };
        if !coded {
            return Verdict::Different;
        }
        let time = self.time_agreement(other, shared);
        if time == TimeAgreement::Different {
            return Verdict::Different;
        }
        let linked = self.links_agree(other, links);
        let content = self.content_agrees(other);
        if shared {
            let correction = self.content().in_flux || other.content().in_flux;
            if !content && !correction {
                return Verdict::Different;
            }
        } else if !content || linked == Linked::No || !self.has_needed(other) {
            return Verdict::Different;
        }
        if self.negated != other.negated {
            return Verdict::Opposed;
        }
        Verdict::Same(if shared {
            Evidence::Identifier
        } else if time == TimeAgreement::Vague {
            Evidence::Vague
        } else if linked == Linked::Yes || self.preferred_agree(other) {
            Evidence::Whole
        } else {
            Evidence::Content
        })
    }

    fn time_agreement(&self, other: &Self, shared: bool) -> TimeAgreement {
        if self.rule.clock == Clock::Timeless {
            return TimeAgreement::Exact;
        }
        for (a, b) in self.times.iter().zip(&other.times) {
            match (a, b) {
                (None, None) => {}
                (Some(a), Some(b)) => return on_clock(*a, *b, self.rule.clock),
                // One tells it and one does not: an identifier is enough, content is not.
                _ => return if shared { TimeAgreement::Vague } else { TimeAgreement::Different },
            }
        }
        if shared { TimeAgreement::Vague } else { TimeAgreement::Different }
    }

    fn content_agrees(&self, other: &Self) -> bool {
        let (a, b) = (self.content(), other.content());
        let same = a.same.iter().zip(&b.same).all(|pair| match pair {
            (None, None) => true,
            (Some(a), Some(b)) => a.agrees(b),
            _ => false,
        });
        same && a.compatible.iter().zip(&b.compatible).all(|pair| match pair {
            (Some(a), Some(b)) => a.agrees(b),
            _ => true,
        })
    }

    fn preferred_agree(&self, other: &Self) -> bool {
        let (a, b) = (self.content(), other.content());
        if a.words != b.words {
            return false;
        }
        a.preferred.iter().zip(&b.preferred).all(|pair| match pair {
            (None, None) => true,
            (Some(a), Some(b)) => a.agrees(b),
            _ => false,
        })
    }

    fn has_needed(&self, other: &Self) -> bool {
        let told =
            |fact: &Self| fact.rule.needs.iter().all(|path| fact.resource.first_at(path).is_some());
        told(self) && told(other)
    }

    fn links_agree(&self, other: &Self, links: &impl LinkView) -> Linked {
        let mut verdict = Linked::Unknown;
        let targets = self.links.iter().zip(&other.links);
        for ((own, its), (_, force)) in targets.zip(self.rule.links) {
            let any = |test: &dyn Fn(u32, u32) -> bool| {
                own.iter().any(|a| its.iter().any(|b| test(*a, *b)))
            };
            if any(&|a, b| links.one_fact(a, b)) {
                verdict = Linked::Yes;
                continue;
            }
            let apart = match force {
                Link::Hint => false,
                Link::Bar => any(&|a, b| links.known_apart(a, b)),
                Link::Strict => !own.is_empty() && !its.is_empty(),
                Link::Needed => true,
            };
            if apart {
                return Linked::No;
            }
        }
        verdict
    }

    fn content(&self) -> &Content<'a> {
        self.content.get_or_init(|| {
            let read = |paths: &[&str]| {
                paths.iter().map(|path| Value::of_all(&self.resource.at(path))).collect()
            };
            let status = self.resource.text_of("status").unwrap_or_default();
            Content {
                same: read(self.rule.same),
                compatible: read(self.rule.compatible),
                preferred: read(self.rule.preferred),
                words: words(self.resource, self.rule),
                in_flux: IN_FLUX.contains(&status.as_ref()),
            }
        })
    }
}

/// `ObservationStatus`, `DiagnosticReportStatus` and others: statuses between which a value changes.
const IN_FLUX: &[&str] = &[
    "registered",
    "partial",
    "preliminary",
    "amended",
    "corrected",
    "appended",
    "entered-in-error",
];

/// What is known of the facts that links lead to.
pub(in crate::record) trait LinkView {
    /// Whether both places hold one fact.
    fn one_fact(&self, a: u32, b: u32) -> bool;
    /// Whether the other's member tells the fact of one of them too, so that the other is another.
    fn known_apart(&self, a: u32, b: u32) -> bool;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Linked {
    Yes,
    No,
    Unknown,
}

enum Shared {
    Yes,
    No,
    /// Both tell a number of one kind in one namespace, and the numbers differ.
    Contradicted,
}

fn shared_identifier(a: &[BusinessId<'_>], b: &[BusinessId<'_>]) -> Shared {
    let mut shared = Shared::No;
    for own in a {
        let mut alike =
            b.iter().filter(|its| its.kind == own.kind && its.system == own.system).peekable();
        if alike.peek().is_none() {
            continue;
        }
        if alike.any(|its| its.value == own.value) {
            shared = Shared::Yes;
        } else if !a
            .iter()
            .any(|mine| mine.kind == own.kind && mine.system == own.system && b.contains(mine))
        {
            return Shared::Contradicted;
        }
    }
    shared
}

fn identifiers<'a>(resource: Head<'a>, rule: &Rule) -> Vec<BusinessId<'a>> {
    let mut found = Vec::new();
    for path in rule.identifiers {
        if *path == SERIAL {
            found.extend(serial_number(resource));
            continue;
        }
        for element in resource.at(path).into_iter().flat_map(|told| {
            // A bare string is an identifier unique by itself.
            let bare = told.text().map(|_| told);
            told.items().chain(bare)
        }) {
            found.extend(business_id(element, path));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn business_id<'a>(element: Element<'a>, path: &str) -> Option<BusinessId<'a>> {
    if let Some(value) = element.text() {
        return significant(&value).then(|| BusinessId {
            kind: path.to_owned(),
            system: Cow::Borrowed(""),
            value,
        });
    }
    let value = match element.text_of("value")? {
        Cow::Borrowed(value) => Cow::Borrowed(value.trim()),
        Cow::Owned(value) => Cow::Owned(value.trim().to_owned()),
    };
    let system = element.text_of("system").filter(|system| !system.trim().is_empty())?;
    let kinds = element.at("type.coding");
    let kind = kinds
        .iter()
        .flat_map(|list| list.items())
        .find_map(|coding| {
            let system = coding.text_of("system")?;
            let known = known_system(&system)?.ends_with("/v2-0203");
            known.then(|| coding.text_of("code").map(Cow::into_owned)).flatten()
        })
        .unwrap_or_default();
    let outdated = element.text_of("use").is_some_and(|told| told == "old" || told == "temp");
    (significant(&value) && !outdated).then_some(BusinessId { kind, system, value })
}

fn serial_number(device: Head<'_>) -> Option<BusinessId<'_>> {
    let model = device.at("udiCarrier.deviceIdentifier").first()?.text()?;
    let serial = device.text_of("serialNumber").filter(|serial| significant(serial))?;
    Some(BusinessId { kind: SERIAL.to_owned(), system: model, value: serial })
}

/// Whether a value can name one thing: not `0000`, `99999999999`, `unknown`.
fn significant(value: &str) -> bool {
    let mut bytes = value.bytes();
    let Some(first) = bytes.next() else { return false };
    !bytes.all(|b| b == first)
        && !["unknown", "none", "n/a", "null", "tbd", "test"]
            .contains(&value.to_ascii_lowercase().as_str())
}

/// What a resource is about, as codes that everybody shares.
pub(in crate::record) fn what<'a>(
    resource: Head<'a>,
    rule: &Rule,
    resolve: &impl Resolve<'a>,
) -> Vec<Code<'a>> {
    for path in rule.what {
        let told = resource.at(path);
        if told.is_empty() {
            continue;
        }
        let mut found: Vec<Code<'a>> = told.iter().copied().flat_map(codes).collect();
        if found.is_empty() {
            let behind = told
                .iter()
                .filter_map(|element| resolve.resource(resource, &element.text_of("reference")?));
            found = behind.filter_map(|target| target.field("code")).flat_map(codes).collect();
        }
        if found.is_empty() && rule.is_statement {
            let said = told.iter().filter_map(|element| element.text_of("text"));
            found = said
                .map(|text| Code { system: Cow::Borrowed(""), code: Cow::Owned(folded(&text)) })
                .filter(|code| !code.code.is_empty())
                .collect();
        }
        found.sort_unstable();
        found.dedup();
        return found;
    }
    Vec::new()
}

fn words(resource: Head<'_>, rule: &Rule) -> String {
    let told = rule.what.iter().flat_map(|path| resource.at(path));
    told.filter_map(|element| element.text_of("text"))
        .map(|text| folded(&text))
        .next()
        .unwrap_or_default()
}

fn first_time(resource: Head<'_>, slot: &[&str]) -> Option<ClinicalTime> {
    slot.iter().find_map(|path| ClinicalTime::parse(&resource.first_at(path)?.text()?))
}

fn on_clock(a: ClinicalTime, b: ClinicalTime, clock: Clock) -> TimeAgreement {
    let agreement = a.agreement(b);
    let tolerated = match clock {
        Clock::Minute => a.same_minute(b),
        Clock::Day => a.same_day(b),
        Clock::Moment | Clock::Timeless => false,
    };
    if agreement == TimeAgreement::Different && tolerated {
        TimeAgreement::Vague
    } else {
        agreement
    }
}

fn is_negated(resource: Head<'_>, rule: &Rule) -> bool {
    rule.negation.iter().any(|(path, words)| {
        resource.at(path).into_iter().any(|told| {
            words.iter().any(|word| told.raw() == *word || told.text().as_deref() == Some(word))
        })
    })
}

fn targets<'a>(resource: Head<'a>, path: &str, resolve: &impl Resolve<'a>) -> Vec<u32> {
    let mut found: Vec<u32> = resource
        .at(path)
        .into_iter()
        .flat_map(Element::items)
        .filter_map(|reference| resolve.place(&reference.text_of("reference")?))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
