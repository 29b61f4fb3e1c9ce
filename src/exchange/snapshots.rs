use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::PatientView;
use crate::{
    access::{Permit, Restrictions},
    domain::{EnterpriseId, MemberCode, PurposeOfUse, RecordKey},
    fhir::{Issue, Resource},
    record::{MergedRecord, Selecting},
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
    pub record: Arc<MergedRecord>,
    /// Who answered and what is missing.
    pub statement: Vec<Issue>,
    /// Whether every member that was asked answered in full.
    pub complete: bool,
    /// Whether the permit behind it withheld nothing.
    pub unrestricted: bool,
    /// When it was put together.
    pub taken: OffsetDateTime,
    /// Where it answers a search: what was selected.
    pub selection: Option<Selection>,
    /// Gateway ids of the Binary resources that its documents lead to.
    binaries: Vec<String>,
    allowed: Allowed,
    makings: Option<Makings>,
}

/// What a record was made of: whoever asks for the same gets the same. Holds no patient data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Makings {
    pub(super) person: EnterpriseId,
    /// Every member that was heard, in order, and what it gave, if anything.
    pub(super) parts: Vec<(MemberCode, Option<Part>)>,
}

/// One member's part in a record: an answer that was kept, and what was withheld of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) mark: u64,
    pub(super) restrictions: Option<Restrictions>,
}

/// What a search selected of a record.
pub struct Selection {
    /// What was asked.
    pub selecting: Selecting,
    /// The matches, as places among the record's originals.
    pub places: Vec<u32>,
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
        record: Arc<MergedRecord>,
        statement: Vec<Issue>,
        complete: bool,
    ) -> Self {
        Self {
            person: permit.person(),
            view,
            statement,
            complete,
            unrestricted: permit.is_unrestricted(),
            taken: permit.decided_at(),
            selection: None,
            binaries: binaries(&record),
            allowed: Allowed::of(permit),
            makings: None,
            record,
        }
    }

    /// The same, found again by what it was made of.
    #[must_use]
    pub(super) fn made_of(self, makings: Option<Makings>) -> Self {
        Self { makings, ..self }
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

    /// Type and id of all that it holds.
    fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        let originals = self.record.originals().iter();
        originals.map(|one| (&*one.resource_type, one.gateway_id.as_str()))
    }

    fn bytes(&self) -> u32 {
        let bytes: usize = self.record.originals().iter().map(|one| one.json.len() + 256).sum();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// Snapshots that are found by what they are made of; a token and a few words each.
const MAKINGS_MAX: u64 = 100_000;

/// The snapshots of this process. Never on a disk, and gone after their time.
pub struct Snapshots {
    by_token: Cache<Uuid, Arc<Snapshot>>,
    /// The latest snapshot of a record made of the same; leads only to what is kept anyway.
    by_makings: Cache<Makings, Uuid>,
    seen: Arc<Seen>,
}

/// Where each resource was seen last, by a hash of its type and id; it leads back to a person, for
/// reads that name none. Holds nothing that no snapshot holds.
#[derive(Default)]
struct Seen {
    last: Mutex<HashMap<u64, Uuid>>,
    hasher: RandomState,
}

impl Seen {
    fn last(&self) -> MutexGuard<'_, HashMap<u64, Uuid>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, resource_type: &str, id: &str) -> u64 {
        self.hasher.hash_one((resource_type, id))
    }

    fn note(&self, token: Uuid, snapshot: &Snapshot) {
        let mut last = self.last();
        for (kind, id) in snapshot.places() {
            last.insert(self.hash(kind, id), token);
        }
        for id in &snapshot.binaries {
            last.insert(self.hash("Binary", id), token);
        }
    }

    /// Forgets what nobody has seen since.
    fn forget(&self, token: Uuid, snapshot: &Snapshot) {
        let mut last = self.last();
        let binaries = snapshot.binaries.iter().map(|id| ("Binary", id.as_str()));
        for (kind, id) in snapshot.places().chain(binaries) {
            let hash = self.hash(kind, id);
            if last.get(&hash) == Some(&token) {
                last.remove(&hash);
            }
        }
    }
}

impl Snapshots {
    /// An empty store.
    pub fn new(settings: &SnapshotSettings) -> Self {
        let ttl = Duration::from_secs(settings.ttl_s);
        let seen = Arc::new(Seen::default());
        let forgetting = Arc::clone(&seen);
        Self {
            by_token: Cache::builder()
                .weigher(|_, snapshot: &Arc<Snapshot>| snapshot.bytes())
                .max_capacity(settings.bytes_max)
                .time_to_live(ttl)
                .eviction_listener(move |token: Arc<Uuid>, snapshot: Arc<Snapshot>, _| {
                    forgetting.forget(*token, &snapshot);
                })
                .build(),
            by_makings: Cache::builder().max_capacity(MAKINGS_MAX).time_to_live(ttl).build(),
            seen,
        }
    }

    /// Keeps a snapshot under a token of its own: random, so that it names and tells nothing.
    pub(super) fn keep(&self, snapshot: Snapshot) -> (Uuid, Arc<Snapshot>) {
        let (token, snapshot) = (Uuid::new_v4(), Arc::new(snapshot));
        // Kept first: what is evicted at once is noted after it was forgotten, and leads nowhere.
        self.by_token.insert(token, Arc::clone(&snapshot));
        if let Some(makings) = &snapshot.makings {
            self.by_makings.insert(makings.clone(), token);
        }
        self.seen.note(token, &snapshot);
        (token, snapshot)
    }

    pub(super) fn by_token(&self, token: Uuid) -> Option<Arc<Snapshot>> {
        self.by_token.get(&token)
    }

    /// The record that was put together of just this a moment ago.
    pub(super) fn made_of(&self, makings: &Makings) -> Option<Arc<MergedRecord>> {
        let snapshot = self.by_token.get(&self.by_makings.get(makings)?)?;
        Some(Arc::clone(&snapshot.record))
    }

    /// The latest snapshot with a document that leads to this Binary.
    pub(super) fn describing(&self, binary_id: &str) -> Option<Arc<Snapshot>> {
        self.holding("Binary", binary_id)
    }

    /// The latest snapshot that holds this resource.
    pub(super) fn holding(&self, resource_type: &str, id: &str) -> Option<Arc<Snapshot>> {
        let token = *self.seen.last().get(&self.seen.hash(resource_type, id))?;
        self.by_token.get(&token)
    }
}

/// Types whose attachments may stand on the member's server as Binary.
const WITH_ATTACHMENTS: [&str; 4] = ["Consent", "DiagnosticReport", "DocumentReference", "Media"];

fn binaries(record: &MergedRecord) -> Vec<String> {
    let documents = WITH_ATTACHMENTS.iter().flat_map(|kind| record.of_type(kind));
    let mut found = Vec::new();
    for document in documents.filter(|document| document.json.contains("\"Binary/")) {
        let Ok(resource) = Resource::parse(document.json.as_bytes()) else { continue };
        found.extend(
            resource
                .links()
                .filter(|link| link.is_attachment())
                .filter_map(|link| Some(link.text()?.strip_prefix("Binary/")?.to_owned())),
        );
    }
    found
}
