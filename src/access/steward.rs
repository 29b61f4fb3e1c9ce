use std::sync::Arc;

use super::{Refusal, Requester, Role};

/// Proof that somebody may see and decide uncertain links. Only `access` makes one.
///
/// A steward judges who is who, so it sees the demographics of both sides, whatever was consented to
/// for care; never clinical data. Each look is audited, person by person.
#[derive(Clone, Debug)]
pub struct StewardPermit {
    requester: Arc<Requester>,
}

impl StewardPermit {
    /// Decides whether the requester is a steward.
    pub fn decide(requester: &Arc<Requester>) -> Result<Self, Refusal> {
        requester.may(Role::Steward)?;
        Ok(Self { requester: Arc::clone(requester) })
    }

    /// The client that acts, for the journal.
    pub fn client_id(&self) -> &str {
        self.requester.client_id()
    }
}
