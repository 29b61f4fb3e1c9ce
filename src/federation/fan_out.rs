//! The fan-out: all located members at once, on a runtime of their own.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use metrics::{counter, histogram};
use thiserror::Error;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::Semaphore,
    task::{Id, JoinSet},
    time::Instant,
};
use tracing::{Instrument as _, info, info_span, warn};

use super::{
    answer_cache::{AnswerCache, Question},
    checkup::{Checkup, Probe, check, probe},
    connection::{Connection, GatewayIdentity, Means},
    health::{Figures, MemberHealth, Seen, error_budget_left},
    identity::IdentityJudge,
    member_base::MemberBase,
    member_client::{Ask, AskError},
    outcome::{Fault, Identity, MemberOutcome, NotAsked, RecordAnswer, Status},
    query::{RecordQuery, Target},
    room::Room,
    settings::FederationSettings,
    visit::{CapabilityCache, Visit},
};
use crate::{
    access::Permit,
    cache::{CacheKeys, CacheSettings, RedisAccess},
    directory::{Directory, Member},
    domain::{Clock, EnterpriseId, LocalId, MemberCode, RecordKey},
    matching::Model,
    tls::certificate_end,
};

/// CapabilityStatements kept at once; the largest networks have a few thousand members.
const CAPABILITIES_MAX: u64 = 10_000;

/// Asks members. One for the whole program.
pub struct Federation {
    exchange: Arc<Exchange>,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

/// Why the federation could not start.
#[derive(Debug, Error)]
pub enum FederationError {
    /// No runtime.
    #[error("cannot start the runtime that talks to members")]
    Runtime(#[source] io::Error),
}

/// What all queries share.
struct Exchange {
    settings: Arc<FederationSettings>,
    room: Room,
    means: Means,
    directory: Directory,
    judge: IdentityJudge,
    capabilities: CapabilityCache,
    answers: OnceLock<AnswerCache>,
    model_version: String,
    identity: ArcSwap<GatewayIdentity>,
    connections: Mutex<HashMap<MemberCode, Arc<Connection>>>,
    figures: Mutex<HashMap<MemberCode, Arc<Figures>>>,
    seen: Mutex<HashMap<MemberCode, Seen>>,
}

impl Federation {
    /// Starts the runtime. Nobody is asked yet.
    pub fn new(
        settings: FederationSettings,
        directory: Directory,
        identity: GatewayIdentity,
        model: Arc<Model>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FederationError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(settings.worker_threads.max(1))
            .thread_name("federation")
            .enable_all()
            .build()
            .map_err(FederationError::Runtime)?;
        let capabilities = CapabilityCache::builder()
            .max_capacity(CAPABILITIES_MAX)
            .time_to_live(Duration::from_secs(settings.capability_ttl_s))
            .build();
        let settings = Arc::new(settings);
        let requests_in_all = Arc::new(Semaphore::new(settings.requests_in_all_max.max(2)));
        let exchange = Exchange {
            means: Means { settings: Arc::clone(&settings), clock, requests_in_all },
            model_version: model.version().to_owned(),
            room: Room::of(settings.answers_bytes_max),
            judge: IdentityJudge::new(model),
            identity: ArcSwap::from_pointee(identity),
            connections: Mutex::default(),
            figures: Mutex::default(),
            seen: Mutex::default(),
            capabilities,
            answers: OnceLock::new(),
            directory,
            settings,
        };
        let handle = runtime.handle().clone();
        Ok(Self { exchange: Arc::new(exchange), handle, runtime: Mutex::new(Some(runtime)) })
    }

    /// The bounds in force.
    pub fn settings(&self) -> &FederationSettings {
        &self.exchange.settings
    }

    /// Keeps members' answers from now on. The first call counts.
    pub fn keep_answers(&self, settings: &CacheSettings, redis: Option<RedisAccess>) {
        let clock = Arc::clone(&self.exchange.means.clock);
        let answers = || AnswerCache::new(settings, redis, clock, &self.handle);
        self.exchange.answers.get_or_init(answers);
    }

