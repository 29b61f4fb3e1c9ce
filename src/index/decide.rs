//! One registration's turn: new, news, late or the same again, and what follows from it.

use std::{borrow::Cow, sync::Arc};

use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::{NormalizedRecord, RecordNo},
    storage::{JournalRow, PersonRow, SourceRecordRow, Write},
};

use super::{
    IndexError, State,
    decision::{
        CONFIRMED, Decision, KeptEvidence, Link, REGISTERED, REVIVED, RaisedTask, STALE, UPDATED,
    },
    deed::Standing,
    join::Joining,
    judge::{Own, Questions, judge},
    linker::Linker,
    pending::{Pending, View},
    registration::{Outcome, Prepared, Registered},
    registry::{Change, Effect},
    review::task_row,
};

impl Linker {
    /// Decides about one registration on top of what is pending, and adds to it.
    pub(super) fn decide(&mut self, at: usize, prepared: Prepared, pending: &mut Pending) {
        let now = whole_micros(self.clock.now());
        let told = prepared.registration.event_time.map(whole_micros);
        let event_micros = event_micros(told, now);
        let arrival = Arrival { prepared, now, told, event_micros };
        if let Some(discovery) = arrival.prepared.discovery {
            let answer = self.discover(&arrival, discovery, pending);
            pending.answers.push((at, answer));
            return;
        }
        let answer = match self.known(&arrival) {
            Known::Not => Ok(self.register(&arrival, None, pending)),
            Known::Active(record_no) => Ok(self.tell_again(&arrival, record_no, pending)),
            Known::Retired(record_no) => Ok(self.register(&arrival, Some(record_no), pending)),
            Known::Late(record_no) => Ok(self.tell_late(&arrival, record_no, pending)),
            Known::Subsumed => Err(IndexError::SubsumedIdentifier),
        };
        pending.answers.push((at, answer));
    }

    /// What is known of the identifier that a registration names.
    fn known(&self, arrival: &Arrival) -> Known {
        let state = self.shared.read();
        let registry = &state.registry;
        let key = &arrival.prepared.registration.record;
        let is_before = |micros| arrival.told.is_some() && arrival.event_micros < micros;
        let Some(record_no) = registry.find(key) else {
            return match registry.gave_up(key) {
                Some((record_no, until)) if is_before(until) => Known::Late(record_no),
                // Given up for good: whoever is registered under it now is somebody new.
                _ => Known::Not,
            };
        };
        match registry.standing(record_no) {
            Standing::Active => Known::Active(record_no),
            _ if is_before(registry.record(record_no).event_micros) => Known::Late(record_no),
            Standing::Retired => Known::Retired(record_no),
            Standing::Subsumed { .. } => Known::Subsumed,
        }
    }

