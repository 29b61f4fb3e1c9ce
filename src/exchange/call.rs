use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{Exchange, ExchangeError, Told, rejected};
use crate::{
    access::{
        AuditStart, Closing, Interaction, OpenAudit, RawRequest, Refusal, Released, Requester, Role,
    },
    domain::{EnterpriseId, PurposeOfUse, RequestId},
};

/// One request on its way in: who asks, from where, for what purpose, in which words.
#[derive(Clone)]
pub struct Call {
    /// Minted where the request came in.
    pub request_id: RequestId,
    /// The authenticated client, or why it is none.
    pub requester: Result<Arc<Requester>, Refusal>,
    /// Where the request came from.
    pub client_address: Option<IpAddr>,
    /// The purpose of use as told; the client's default where nothing is told.
    pub told_purpose: Option<String>,
    /// The oldest answer that may be used in a member's place, where it was kept; zero: members are
    /// asked (`Cache-Control`).
    pub kept_age_max: Duration,
    /// The request as it came, for the audit trail.
    pub raw: RawRequest,
}

/// What a journey is about, as far as the request tells.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) patient: Option<EnterpriseId>,
    pub(super) resource: Option<String>,
}

impl About {
    pub(super) fn patient(id: EnterpriseId) -> Self {
        Self { patient: Some(id), resource: Some(format!("Patient/{id}")) }
    }

    /// A review task.
    pub(super) fn task(no: u64) -> Self {
        Self::resource(format!("Task/{no}"))
    }

    pub(super) fn resource(resource: String) -> Self {
        Self { patient: None, resource: Some(resource) }
    }
}

impl Call {
    /// The client, or the refusal that authentication ended with.
    pub(super) fn requester(&self) -> Result<&Arc<Requester>, Refusal> {
        self.requester.as_ref().map_err(|refusal| *refusal)
    }

    /// The purpose of this request, as far as the client may act for it.
    pub(super) fn purpose(&self) -> Result<PurposeOfUse, Refusal> {
        self.requester()?.purpose(self.told_purpose.as_deref())
    }

    /// What the journal names as the message: what was told, or else this request.
    pub(super) fn source_message(&self, told: &Told) -> String {
        told.source_message.clone().unwrap_or_else(|| self.request_id.to_string())
    }

    /// Opens the audit of this call, before anything else is done.
    pub(super) async fn open(
        &self,
        exchange: &Exchange,
        interaction: Interaction,
        about: About,
    ) -> Result<OpenAudit, ExchangeError> {
        let start = AuditStart {
            request_id: self.request_id,
            requester: self.requester.as_ref().ok().cloned(),
            client_address: self.client_address,
            interaction,
            purpose: self.purpose().ok(),
            patient: about.patient,
            resource: about.resource,
            query: self.raw.clone(),
        };
        Ok(exchange.audit.open(start).await?)
    }
}

/// A journey's answer and how its audit closes.
pub(super) type Outcome<T> = Result<(Closing, T), ExchangeError>;

/// Closes the audit, whatever became of the journey, and only then lets the answer go.
pub(super) async fn settle<T>(
    audit: OpenAudit,
    outcome: Outcome<T>,
) -> Result<Released<T>, ExchangeError> {
    match outcome {
        Ok((closing, answer)) => Ok(audit.close(closing, answer).await?),
        Err(error) => {
            audit.close(rejected(&error), ()).await?.into_inner();
            Err(error)
        }
    }
}

/// Lets somebody look at what is no patient's, such as the directory: any client, or one with a
/// role. A refusal is audited.
pub async fn admit(
    exchange: &Exchange,
    call: &Call,
    interaction: Interaction,
    role: Option<Role>,
) -> Result<(), ExchangeError> {
    let admitted = call.requester().and_then(|who| role.map_or(Ok(()), |role| who.may(role)));
    let Err(refusal) = admitted else { return Ok(()) };
    let audit = call.open(exchange, interaction, About::default()).await?;
    settle(audit, Err(refusal.into())).await.map(Released::into_inner)
}

/// Audits a request that failed before a journey began, such as one whose body cannot be read.
///
/// An error where the caller may not ask at all: that is what it then is told, and nothing else.
pub async fn reject(
    exchange: &Exchange,
    call: &Call,
    interaction: Interaction,
) -> Result<(), ExchangeError> {
    let audit = call.open(exchange, interaction, About::default()).await?;
    let outcome = match call.requester() {
        Ok(_) => Ok((Closing::Rejected("the request cannot be read"), ())),
        Err(refusal) => Err(refusal.into()),
    };
    settle(audit, outcome).await.map(Released::into_inner)
}
