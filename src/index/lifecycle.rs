//! What a member says of its own records beyond their demographics: that one is no more, that one
//! was merged into another or has another identifier, that two are one person or two.

use std::sync::Arc;

use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::{
    domain::{EnterpriseId, LocalId, RecordKey},
    matching::{MatchGrade, PersonVerdict},
};

use super::{
    Index, IndexError,
    decide::{event_micros, whole_micros},
    decision::Content,
    deed::{DeedKind, Naming, Rename, Standing},
    draft::{DeedEntry, Draft},
    linker::{Job, Linker},
    registry::Registry,
    review::{TaskKind, TaskState},
    rules::{Bond, Rule, Voice},
};

/// What a member says of its records; the feed permit has shown that they are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalEvent {
    /// The record is no more.
    Retire {
        /// Which.
        record: RecordKey,
    },
    /// The record was found before an instant and never fed, and its time is over.
    Expire {
        /// Which.
        record: RecordKey,
        /// The instant.
        before: OffsetDateTime,
    },
    /// Both were one patient all along; one identifier goes.
    Merge {
        /// The record that goes.
        subsumed: RecordKey,
        /// The record that its identifier leads to from now on.
        survivor: RecordKey,
    },
    /// The record has another identifier.
    ChangeIdentifier {
        /// The identifier so far.
        old: RecordKey,
        /// The identifier from now on.
        new: RecordKey,
    },
    /// The member's own `Patient.id` means this record from now on.
    Name {
        /// Which.
        record: RecordKey,
        /// The id, in a namespace of its own.
        id: LocalId,
    },
    /// Two records, both still used, are one person.
    Link {
        /// Which.
        records: [RecordKey; 2],
    },
    /// Two records are two persons.
    Unlink {
        /// Which; where they were linked, the second leaves.
        records: [RecordKey; 2],
    },
}

/// A member's word, and where it comes from.
#[derive(Clone, Debug)]
pub struct LocalWord {
    /// What it says.
    pub event: LocalEvent,
    /// When it held at the member, where told. A time to come counts as now.
    pub event_time: Option<OffsetDateTime>,
    /// The message that brought it: a control id or a request id, never patient data.
    pub source_message: Option<String>,
    /// The client that fed it.
    pub fed_by: String,
}

/// What became of a member's word, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The person that the record leads to now; after a retirement, whose it was.
    pub person: EnterpriseId,
    /// What was done.
    pub outcome: Following,
    /// The journal entry; `None` where nothing was written.
    pub decision: Option<u64>,
    /// Review tasks that it raised.
    pub tasks_raised: usize,
}

/// What a member's word did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// It was done as told.
    Done,
    /// It is kept, and a steward is asked, since what is known speaks against it.
    Asked,
    /// It was so already.
    Unchanged,
    /// Something later is known already: kept in the history, and nothing else.
    Stale,
}

/// Why a member's word was not followed. Nothing changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LocalRefusal {
    /// Both identifiers are one.
    #[error("both identifiers name the same record")]
    SameRecord,
    /// Nobody is registered under it, or no longer.
    #[error("no patient is registered under the identifier")]
    UnknownRecord,
    /// Nobody is registered under the identifier that is to go, or no longer.
    #[error("no patient is registered under the identifier that is to be merged")]
    UnknownSubsumed,
    /// Nobody is registered under the identifier that is to stay, or no longer.
    #[error("no patient is registered under the identifier that is to survive")]
    UnknownSurvivor,
    /// The identifier that is to go was merged into another before.
    #[error("the identifier that is to be merged was merged into another before")]
    SubsumedAlready,
    /// The identifier that is to stay was itself merged away.
    #[error("the identifier that is to survive was itself merged into another")]
    SurvivorSubsumed,
    /// The identifiers are of two assigning authorities.
    #[error("records of two assigning authorities can be linked, not merged")]
    OtherAuthority,
    /// Somebody is registered under the new identifier.
    #[error("a patient is registered under the new identifier; merge the two instead")]
    IdentifierInUse,
    /// The record has another id already.
    #[error("the record goes by another Patient id of this member; merge the two instead")]
    NamedOtherwise,
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// A member's word on its way through the linker.
pub(super) struct LocalJob {
    pub(super) word: LocalWord,
    pub(super) done: oneshot::Sender<Result<Followed, LocalRefusal>>,
}

