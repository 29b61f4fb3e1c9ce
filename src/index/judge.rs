//! From evidence to a decision: who is this record, and what must a steward be asked?

use foldhash::fast::RandomState;
use std::collections::HashSet;

use crate::{
    domain::EnterpriseId,
    matching::{MatchGrade, PersonVerdict, Probe},
};

use super::{
    IndexLimits,
    decision::{KeptEvidence, Link, RaisedTask},
    pending::View,
    review::TaskKind,
};

/// What speaks for and against one person.
pub(super) struct PersonEvidence {
    pub(super) person: EnterpriseId,
    pub(super) verdict: PersonVerdict,
}

impl PersonEvidence {
    fn is_certain(&self) -> bool {
        self.verdict.grade == MatchGrade::Certain && !self.verdict.contradicted
    }

    fn is_worth_a_look(&self) -> bool {
        self.verdict.grade != MatchGrade::CertainlyNot
    }
}

/// All persons that share something with the probe, the strongest first.
#[derive(Default)]
pub(super) struct Judgement {
    pub(super) persons: Vec<PersonEvidence>,
    pub(super) compared: usize,
}

/// Judges the probe against every person among its candidates, whole person by whole person.
/// Where the probe is an update, its own record `except` gives no evidence.
pub(super) fn judge(
    view: View<'_>,
    probe: &Probe,
    except: Option<u32>,
    limits: &IndexLimits,
) -> Judgement {
    let population = &view.state.population;
    let candidates = population.candidates(probe);
    let mut seen: HashSet<EnterpriseId, RandomState> = HashSet::default();
    let mut persons = Vec::new();
    let mut compared = 0;
    for entry in candidates {
        let Some(record_no) = view.record_of_entry(entry) else { continue };
        if Some(record_no) == except {
            continue;
        }
        let Some(person) = view.person_of_entry(entry) else { continue };
        if !seen.insert(person) {
            continue;
        }
        let entries = view.entries_of(person, except, limits.person_records_judged_max);
        compared += entries.len();
        persons.push(PersonEvidence { person, verdict: population.judge_person(probe, &entries) });
    }
    // Ties by id, so that the same memory always gives the same order.
    persons.sort_by(|a, b| b.verdict.bits.total_cmp(&a.verdict.bits).then(a.person.cmp(&b.person)));
    Judgement { persons, compared }
}

impl Judgement {
    /// The strongest evidence, to be kept with the decision.
    pub(super) fn kept(&self, view: View<'_>, evidence_max: usize) -> Vec<KeptEvidence> {
        self.persons
            .iter()
            .take(evidence_max)
            .map(|evidence| {
                let best = evidence.verdict.best.and_then(|entry| view.record_of_entry(entry));
                KeptEvidence::of(evidence.person, best, &evidence.verdict)
            })
            .collect()
    }

    /// Leaves out the persons that a word of a member or a steward keeps this record apart from.
    pub(super) fn forget_forbidden(&mut self, view: View<'_>, record_no: u32) {
        let rules = view.state.registry.rules();
        self.persons.retain(|one| !rules.forbid(&[record_no], &view.records_of(one.person)));
    }

    fn certain(&self) -> impl Iterator<Item = &PersonEvidence> {
        self.persons.iter().filter(|evidence| evidence.is_certain())
    }

    fn worth_a_look(&self) -> impl Iterator<Item = &PersonEvidence> {
        self.persons.iter().filter(|evidence| evidence.is_worth_a_look())
    }

    /// The persons that it can be no other than, if they are not several.
    pub(super) fn certain_persons(&self) -> Vec<EnterpriseId> {
        self.certain().map(|evidence| evidence.person).collect()
    }

    /// Where a new record goes: to the one person who is certain, else to one of its own.
    pub(super) fn home(&self) -> (Link, Option<EnterpriseId>) {
        let mut certain = self.certain();
        match (certain.next(), certain.next()) {
            (Some(one), None) => (Link::Certain, Some(one.person)),
            (Some(_), Some(_)) => (Link::Ambiguous, None),
            (None, _) => (Link::Minted, None),
        }
    }
}

