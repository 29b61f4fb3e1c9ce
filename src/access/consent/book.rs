use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::ToldConsent;
use super::decide::{Verdict, decide};
use super::directive::{Actor, ConsentDirective, Criterion, Request};
use super::policy::ConsentSettings;
use crate::access::{Denial, Permit, Refusal, Requester, Role};
use crate::directory::{Directory, Roster};
use crate::domain::{MemberCode, PersonRecords, PurposeOfUse, RecordKey};
use crate::storage::{ConsentRow, Database, StorageError, Write};

/// The consents on file, and the only place where a [`Permit`] is made.
#[derive(Clone)]
pub struct ConsentBook(Arc<Inner>);

struct Inner {
    settings: ConsentSettings,
    directory: Directory,
    store: Option<Database>,
    shelf: RwLock<Shelf>,
    /// Held while a consent is written, so that versions follow one another.
    recording: Mutex<()>,
    /// Owns the recordings under way: an objection whose sender hung up still counts.
    tasks: TaskTracker,
}

/// All directives, by the record they are anchored on.
#[derive(Default)]
struct Shelf {
    by_anchor: HashMap<RecordKey, Vec<Arc<ConsentDirective>>>,
    /// Anchor and version of each consent.
    by_id: HashMap<String, (RecordKey, u32)>,
}

/// What became of a recorded consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its version now, from 1.
    pub version: u32,
}

impl ConsentBook {
    /// Reads the consents from the store.
    ///
    /// One that cannot be read any more denies everything for its record until it is recorded again.
    pub async fn open(
        store: Database,
        settings: ConsentSettings,
        directory: Directory,
    ) -> Result<Self, ConsentError> {
        let mut shelf = Shelf::default();
        for row in store.reader().consents().await? {
            let directive = match ToldConsent::parse(row.body.as_bytes()) {
                Ok(told) => told.anchored(row.id, row.version, row.anchor),
                Err(error) => {
                    tracing::error!(consent.id = %row.id, %error, "a stored consent now denies all");
                    ConsentDirective::deny_everything(row.id, row.version, row.anchor)
                }
            };
            shelf.keep(directive);
        }
        Ok(Self::new(settings, directory, Some(store), shelf))
    }

    /// A book without a store behind it.
    pub fn in_memory(settings: ConsentSettings, directory: Directory) -> Self {
        Self::new(settings, directory, None, Shelf::default())
    }