    /// Links a new record, or one that was retired and is told of again.
    pub(super) fn register(
        &mut self,
        arrival: &Arrival,
        retired: Option<u32>,
        pending: &mut Pending,
    ) -> Registered {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let view = View::with_pending(&state, pending);
        let next_record_no = state.registry.next_record_no() + pending.new_records();
        let record_no = retired.unwrap_or(next_record_no);
        let weighed = arrival.prepared.normalized.as_ref().map(|normalized| {
            let probe = state.population.probe_normalized(normalized);
            let mut judgement = judge(view, &probe, retired, &self.limits);
            if retired.is_some() {
                judgement.forget_forbidden(view, record_no);
            }
            let joining = Joining::consider(view, &probe, &judgement, &self.limits);
            (judgement, joining)
        });
        let (link, home) = match &weighed {
            None => (Link::HeldOut, None),
            Some((_, Joining { join: Some(join), .. })) => (Link::Joined, Some(join.survivor)),
            Some((judgement, _)) => judgement.home(),
        };
        let (judgement, joining) = weighed.unwrap_or_default();
        let person = home
            .or_else(|| retired.and_then(|record_no| view.deserted_person_of(record_no)))
            .unwrap_or_else(|| mint(arrival.now, view.state));
        let questions = Questions {
            view,
            record_no,
            person,
            tasks_max: self.limits.tasks_per_record_max,
            next_task_no: self.next_task_no,
        };
        let tasks = questions.on_arrival(&judgement, link);
        let kept = judgement.kept(view, self.limits.evidence_kept_max);
        let created_seq = view.created_seq(person);
        let (version, since) = match retired.map(|record_no| state.registry.record(record_no)) {
            Some(record) => (record.version + 1, record.since),
            None => (1, arrival.now),
        };
        drop(state);

        let entry = self.enter(arrival, record_no);
        let seq = self.next_seq;
        let content = arrival.prepared.content;
        let event_micros = arrival.event_micros;
        let (kind, effect) = match retired {
            None => (REGISTERED, Effect::Registered { person, entry, content, event_micros }),
            Some(_) => (REVIVED, Effect::Revived { person, entry, content, event_micros }),
        };
        let between: &[_] = if joining.join.is_some() { &[] } else { &joining.between };
        let decision =
            Decision { between, ..arrival.decision(link, judgement.compared, &kept, &tasks) };
        self.journal(pending, arrival, kind, person, &decision, true);
        pending.writes.push(Write::SourceRecord(SourceRecordRow {
            record_no,
            key: arrival.prepared.registration.record.clone(),
            person,
            version,
            event_time: arrival.told,
            since,
            changed: arrival.now,
            current_seq: seq,
            registered_seq: seq,
            standing: Cow::Borrowed(Standing::Active.as_str()),
        }));
        if retired.is_some() {
            pending.writes.push(Write::RecordHistory { record_no, seq });
        }
        pending.writes.push(Write::Person(PersonRow {
            person,
            redirect_to: None,
            created_seq: created_seq.unwrap_or(seq),
            changed_seq: seq,
        }));
        let tasks_raised = tasks.len();
        self.conclude(pending, arrival, record_no, person, effect, tasks);
        self.join(pending, &arrival.prepared.registration.record, arrival.now, &joining);
        Registered {
            person,
            outcome: Outcome::Created,
            record_version: version,
            decision: seq,
            tasks_raised,
        }
    }

    /// The record is known: is this news, late, or the same again?
    fn tell_again(
        &mut self,
        arrival: &Arrival,
        record_no: u32,
        pending: &mut Pending,
    ) -> Registered {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let record = state.registry.record(record_no);
        // What was only found is news once its member feeds it.
        let same = arrival.prepared.content == record.content
            && state.registry.discovered_at(record_no).is_none();
        // Only two told times can be compared; without one, the later arrival is the later news.
        let late = arrival.told.is_some() && arrival.event_micros < record.event_micros;
        let confirms = arrival.event_micros > record.event_micros;
        let unwritten = unwritten(View::with_pending(&state, pending), record_no);
        drop(state);
        if same && confirms {
            // Worth a line, so that what held in between is known to be late when it comes.
            let effect = Effect::Confirmed { event_micros: arrival.event_micros };
            return self.note(arrival, record_no, CONFIRMED, effect, &unwritten, pending);
        }
        match (same, late) {
            (true, _) => unwritten,
            (false, true) => self.tell_late(arrival, record_no, pending),
            (false, false) => self.update(arrival, record_no, unwritten.person, pending),
        }
    }

    /// Keeps what something later is known of already, once.
    fn tell_late(
        &mut self,
        arrival: &Arrival,
        record_no: u32,
        pending: &mut Pending,
    ) -> Registered {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let unwritten = Registered {
            outcome: Outcome::Stale,
            ..unwritten(View::with_pending(&state, pending), record_no)
        };
        let told = arrival.prepared.content.told_at(record_no, arrival.event_micros);
        if state.registry.was_told_late(told) {
            return unwritten;
        }
        drop(state);
        pending.writes.push(Write::RecordHistory { record_no, seq: self.next_seq });
        self.note(arrival, record_no, STALE, Effect::Stale { told }, &unwritten, pending)
    }

