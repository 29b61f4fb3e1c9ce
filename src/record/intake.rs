//! What the members sent, as a set: in canonical order, each resource once, under its gateway id.

use std::{cmp::Ordering, collections::BTreeMap, hash::BuildHasher};

use foldhash::fast::FixedState;

use super::{
    MemberAnswer, RecordIssue, RecordIssueKind,
    element::{Element, Head},
    gateway_id::{gateway_id, hashed_id},
    rewrite::{Origin, rewrite},
};
use crate::{
    domain::{EnterpriseId, MemberCode},
    fhir::Resource,
};

/// One resource as a member sent it, and as the exchange shows it.
pub(super) struct Told {
    /// Place of its member among [`Intake::members`].
    pub(super) member: u16,
    pub(super) resource: Resource,
    pub(super) gateway_id: String,
    pub(super) json: String,
    /// How many elements it states.
    pub(super) elements: u32,
    /// Equal where resources are identical in everything but id and meta, and seldom elsewhere.
    pub(super) content_hash: u64,
    /// Inbound `meta.source`.
    pub(super) source: Option<String>,
}

/// A member, with all of its answers taken together.
pub(super) struct Sender {
    pub(super) code: MemberCode,
    pub(super) base_url: String,
    pub(super) name: Option<String>,
    pub(super) organization_id: Option<String>,
    pub(super) patient_ids: Vec<String>,
}

/// All that was sent.
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

/// Takes the answers in.
pub(super) fn take_in(person: EnterpriseId, answers: Vec<MemberAnswer>) -> Intake {
    let (members, resources) = by_member(answers);
    let mut intake = Intake {
        members,
        told: Vec::new(),
        repeated: BTreeMap::new(),
        hashed: BTreeMap::new(),
        issues: Vec::new(),
    };
    for (member, resources) in resources.into_iter().enumerate() {
        intake.take_member(person, member as u16, resources);
    }
    intake.told.sort_by(|a, b| {
        let by_type = a.resource.resource_type().cmp(b.resource.resource_type());
        by_type.then_with(|| a.gateway_id.cmp(&b.gateway_id))
    });
    intake.issues.sort();
    intake
}

/// By type and id; the most recent of several under one id first.
fn canonical_order(a: &Resource, b: &Resource) -> Ordering {
    a.resource_type()
        .cmp(b.resource_type())
        .then_with(|| a.id().cmp(&b.id()))
        .then_with(|| last_updated(b).cmp(&last_updated(a)))
        .then_with(|| a.json().cmp(b.json()))
}

fn by_member(mut answers: Vec<MemberAnswer>) -> (Vec<Sender>, Vec<Vec<Resource>>) {
    answers.sort_by(|a, b| {
        let key = |answer: &MemberAnswer| {
            (answer.member.clone(), answer.base_url.clone(), answer.name.clone())
        };
        key(a).cmp(&key(b)).then_with(|| a.organization_id.cmp(&b.organization_id))
    });
    let mut senders: BTreeMap<MemberCode, (Sender, Vec<Resource>)> = BTreeMap::new();
    for answer in answers {
        let sender = Sender {
            code: answer.member.clone(),
            base_url: answer.base_url,
            name: answer.name,
            organization_id: answer.organization_id,
            patient_ids: Vec::new(),
        };
        let (known, resources) =
            senders.entry(answer.member).or_insert_with(|| (sender, Vec::new()));
        known.patient_ids.extend(answer.patient_ids);
        resources.extend(answer.resources);
    }
    senders
        .into_values()
        .map(|(mut sender, resources)| {
            sender.patient_ids.sort_unstable();
            sender.patient_ids.dedup();
            (sender, resources)
        })
        .unzip()
}

impl Intake {
    fn take_member(&mut self, person: EnterpriseId, member: u16, mut resources: Vec<Resource>) {
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
                let key = (member, resource.resource_type().to_owned());
                *self.repeated.entry(key).or_default() += 1;
                continue;
            }
            let is_second = resource.id().is_some() && !under_id.is_empty();
            under_id.push(resource.clone());
            self.take_resource(person, member, resource, is_second);
        }
    }

    fn take_resource(
        &mut self,
        person: EnterpriseId,
        member: u16,
        resource: Resource,
        is_second: bool,
    ) {
        let Some(sender) = self.members.get(usize::from(member)) else { return };
        let kind = resource.resource_type().to_owned();
        let id = match resource.id() {
            Some(id) if !is_second => gateway_id(&sender.code, &kind, id),
            Some(id) => hashed_id(&sender.code, &["second", &kind, id, resource.json()]),
            None => hashed_id(&sender.code, &["content", &kind, resource.json()]),
        };
        let fault = match resource.id() {
            None => Some(RecordIssueKind::NoId),
            Some(_) if is_second => Some(RecordIssueKind::IdUsedTwice),
            Some(_) => None,
        };
        if let Some(kind) = fault {
            self.issues.push(RecordIssue {
                kind,
                member: sender.code.clone(),
                resource_type: resource.resource_type().to_owned(),
                gateway_id: id.clone(),
            });
        }
        if super::gateway_id::is_hashed(&id) {
            let source_id = resource.id().filter(|_| !is_second).map(str::to_owned);
            let hashed = HashedId { member, resource_type: kind.clone(), source_id };
            self.hashed.insert(id.clone(), hashed);
        }
        let origin = Origin {
            member: &sender.code,
            base_url: &sender.base_url,
            patient_ids: &sender.patient_ids,
            person,
        };
        let head = Head::new(resource.json());
        let rewritten = rewrite(resource.json(), &head, &kind, &id, &origin);
        for (id, (resource_type, source_id)) in rewritten.hashed {
            let target = HashedId { member, resource_type, source_id: Some(source_id) };
            self.hashed.entry(id).or_insert(target);
        }
        let content_hash = content_hash(&head);
        let source = head
            .field("meta")
            .and_then(|meta| meta.text_of("source"))
            .map(std::borrow::Cow::into_owned);
        self.told.push(Told {
            member,
            gateway_id: id,
            json: rewritten.json,
            elements: rewritten.elements,
            content_hash,
            source,
            resource,
        });
    }
}

fn content_hash(head: &Head<'_>) -> u64 {
    let hasher = FixedState::default();
    head.fields()
        .filter(|(name, _)| *name != "id" && *name != "meta")
        .map(|(name, value)| hasher.hash_one((name, value.raw())))
        .fold(0, u64::wrapping_add)
}

/// `meta.lastUpdated` as seconds and nanoseconds, where told and whole.
pub(super) fn last_updated(resource: &Resource) -> Option<(i64, u32)> {
    use super::same_fact::clinical_time::ClinicalTime;
    let told = Element::new(resource.json()).field("meta")?.text_of("lastUpdated")?;
    match ClinicalTime::parse(&told)? {
        ClinicalTime::Moment { second, nanos, .. } => Some((second, nanos.unwrap_or_default())),
        _ => None,
    }
}
