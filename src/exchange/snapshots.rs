use std::{collections::BTreeMap, sync::Arc, time::Duration};

use moka::sync::Cache;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::PatientView;
use crate::{
    access::{Permit, Restrictions},
    domain::{EnterpriseId, MemberCode, PurposeOfUse, RecordKey},
    fhir::Issue,
    record::MergedRecord,
};

/// How long and how much of what was shown is kept for its next page and for reads by id.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotSettings {
    /// How long a record is kept after it was put together, in seconds.
    pub ttl_s: u64,
    /// How much is kept in all, in bytes of FHIR JSON; the least used goes first.
    pub bytes_max: u64,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        Self { ttl_s: 300, bytes_max: 256 << 20 }
    }
}

/// One answer, kept in memory for a few minutes: for its next pages, and for reads of its originals.
pub struct Snapshot {
    /// The person it is about.
    pub person: EnterpriseId,
    /// The person as the permit showed it.
    pub view: PatientView,
    /// The merged record.
    pub record: MergedRecord,
    /// Who answered and what is missing.
    pub statement: Vec<Issue>,
    /// Whether every member that was asked answered in full.
    pub complete: bool,
    /// When it was put together.
    pub taken: OffsetDateTime,
    allowed: Allowed,
}

/// What the permit behind a snapshot allowed; another permit may not see what this one saw.
#[derive(PartialEq, Eq)]
struct Allowed {
    client_id: String,
    purpose: PurposeOfUse,
    records: Vec<RecordKey>,
    restrictions: BTreeMap<MemberCode, Option<Restrictions>>,
}

impl Allowed {
    fn of(permit: &Permit) -> Self {
        let restrictions = permit
            .records()
            .iter()
            .map(|record| (record.member.clone(), permit.restrictions(&record.member).cloned()))
            .collect();
        Self {
            client_id: permit.requester().client_id().to_owned(),
            purpose: permit.purpose(),
            records: permit.records().to_vec(),
            restrictions,
        }
    }
}

impl Snapshot {
    pub(super) fn new(
        permit: &Permit,
        view: PatientView,
        record: MergedRecord,
        statement: Vec<Issue>,
        complete: bool,
    ) -> Self {
        Self {
            person: permit.person(),
            view,
            record,
            statement,
            complete,
            taken: permit.decided_at(),
            allowed: Allowed::of(permit),
        }
    }

    /// Whether it was taken for the same client and purpose, and the patient's will is still the same.
    pub(super) fn is_for(&self, permit: &Permit) -> bool {
        self.person == permit.person() && self.allowed == Allowed::of(permit)
    }

    /// Whether the member's records that went into the snapshot are all still linked to the permit's
    /// person, and permitted: what was separated since is not shown under the old name.
    pub(super) fn still_linked(&self, permit: &Permit, member: &MemberCode) -> bool {
        let mut used =
            self.allowed.records.iter().filter(|record| record.member == *member).peekable();
        used.peek().is_some() && used.all(|record| permit.permits_record(record))
    }

    fn bytes(&self) -> u32 {
        let bytes: usize = self.record.originals().iter().map(|one| one.json.len() + 256).sum();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// The snapshots of this process. Never on a disk, and gone after their time.
pub struct Snapshots {
    by_token: Cache<Uuid, Arc<Snapshot>>,
    /// Where a resource was last seen; it leads back to a person, for reads that name none.
    seen: Cache<String, Uuid>,
}

/// Resources remembered by id: at some hundred bytes each, a bound of about 50 MB.
const SEEN_MAX: u64 = 250_000;

impl Snapshots {
    /// An empty store.
    pub fn new(settings: &SnapshotSettings) -> Self {
        let ttl = Duration::from_secs(settings.ttl_s);
        Self {
            by_token: Cache::builder()
                .weigher(|_, snapshot: &Arc<Snapshot>| snapshot.bytes())
                .max_capacity(settings.bytes_max)
                .time_to_live(ttl)
                .build(),
            seen: Cache::builder().max_capacity(SEEN_MAX).time_to_live(ttl).build(),
        }
    }

    /// Keeps a snapshot under a token of its own: random, so that it names and tells nothing.
    pub(super) fn keep(&self, snapshot: Snapshot) -> (Uuid, Arc<Snapshot>) {
        let (token, snapshot) = (Uuid::new_v4(), Arc::new(snapshot));
        for original in snapshot.record.originals() {
            self.seen.insert(place(&original.resource_type, &original.gateway_id), token);
        }
        self.by_token.insert(token, Arc::clone(&snapshot));
        (token, snapshot)
    }

    pub(super) fn by_token(&self, token: Uuid) -> Option<Arc<Snapshot>> {
        self.by_token.get(&token)
    }

    /// The latest snapshot that holds this resource.
    pub(super) fn holding(&self, resource_type: &str, id: &str) -> Option<Arc<Snapshot>> {
        let token = self.seen.get(&place(resource_type, id))?;
        self.by_token.get(&token)
    }
}

fn place(resource_type: &str, id: &str) -> String {
    format!("{resource_type}/{id}")
}