    /// Forgets every answer about a person that was kept, at every gateway: something was fed of them,
    /// or decided about them.
    pub async fn forget_answers(&self, person: EnterpriseId) {
        if let Some(answers) = self.exchange.answers.get() {
            answers.forget(person).await;
        }
    }

    /// Seals kept answers with other keys from now on.
    pub fn replace_answer_keys(&self, keys: CacheKeys) {
        if let Some(answers) = self.exchange.answers.get() {
            answers.replace_keys(keys);
        }
    }

    /// Whether answers are kept and used just now; not while a Redis that is configured is away.
    pub fn keeps_answers(&self) -> bool {
        self.exchange.answers.get().is_some_and(AnswerCache::is_usable)
    }

    /// Whether another query may begin, as far as memory goes.
    pub fn has_room(&self) -> bool {
        self.exchange.room.is_there()
    }

    /// How many tasks live on the runtime that talks to members: queries, and connections kept open.
    pub fn tasks_alive(&self) -> usize {
        self.handle.metrics().num_alive_tasks()
    }

    /// How many requests to members are under way.
    pub fn requests_under_way(&self) -> usize {
        let places = self.exchange.settings.requests_in_all_max.max(2);
        places - self.exchange.means.requests_in_all.available_permits()
    }

    /// Shows another certificate from now on, and trusts other authorities: connections are made
    /// anew.
    pub fn replace_identity(&self, identity: GatewayIdentity) {
        self.exchange.identity.store(Arc::new(identity));
    }

    /// Asks every target and waits for all, in order of their codes. Dropping the future stops the
    /// work.
    pub async fn fan_out(
        &self,
        permit: &Permit,
        targets: Vec<Target>,
        query: RecordQuery,
    ) -> Vec<MemberOutcome> {
        let mut asked = self.start(permit, targets, query);
        let mut outcomes = Vec::new();
        while let Some(outcome) = asked.next().await {
            outcomes.push(outcome);
        }
        outcomes.sort_by(|one, other| one.member.cmp(&other.member));
        outcomes
    }

    /// Asks every target; the outcomes come as members answer.
    pub fn start(&self, permit: &Permit, targets: Vec<Target>, query: RecordQuery) -> FanOut {
        let mut asked = FanOut { visits: JoinSet::new(), asked: HashMap::new(), ready: Vec::new() };
        self.ask_also(&mut asked, permit, targets, query);
        asked
    }

    /// Asks further targets within a query under way.
    pub fn ask_also(
        &self,
        asked: &mut FanOut,
        permit: &Permit,
        targets: Vec<Target>,
        query: RecordQuery,
    ) {
        let roster = self.exchange.directory.roster();
        let query = Arc::new(query);
        let started = Instant::now();
        for mut target in targets {
            let member = roster.member(&target.member);
            let name = member.map(|member| member.name().to_owned()).unwrap_or_default();
            let room = asked.visits.len() < self.exchange.settings.members_per_query_max;
            let reason = self.exchange.obstacle(permit, &mut target, member, room);
            let local_ids: Vec<LocalId> =
                target.records.iter().map(|record| record.local_id.clone()).collect();
            let (Some(member), None) = (member, reason) else {
                let reason = reason.unwrap_or(NotAsked::NotInDirectory);
                let status = Status::NotAsked(reason);
                asked.ready.push(MemberOutcome::without_answer(
                    target.member,
                    name,
                    local_ids,
                    status,
                ));
                continue;
            };
            let emergency = permit.purpose().is_emergency();
            let deadline = self.exchange.patience(member, emergency).min(query.deadline);
            let code = target.member.clone();
            let span = info_span!("ask_member", member.id = %code);
            let visit = Arc::clone(&self.exchange).visit(
                member.clone(),
                (permit.person(), target),
                Arc::clone(&query),
                (started, started + deadline),
            );
            let task = asked.visits.spawn_on(visit.instrument(span), &self.handle);
            asked.asked.insert(task.id(), (code, name, local_ids));
        }
    }

