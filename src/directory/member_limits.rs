use serde::{Deserialize, Serialize};

use super::invalid_member::{InvalidMember, within};

/// Bounds on what one member's answer to one query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberLimits {
    /// Requests in flight at the member over all queries (its bulkhead): 1 to 256.
    pub requests_max: u16,
    /// Pages followed in one search: 1 to 1,000.
    pub pages_max: u16,
    /// Resources taken in one answer: 1 to 100,000.
    pub resources_max: u32,
    /// Bytes of one response body, inflated: 1 KiB to 256 MiB.
    pub page_bytes_max: u32,
    /// Bytes of all bodies of one answer, inflated: 1 KiB to 1 GiB.
    pub answer_bytes_max: u32,
}

impl Default for MemberLimits {
    fn default() -> Self {
        Self {
            requests_max: 16,
            pages_max: 50,
            resources_max: 10_000,
            page_bytes_max: 16 << 20,
            answer_bytes_max: 64 << 20,
        }
    }
}

impl MemberLimits {
    pub(super) fn check(&self) -> Result<(), InvalidMember> {
        within("limits.requests_max", self.requests_max.into(), 1, 256)?;
        within("limits.pages_max", self.pages_max.into(), 1, 1_000)?;
        within("limits.resources_max", self.resources_max.into(), 1, 100_000)?;
        within("limits.page_bytes_max", self.page_bytes_max.into(), 1 << 10, 256 << 20)?;
        within("limits.answer_bytes_max", self.answer_bytes_max.into(), 1 << 10, 1 << 30)?;
        if self.answer_bytes_max < self.page_bytes_max {
            return Err(InvalidMember::AnswerBelowPage);
        }
        Ok(())
    }
}
