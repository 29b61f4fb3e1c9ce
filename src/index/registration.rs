use time::OffsetDateTime;

use crate::{
    domain::{Demographics, EnterpriseId, RecordKey},
    matching::NormalizedRecord,
};

use super::{
    Index, IndexError, decision::Content, discovered::Discovery, linker::Job, search::Terms,
};

/// What a member tells of one of its patients.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The record; the feed permit has shown that the member may tell of it.
    pub record: RecordKey,
    /// Who the member says it is.
    pub demographics: Demographics,
    /// When it held at the member, where told. A time to come counts as now.
    pub event_time: Option<OffsetDateTime>,
    /// The message that brought it: a control id or a request id, never patient data.
    pub source_message: Option<String>,
    /// The client that fed it.
    pub fed_by: String,
}

/// What became of a registration, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The person that the record is linked to.
    pub person: EnterpriseId,
    /// What was done.
    pub outcome: Outcome,
    /// The record's version: 1 when created, one more with each update.
    pub record_version: u32,
    /// The journal entry of the decision; where nothing was written, the record's current one.
    pub decision: u64,
    /// Review tasks that it raised.
    pub tasks_raised: usize,
}

/// What a registration did to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record is new.
    Created,
    /// The record's demographics were replaced; its person stays.
    Updated,
    /// The record was told with the same content already.
    Unchanged,
    /// Something later is known already: kept in the history, and nothing else.
    Stale,
}

/// A registration with all that can be worked out before the linker's turn.
pub(super) struct Prepared {
    pub(super) registration: Registration,
    pub(super) content: Content,
    pub(super) json: String,
    /// Absent where the source itself does not know who it is: then nobody else may be taken for it.
    pub(super) normalized: Option<NormalizedRecord>,
    /// What it can be searched by.
    pub(super) terms: Terms,
    /// For whom it was found, where nobody fed it.
    pub(super) discovery: Option<Discovery>,
}

impl Prepared {
    fn of(registration: Registration) -> Self {
        // Serializing plain strings, numbers and lists into memory has no way to fail.
        let json =
            serde_json::to_string(&registration.demographics).expect("demographics are plain data");
        let demographics = &registration.demographics;
        let normalized = (!demographics.identity_unknown)
            .then(|| NormalizedRecord::from_demographics(demographics));
        let terms = Terms::of(&registration.record.local_id, demographics);
        let content = Content::of(&json);
        Self { content, json, normalized, terms, registration, discovery: None }
    }
}

impl Index {
    /// Links one record. The answer is durable; an error means that nothing changed.
    ///
    /// Concurrent callers share commits.
    pub async fn register(&self, registration: Registration) -> Result<Registered, IndexError> {
        let mut answers = self.hand_over(vec![registration]).await?.wait().await?;
        answers.pop().unwrap_or(Err(IndexError::Closed))
    }

    /// Links many records, in order; one answer for each, as of [`Self::register`].
    pub async fn register_many(
        &self,
        registrations: Vec<Registration>,
    ) -> Vec<Result<Registered, IndexError>> {
        let mut answers = Vec::with_capacity(registrations.len());
        let mut waiting = std::collections::VecDeque::new();
        let mut rest = registrations.into_iter().peekable();
        while rest.peek().is_some() || !waiting.is_empty() {
            // One batch ahead, so that the linker never waits for us.
            if rest.peek().is_some() && waiting.len() < 2 {
                let batch: Vec<_> =
                    rest.by_ref().take(self.limits.batch_records_max.max(1)).collect();
                let records = batch.len();
                waiting.push_back((records, self.hand_over(batch).await));
                continue;
            }
            if let Some((records, handed)) = waiting.pop_front() {
                let outcome = match handed {
                    Ok(batch) => batch.wait().await,
                    Err(error) => Err(error),
                };
                match outcome {
                    Ok(batch) => answers.extend(batch),
                    Err(error) => answers.extend(std::iter::repeat_n(Err(error), records)),
                }
            }
        }
        answers
    }

    async fn hand_over(&self, batch: Vec<Registration>) -> Result<Handed, IndexError> {
        self.hand_over_prepared(prepare(batch).await?).await
    }

    pub(super) async fn hand_over_discovered(
        &self,
        registration: Registration,
        discovery: Discovery,
    ) -> Result<Answers, IndexError> {
        let prepared = Prepared { discovery: Some(discovery), ..Prepared::of(registration) };
        self.hand_over_prepared(vec![prepared]).await?.wait().await
    }

    async fn hand_over_prepared(&self, batch: Vec<Prepared>) -> Result<Handed, IndexError> {
        let (done, answer) = tokio::sync::oneshot::channel();
        let job = Job::Register { batch, done };
        self.hand(job).await?;
        Ok(Handed(answer))
    }
}

/// Registrations that are prepared at once; more would keep others waiting for this thread.
const PREPARED_IN_PLACE_MAX: usize = 16;

async fn prepare(batch: Vec<Registration>) -> Result<Vec<Prepared>, IndexError> {
    let in_place = batch.len() <= PREPARED_IN_PLACE_MAX;
    let prepare = || batch.into_iter().map(Prepared::of).collect();
    if in_place {
        return Ok(prepare());
    }
    tokio::task::spawn_blocking(prepare).await.map_err(|_| IndexError::Closed)
}

type Answers = Vec<Result<Registered, IndexError>>;

/// A batch on its way through the linker.
struct Handed(tokio::sync::oneshot::Receiver<Answers>);

impl Handed {
    async fn wait(self) -> Result<Answers, IndexError> {
        self.0.await.map_err(|_| IndexError::Closed)
    }
}
