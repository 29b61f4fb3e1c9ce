//! Records that are gathered while nobody waits (`Prefer: respond-async`), and fetched later.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::{runtime::Handle, sync::oneshot, task::AbortHandle, time::sleep};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    Call, EverythingQuery, Exchange, ExchangeError, Snapshot,
    call::{About, Outcome, settle},
    gather::Gathering,
    read_patient::permit,
};
use crate::{
    access::{AuditNote, Closing, Disclosure, Interaction, OpenAudit, Released, Role},
    domain::EnterpriseId,
};

/// Jobs that are over and whose requester hears so, rather than that there never was one.
const OVER_MAX: u64 = 100_000;
/// How long that is remembered.
const OVER_LIFE: Duration = Duration::from_hours(1);

/// How many records are gathered while nobody waits, and how long they are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// How long a record waits to be fetched, in seconds.
    pub kept_s: u64,
    /// Jobs under way or waiting to be fetched.
    pub jobs_max: usize,
    /// Those of one client.
    pub jobs_per_client_max: usize,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self { kept_s: 600, jobs_max: 64, jobs_per_client_max: 8 }
    }
}

/// The jobs of this process. In memory alone; a restart forgets them.
pub struct RecordJobs {
    settings: JobSettings,
    jobs: Mutex<HashMap<Uuid, Arc<Job>>>,
    over: Cache<Uuid, String>,
    tasks: TaskTracker,
    handle: Handle,
}

struct Job {
    client_id: String,
    person: EnterpriseId,
    request: String,
    heard: AtomicUsize,
    state: Mutex<State>,
    /// Its task, which ends the job after its time.
    task: OnceLock<AbortHandle>,
}

enum State {
    /// Members are being asked.
    UnderWay,
    Ready {
        snapshot: Arc<Snapshot>,
        until: OffsetDateTime,
    },
    Failed(Arc<ExchangeError>),
}

/// How a job stands.
pub enum JobStatus {
    /// Members are being asked, and so many have been heard.
    UnderWay {
        /// Members of which something is told.
        heard: usize,
    },
    /// The record, to be handed out.
    Ready(Released<JobResult>),
}

/// A record that was gathered while nobody waited.
pub struct JobResult {
    /// The record.
    pub snapshot: Arc<Snapshot>,
    /// The URL by which it was asked for.
    pub request: String,
    /// Until when it is kept.
    pub until: OffsetDateTime,
}

