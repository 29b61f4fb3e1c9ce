//! When a new record is certain about several persons: are they one?
//!
//! Persons never chain. What joins them is the evidence of all their records against each other,
//! with the new record beside either side; any veto between them forbids it.

use std::borrow::Cow;

use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::Probe,
    storage::{JournalRow, PersonRow, ReviewTaskRow, Write},
};

use super::{
    IndexLimits,
    decision::{Between, JOINED, JoinDecision},
    judge::Judgement,
    linker::Linker,
    pending::{Pending, View},
    registry::{Change, Effect},
    review::TaskState,
};

/// More persons at once are a steward's.
const PERSONS_MAX: usize = 3;
/// Open questions that one join may settle, for each record of the joined person.
const SETTLED_PER_RECORD_MAX: usize = 4;

/// The most rows that a join writes.
pub(super) fn join_rows_max(limits: &IndexLimits) -> usize {
    1 + 2 * PERSONS_MAX + (1 + SETTLED_PER_RECORD_MAX) * limits.person_records_judged_max
}

/// What came of judging the persons that one new record is certain about against each other.
#[derive(Default)]
pub(super) struct Joining {
    /// Each two of them, as far as they were judged.
    pub(super) between: Vec<Between>,
    /// What they become, where all of them are one.
    pub(super) join: Option<Join>,
    pub(super) compared: usize,
}

/// Persons that are one.
pub(super) struct Join {
    /// The oldest: its id stays.
    pub(super) survivor: EnterpriseId,
    gone: Vec<EnterpriseId>,
    /// The questions that are answered with it, as they stand.
    settled: Vec<ReviewTaskRow>,
}

impl Joining {
    /// Judges the persons that `judgement` is certain about, if they are several.
    pub(super) fn consider(
        view: View<'_>,
        probe: &Probe,
        judgement: &Judgement,
        limits: &IndexLimits,
    ) -> Self {
        let mut persons = judgement.certain_persons();
        if !(2..=PERSONS_MAX).contains(&persons.len()) || !may_grow(view, &persons, limits) {
            return Self::default();
        }
        persons.sort_unstable_by_key(|person| view.created_seq(*person));
        let mut joining = Self::default();
        for (at, &older) in persons.iter().enumerate() {
            for &younger in &persons[at + 1..] {
                joining.judge(view, probe, [older, younger], limits);
            }
        }
        let settled = view.tasks_between(&persons);
        let forbidden = persons.iter().enumerate().any(|(at, one)| {
            persons[at + 1..].iter().any(|other| view.are_forbidden(*one, *other))
        });
        let settled_max = SETTLED_PER_RECORD_MAX * limits.person_records_judged_max;
        if !forbidden && joining.between.iter().all(Between::is_one) && settled.len() <= settled_max
        {
            let gone = persons.split_off(1);
            joining.join = Some(Join { survivor: persons[0], gone, settled });
        }
        joining
    }

    fn judge(
        &mut self,
        view: View<'_>,
        probe: &Probe,
        persons: [EnterpriseId; 2],
        limits: &IndexLimits,
    ) {
        let [left, right] =
            persons.map(|person| view.entries_of(person, None, limits.person_records_judged_max));
        let verdict = view.state.population.judge_join(probe, &left, &right);
        self.compared += left.len() * right.len() + left.len() + right.len();
        self.between.push(Between::of(persons, &verdict));
    }
}

/// Whether the persons may become one at all: small enough to be judged as a whole, and no link of
/// theirs in doubt.
fn may_grow(view: View<'_>, persons: &[EnterpriseId], limits: &IndexLimits) -> bool {
    let records: usize = persons.iter().map(|person| view.records_len(*person)).sum();
    records < limits.person_records_judged_max
        && !persons.iter().any(|person| view.is_in_doubt(*person))
}

impl Linker {
    /// Joins the persons that the record registered just now has brought together.
    pub(super) fn join(
        &mut self,
        pending: &mut Pending,
        record: &RecordKey,
        now: OffsetDateTime,
        joining: &Joining,
    ) {
        let Some(Join { survivor, gone, settled }) = &joining.join else { return };
        let seq = self.next_seq;
        self.next_seq += 1;
        let settled_nos: Vec<u64> = settled.iter().map(|task| task.task_no).collect();
        let decision = JoinDecision {
            gone,
            between: &joining.between,
            compared: joining.compared,
            settled: &settled_nos,
        };
        // Serializing plain strings, numbers and lists into memory has no way to fail.
        let decision = serde_json::to_string(&decision).expect("a decision is plain data");
        let mut writes = vec![Write::Journal(JournalRow {
            seq,
            recorded: now,
            kind: Cow::Borrowed(JOINED),
            person: Some(*survivor),
            record: Some(record.clone()),
            event_time: None,
            model_version: self.model_version.clone(),
            decision,
            demographics: None,
        })];
        let state = self.shared.read();
        let view = View::with_pending(&state, pending);
        for person in std::iter::once(survivor).chain(gone) {
            let is_gone = person != survivor;
            writes.push(Write::Person(PersonRow {
                person: *person,
                redirect_to: is_gone.then_some(*survivor),
                created_seq: view.created_seq(*person).unwrap_or(seq),
                changed_seq: seq,
            }));
            writes.push(Write::PersonHistory { person: *person, seq });
            if is_gone {
                let records = view.records_of(*person).into_iter();
                writes.extend(
                    records.map(|record_no| Write::Relink { record_no, person: *survivor }),
                );
            }
        }
        writes.extend(settled.iter().map(|task| {
            Write::ReviewTask(ReviewTaskRow {
                state: Cow::Borrowed(TaskState::Settled.as_str()),
                changed: now,
                body: format!(r#"{{"settled_by":{seq}}}"#),
                ..task.clone()
            })
        }));
        drop(state);
        pending.writes.extend(writes);
        let effect = Effect::Joined { into: *survivor, gone: gone.clone(), settled: settled_nos };
        let change = Change {
            seq,
            recorded: now,
            key: record.clone(),
            effect,
            tasks: Vec::new(),
            discovered: false,
        };
        pending.push_join(change, *survivor, gone);
    }
}