/// What a person's other records say of one that is told anew.
pub(super) struct Own {
    pub(super) now: PersonVerdict,
    /// What they said of it before, where a word demands the link.
    pub(super) demanded: Option<PersonVerdict>,
}

impl Own {
    /// Whether the link stands without a question. What a word demands, only a contradiction that
    /// is new puts in doubt.
    fn is_held(&self) -> bool {
        match &self.demanded {
            Some(before) => !self.now.contradicted || before.contradicted,
            None => self.now.grade == MatchGrade::Certain && !self.now.contradicted,
        }
    }
}

/// What a steward must be asked about one record, each question once.
pub(super) struct Questions<'a> {
    pub(super) view: View<'a>,
    pub(super) record_no: u32,
    pub(super) person: EnterpriseId,
    pub(super) tasks_max: usize,
    pub(super) next_task_no: u64,
}

impl Questions<'_> {
    /// After a new record found its home.
    pub(super) fn on_arrival(&self, judgement: &Judgement, link: Link) -> Vec<RaisedTask> {
        match link {
            Link::Ambiguous => self.raise(TaskKind::PossibleDuplicatePersons, judgement.certain()),
            Link::Minted => self.raise(TaskKind::PossibleLink, judgement.worth_a_look()),
            Link::Certain | Link::Joined | Link::HeldOut | Link::Kept => Vec::new(),
        }
    }

    /// After an update. `own` is the evidence of the person's other records, where it has any.
    pub(super) fn on_update(&self, judgement: &Judgement, own: Option<Own>) -> Vec<RaisedTask> {
        let held = own.as_ref().is_some_and(Own::is_held);
        let own = own.map(|own| PersonEvidence { person: self.person, verdict: own.now });
        let others = |evidence: &&PersonEvidence| evidence.person != self.person;
        let mut tasks = Vec::new();
        match &own {
            Some(own) if !held => tasks.extend(self.doubt(own)),
            // Held by its own person's other records: a likeness elsewhere is no news.
            Some(_) => {}
            None => {
                let likely = judgement.worth_a_look().filter(others);
                let likely = likely.filter(|evidence| !evidence.is_certain());
                tasks.extend(self.raise(TaskKind::PossibleLink, likely));
            }
        }
        let certain = judgement.certain().filter(others);
        tasks.extend(self.raise(TaskKind::PossibleDuplicatePersons, certain));
        for (no, task) in (self.next_task_no..).zip(&mut tasks) {
            task.no = no;
        }
        tasks
    }

    fn doubt(&self, own: &PersonEvidence) -> Option<RaisedTask> {
        // Once answered, it may be asked again: what is told has changed.
        let asked = self.view.is_doubted(self.record_no);
        (!asked).then_some(RaisedTask {
            no: self.next_task_no,
            kind: TaskKind::LinkInDoubt,
            person: self.person,
            other: None,
            bits: own.verdict.bits,
        })
    }

    fn is_asked(&self, kind: TaskKind, other: Option<EnterpriseId>) -> bool {
        self.view.is_asked(kind, self.record_no, self.person, other)
    }

    fn raise<'e>(
        &self,
        kind: TaskKind,
        others: impl Iterator<Item = &'e PersonEvidence>,
    ) -> Vec<RaisedTask> {
        let fresh = others.filter(|other| {
            !self.is_asked(kind, Some(other.person))
                && !self.view.are_forbidden(self.person, other.person)
        });
        (self.next_task_no..)
            .zip(fresh.take(self.tasks_max))
            .map(|(no, other)| RaisedTask {
                no,
                kind,
                person: self.person,
                other: Some(other.person),
                bits: other.verdict.bits,
            })
            .collect()
    }
}
