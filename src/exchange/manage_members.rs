//! Brings members on, changes them and lets them go: each change checked, audited, versioned, and
//! reversible.

use futures_util::{StreamExt as _, future::try_join_all, stream};
use uuid::Uuid;

use super::{Call, ExchangeError, error::rejected};
use crate::{
    access::{AuditLog, AuditStart, Closing, Interaction, OpenAudit, RawRequest, Role},
    directory::{Change, Directory, Learned, Member, MemberStatus, Roster, changes},
    domain::{Clock, LocalId, MemberCode, RequestId},
    federation::{Checkup, Federation, Probe},
};

/// The kind under which a check is written down.
const CHECK: &str = "check";
/// The kind under which a change of capabilities is written down.
const CAPABILITIES: &str = "capabilities";
/// The kind under which oddities are written down that a member's entry does not tell.
const ODDITIES: &str = "oddities";

/// Members looked at together: those that hang must not hold up the others for long.
const PROBES_AT_ONCE: usize = 16;

/// Members walked through together; a walk is some forty requests.
const CHECKS_AT_ONCE: usize = 2;

/// What managing members leans on; a command has this at hand without a whole gateway.
#[derive(Clone, Copy)]
pub struct MemberDesk<'a> {
    /// The members.
    pub directory: &'a Directory,
    /// The way to them.
    pub federation: &'a Federation,
    /// The audit trail.
    pub audit: &'a AuditLog,
    /// The time of day.
    pub clock: &'a dyn Clock,
}

/// Who manages.
#[derive(Clone, Copy)]
pub enum Manager<'a> {
    /// A command on this machine, such as `tessera member apply`, and what it was given.
    Command(&'a str, &'a str),
    /// A request of a client with the operator's role.
    Call(&'a Call),
}

impl Manager<'_> {
    /// Refuses who is no operator.
    fn may(&self) -> Result<(), ExchangeError> {
        match self {
            Self::Command(..) => Ok(()),
            Self::Call(call) => Ok(call.requester()?.may(Role::Operator)?),
        }
    }

    fn start(&self, resource: String) -> AuditStart {
        let start = AuditStart {
            request_id: RequestId::new(Uuid::new_v4()),
            requester: None,
            client_address: None,
            interaction: Interaction::Administration,
            purpose: None,
            patient: None,
            resource: Some(resource),
            query: RawRequest::default(),
        };
        match self {
            Self::Command(command, given) => AuditStart {
                query: RawRequest {
                    method: (*command).to_owned(),
                    path: (*given).to_owned(),
                    ..RawRequest::default()
                },
                ..start
            },
            Self::Call(call) => AuditStart {
                request_id: call.request_id,
                requester: call.requester.as_ref().ok().cloned(),
                client_address: call.client_address,
                query: call.raw.clone(),
                ..start
            },
        }
    }
}

