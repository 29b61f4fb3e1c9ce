//! The bounds of the fan-out; `config` fills them, `docs/federation.md` gives the reasons.
//!
//! What one member's answer may cost stands with the member, in [`crate::directory::MemberLimits`].

use std::time::Duration;

use serde::Deserialize;

/// Bounds of the fan-out.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FederationSettings {
    /// Worker threads of the runtime that talks to members.
    pub worker_threads: usize,
    /// How long a query may take in an emergency, in milliseconds.
    pub emergency_deadline_ms: u64,
    /// How long any other query may take, in milliseconds.
    pub routine_deadline_ms: u64,
    /// Members asked by one query; the rest are listed as not asked.
    pub members_per_query_max: usize,
    /// Source records asked for at one member; the rest are listed as not asked.
    pub records_per_member_max: usize,
    /// Whether the requester's own organization is asked too.
    pub ask_own_organization: bool,
    /// Members at which one query looks for its patient; the rest are listed as not asked.
    pub discovery_members_max: usize,
    /// Patients looked at where one is looked for; where a member gives more, none is taken.
    pub discovery_candidates_max: usize,
    /// How long looking for a patient at a member may take, in milliseconds.
    pub discovery_deadline_ms: u64,
    /// Bytes of members' answers that are held at once, over all queries.
    pub answers_bytes_max: usize,
    /// Requests under way to all members together.
    pub requests_in_all_max: usize,
    /// How long a CapabilityStatement is believed, in seconds.
    pub capability_ttl_s: u64,
    /// Searches of one source record under way at one member.
    pub searches_at_once_max: usize,
    /// Matches asked for per page (`_count`).
    pub page_matches: usize,
    /// Referenced resources, such as a Medication, that are read one by one per source record.
    pub references_max: usize,
    /// How long connecting may take, TLS included, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long one request may take, its body included, in milliseconds.
    pub request_timeout_ms: u64,
    /// Attempts at one request, the first included.
    pub attempts_max: u32,
    /// Pause before the first retry, doubled each time, in milliseconds; jittered.
    pub retry_pause_ms: u64,
    /// Share of a member's requests that may be retries, in percent.
    pub retry_budget_percent: u32,
    /// Share of a member's requests that may be hedges, in percent.
    pub hedge_budget_percent: u32,
    /// Failures in a row that open a member's circuit breaker.
    pub breaker_failures: u32,
    /// How long the breaker stays open before one probe, in milliseconds.
    pub breaker_open_ms: u64,
    /// In an emergency a member is waited for this many times as long as 99 of 100 of its answers
    /// take; 0 for its own deadline always.
    pub adaptive_deadline_factor: u32,
    /// An adaptive deadline is never shorter, in milliseconds.
    pub adaptive_deadline_floor_ms: u64,
    /// Requests in a hundred that a member should answer; what is left of the failures that this
    /// allows is its error budget.
    pub objective_percent: f64,
    /// How often members are walked through as before their activation, in seconds; 0 for never.
    pub check_interval_s: u64,
    /// How often members are looked at without being asked for anybody, in seconds; 0 for never.
    pub probe_interval_s: u64,
}

impl Default for FederationSettings {
    fn default() -> Self {
        Self {
            worker_threads: 2,
            emergency_deadline_ms: 8_000,
            routine_deadline_ms: 30_000,
            members_per_query_max: 64,
            records_per_member_max: 8,
            ask_own_organization: false,
            discovery_members_max: 16,
            discovery_candidates_max: 20,
            discovery_deadline_ms: 3_000,
            answers_bytes_max: 1 << 30,
            requests_in_all_max: 512,
            capability_ttl_s: 3_600,
            searches_at_once_max: 8,
            page_matches: 250,
            references_max: 64,
            connect_timeout_ms: 3_000,
            request_timeout_ms: 20_000,
            attempts_max: 3,
            retry_pause_ms: 100,
            retry_budget_percent: 10,
            hedge_budget_percent: 5,
            breaker_failures: 5,
            breaker_open_ms: 10_000,
            adaptive_deadline_factor: 4,
            adaptive_deadline_floor_ms: 2_000,
            objective_percent: 99.0,
            check_interval_s: 86_400,
            probe_interval_s: 900,
        }
    }
}

impl FederationSettings {
    /// How long a query of this urgency may take.
    pub fn deadline(&self, emergency: bool) -> Duration {
        let ms = if emergency { self.emergency_deadline_ms } else { self.routine_deadline_ms };
        Duration::from_millis(ms)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn retry_pause(&self) -> Duration {
        Duration::from_millis(self.retry_pause_ms)
    }

    pub(super) fn breaker_open(&self) -> Duration {
        Duration::from_millis(self.breaker_open_ms)
    }
}
