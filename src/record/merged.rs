//! The record as it is handed out.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Conflict, MergeContext, RecordIssue,
    facts::Facts,
    intake::{Intake, Told},
    own_resources::{detected_issue, linkage, provenances},
};
use crate::domain::MemberCode;

/// One person's record over all members that answered.
pub struct MergedRecord {
    originals: Vec<Original>,
    groups: Vec<Vec<u32>>,
    own: Vec<OwnResource>,
    conflicts: Vec<Conflict>,
    counts: Vec<Count>,
    issues: Vec<RecordIssue>,
    id_mappings: Vec<IdMapping>,
}

/// One resource of a member, under its gateway id and with references rewritten.
#[derive(Clone)]
pub struct Original {
    /// Its type.
    pub resource_type: Arc<str>,
    /// Its id in the exchange: `<member>.<original id>`.
    pub gateway_id: String,
    /// Whose it is.
    pub member: MemberCode,
    /// Its JSON.
    pub json: String,
    /// Its part in the record.
    pub role: Role,
}

/// The part a resource plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It alone tells its fact.
    Single,
    /// It is shown for its group.
    Representative,
    /// Its fact is shown by another; it can be read under its own id.
    Alternate,
}

/// A resource that the exchange says itself: Linkage, DetectedIssue or Provenance.
#[derive(Clone)]
pub struct OwnResource {
    /// Its type.
    pub resource_type: &'static str,
    /// Its id, without a dot, so that it is never taken for a member's.
    pub id: String,
    /// Its JSON.
    pub json: String,
}

/// One entry of an answer.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Resource type.
    pub resource_type: &'a str,
    /// Id in the exchange; `Type/id` is the path of its full URL.
    pub id: &'a str,
    /// Raw JSON.
    pub json: &'a str,
    /// Whether a member said it (`search.mode` match) or the exchange (include).
    pub is_own: bool,
}

/// How many resources of one type a member sent, and where they went:
/// `received = repeated + single + grouped`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Who sent them.
    pub member: MemberCode,
    /// Their type.
    pub resource_type: String,
    /// All that came.
    pub received: u64,
    /// Sent again byte for byte under an id that had been sent.
    pub repeated: u64,
    /// Tell a fact alone.
    pub single: u64,
    /// Stand in a group.
    pub grouped: u64,
}

/// What a hashed gateway id stands for. To be stored, since no one can compute it back.
#[derive(Clone, PartialEq, Eq)]
pub struct IdMapping {
    /// The id in the exchange.
    pub gateway_id: String,
    /// Whose resource it is.
    pub member: MemberCode,
    /// Its type.
    pub resource_type: String,
    /// Its id there; `None` where it has none of its own, so that it lives in stored answers only.
    pub source_id: Option<String>,
}

impl MergedRecord {
    /// What an answer shows: singles and representatives by type and id, then what the exchange
    /// says itself: DetectedIssue by danger, Linkage, Provenance.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.facts().chain(self.own())
    }

    /// Singles and representatives, by type and id: one resource for each fact.
    pub fn facts(&self) -> impl Iterator<Item = Entry<'_>> {
        self.originals
            .iter()
            .filter(|original| original.role != Role::Alternate)
            .map(Original::entry)
    }

    /// What the exchange says itself.
    pub fn own(&self) -> impl Iterator<Item = Entry<'_>> {
        self.own.iter().map(|own| Entry {
            resource_type: own.resource_type,
            id: &own.id,
            json: &own.json,
            is_own: true,
        })
    }

    /// Everything the members sent, each once, by type and gateway id.
    pub fn originals(&self) -> &[Original] {
        &self.originals
    }

    /// One of them by type and gateway id.
    pub fn original(&self, resource_type: &str, gateway_id: &str) -> Option<&Original> {
        let place = self.place(resource_type, gateway_id)?;
        self.originals.get(place as usize)
    }

    /// Those of one type, by gateway id.
    pub fn of_type(&self, resource_type: &str) -> &[Original] {
        let start = self.originals.partition_point(|one| &*one.resource_type < resource_type);
        let end = self.originals.partition_point(|one| &*one.resource_type <= resource_type);
        self.originals.get(start..end).unwrap_or_default()
    }

    /// The place of one of them among the originals.
    pub(super) fn place(&self, resource_type: &str, gateway_id: &str) -> Option<u32> {
        let key = (resource_type, gateway_id);
        let found = self.originals.binary_search_by(|original| {
            (&*original.resource_type, &*original.gateway_id).cmp(&key)
        });
        found.ok().map(|place| place as u32)
    }

    /// The tellings of each fact of a type, the one that is shown for it first: places among the
    /// originals.
    pub(super) fn tellings_of(&self, resource_type: &str) -> impl Iterator<Item = Vec<u32>> {
        let start = self.originals.partition_point(|one| &*one.resource_type < resource_type);
        let end = self.originals.partition_point(|one| &*one.resource_type <= resource_type);
        let here = start as u32..end as u32;
        let of_type = here.clone();
        let grouped = self
            .groups
            .iter()
            .filter(move |group| group.first().is_some_and(|first| of_type.contains(first)))
            .cloned();
        let single = here.filter(|place| {
            self.originals.get(*place as usize).is_some_and(|one| one.role == Role::Single)
        });
        single.map(|place| vec![place]).chain(grouped)
    }

    /// Groups of resources that tell one fact, the representative first.
    pub fn groups(&self) -> impl Iterator<Item = Vec<&Original>> {
        self.groups.iter().map(|group| {
            group.iter().filter_map(|place| self.originals.get(*place as usize)).collect()
        })
    }

    /// Contradictions between sources, most dangerous first.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Counts by member and type, for the completeness statement.
    pub fn counts(&self) -> &[Count] {
        &self.counts
    }

    /// Oddities, for the completeness statement.
    pub fn issues(&self) -> &[RecordIssue] {
        &self.issues
    }

    /// Hashed ids and what they stand for, to be stored with the answer.
    pub fn id_mappings(&self) -> &[IdMapping] {
        &self.id_mappings
    }
}