/// What is to be done about a word.
struct Decided {
    kind: DeedKind,
    record: RecordKey,
    person: EnterpriseId,
    outcome: Following,
}

impl Index {
    /// Follows what a member says of its own records. The answer is durable; an error means that
    /// nothing changed.
    pub async fn follow(&self, word: LocalWord) -> Result<Followed, LocalRefusal> {
        let (done, answer) = oneshot::channel();
        let job = Job::Local(Box::new(LocalJob { word, done }));
        self.hand(job).await?;
        answer.await.map_err(|_| IndexError::Closed)?
    }
}

impl Linker {
    pub(super) fn follow_local(&mut self, job: LocalJob) {
        let LocalJob { word, done } = job;
        let answer = self.follow(word);
        // Whoever asked may have gone; what was done stands all the same.
        let _ = done.send(answer);
    }

    fn follow(&mut self, word: LocalWord) -> Result<Followed, LocalRefusal> {
        let now = whole_micros(self.clock.now());
        let told = word.event_time.map(whole_micros);
        let micros = event_micros(told, now);
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let draft = Draft::new(&state, &self.limits, now, self.next_task_no);
        let mut local = Local { draft, micros };
        let Decided { kind, record, person, outcome } = local.decide(&word.event)?;
        let mut draft = local.draft;
        if draft.is_empty() {
            return Ok(Followed { person, outcome, decision: None, tasks_raised: 0 });
        }
        draft.deed.by = word.fed_by;
        draft.deed.source_message = word.source_message;
        let entry = DeedEntry { kind, person: Some(person), record: Some(record), told, now };
        let drafted = draft.finish(self.next_seq, entry);
        drop(state);
        let tasks_raised = drafted.tasks_raised();
        let seq = self.carry_out(drafted)?;
        Ok(Followed { person, outcome, decision: Some(seq), tasks_raised })
    }
}

/// One word being decided.
struct Local<'a> {
    draft: Draft<'a>,
    micros: i64,
}

