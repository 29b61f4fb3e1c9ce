//! What the members sent, as a set: in canonical order, each resource once, under its gateway id.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, hash::BuildHasher};

use foldhash::fast::FixedState;

use super::{
    MemberAnswer, RecordIssue, RecordIssueKind,
    gateway_id::{gateway_id, hashed_id},
    rewrite::{Origin, rewrite},
};
use crate::{
    domain::{EnterpriseId, MemberCode},
    fhir::{Head, Resource},
};

/// One resource as a member sent it, and as the exchange shows it.
pub(super) struct Told {
    /// Place of its member among [`Intake::members`], once all are together.
    pub(super) member: u16,
    pub(super) resource: Resource,
    pub(super) gateway_id: String,
    pub(super) json: String,
    /// Equal where resources are identical in everything but id and meta, and seldom elsewhere.
    pub(super) content_hash: u64,
    /// Inbound `meta.source`.
    pub(super) source: Option<String>,
}

/// A member, with all of its answers taken together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sender {
    pub(super) code: MemberCode,
    pub(super) base_url: String,
    pub(super) name: Option<String>,
    pub(super) organization_id: Option<String>,
    pub(super) patient_ids: Vec<String>,
}

/// All that was sent.
#[derive(Default)]
pub(super) struct Intake {
    pub(super) members: Vec<Sender>,
    /// Sorted by type and gateway id.
    pub(super) told: Vec<Told>,
    /// Copies that were sent more than once under one id, byte for byte: by member and type.
    pub(super) repeated: BTreeMap<(u16, String), u64>,
    pub(super) hashed: BTreeMap<String, HashedId>,
    pub(super) issues: Vec<RecordIssue>,
}

/// What stands behind a hash: whose, of which type, and under which id there, if any.
pub(super) struct HashedId {
    pub(super) member: u16,
    pub(super) resource_type: String,
    pub(super) source_id: Option<String>,
}

/// One member's answer as a set: in canonical order, each resource once, under its gateway id. Made
/// as soon as the member has answered, so that only what needs all members is left for the end.
pub struct TakenIn {
    sender: Sender,
    told: Vec<Told>,
    repeated: BTreeMap<String, u64>,
    hashed: BTreeMap<String, HashedId>,
    issues: Vec<RecordIssue>,
}

impl TakenIn {
    /// Takes one answer in.
    pub fn new(person: EnterpriseId, answer: MemberAnswer) -> Self {
        let mut patient_ids = answer.patient_ids;
        patient_ids.sort_unstable();
        patient_ids.dedup();
        let sender = Sender {
            code: answer.member,
            base_url: answer.base_url,
            name: answer.name,
            organization_id: answer.organization_id,
            patient_ids,
        };
        let mut taken = Self {
            sender,
            told: Vec::with_capacity(answer.resources.len()),
            repeated: BTreeMap::new(),
            hashed: BTreeMap::new(),
            issues: Vec::new(),
        };
        taken.take_all(person, answer.resources);
        taken.told.sort_by(canonical_place);
        taken
    }

    /// What it holds, each under its gateway id and as the record will show it: the same bytes, unless
    /// the member answers once more and uses an id for two contents.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(|told| told.json.as_str())
    }

    /// Several answers of one member, taken together.
    fn together(person: EnterpriseId, answers: Vec<Self>) -> Option<Self> {
        let mut answers = answers;
        // What is told of the member itself is taken from one, whatever the order of the answers.
        answers.sort_by(|a, b| a.sender.cmp(&b.sender));
        let mut answers = answers.into_iter();
        let first = answers.next()?;
        let mut rest = answers.peekable();
        if rest.peek().is_none() {
            return Some(first);
        }
        let mut repeated = first.repeated;
        let mut resources: Vec<Resource> =
            first.told.into_iter().map(|told| told.resource).collect();
        let mut sender = first.sender;
        for other in rest {
            sender.patient_ids.extend(other.sender.patient_ids);
            resources.extend(other.told.into_iter().map(|told| told.resource));
            for (kind, times) in other.repeated {
                *repeated.entry(kind).or_default() += times;
            }
        }
        let mut taken = Self::new(
            person,
            MemberAnswer {
                member: sender.code,
                base_url: sender.base_url,
                name: sender.name,
                organization_id: sender.organization_id,
                patient_ids: sender.patient_ids,
                resources,
            },
        );
        for (kind, times) in repeated {
            *taken.repeated.entry(kind).or_default() += times;
        }
        Some(taken)
    }
}