impl Original {
    fn entry(&self) -> Entry<'_> {
        Entry {
            resource_type: &self.resource_type,
            id: &self.gateway_id,
            json: &self.json,
            is_own: false,
        }
    }
}

/// Puts the record together.
pub(super) fn compose(
    context: &MergeContext,
    intake: Intake,
    facts: Facts,
    representatives: &[u32],
    conflicts: Vec<Conflict>,
) -> MergedRecord {
    let mut groups = facts.groups;
    for (group, first) in groups.iter_mut().zip(representatives) {
        group.sort_by_key(|place| (place != first, *place));
    }
    let mut roles = vec![Role::Single; intake.told.len()];
    for group in &groups {
        for (i, place) in group.iter().enumerate() {
            if let Some(role) = roles.get_mut(*place as usize) {
                *role = if i == 0 { Role::Representative } else { Role::Alternate };
            }
        }
    }
    let counts = counts(&intake, &roles);
    let mut own: Vec<OwnResource> =
        conflicts.iter().map(|conflict| detected_issue(context, conflict)).collect();
    own.extend(groups.iter().map(|group| linkage(context, &intake, group)));
    own.extend(provenances(context, &intake));
    let mut issues = intake.issues.clone();
    for (kind, resource_type) in facts.unbounded {
        issues.extend(intake.members.iter().map(|member| RecordIssue {
            kind,
            member: member.code.clone(),
            resource_type: resource_type.clone(),
            gateway_id: String::new(),
        }));
    }
    issues.sort();
    let id_mappings = mappings(&intake);
    let originals = originals(intake, &roles);
    MergedRecord { originals, groups, own, conflicts, counts, issues, id_mappings }
}

/// The only resource of an intake of one.
pub(super) fn first_original(intake: Intake) -> Option<Original> {
    let roles = vec![Role::Single; intake.told.len()];
    originals(intake, &roles).into_iter().next()
}

fn originals(intake: Intake, roles: &[Role]) -> Vec<Original> {
    let members = intake.members;
    // In order of type: one allocation a type.
    let mut kind: Arc<str> = Arc::from("");
    let mut all = Vec::with_capacity(intake.told.len());
    for (told, role) in intake.told.into_iter().zip(roles) {
        let Some(member) = members.get(usize::from(told.member)) else { continue };
        if *kind != *told.resource.resource_type() {
            kind = Arc::from(told.resource.resource_type());
        }
        all.push(Original {
            resource_type: Arc::clone(&kind),
            gateway_id: told.gateway_id,
            member: member.code.clone(),
            json: told.json,
            role: *role,
        });
    }
    all
}

fn counts(intake: &Intake, roles: &[Role]) -> Vec<Count> {
    let mut counts: BTreeMap<(u16, &str), [u64; 4]> = BTreeMap::new();
    let places: Vec<(&Told, Role)> = intake.told.iter().zip(roles.iter().copied()).collect();
    for chunk in
        places.chunk_by(|(a, _), (b, _)| a.resource.resource_type() == b.resource.resource_type())
    {
        let mut of_members = vec![[0_u64; 4]; intake.members.len()];
        for (told, role) in chunk {
            if let Some(count) = of_members.get_mut(usize::from(told.member)) {
                let single = u64::from(*role == Role::Single);
                count[0] += 1;
                count[2] += single;
                count[3] += 1 - single;
            }
        }
        let kind = chunk.first().map_or("", |(told, _)| told.resource.resource_type());
        for (member, count) in of_members.into_iter().enumerate().filter(|(_, one)| one[0] > 0) {
            counts.insert((member as u16, kind), count);
        }
    }
    for ((member, kind), times) in &intake.repeated {
        let count = counts.entry((*member, kind)).or_default();
        count[0] += times;
        count[1] += times;
    }
    let count =
        |((member, kind), [received, repeated, single, grouped]): ((u16, &str), [u64; 4])| {
            Some(Count {
                member: intake.members.get(usize::from(member))?.code.clone(),
                resource_type: kind.to_owned(),
                received,
                repeated,
                single,
                grouped,
            })
        };
    counts.into_iter().filter_map(count).collect()
}

fn mappings(intake: &Intake) -> Vec<IdMapping> {
    intake
        .hashed
        .iter()
        .filter_map(|(gateway_id, hashed)| {
            Some(IdMapping {
                gateway_id: gateway_id.clone(),
                member: intake.members.get(usize::from(hashed.member))?.code.clone(),
                resource_type: hashed.resource_type.clone(),
                source_id: hashed.source_id.clone(),
            })
        })
        .collect()
}