impl MemberDesk<'_> {
    /// Adds and changes what is told, all of it or nothing. Whoever would be asked from now on is
    /// checked first; one that fails is saved by nobody.
    pub async fn apply(
        self,
        manager: Manager<'_>,
        told: Roster,
    ) -> Result<Vec<Change>, ExchangeError> {
        let known = self.directory.roster();
        let told = told.keeping_statuses_of(&known);
        let audits = self.open(manager, &known, &told).await?;
        let applied = self.apply_checked(manager, &known, told).await;
        for (audit, resource, created) in audits {
            let closing = match &applied {
                Ok(_) => Closing::Wrote { resource, person: None, created },
                Err(error) => rejected(error),
            };
            audit.close(closing, ()).await?.into_inner();
        }
        applied
    }

    async fn apply_checked(
        self,
        manager: Manager<'_>,
        known: &Roster,
        told: Roster,
    ) -> Result<Vec<Change>, ExchangeError> {
        manager.may()?;
        let checks = told
            .members()
            .filter(|member| needs_check(known.member(member.code()), member))
            .map(|member| self.pass(member, None));
        try_join_all(checks).await?;
        Ok(self.directory.apply(told, self.clock.now()).await?)
    }

    /// Moves a member to another status. To be asked it must pass its check.
    pub async fn set_status(
        self,
        manager: Manager<'_>,
        code: &MemberCode,
        status: MemberStatus,
        patient: Option<LocalId>,
    ) -> Result<Vec<Change>, ExchangeError> {
        let resource = format!("Organization/{code}");
        let audit = self.audit.open(manager.start(resource.clone())).await?;
        let changed = async {
            manager.may()?;
            let known = self.member(code)?;
            let told = known.with_status(status);
            if needs_check(Some(&known), &told) {
                self.pass(&told, patient).await?;
            }
            self.save(told).await
        };
        settle(audit, resource, changed.await).await
    }

    /// Walks through everything that an active member needs, and writes down what was found.
    /// `learn` saves the oddities that were noticed with the member.
    pub async fn check(
        self,
        manager: Manager<'_>,
        code: &MemberCode,
        patient: Option<LocalId>,
        learn: bool,
    ) -> Result<Checkup, ExchangeError> {
        let resource = format!("Organization/{code}");
        let audit = self.audit.open(manager.start(resource.clone())).await?;
        let checked = async {
            manager.may()?;
            let member = self.member(code)?;
            let checkup = self.walk(&member, patient).await?;
            if learn && !checkup.learned.is_empty() {
                self.save(member.with_learned(&checkup.learned)).await?;
            }
            Ok(checkup)
        };
        settle(audit, resource, checked.await).await
    }

    /// Makes an earlier version of a member's entry the newest one.
    pub async fn revert(
        self,
        manager: Manager<'_>,
        code: &MemberCode,
        version: u32,
    ) -> Result<Vec<Change>, ExchangeError> {
        let resource = format!("Organization/{code}");
        let audit = self.audit.open(manager.start(resource.clone())).await?;
        let reverted = async {
            manager.may()?;
            let known = self.member(code)?;
            let history = self.directory.history(code).await?;
            let earlier = history.into_iter().find(|(number, ..)| *number == version);
            let (_, _, told) = earlier.ok_or(ExchangeError::UnknownVersion)?;
            if needs_check(Some(&known), &told) {
                self.pass(&told, None).await?;
            }
            self.save(told).await
        };
        settle(audit, resource, reverted.await).await
    }

    /// Walks through every member that is asked as before its activation, and writes down what is odd
    /// about its server and its entry does not tell. Saving that is an operator's decision.
    pub async fn check_all(self) {
        let roster = self.directory.roster();
        let checking = roster.members().filter(is_watched).map(|member| async move {
            if let Err(error) = self.check_again(member).await {
                tracing::error!(member.id = %member.code(), %error, "a check was not written down");
            }
        });
        let checking: Vec<_> = checking.collect();
        stream::iter(checking).buffer_unordered(CHECKS_AT_ONCE).collect::<()>().await;
    }

    async fn check_again(self, member: &Member) -> Result<(), ExchangeError> {
        let checkup = self.walk(member, None).await?;
        if let Some(failure) = checkup.failure() {
            tracing::warn!(member.id = %member.code(), %failure, "a member fails its check");
        }
        let odd = checkup.learned.beyond(member);
        let known = self.directory.finding(member.code(), ODDITIES).await?;
        let known = known.and_then(|(_, body)| serde_json::from_str::<Learned>(&body).ok());
        if known.unwrap_or_default() == odd {
            return Ok(());
        }
        if !odd.is_empty() {
            let code = member.code().to_string();
            metrics::counter!("tessera_member_oddities_total", "member" => code).increment(1);
            tracing::warn!(member.id = %member.code(), %odd,
                "a member is odd in a way that its entry does not tell; `member test --learn` saves it");
        }
        let body = serde_json::to_string(&odd).expect("oddities are plain data");
        Ok(self.directory.note(member.code(), ODDITIES, body, self.clock.now()).await?)
    }

    /// Looks at every member that is asked, and writes down whose capabilities have changed.
    pub async fn probe_all(self) {
        let roster = self.directory.roster();
        let probing = roster.members().filter(is_watched).map(|member| async move {
            let probe = self.federation.probe(member.clone()).await;
            if let Err(error) = self.compare(member.code(), &probe).await {
                tracing::error!(member.id = %member.code(), %error, "a probe was not written down");
            }
        });
        let probing: Vec<_> = probing.collect();
        stream::iter(probing).buffer_unordered(PROBES_AT_ONCE).collect::<()>().await;
    }

    async fn compare(self, code: &MemberCode, probe: &Probe) -> Result<(), ExchangeError> {
        let Some(now) = &probe.capabilities else { return Ok(()) };
        let known = self.directory.finding(code, CAPABILITIES).await?;
        let earlier = known.and_then(|(_, body)| serde_json::from_str(&body).ok());
        let changes = earlier.as_ref().map(|earlier| now.changes_since(earlier));
        match &changes {
            Some(changes) if changes.is_empty() => return Ok(()),
            Some(changes) => {
                let member = code.to_string();
                metrics::counter!("tessera_member_capability_changes_total", "member" => member)
                    .increment(1);
                tracing::warn!(member.id = %code, changes = %changes.join("; "),
                    "a member's capabilities changed");
            }
            None => {}
        }
        let body = serde_json::to_string(now).expect("capabilities are plain data");
        Ok(self.directory.note(code, CAPABILITIES, body, self.clock.now()).await?)
    }

    fn member(self, code: &MemberCode) -> Result<Member, ExchangeError> {
        self.directory.roster().member(code).cloned().ok_or(ExchangeError::UnknownMember)
    }

    async fn pass(self, member: &Member, patient: Option<LocalId>) -> Result<(), ExchangeError> {
        let checkup = self.walk(member, patient).await?;
        if checkup.passed() {
            return Ok(());
        }
        Err(ExchangeError::CheckFailed(member.code().clone(), Box::new(checkup)))
    }

    async fn walk(
        self,
        member: &Member,
        patient: Option<LocalId>,
    ) -> Result<Checkup, ExchangeError> {
        let patient = patient.or_else(|| member.check_patient());
        let checkup = self.federation.check(member.clone(), patient).await;
        let body = serde_json::to_string(&checkup).expect("a check is plain data");
        self.directory.note(member.code(), CHECK, body, self.clock.now()).await?;
        Ok(checkup)
    }

    async fn save(self, told: Member) -> Result<Vec<Change>, ExchangeError> {
        let code = told.code().clone();
        let roster = Roster::new([told]).map_err(crate::directory::DirectoryError::from)?;
        let changes = self.directory.apply(roster, self.clock.now()).await?;
        Ok(changes.into_iter().filter(|change| *change.code() == code).collect())
    }

    /// Opens the audit of each member that will change, before any does.
    async fn open(
        self,
        manager: Manager<'_>,
        known: &Roster,
        told: &Roster,
    ) -> Result<Vec<(OpenAudit, String, bool)>, ExchangeError> {
        let mut audits = Vec::new();
        for change in changes(known, told) {
            let created = matches!(change, Change::Added(_));
            if created || matches!(change, Change::Changed { .. }) {
                let resource = format!("Organization/{}", change.code());
                let audit = self.audit.open(manager.start(resource.clone())).await?;
                audits.push((audit, resource, created));
            }
        }
        Ok(audits)
    }
}

/// Whether a member is looked at without being asked for anybody.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "a filter passes it so")]
fn is_watched(member: &&Member) -> bool {
    member.status().is_asked() || member.status() == MemberStatus::Testing
}

/// Whether a member would be asked from now on that was not asked before, or not so.
fn needs_check(known: Option<&Member>, told: &Member) -> bool {
    let asked_so =
        known.is_some_and(|known| known.status().is_asked() && known.is_reached_like(told));
    told.status().is_asked() && !asked_so
}

async fn settle<T>(
    audit: OpenAudit,
    resource: String,
    outcome: Result<T, ExchangeError>,
) -> Result<T, ExchangeError> {
    let closing = match &outcome {
        Ok(_) => Closing::Wrote { resource, person: None, created: false },
        Err(error) => rejected(error),
    };
    audit.close(closing, ()).await?.into_inner();
    outcome
}
