//! Records that nobody fed: their members gave them when they were asked whom they know.
//!
//! Such a link is a link like any other: judged, journalled with its evidence, and taken apart by a
//! steward. It ends by itself, unless its member feeds the record meanwhile.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    Index, IndexError,
    decide::Arrival,
    decision::Link,
    join::Joining,
    judge::judge,
    lifecycle::{Followed, LocalEvent, LocalRefusal, LocalWord},
    linker::Linker,
    pending::{Pending, View},
    registration::{Outcome, Registered, Registration},
};
use crate::domain::{EnterpriseId, RecordKey};

/// For whom a record was found at a member, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The person who was looked for.
    pub person: EnterpriseId,
    /// What was asked there: `match` or `search`.
    pub mode: &'static str,
}

impl Index {
    /// Links a record that its member gave when it was asked for a person: only where it is
    /// certainly, by as much as a release takes, that person's and nobody else's, and nothing that a
    /// steward or the member said keeps the two apart. Otherwise nothing is written, and the answer
    /// is [`IndexError::NotTheirs`].
    pub async fn link_discovered(
        &self,
        registration: Registration,
        discovery: Discovery,
    ) -> Result<Registered, IndexError> {
        let mut answers = self.hand_over_discovered(registration, discovery).await?;
        answers.pop().unwrap_or(Err(IndexError::Closed))
    }

    /// The discovered records that were found before an instant, and not fed since.
    pub fn discovered_before(&self, instant: OffsetDateTime) -> Vec<RecordKey> {
        let state = self.shared.read();
        let registry = &state.registry;
        let old = registry
            .discovered()
            .filter(|(record_no, found)| *found < instant && registry.is_active(*record_no));
        old.map(|(record_no, _)| registry.key(record_no)).collect()
    }

    /// Ends a discovered link whose time is over; nothing where the record was found again, or fed,
    /// since that instant.
    pub async fn expire_discovered(
        &self,
        record: RecordKey,
        before: OffsetDateTime,
    ) -> Result<Followed, LocalRefusal> {
        self.follow(LocalWord {
            event: LocalEvent::Expire { record, before },
            event_time: None,
            source_message: None,
            fed_by: "gateway".to_owned(),
        })
        .await
    }
}

impl Linker {
    /// Takes a discovered record in, where it is the person's for whom it was looked.
    pub(super) fn discover(
        &mut self,
        arrival: &Arrival,
        discovery: Discovery,
        pending: &mut Pending,
    ) -> Result<Registered, IndexError> {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let view = View::with_pending(&state, pending);
        let sought = state.registry.living(discovery.person);
        let known = state.registry.resolve(arrival.record());
        if let Some(record_no) = known {
            // Found for two who asked at once, or fed meanwhile: what is there is not touched.
            let theirs = view.person_of(record_no) == sought;
            let registered = Registered {
                person: sought,
                outcome: Outcome::Unchanged,
                record_version: state.registry.record(record_no).version,
                decision: state.registry.record(record_no).current_seq,
                tasks_raised: 0,
            };
            return theirs.then_some(registered).ok_or(IndexError::NotTheirs);
        }
        let retired = state.registry.find(arrival.record());
        let normalized = arrival.normalized().ok_or(IndexError::NotTheirs)?;
        let probe = state.population.probe_normalized(normalized);
        let mut judgement = judge(view, &probe, retired, &self.limits);
        if let Some(record_no) = retired {
            judgement.forget_forbidden(view, record_no);
        }
        let joining = Joining::consider(view, &probe, &judgement, &self.limits);
        let firm = judgement.persons.iter().any(|one| one.person == sought && one.verdict.firm);
        let home = judgement.home();
        if joining.join.is_some() || home != (Link::Certain, Some(sought)) || !firm {
            return Err(IndexError::NotTheirs);
        }
        drop(state);
        Ok(self.register(arrival, retired, pending))
    }
}