    fn new(
        settings: ConsentSettings,
        directory: Directory,
        store: Option<Database>,
        shelf: Shelf,
    ) -> Self {
        Self(Arc::new(Inner {
            settings,
            directory,
            store,
            shelf: RwLock::new(shelf),
            recording: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Keeps a consent for the record it was given for, or its next version. In force once this
    /// returns, and durable.
    ///
    /// A member records for its own records, a steward for anybody's. A consent stays with the record
    /// of its first version.
    pub async fn record(
        &self,
        requester: &Requester,
        id: &str,
        told: ToldConsent,
        anchor: RecordKey,
        now: OffsetDateTime,
    ) -> Result<Recorded, ConsentError> {
        Self::may_record(requester, &anchor.member)?;
        if !is_fhir_id(id) {
            return Err(ConsentError::BadId);
        }
        let (inner, id) = (Arc::clone(&self.0), id.to_owned());
        let task = self.0.tasks.spawn(async move { inner.record(id, told, anchor, now).await });
        task.await.map_err(|_| ConsentError::Interrupted)?
    }

    #[cfg(test)]
    pub(super) fn keep_for_test(&self, directive: ConsentDirective) {
        self.0.shelf.write().unwrap_or_else(PoisonError::into_inner).keep(directive);
    }

    /// Refuses whoever may not record consents for a member's records: the member itself may, and a
    /// steward for anybody.
    pub fn may_record(requester: &Requester, member: &MemberCode) -> Result<(), Refusal> {
        let own = requester.may(Role::Feed).is_ok() && requester.member() == Some(member);
        if own { Ok(()) } else { requester.may(Role::Steward) }
    }

    /// Waits for recordings under way. Call it before the store is closed.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Decides what the requester may see of a person, from the consents on file of all the person's
    /// records, or else the exchange's default policy.
    ///
    /// Refused where no record at all may be shown.
    pub fn decide(
        &self,
        requester: &Arc<Requester>,
        person: &PersonRecords,
        purpose: PurposeOfUse,
        now: OffsetDateTime,
    ) -> Result<Permit, Refusal> {
        requester.may(Role::Query)?;
        requester.purpose(Some(purpose.code()))?;
        let roster = self.0.directory.roster();
        let on_file = self.0.in_force(person, now);
        let directives: Vec<&ConsentDirective> = on_file.iter().map(AsRef::as_ref).collect();
        let about = |holder: Option<&MemberCode>| {
            let request = Request { requester, purpose, now, roster: &roster, holder };
            decide(&self.0.settings, &directives, &request)
        };

        let others = about(None);
        let verdicts: BTreeMap<&MemberCode, Verdict> = members_named(person, &directives, &roster)
            .into_iter()
            .map(|member| (member, about(Some(member))))
            .collect();
        let mut records: Vec<RecordKey> = person
            .records
            .iter()
            .filter(|record| verdicts.get(&record.member).is_some_and(|one| one.outcome.is_ok()))
            .cloned()
            .collect();
        if records.is_empty() {
            return Err(Refusal::NotPermitted(denial(&verdicts, &others)));
        }
        records.sort_unstable();
        let broke_glass = verdicts.values().chain([&others]).any(|one| one.broke_glass);
        let decided = verdicts.into_iter().map(|(code, one)| (code.clone(), one.outcome.ok()));
        Ok(Permit {
            requester: Arc::clone(requester),
            person: person.id,
            purpose,
            records,
            members: decided.collect(),
            others: others.outcome.ok(),
            broke_glass,
            decided_at: now,
        })
    }
}

impl Inner {
    async fn record(
        &self,
        id: String,
        told: ToldConsent,
        anchor: RecordKey,
        now: OffsetDateTime,
    ) -> Result<Recorded, ConsentError> {
        let _recording = self.recording.lock().await;
        let known = {
            let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
            shelf.by_id.get(&id).cloned()
        };
        let version = match known {
            Some((of, _)) if of != anchor => return Err(ConsentError::OtherRecord),
            Some((_, version)) => version + 1,
            None => 1,
        };
        if let Some(store) = &self.store {
            let row = ConsentRow {
                id: id.clone(),
                version,
                recorded: now,
                anchor: anchor.clone(),
                status: told.status().to_owned(),
                body: told.body().to_owned(),
            };
            store.write(vec![Write::Consent(row)]).await?;
        }
        let directive = told.anchored(id, version, anchor);
        self.shelf.write().unwrap_or_else(PoisonError::into_inner).keep(directive);
        Ok(Recorded { version })
    }

    /// The directives of these records that hold now and that no newer one superseded.
    fn in_force(&self, person: &PersonRecords, now: OffsetDateTime) -> Vec<Arc<ConsentDirective>> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        // A patient's word outlives the identifier it was given under.
        let records = person.records.iter().chain(&person.former);
        let holding: Vec<&Arc<ConsentDirective>> = records
            .filter_map(|record| shelf.by_anchor.get(record))
            .flatten()
            .filter(|directive| directive.in_force(now))
            .collect();
        holding
            .iter()
            .filter(|one| !holding.iter().any(|other| other.supersedes(one)))
            .map(|one| Arc::clone(one))
            .collect()
    }
}

impl Shelf {
    /// Puts a directive in the place of its earlier version.
    fn keep(&mut self, directive: ConsentDirective) {
        let place = (directive.anchor().clone(), directive.version());
        self.by_id.insert(directive.id().to_owned(), place);
        let of_record = self.by_anchor.entry(directive.anchor().clone()).or_default();
        of_record.retain(|other| other.id() != directive.id());
        of_record.push(Arc::new(directive));
    }
}

/// FHIR R4 `id`.
fn is_fhir_id(id: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    (1..=64).contains(&id.len()) && id.bytes().all(legal)
}

/// Members with a record of the person, or named as custodian by a directive.
fn members_named<'a>(
    person: &'a PersonRecords,
    directives: &[&'a ConsentDirective],
    roster: &'a Roster,
) -> BTreeSet<&'a MemberCode> {
    let custodians = directives
        .iter()
        .flat_map(|directive| std::iter::once(&directive.root).chain(&directive.exceptions))
        .filter_map(|rule| match &rule.custodians {
            Criterion::Any => None,
            Criterion::OneOf(actors) => Some(actors),
        })
        .flatten()
        .filter_map(|actor: &Actor| actor.member(roster));
    person.records.iter().map(|record| &record.member).chain(custodians).collect()
}

/// Somebody's objection, where there is one, before the default policy.
fn denial(verdicts: &BTreeMap<&MemberCode, Verdict>, others: &Verdict) -> Denial {
    let objected =
        verdicts.values().chain([others]).any(|one| one.outcome == Err(Denial::Directive));
    if objected { Denial::Directive } else { Denial::DefaultPolicy }
}

/// Why a consent was not kept.
#[derive(Debug, Error)]
pub enum ConsentError {
    /// The requester may not record it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not a FHIR id.
    #[error("a Consent id is 1 to 64 of A-Z, a-z, 0-9, hyphen and dot")]
    BadId,
    /// The id belongs to a consent of another record.
    #[error("a Consent with this id was given for another record")]
    OtherRecord,
    /// The store failed; nothing changed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The process is stopping.
    #[error("the recording was interrupted by the end of the process")]
    Interrupted,
}
