//! Follows one search page by page, within what one answer may cost.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::time::Instant;
use url::Url;

use super::{
    member_base::MemberBase,
    member_client::{Ask, AskError, MemberClient, Transport},
    outcome::{Cut, Fault, Gap},
    room::{Held, Taken},
    sieve::Sieve,
};
use crate::{directory::MemberLimits, fhir::Bundle};

/// What is gathered of one patient at one member, by searches that run side by side. It outlives
/// each of them, so that what came before a deadline is not lost with what did not.
pub(super) struct Gathering<'a> {
    sieve: Mutex<Sieve<'a>>,
    gaps: Mutex<Vec<Gap>>,
    pages: AtomicUsize,
    bytes: AtomicUsize,
    taken: Taken,
    limits: &'a MemberLimits,
}

/// How one search went.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Pages that were read.
    pub(super) pages: usize,
    /// Resources of the type searched for that were met, whosever they were.
    pub(super) matches: usize,
    /// Why it ended early.
    pub(super) ended: Option<WalkEnd>,
}

/// Why a search ended early.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkEnd {
    pub(super) cut: Cut,
    /// The request that failed, where one did.
    pub(super) error: Option<AskError>,
}

impl Walked {
    /// Whether the member does not serve this search at all.
    pub(super) fn is_not_served(&self) -> bool {
        self.pages == 0 && self.ended.and_then(|end| end.error).is_some_and(AskError::is_not_served)
    }
}

impl From<AskError> for WalkEnd {
    fn from(error: AskError) -> Self {
        Self { cut: error.cut(), error: Some(error) }
    }
}

impl From<Cut> for WalkEnd {
    fn from(cut: Cut) -> Self {
        Self { cut, error: None }
    }
}

impl<'a> Gathering<'a> {
    pub(super) fn new(sieve: Sieve<'a>, taken: Taken, limits: &'a MemberLimits) -> Self {
        Self {
            sieve: Mutex::new(sieve),
            gaps: Mutex::default(),
            pages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            taken,
            limits,
        }
    }

    pub(super) fn sieve(&self) -> MutexGuard<'_, Sieve<'a>> {
        self.sieve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_gap(&self, resource_type: Option<&str>, end: WalkEnd) {
        let http_status = end.error.and_then(|error| error.http_status);
        let resource_type = resource_type.map(str::to_owned);
        let gap = Gap { resource_type, cut: end.cut, http_status };
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        if !gaps.contains(&gap) {
            gaps.push(gap);
        }
    }

    /// Pages read, what was gathered, what is missing of it, and the room that it takes.
    pub(super) fn into_parts(self) -> (usize, Sieve<'a>, Vec<Gap>, Held) {
        let sieve = self.sieve.into_inner().unwrap_or_else(PoisonError::into_inner);
        let gaps = self.gaps.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.pages.into_inner(), sieve, gaps, self.taken.into_held())
    }

    /// Follows a search to its end, or to a bound; only its first page where `follows` is false.
    pub(super) async fn walk<T: Transport>(
        &self,
        client: &MemberClient<T>,
        base: &MemberBase,
        resource_type: Option<&str>,
        first: Ask,
        deadline: Instant,
        follows: bool,
    ) -> Walked {
        let mut walked = Walked::default();
        let mut visited = HashSet::new();
        let mut ask = first;
        loop {
            visited.insert(ask.url.clone());
            match self.page(client, base, resource_type, &ask, deadline, &mut walked).await {
                Ok(None) => return walked,
                Ok(Some(_)) if !follows => {
                    walked.ended = Some(Cut::NextUnsafe.into());
                    return walked;
                }
                Ok(Some(next)) if visited.contains(&next) => {
                    walked.ended = Some(Cut::NextRepeats.into());
                    return walked;
                }
                Ok(Some(next)) => ask = Ask::get(next),
                Err(end) => {
                    walked.ended = Some(end);
                    return walked;
                }
            }
        }
    }

    async fn page<T: Transport>(
        &self,
        client: &MemberClient<T>,
        base: &MemberBase,
        resource_type: Option<&str>,
        ask: &Ask,
        deadline: Instant,
        walked: &mut Walked,
    ) -> Result<Option<Url>, WalkEnd> {
        if walked.pages >= usize::from(self.limits.pages_max) {
            return Err(Cut::Pages.into());
        }
        let body = self.fetch(client, ask, deadline).await?;
        let bundle =
            Bundle::parse(&body).map_err(|_| WalkEnd::from(AskError::fault(Fault::NotFhir)))?;
        walked.pages += 1;
        walked.matches += bundle
            .entries
            .iter()
            .filter(|entry| resource_type.is_none_or(|kind| entry.resource.resource_type() == kind))
            .count();
        let next = bundle.link("next").map(|link| base.follow(&ask.url, link));
        self.sieve().add_page(bundle.entries, bundle.malformed_entries)?;
        next.transpose().map_err(|_| Cut::NextElsewhere.into())
    }

    /// One request that counts against the answer's bytes.
    pub(super) async fn fetch<T: Transport>(
        &self,
        client: &MemberClient<T>,
        ask: &Ask,
        deadline: Instant,
    ) -> Result<bytes::Bytes, WalkEnd> {
        let left = (self.limits.answer_bytes_max as usize)
            .saturating_sub(self.bytes.load(Ordering::Relaxed));
        if left == 0 {
            return Err(Cut::Bytes.into());
        }
        let bytes_max = left.min(self.limits.page_bytes_max as usize);
        let body = client.ask(ask, bytes_max, deadline).await?;
        if !self.taken.take(body.len()) {
            return Err(Cut::NoRoom.into());
        }
        self.bytes.fetch_add(body.len(), Ordering::Relaxed);
        self.pages.fetch_add(1, Ordering::Relaxed);
        Ok(body)
    }
}