impl<'a> Local<'a> {
    fn registry(&self) -> &'a Registry {
        &self.draft.state.registry
    }

    fn decide(&mut self, event: &LocalEvent) -> Result<Decided, LocalRefusal> {
        match event {
            LocalEvent::Retire { record } => self.retire(record),
            LocalEvent::Expire { record, before } => self.expire(record, *before),
            LocalEvent::Merge { subsumed, survivor } => self.merge(subsumed, survivor),
            LocalEvent::ChangeIdentifier { old, new } => self.change_identifier(old, new),
            LocalEvent::Name { record, id } => self.name(record, id),
            LocalEvent::Link { records } => self.link(records),
            LocalEvent::Unlink { records } => self.unlink(records),
        }
    }

    fn decided(&self, kind: DeedKind, record_no: u32, outcome: Following) -> Decided {
        let person = self.draft.person_of(record_no);
        Decided { kind, record: self.registry().key(record_no), person, outcome }
    }

    /// Keeps what came after something later, once.
    fn late(&mut self, kind: DeedKind, record_no: u32, other: Option<u32>) -> Decided {
        let told = Content::of(&format!("{} {other:?}", kind.as_str()));
        let told = told.told_at(record_no, self.micros);
        if !self.registry().was_told_late(told) {
            self.draft.deed.late = Some(told);
            self.draft.noted.push(record_no);
        }
        self.decided(kind, record_no, Following::Stale)
    }

    /// Whether something later than this word is known of the record.
    fn is_late(&self, record_no: u32) -> bool {
        self.micros != i64::MIN && self.micros < self.registry().record(record_no).event_micros
    }

    fn retire(&mut self, record: &RecordKey) -> Result<Decided, LocalRefusal> {
        let kind = DeedKind::Retired;
        let no = self.registry().find(record).ok_or(LocalRefusal::UnknownRecord)?;
        if !self.registry().is_active(no) {
            return Ok(self.decided(kind, no, Following::Unchanged));
        }
        if self.is_late(no) {
            return Ok(self.late(kind, no, None));
        }
        self.draft.stand(no, Standing::Retired);
        self.draft.withdraw_tasks_of(no);
        Ok(self.decided(kind, no, Following::Done))
    }

    fn expire(
        &mut self,
        record: &RecordKey,
        before: OffsetDateTime,
    ) -> Result<Decided, LocalRefusal> {
        let no = self.registry().find(record).ok_or(LocalRefusal::UnknownRecord)?;
        if self.registry().discovered_at(no).is_none_or(|found| found >= before) {
            return Ok(self.decided(DeedKind::Retired, no, Following::Unchanged));
        }
        self.draft.deed.expired = true;
        self.retire(record)
    }

    fn merge(
        &mut self,
        subsumed: &RecordKey,
        survivor: &RecordKey,
    ) -> Result<Decided, LocalRefusal> {
        let kind = DeedKind::MergedLocally;
        if subsumed == survivor {
            return Err(LocalRefusal::SameRecord);
        }
        if subsumed.local_id.system() != survivor.local_id.system() {
            return Err(LocalRefusal::OtherAuthority);
        }
        let registry = self.registry();
        let gone = registry.find(subsumed).ok_or(LocalRefusal::UnknownSubsumed)?;
        let stays = registry.find(survivor).ok_or(LocalRefusal::UnknownSurvivor)?;
        match (registry.standing(gone), registry.standing(stays)) {
            (Standing::Subsumed { by, .. }, _) if by == stays => {
                return Ok(self.decided(kind, stays, Following::Unchanged));
            }
            (Standing::Subsumed { .. }, _) => return Err(LocalRefusal::SubsumedAlready),
            (_, Standing::Subsumed { .. }) => return Err(LocalRefusal::SurvivorSubsumed),
            (Standing::Retired, _) => return Err(LocalRefusal::UnknownSubsumed),
            (_, Standing::Retired) => return Err(LocalRefusal::UnknownSurvivor),
            (Standing::Active, Standing::Active) => {}
        }
        if self.is_late(gone) {
            return Ok(self.late(kind, gone, Some(stays)));
        }
        Ok(self.subsume(gone, stays))
    }

    fn subsume(&mut self, gone: u32, stays: u32) -> Decided {
        let draft = &mut self.draft;
        let registry = &draft.state.registry;
        let (from, to) = (registry.person_of(gone), registry.person_of(stays));
        let verdict = draft.compare(gone, stays);
        let forbidden = registry.rules().between(&[gone], registry.records_of(to));
        let forbidden = forbidden.is_some_and(|(_, rule)| rule.is_stewards(Bond::CannotLink));
        let agrees = !forbidden
            && verdict.is_none_or(|pair| {
                pair.vetoes.is_empty() && pair.grade != MatchGrade::CertainlyNot
            });
        draft.stand(gone, Standing::Subsumed { by: stays, counts: agrees });
        if from != to {
            let left = draft.active_records_of(from);
            if left.is_empty() {
                draft.join(from, to);
            } else {
                draft.move_with_followers(gone, to);
                let bits = draft.judge(from, to).map_or(0.0, |verdict| verdict.bits);
                draft.ask_if_new(TaskKind::PossibleDuplicatePersons, left[0], to, bits);
            }
            draft.settle_between(&[to], TaskState::Settled);
        }
        if !agrees {
            let bits = verdict.map_or(0.0, |pair| pair.bits.0);
            draft.ask(TaskKind::LinkInDoubt, gone, None, bits);
        }
        let outcome = if agrees { Following::Done } else { Following::Asked };
        self.decided(DeedKind::MergedLocally, stays, outcome)
    }

    fn change_identifier(
        &mut self,
        old: &RecordKey,
        new: &RecordKey,
    ) -> Result<Decided, LocalRefusal> {
        let kind = DeedKind::Renamed;
        if old == new {
            return Err(LocalRefusal::SameRecord);
        }
        let registry = self.registry();
        let Some(no) = registry.find(old) else {
            let renamed = registry.gave_up(old).filter(|(no, _)| registry.key(*no) == *new);
            let (no, _) = renamed.ok_or(LocalRefusal::UnknownRecord)?;
            return Ok(self.decided(kind, no, Following::Unchanged));
        };
        match registry.standing(no) {
            Standing::Active => {}
            Standing::Retired => return Err(LocalRefusal::UnknownRecord),
            Standing::Subsumed { .. } => return Err(LocalRefusal::SubsumedAlready),
        }
        if registry.find(new).is_some() {
            return Err(LocalRefusal::IdentifierInUse);
        }
        if self.is_late(no) {
            return Ok(self.late(kind, no, None));
        }
        let (from, to) = (old.local_id.clone(), new.local_id.clone());
        self.draft.deed.renamed = Some(Rename { record: no, from, to });
        Ok(self.decided(kind, no, Following::Done))
    }

    /// An id means one record, and a record has one id: that of a record that is no more may be given
    /// to another.
    fn name(&mut self, record: &RecordKey, id: &LocalId) -> Result<Decided, LocalRefusal> {
        let kind = DeedKind::Named;
        let registry = self.registry();
        let no = registry.find(record).ok_or(LocalRefusal::UnknownRecord)?;
        let name = RecordKey { member: record.member.clone(), local_id: id.clone() };
        match registry.gave_up(&name) {
            Some((known, _)) if known == no => {
                return Ok(self.decided(kind, no, Following::Unchanged));
            }
            Some((known, _)) if registry.standing(known) != Standing::Retired => {
                return Err(LocalRefusal::IdentifierInUse);
            }
            _ => {}
        }
        let mut others = registry.other_names(no);
        if others.any(|other| other.local_id.system() == id.system()) {
            return Err(LocalRefusal::NamedOtherwise);
        }
        self.draft.deed.named = Some(Naming { record: no, id: id.clone() });
        self.draft.noted.push(no);
        Ok(self.decided(kind, no, Following::Done))
    }

    /// The active records that two identifiers lead to.
    fn two(&self, records: &[RecordKey; 2]) -> Result<[u32; 2], LocalRefusal> {
        let registry = self.registry();
        let find = |key| registry.find(key).and_then(|no| registry.led_to(no));
        let unknown = LocalRefusal::UnknownRecord;
        let [one, other] = [find(&records[0]), find(&records[1])];
        let (one, other) = (one.ok_or(unknown.clone())?, other.ok_or(unknown)?);
        if one == other {
            return Err(LocalRefusal::SameRecord);
        }
        Ok([one, other])
    }

    fn rule(&mut self, bond: Bond, one: u32, other: u32) {
        let sides = [vec![one], vec![other]];
        self.draft.deed.rule = Some(Rule::new(bond, Voice::Member, sides, self.micros));
    }

    /// Whether the member said the contrary of these two later than this.
    fn was_said_later(&self, one: u32, other: u32) -> bool {
        let said = self.registry().rules().said_between(one, other);
        self.micros != i64::MIN
            && said
                .filter(|rule| rule.voice == Voice::Member)
                .any(|rule| rule.event_micros > self.micros)
    }

    fn link(&mut self, records: &[RecordKey; 2]) -> Result<Decided, LocalRefusal> {
        let kind = DeedKind::Linked;
        let [one, other] = self.two(records)?;
        let registry = self.registry();
        let said = registry.rules().between(&[one], &[other]).map(|(_, rule)| rule);
        let persons = [registry.person_of(one), registry.person_of(other)];
        let are_linked = persons[0] == persons[1];
        if are_linked && said.is_some_and(|rule| rule.bond == Bond::MustLink)
            || registry.rules().is_last_said(one, other, Bond::MustLink)
        {
            return Ok(self.decided(kind, one, Following::Unchanged));
        }
        if self.was_said_later(one, other) {
            return Ok(self.late(kind, one, Some(other)));
        }
        self.rule(Bond::MustLink, one, other);
        if are_linked {
            return Ok(self.decided(kind, one, Following::Done));
        }
        let verdict = self.draft.judge(persons[0], persons[1]);
        let may = !self.is_kept_apart(one, other, persons) && self.supports(persons, verdict);
        let draft = &mut self.draft;
        let outcome = if may {
            let mut persons = persons;
            persons.sort_unstable_by_key(|person| draft.state.registry.created_seq(*person));
            draft.join(persons[1], persons[0]);
            draft.settle_between(&[persons[0]], TaskState::Settled);
            Following::Done
        } else {
            let bits = verdict.map_or(0.0, |verdict| verdict.bits);
            draft.ask(TaskKind::PossibleDuplicatePersons, one, Some(persons[1]), bits);
            Following::Asked
        };
        Ok(self.decided(kind, one, outcome))
    }

    /// Whether anything but what the member itself said of the two keeps their persons apart.
    fn is_kept_apart(&self, one: u32, other: u32, persons: [EnterpriseId; 2]) -> bool {
        let [left, right] = persons.map(|person| self.draft.records_of(person));
        let said = self.registry().rules().between(&left, &right);
        said.is_some_and(|(_, rule)| {
            rule.bond == Bond::CannotLink
                && !(rule.voice == Voice::Member && rule.is_of_two(one, other))
        })
    }

    /// Whether what else is known of two persons lets them become one on a member's word: nothing
    /// vetoed, and where others fed of them too, at least a likeness.
    fn supports(&self, persons: [EnterpriseId; 2], verdict: Option<PersonVerdict>) -> bool {
        let Some(verdict) = verdict else { return true };
        let alone = persons.iter().all(|person| self.draft.active_records_of(*person).len() == 1);
        !verdict.contradicted && (alone || verdict.grade != MatchGrade::CertainlyNot)
    }

    fn unlink(&mut self, records: &[RecordKey; 2]) -> Result<Decided, LocalRefusal> {
        let kind = DeedKind::Unlinked;
        let [one, other] = self.two(records)?;
        let registry = self.registry();
        let said = registry.rules().between(&[one], &[other]).map(|(_, rule)| rule);
        let persons = [registry.person_of(one), registry.person_of(other)];
        let are_linked = persons[0] == persons[1];
        if !are_linked && said.is_some_and(|rule| rule.bond == Bond::CannotLink)
            || registry.rules().is_last_said(one, other, Bond::CannotLink)
        {
            return Ok(self.decided(kind, other, Following::Unchanged));
        }
        if self.was_said_later(one, other) {
            return Ok(self.late(kind, other, Some(one)));
        }
        self.rule(Bond::CannotLink, one, other);
        let draft = &mut self.draft;
        if !are_linked {
            draft.settle_between(&persons, TaskState::Settled);
            return Ok(self.decided(kind, other, Following::Done));
        }
        if said.is_some_and(|rule| rule.is_stewards(Bond::MustLink)) {
            let bits = draft.judge_own(other).map_or(0.0, |verdict| verdict.bits);
            draft.ask(TaskKind::LinkInDoubt, other, None, bits);
            return Ok(self.decided(kind, other, Following::Asked));
        }
        let bits = draft.judge_own(one).map_or(0.0, |verdict| verdict.bits);
        let apart = draft.mint();
        draft.move_with_followers(other, apart);
        if draft.active_records_of(persons[0]).len() > 1 {
            // To which of the two do the others belong?
            draft.ask(TaskKind::LinkInDoubt, one, None, bits);
        }
        Ok(self.decided(kind, other, Following::Done))
    }
}