/// Puts the members' answers together.
pub(super) fn all_together(person: EnterpriseId, answers: Vec<TakenIn>) -> Intake {
    let mut by_member: BTreeMap<MemberCode, Vec<TakenIn>> = BTreeMap::new();
    for answer in answers {
        by_member.entry(answer.sender.code.clone()).or_default().push(answer);
    }
    let mut intake = Intake::default();
    let answers = by_member.into_values().filter_map(|own| TakenIn::together(person, own));
    for (member, taken) in answers.enumerate() {
        let member = member as u16;
        let own = taken.told.into_iter().map(|told| Told { member, ..told });
        intake.told.extend(own);
        let repeated = taken.repeated.into_iter();
        intake.repeated.extend(repeated.map(|(kind, times)| ((member, kind), times)));
        let hashed = taken.hashed.into_iter();
        intake.hashed.extend(hashed.map(|(id, hashed)| (id, HashedId { member, ..hashed })));
        intake.issues.extend(taken.issues);
        intake.members.push(taken.sender);
    }
    // Runs of each member are in order already, which this sort makes use of.
    intake.told.sort_by(canonical_place);
    intake.issues.sort();
    intake
}

fn canonical_place(a: &Told, b: &Told) -> Ordering {
    let by_type = a.resource.resource_type().cmp(b.resource.resource_type());
    by_type.then_with(|| a.gateway_id.cmp(&b.gateway_id))
}

/// By type and id; the most recent of several under one id first.
fn canonical_order(a: &Resource, b: &Resource) -> Ordering {
    a.resource_type()
        .cmp(b.resource_type())
        .then_with(|| a.id().cmp(&b.id()))
        .then_with(|| last_updated(b).cmp(&last_updated(a)))
        .then_with(|| a.json().cmp(b.json()))
}

impl TakenIn {
    fn take_all(&mut self, person: EnterpriseId, mut resources: Vec<Resource>) {
        resources.sort_by(canonical_order);
        // The resources under the id at hand; the first has the id.
        let mut under_id: Vec<Resource> = Vec::new();
        for resource in resources {
            let same_id = under_id.first().is_some_and(|first| {
                first.resource_type() == resource.resource_type() && first.id() == resource.id()
            });
            if !same_id {
                under_id.clear();
            }
            if under_id.iter().any(|other| other.json() == resource.json()) {
                *self.repeated.entry(resource.resource_type().to_owned()).or_default() += 1;
                continue;
            }
            let is_second = resource.id().is_some() && !under_id.is_empty();
            under_id.push(resource.clone());
            self.take_resource(person, resource, is_second);
        }
    }

    fn take_resource(&mut self, person: EnterpriseId, resource: Resource, is_second: bool) {
        let code = &self.sender.code;
        let kind = resource.resource_type();
        let id = match resource.id() {
            Some(id) if !is_second => gateway_id(code, kind, id),
            Some(id) => hashed_id(code, &["second", kind, id, resource.json()]),
            None => hashed_id(code, &["content", kind, resource.json()]),
        };
        let fault = match resource.id() {
            None => Some(RecordIssueKind::NoId),
            Some(_) if is_second => Some(RecordIssueKind::IdUsedTwice),
            Some(_) => None,
        };
        if let Some(fault) = fault {
            self.issues.push(RecordIssue {
                kind: fault,
                member: code.clone(),
                resource_type: kind.to_owned(),
                gateway_id: id.clone(),
            });
        }
        if super::gateway_id::is_hashed(&id) {
            let source_id = resource.id().filter(|_| !is_second).map(str::to_owned);
            let hashed = HashedId { member: 0, resource_type: kind.to_owned(), source_id };
            self.hashed.insert(id.clone(), hashed);
        }
        let origin = Origin {
            member: code,
            base_url: &self.sender.base_url,
            patient_ids: &self.sender.patient_ids,
            person,
        };
        let rewritten = rewrite(&resource, &id, &origin);
        for (id, (resource_type, source_id)) in rewritten.hashed {
            let target = HashedId { member: 0, resource_type, source_id: Some(source_id) };
            self.hashed.entry(id).or_insert(target);
        }
        let head = resource.head();
        let meta = head.field("meta");
        let source = meta.and_then(|meta| meta.text_of("source")).map(Cow::into_owned);
        let content_hash = content_hash(head);
        self.told.push(Told {
            member: 0,
            gateway_id: id,
            json: rewritten.json,
            content_hash,
            source,
            resource,
        });
    }
}

fn content_hash(head: Head<'_>) -> u64 {
    let hasher = FixedState::default();
    head.fields()
        .filter(|(name, _)| name != "id" && name != "meta")
        .map(|(name, value)| hasher.hash_one((name, value.raw())))
        .fold(0, u64::wrapping_add)
}

/// `meta.lastUpdated` as seconds and nanoseconds, where told and whole.
pub(super) fn last_updated(resource: &Resource) -> Option<(i64, u32)> {
    use super::same_fact::clinical_time::ClinicalTime;
    let told = resource.head().field("meta")?.text_of("lastUpdated")?;
    match ClinicalTime::parse(&told)? {
        ClinicalTime::Moment { second, nanos, .. } => Some((second, nanos.unwrap_or_default())),
        _ => None,
    }
}
