use std::ops::RangeInclusive;

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    event::DISCOVERY,
    log::{AuditError, AuditLog},
};
use crate::{domain::EnterpriseId, storage::AuditRow};

/// Rows read at once.
const PAGE_ROWS: u32 = 1_000;

/// Something about a person that was shown to somebody, as the trail has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The row of the trail.
    pub seq: u64,
    /// When.
    pub recorded: OffsetDateTime,
    /// The client that asked.
    pub client_id: String,
    /// The organization that it acts for.
    pub organization: String,
    /// The purpose of use, where one applied.
    pub purpose: Option<String>,
    /// What was asked for: an IHE transaction, or else the FHIR interaction.
    pub interaction: String,
    /// The request.
    pub request_id: String,
}

impl Shown {
    /// Reads a row; `None` where nothing was shown by it: a write, a refusal, an alert beside another.
    fn of(row: &AuditRow) -> Option<Self> {
        let body: Value = serde_json::from_str(&row.entry.body).ok()?;
        let is_alert = body["type"]["code"] != "rest";
        let shows = ["E", "R"].iter().any(|action| body["action"] == *action);
        if is_alert || !shows || body["outcome"] != "0" {
            return None;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let who = &body["agent"][0]["who"];
        let interaction = body["subtype"].as_array()?.last()?;
        // Demographics went to a member, and nothing to whoever asked.
        if interaction["code"] == DISCOVERY {
            return None;
        }
        Some(Self {
            seq: row.seq,
            recorded: row.entry.recorded,
            client_id: text(&who["identifier"]["value"]),
            organization: text(&who["display"]),
            purpose: body["purposeOfEvent"][0]["coding"][0]["code"].as_str().map(str::to_owned),
            interaction: text(&interaction["code"]),
            request_id: row.entry.request_id.to_string(),
        })
    }
}

impl AuditLog {
    /// Who was shown something of a person within a span of time, oldest first; at most `shown_max`,
    /// and whether there is more.
    pub async fn shown(
        &self,
        persons: &[EnterpriseId],
        span: RangeInclusive<OffsetDateTime>,
        shown_max: usize,
    ) -> Result<(Vec<Shown>, bool), AuditError> {
        let mut shown = Vec::new();
        for person in persons {
            let mut after = 0;
            loop {
                let reader = self.reader();
                let rows =
                    reader.audit_rows_within(*person, span.clone(), after, PAGE_ROWS).await?;
                shown.extend(rows.iter().filter_map(Shown::of));
                let Some(last) = rows.last().filter(|_| shown.len() <= shown_max) else { break };
                after = last.seq;
            }
        }
        shown.sort_unstable_by_key(|one| one.seq);
        let more = shown.len() > shown_max;
        shown.truncate(shown_max);
        Ok((shown, more))
    }
}