    /// Writes a line about a record that leaves it as it is.
    fn note(
        &mut self,
        arrival: &Arrival,
        record_no: u32,
        kind: &'static str,
        effect: Effect,
        unwritten: &Registered,
        pending: &mut Pending,
    ) -> Registered {
        let seq = self.next_seq;
        let decision = arrival.decision(Link::Kept, 0, &[], &[]);
        self.journal(pending, arrival, kind, unwritten.person, &decision, kind == STALE);
        self.conclude(pending, arrival, record_no, unwritten.person, effect, Vec::new());
        Registered { decision: seq, ..unwritten.clone() }
    }

    fn update(
        &mut self,
        arrival: &Arrival,
        record_no: u32,
        person: EnterpriseId,
        pending: &mut Pending,
    ) -> Registered {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let view = View::with_pending(&state, pending);
        let record = state.registry.record(record_no);
        let (version, since) = (record.version + 1, record.since);
        let weighed = arrival.prepared.normalized.as_ref().map(|normalized| {
            let probe = state.population.probe_normalized(normalized);
            let judgement = judge(view, &probe, Some(record_no), &self.limits);
            let others =
                view.entries_of(person, Some(record_no), self.limits.person_records_judged_max);
            let own = (!others.is_empty()).then(|| Own {
                now: state.population.judge_person(&probe, &others),
                demanded: view.demanded_verdict(record_no, &others),
            });
            let questions = Questions {
                view,
                record_no,
                person,
                tasks_max: self.limits.tasks_per_record_max,
                next_task_no: self.next_task_no,
            };
            let tasks = questions.on_update(&judgement, own);
            (judgement, tasks)
        });
        let (judgement, tasks) = weighed.unwrap_or_default();
        let kept = judgement.kept(view, self.limits.evidence_kept_max);
        drop(state);

        let entry = self.enter(arrival, record_no);
        let seq = self.next_seq;
        let content = arrival.prepared.content;
        let effect = Effect::Updated { entry, content, event_micros: arrival.event_micros };
        let decision = arrival.decision(Link::Kept, judgement.compared, &kept, &tasks);
        self.journal(pending, arrival, UPDATED, person, &decision, true);
        pending.writes.push(Write::SourceRecord(SourceRecordRow {
            record_no,
            key: arrival.prepared.registration.record.clone(),
            person,
            version,
            event_time: arrival.told,
            since,
            changed: arrival.now,
            current_seq: seq,
            registered_seq: 0,
            standing: Cow::Borrowed(Standing::Active.as_str()),
        }));
        pending.writes.push(Write::RecordHistory { record_no, seq });
        let tasks_raised = tasks.len();
        self.conclude(pending, arrival, record_no, person, effect, tasks);
        Registered {
            person,
            outcome: Outcome::Updated,
            record_version: version,
            decision: seq,
            tasks_raised,
        }
    }

    /// Puts the demographics into the population and its postings, where nobody sees them before the commit.
    fn enter(&self, arrival: &Arrival, record_no: u32) -> Option<RecordNo> {
        let mut state = self.shared.write();
        state.search.add(record_no, &arrival.prepared.terms);
        let normalized = arrival.prepared.normalized.as_ref()?;
        Some(state.population.insert_normalized(normalized))
    }

    fn journal(
        &self,
        pending: &mut Pending,
        arrival: &Arrival,
        kind: &'static str,
        person: EnterpriseId,
        decision: &Decision<'_>,
        with_demographics: bool,
    ) {
        // Serializing plain strings, numbers and lists into memory has no way to fail.
        let decision = serde_json::to_string(decision).expect("a decision is plain data");
        pending.writes.push(Write::Journal(JournalRow {
            seq: self.next_seq,
            recorded: arrival.now,
            kind: Cow::Borrowed(kind),
            person: Some(person),
            record: Some(arrival.prepared.registration.record.clone()),
            event_time: arrival.told,
            model_version: self.model_version.clone(),
            decision,
            demographics: with_demographics.then(|| arrival.prepared.json.clone()),
        }));
    }