    /// Walks through everything that an active member needs; nothing that it sends is kept or shown.
    pub async fn check(&self, member: Member, patient: Option<LocalId>) -> Checkup {
        let exchange = Arc::clone(&self.exchange);
        let walk = async move {
            let identity = exchange.identity.load_full();
            check(&member, identity, &exchange.means, patient.as_ref()).await
        };
        self.handle.spawn(walk).await.unwrap_or_else(|_| Checkup::interrupted())
    }

    /// Looks at a member's certificate and at what it says it can do.
    pub async fn probe(&self, member: Member) -> Probe {
        let exchange = Arc::clone(&self.exchange);
        let look = async move {
            let identity = exchange.identity.load_full();
            let found = probe(&member, identity, &exchange.means).await;
            if let Some(told) = &found.capabilities {
                let key = member.base().to_owned();
                exchange.capabilities.insert(key, Arc::new(told.clone())).await;
            }
            let seen =
                Seen { certificate_ends: found.certificate_ends, fault: found.fault.clone() };
            lock(&exchange.seen).insert(member.code().clone(), seen);
            found
        };
        self.handle.spawn(look).await.unwrap_or_default()
    }

    /// How every member is doing, in the order of their codes.
    pub fn health(&self) -> Vec<MemberHealth> {
        let roster = self.exchange.directory.roster();
        roster.members().map(|member| self.exchange.health(member)).collect()
    }

    /// Days until the gateway's own certificate ends.
    pub fn own_certificate_days_left(&self) -> Option<i64> {
        let identity = self.exchange.identity.load();
        let ends = certificate_end(identity.credentials.chain().first()?)?;
        Some((ends - self.exchange.means.clock.now()).whole_days())
    }

    /// The runtime that talks to members.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The way to one member that may be asked; `None` where there is none.
    pub(super) fn asking(&self, member: &MemberCode) -> Option<Asking> {
        self.connection_to(member).ok().map(Asking)
    }

    /// The connection to a member that may be asked, or why there is none.
    pub(super) fn connection_to(&self, member: &MemberCode) -> Result<Arc<Connection>, Status> {
        let roster = self.exchange.directory.roster();
        let reason = match roster.member(member) {
            None => NotAsked::NotInDirectory,
            Some(member) if !member.status().is_asked() => NotAsked::NotActive,
            Some(member) => match self.exchange.connection(member) {
                Some(connection) => return Ok(connection),
                None => NotAsked::NoEndpoint,
            },
        };
        Err(Status::NotAsked(reason))
    }

    pub(super) fn shared_settings(&self) -> Arc<FederationSettings> {
        Arc::clone(&self.exchange.settings)
    }

    /// The FHIR base of a member, as its references spell it.
    pub(super) fn base_of(&self, member: &MemberCode) -> Option<String> {
        self.asking(member).map(|asking| asking.base().as_str().to_owned())
    }

    /// The longest page that is read of a member.
    pub(super) fn page_bytes_max(&self, member: &MemberCode) -> Option<usize> {
        let roster = self.exchange.directory.roster();
        roster.member(member).map(|member| member.limits().page_bytes_max as usize)
    }

    /// Stops the runtime, giving work under way so long to end. To be called outside of async
    /// code; what is still asked then becomes an outcome.
    pub fn shutdown(&self, patience: Duration) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(patience);
        }
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

/// A member that may be asked for one thing.
pub(super) struct Asking(Arc<Connection>);

impl Asking {
    pub(super) fn base(&self) -> &MemberBase {
        &self.0.base
    }