impl RecordJobs {
    /// No jobs yet; their tasks live on the runtime that this is called on.
    pub fn new(settings: JobSettings) -> Self {
        Self {
            settings,
            jobs: Mutex::default(),
            over: Cache::builder().max_capacity(OVER_MAX).time_to_live(OVER_LIFE).build(),
            tasks: TaskTracker::new(),
            handle: Handle::current(),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(
        &self,
        client_id: &str,
        person: EnterpriseId,
        request: String,
    ) -> Result<(Uuid, Arc<Job>), ExchangeError> {
        let mut jobs = self.jobs();
        let own = jobs.values().filter(|job| job.client_id == client_id).count();
        if jobs.len() >= self.settings.jobs_max || own >= self.settings.jobs_per_client_max {
            return Err(ExchangeError::TooManyJobs);
        }
        let job = Arc::new(Job {
            client_id: client_id.to_owned(),
            person,
            request,
            heard: AtomicUsize::default(),
            state: Mutex::new(State::UnderWay),
            task: OnceLock::new(),
        });
        // Random, so that it names and tells nothing.
        let token = Uuid::new_v4();
        jobs.insert(token, Arc::clone(&job));
        Ok((token, job))
    }

    /// The client's own job; to others there is none.
    fn find(&self, call: &Call, token: Uuid) -> Result<Arc<Job>, ExchangeError> {
        let client_id = call.requester()?.client_id();
        let job = self.jobs().get(&token).cloned();
        if let Some(job) = job.filter(|job| job.client_id == client_id) {
            return Ok(job);
        }
        let is_over = self.over.get(&token).is_some_and(|client| client == client_id);
        Err(if is_over { ExchangeError::ResultExpired } else { ExchangeError::UnknownJob })
    }

    fn end(&self, token: Uuid) {
        if let Some(job) = self.jobs().remove(&token) {
            self.over.insert(token, job.client_id.clone());
        }
    }

    /// Ends all jobs.
    pub async fn stop(&self) {
        let all: Vec<Arc<Job>> = self.jobs().drain().map(|(_, job)| job).collect();
        for job in all {
            job.abort();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Job {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Begins to gather a record; its status and result are fetched by the token. Returns once members are
/// being asked, or with the error where nobody may or can be.
pub async fn start_job(
    exchange: &Arc<Exchange>,
    call: Call,
    id: EnterpriseId,
    query: EverythingQuery,
    request: String,
) -> Result<Uuid, ExchangeError> {
    let audit = call.open(exchange, Interaction::Everything, About::patient(id)).await?;
    // Who may not ask at all hears that, and not whether there is room.
    let admitted = asking(&call).and_then(|client| exchange.jobs.admit(client, id, request));
    let (token, job) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => return settle(audit, Err(error)).await.map(Released::into_inner),
    };
    let (begun, begins) = oneshot::channel();
    let (at_work, of_job) = (Arc::clone(exchange), Arc::clone(&job));
    let work = async move {
        run(&at_work, &call, audit, (id, query), &of_job, begun).await;
        drop(of_job);
        sleep(Duration::from_secs(at_work.jobs.settings.kept_s)).await;
        at_work.jobs.end(token);
    };
    let work = exchange.jobs.tasks.spawn_on(work, &exchange.jobs.handle);
    job.task.get_or_init(|| work.abort_handle());
    match begins.await {
        Ok(Ok(())) => Ok(token),
        Ok(Err(error)) => {
            work.abort();
            exchange.jobs.jobs().remove(&token);
            Err(error)
        }
        // The gateway stops.
        Err(_) => Err(ExchangeError::Busy),
    }
}

fn asking(call: &Call) -> Result<&str, ExchangeError> {
    let requester = call.requester()?;
    requester.may(Role::Query)?;
    call.purpose()?;
    Ok(requester.client_id())
}

async fn run(
    exchange: &Exchange,
    call: &Call,
    mut audit: OpenAudit,
    (id, query): (EnterpriseId, EverythingQuery),
    job: &Job,
    begun: oneshot::Sender<Result<(), ExchangeError>>,
) {
    let gathering = match Gathering::begin(exchange, call, &mut audit, id, query).await {
        Ok(gathering) => gathering,
        Err(error) => {
            let error = settle::<()>(audit, Err(error)).await.map(Released::into_inner);
            // Whoever asked may have gone.
            let _ = begun.send(error);
            return;
        }
    };
    let _ = begun.send(Ok(()));
    let outcome = gathered(gathering, job).await;
    let until = exchange.clock.now() + Duration::from_secs(exchange.jobs.settings.kept_s);
    *job.state() = match settle(audit, outcome).await {
        Ok(snapshot) => State::Ready { snapshot: snapshot.into_inner(), until },
        Err(error) => State::Failed(Arc::new(error)),
    };
}

async fn gathered(mut gathering: Gathering<'_>, job: &Job) -> Outcome<Arc<Snapshot>> {
    while let Some(heard) = gathering.hear().await {
        // A member that may not be known of is not counted either.
        if heard.is_told() {
            job.heard.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (permit, snapshot) = gathering.put_together().await?;
    let note = AuditNote::new("asynchronous", "gathered to be fetched; each fetch is an event");
    let disclosure = Disclosure::of(&permit).with_notes(vec![note]);
    Ok((Closing::Disclosed(vec![disclosure]), Arc::new(snapshot)))
}

/// How a job stands; once it is done, its result. Consent is asked again, and each fetch audited.
pub async fn job_status(
    exchange: &Exchange,
    call: &Call,
    token: Uuid,
) -> Result<JobStatus, ExchangeError> {
    let found = exchange.jobs.find(call, token);
    // How far a job is names no patient; who asks in vain is on record.
    if let Ok(job) = &found
        && matches!(&*job.state(), State::UnderWay)
    {
        return Ok(JobStatus::UnderWay { heard: job.heard.load(Ordering::Relaxed) });
    }
    let about = found.as_ref().map_or_else(|_| About::default(), |job| About::patient(job.person));
    let audit = call.open(exchange, Interaction::Everything, about).await?;
    let outcome = found.and_then(|job| result(exchange, call, &job));
    settle(audit, outcome).await.map(JobStatus::Ready)
}

fn result(exchange: &Exchange, call: &Call, job: &Job) -> Outcome<JobResult> {
    let permit = permit(exchange, call, job.person)?;
    let (snapshot, until) = match &*job.state() {
        State::Ready { snapshot, until } => (Arc::clone(snapshot), *until),
        State::Failed(error) => return Err(ExchangeError::JobFailed(Arc::clone(error))),
        State::UnderWay => return Err(ExchangeError::Busy),
    };
    if !snapshot.is_for(&permit) {
        return Err(ExchangeError::ResultExpired);
    }
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, JobResult { snapshot, request: job.request.clone(), until }))
}

/// Ends a job, whether it is done or not; nothing of it is left.
pub fn cancel_job(exchange: &Exchange, call: &Call, token: Uuid) -> Result<(), ExchangeError> {
    let job = exchange.jobs.find(call, token)?;
    // What it had opened in the audit trail closes itself as given up.
    job.abort();
    exchange.jobs.jobs().remove(&token);
    Ok(())
}