    fn conclude(
        &mut self,
        pending: &mut Pending,
        arrival: &Arrival,
        record_no: u32,
        person: EnterpriseId,
        effect: Effect,
        tasks: Vec<RaisedTask>,
    ) {
        let key = arrival.prepared.registration.record.clone();
        let rows = tasks.iter().map(|task| Write::ReviewTask(task_row(task, &key, arrival.now)));
        pending.writes.extend(rows);
        self.next_task_no += tasks.len() as u64;
        let discovered = arrival.prepared.discovery.is_some();
        let (seq, recorded) = (self.next_seq, arrival.now);
        let change = Change { seq, recorded, key, effect, tasks, discovered };
        self.next_seq += 1;
        pending.push(change, record_no, person);
    }
}

/// What is known of an identifier when something is told under it.
enum Known {
    Not,
    Active(u32),
    Retired(u32),
    /// Something later is known of the record that had it.
    Late(u32),
    Subsumed,
}

/// The answer where nothing has to be written.
fn unwritten(view: View<'_>, record_no: u32) -> Registered {
    let record = view.state.registry.record(record_no);
    Registered {
        person: view.person_of(record_no),
        outcome: Outcome::Unchanged,
        record_version: record.version,
        decision: record.current_seq,
        tasks_raised: 0,
    }
}

/// A registration whose turn has come.
pub(super) struct Arrival {
    prepared: Prepared,
    now: OffsetDateTime,
    /// The event time as told.
    told: Option<OffsetDateTime>,
    /// The event time that counts, as of [`event_micros`].
    event_micros: i64,
}

impl Arrival {
    pub(super) fn record(&self) -> &RecordKey {
        &self.prepared.registration.record
    }

    pub(super) fn normalized(&self) -> Option<&NormalizedRecord> {
        self.prepared.normalized.as_ref()
    }

    fn decision<'a>(
        &'a self,
        link: Link,
        compared: usize,
        evidence: &'a [KeptEvidence],
        tasks: &'a [RaisedTask],
    ) -> Decision<'a> {
        Decision {
            link,
            content: self.prepared.content,
            compared,
            evidence,
            between: &[],
            tasks,
            source_message: self.prepared.registration.source_message.as_deref(),
            fed_by: &self.prepared.registration.fed_by,
            discovered: self.prepared.discovery.map(|discovery| discovery.mode),
        }
    }
}

/// A time as the journal keeps it, so that what is live equals what is rebuilt.
pub(super) fn whole_micros(time: OffsetDateTime) -> OffsetDateTime {
    let nanos = time.unix_timestamp_nanos();
    OffsetDateTime::from_unix_timestamp_nanos(nanos - nanos.rem_euclid(1_000)).unwrap_or(time)
}

/// The event time that counts, in microseconds since 1970; before all time where none was told.
pub(super) fn event_micros(told: Option<OffsetDateTime>, recorded: OffsetDateTime) -> i64 {
    // A time to come would make every later message look stale.
    told.map_or(i64::MIN, |told| (told.min(recorded).unix_timestamp_nanos() / 1_000) as i64)
}

/// A fresh id of UUID version 7: in the order of time, with 74 random bits.
pub(super) fn mint(now: OffsetDateTime, state: &State) -> EnterpriseId {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    loop {
        let time = Timestamp::from_unix(NoContext, seconds, now.nanosecond());
        let id = EnterpriseId::from_u128(Uuid::new_v7(time).as_u128());
        if !state.registry.is_person(id) {
            return id;
        }
    }
}