    pub(super) async fn ask(
        &self,
        ask: &Ask,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Bytes, AskError> {
        self.0.client.ask(ask, bytes_max, deadline).await
    }
}

/// A query under way. Owns its work: dropping it stops all of it.
pub struct FanOut {
    visits: JoinSet<MemberOutcome>,
    asked: HashMap<Id, (MemberCode, String, Vec<LocalId>)>,
    ready: Vec<MemberOutcome>,
}

impl FanOut {
    /// The next outcome; `None` once every target has one.
    pub async fn next(&mut self) -> Option<MemberOutcome> {
        if let Some(outcome) = self.ready.pop() {
            return Some(outcome);
        }
        match self.visits.join_next_with_id().await? {
            Ok((_, outcome)) => Some(outcome),
            Err(error) => {
                let (member, name, local_ids) = self.asked.remove(&error.id())?;
                warn!(member.id = %member, panicked = error.is_panic(), "asking a member failed");
                let status = Status::Unreachable(Fault::Internal);
                Some(MemberOutcome::without_answer(member, name, local_ids, status))
            }
        }
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    fn figures(&self, member: &MemberCode) -> Arc<Figures> {
        Arc::clone(lock(&self.figures).entry(member.clone()).or_default())
    }

    /// How long a member is waited for, the query's own deadline aside.
    fn patience(&self, member: &Member, emergency: bool) -> Duration {
        let own = Duration::from_millis(member.deadline_ms().into());
        let floor = Duration::from_millis(self.settings.adaptive_deadline_floor_ms);
        let usual =
            || self.figures(member.code()).patience(self.settings.adaptive_deadline_factor, floor);
        // Otherwise completeness comes before speed.
        emergency.then(usual).flatten().map_or(own, |usual| usual.min(own))
    }

    fn health(&self, member: &Member) -> MemberHealth {
        let figures = self.figures(member.code());
        let (requests, failures) = figures.last_hour();
        let ms = |percent| Some(figures.latencies().quantile(percent)?.as_millis() as u64);
        let connection = lock(&self.connections).get(member.code()).map(Arc::clone);
        let seen = lock(&self.seen).get(member.code()).cloned();
        let ends = seen.as_ref().and_then(|seen| seen.certificate_ends);
        MemberHealth {
            code: member.code().clone(),
            status: member.status().to_string(),
            requests,
            failures,
            error_budget_left: error_budget_left(
                requests,
                failures,
                self.settings.objective_percent,
            ),
            p50_ms: ms(50),
            p95_ms: ms(95),
            p99_ms: ms(99),
            circuit_open: connection.is_some_and(|connection| connection.client.circuit_open()),
            emergency_deadline_ms: self.patience(member, true).as_millis() as u64,
            certificate_days_left: ends.map(|ends| (ends - self.means.clock.now()).whole_days()),
            fault: seen.and_then(|seen| seen.fault),
        }
    }

    /// Why a target is not asked. Takes out of the target what the permit does not allow.
    fn obstacle(
        &self,
        permit: &Permit,
        target: &mut Target,
        member: Option<&Member>,
        room: bool,
    ) -> Option<NotAsked> {
        target.records.retain(|record| {
            let (member, local_id) = (target.member.clone(), record.local_id.clone());
            permit.permits_record(&RecordKey { member, local_id })
        });
        if !permit.permits_member(&target.member) || target.records.is_empty() {
            return Some(NotAsked::NotPermitted);
        }
        let Some(member) = member else { return Some(NotAsked::NotInDirectory) };
        let own = permit.requester().member() == Some(member.code());
        if own && !self.settings.ask_own_organization {
            Some(NotAsked::OwnOrganization)
        } else if !member.status().is_asked() {
            Some(NotAsked::NotActive)
        } else if !room {
            Some(NotAsked::TooManyMembers)
        } else {
            None
        }
    }

    /// Asks one member, or finds what it answered a moment ago.
    async fn visit(
        self: Arc<Self>,
        member: Member,
        (person, target): (EnterpriseId, Target),
        query: Arc<RecordQuery>,
        (started, deadline): (Instant, Instant),
    ) -> MemberOutcome {
        let Some(connection) = self.connection(&member) else {
            let ids = target.records.into_iter().map(|record| record.local_id).collect();
            let status = Status::NotAsked(NotAsked::NoEndpoint);
            return MemberOutcome::without_answer(
                target.member,
                member.name().to_owned(),
                ids,
                status,
            );
        };
        let ask = Box::pin(self.ask(&connection, target.clone(), &query, (started, deadline)));
        let Some(answers) = self.answers.get() else { return ask.await };
        let question = Question {
            person,
            connection: &connection,
            target: &target,
            query: &query,
            model_version: &self.model_version,
            deadline,
        };
        answers.answer(question, ask).await
    }

    async fn ask(
        &self,
        connection: &Connection,
        mut target: Target,
        query: &RecordQuery,
        (started, deadline): (Instant, Instant),
    ) -> MemberOutcome {
        let member = &connection.member;
        let most = self.settings.records_per_member_max.min(target.records.len());
        let beyond = target.records.split_off(most);
        let visit = Visit {
            client: &connection.client,
            base: &connection.base,
            member,
            quirks: member.quirks(),
            capabilities: &self.capabilities,
            judge: &self.judge,
            settings: &self.settings,
            room: &self.room,
            query,
            person: &target.person,
            deadline,
        };
        let mut answers = visit.run(&target.records).await;
        if !beyond.is_empty() {
            let ids = beyond.into_iter().map(|record| record.local_id).collect();
            let status = Status::NotAsked(NotAsked::TooManyRecords);
            answers.push(RecordAnswer::without_patient(ids, status));
        }
        let outcome = MemberOutcome {
            member: target.member,
            name: member.name().to_owned(),
            organization: member.organization().to_owned(),
            base_url: connection.base.as_str().to_owned(),
            elapsed: started.elapsed(),
            kept_for: None,
            mark: None,
            answers,
        };
        // What failed at once says nothing of how long a whole answer takes.
        if outcome.status().is_complete() || outcome.status() == Status::TimedOut {
            self.figures(&outcome.member).visited(outcome.elapsed);
        }
        report(&outcome);
        outcome
    }

    /// The connection to a member as it stands in the directory now. `None` where the member
    /// cannot be connected to: told in the log, and an outcome in the answer.
    fn connection(&self, member: &Member) -> Option<Arc<Connection>> {
        let identity = self.identity.load_full();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = connections.get(member.code())
            && known.member == *member
            && Arc::ptr_eq(&known.identity, &identity)
        {
            return Some(Arc::clone(known));
        }
        match Connection::new(member, identity, &self.means, self.figures(member.code())) {
            Ok(connection) => {
                let connection = Arc::new(connection);
                connections.insert(member.code().clone(), Arc::clone(&connection));
                Some(connection)
            }
            Err(reason) => {
                warn!(member.id = %member.code(), reason, "a member cannot be connected to");
                None
            }
        }
    }
}

/// Counts and logs an outcome: ids of members, counts and times only.
fn report(outcome: &MemberOutcome) {
    let member = outcome.member.as_str().to_owned();
    let code = outcome.status().code();
    counter!("tessera_member_answers_total", "member" => member.clone(), "outcome" => code)
        .increment(1);
    histogram!("tessera_member_answer_seconds", "member" => member.clone())
        .record(outcome.elapsed.as_secs_f64());
    let mut foreign = 0;
    for answer in &outcome.answers {
        for (reason, times) in answer.dropped.iter() {
            counter!("tessera_member_resources_dropped_total",
                "member" => member.clone(), "reason" => reason.code())
            .increment(times as u64);
        }
        foreign += answer.dropped.foreign();
        if answer.identity == Identity::Contradicts {
            counter!("tessera_member_identity_contradicted_total", "member" => member.clone())
                .increment(1);
            warn!("a member returned somebody else than it had fed; its answer is withheld");
        }
    }
    if foreign > 0 {
        warn!(foreign, "a member returned resources of other patients; they are withheld");
    }
    let pages: usize = outcome.answers.iter().map(|answer| answer.pages).sum();
    let resources = outcome.resources().count();
    let elapsed_ms = outcome.elapsed.as_millis() as u64;
    info!(outcome = code, pages, resources, elapsed_ms, "a member answered");
}
