use time::OffsetDateTime;

use crate::access::{Requester, SecurityLabel};
use crate::directory::{Member, Roster};
use crate::domain::{MemberCode, PurposeOfUse, RecordKey};

/// One patient's consent as the exchange understands it: an FHIR R4 Consent in the shape of IHE PCF,
/// anchored on a source record, so that it follows that record through merge and separation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentDirective {
    /// FHIR logical id.
    pub(super) id: String,
    /// From 1.
    pub(super) version: u32,
    /// The record it was given for.
    pub(super) anchor: RecordKey,
    /// Whether its status is *active*; any other is kept, and says nothing.
    pub(super) active: bool,
    /// When it was given; the newer supersedes.
    pub(super) given: OffsetDateTime,
    /// Policy and organizations it was given under: the newer supersedes only under the same.
    pub(super) frame: Frame,
    /// The base rule.
    pub(super) root: Provision,
    /// Exceptions to the base rule; they hold only where the base rule does.
    pub(super) exceptions: Vec<Provision>,
}

impl ConsentDirective {
    /// FHIR logical id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Version, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The source record it was given for.
    pub fn anchor(&self) -> &RecordKey {
        &self.anchor
    }

    pub(super) fn in_force(&self, now: OffsetDateTime) -> bool {
        self.active && self.root.period.covers(now)
    }

    /// Whether this one takes the other's place.
    pub(super) fn supersedes(&self, other: &Self) -> bool {
        self.anchor == other.anchor && self.frame == other.frame && other.given < self.given
    }

    /// Denies everything to everybody: stands for a stored consent that cannot be read any more.
    pub(super) fn deny_everything(id: String, version: u32, anchor: RecordKey) -> Self {
        Self {
            frame: Frame { policy: id.clone(), organizations: Vec::new() },
            id,
            version,
            anchor,
            active: true,
            given: OffsetDateTime::UNIX_EPOCH,
            root: Provision::everything(Effect::Deny),
            exceptions: Vec::new(),
        }
    }
}

/// What a consent was given under: policy URI and enforcing organizations, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) policy: String,
    pub(super) organizations: Vec<String>,
}

/// FHIR R4 `Consent.provision.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Permit,
    Deny,
}

/// One rule: what it does, and to which requests. An empty list restricts nothing.
///
/// A criterion that the exchange cannot read fails closed when it is parsed: a rule that permits
/// then never applies, one that denies applies as if the criterion were not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Provision {
    pub(super) effect: Effect,
    pub(super) never: bool,
    pub(super) period: Period,
    pub(super) purposes: Criterion<PurposeOfUse>,
    pub(super) recipients: Criterion<Actor>,
    pub(super) custodians: Criterion<Actor>,
    pub(super) labels: Vec<SecurityLabel>,
}

/// Any value, or one of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Criterion<T> {
    Any,
    OneOf(Vec<T>),
}

/// From and until when; both ends included, open where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) start: Option<OffsetDateTime>,
    /// The first instant after it.
    pub(super) end: Option<OffsetDateTime>,
}

impl Period {
    fn covers(self, now: OffsetDateTime) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now < end)
    }
}

/// An organization that a rule names: by member code or by identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    Member(MemberCode),
    Identifier(String),
}

impl Actor {
    /// The member it is, as the directory stands now.
    pub(super) fn member<'a>(&'a self, roster: &'a Roster) -> Option<&'a MemberCode> {
        match self {
            Self::Member(code) => roster.member(code).map(|_| code),
            Self::Identifier(identifier) => roster.by_organization(identifier).map(Member::code),
        }
    }

    fn is_requester(&self, requester: &Requester, roster: &Roster) -> bool {
        let organization = requester.organization();
        let named = match self {
            Self::Member(code) => organization.member.as_ref() == Some(code),
            Self::Identifier(identifier) => organization.identifier == *identifier,
        };
        named
            || organization.member.is_some() && self.member(roster) == organization.member.as_ref()
    }
}

/// Whose request is decided, and about whose data.
pub(super) struct Request<'a> {
    pub(super) requester: &'a Requester,
    pub(super) purpose: PurposeOfUse,
    pub(super) now: OffsetDateTime,
    pub(super) roster: &'a Roster,
    /// The member whose data are asked for; `None` stands for every member not named anywhere.
    pub(super) holder: Option<&'a MemberCode>,
}

impl Provision {
    pub(super) fn everything(effect: Effect) -> Self {
        Self {
            effect,
            never: false,
            period: Period::default(),
            purposes: Criterion::Any,
            recipients: Criterion::Any,
            custodians: Criterion::Any,
            labels: Vec::new(),
        }
    }

    pub(super) fn applies(&self, request: &Request<'_>) -> bool {
        !self.never
            && self.period.covers(request.now)
            && self.covers_purpose(request.purpose)
            && self.covers_recipient(request)
            && self.covers_holder(request)
    }

    /// Whether its rule, for whomever and whyever, is about the data asked for. A custodian whom nobody
    /// knows could be anybody.
    pub(super) fn is_about(&self, request: &Request<'_>) -> bool {
        let Criterion::OneOf(actors) = &self.custodians else { return true };
        actors.iter().any(|actor| {
            actor.member(request.roster).is_none_or(|code| request.holder == Some(code))
        })
    }

    /// Whether it is about data of some sensitivity only, rather than about all up to some degree of
    /// confidentiality.
    pub(super) fn is_by_sensitivity(&self) -> bool {
        !self.never && self.labels.iter().any(|label| label.confidentiality().is_none())
    }

    fn covers_purpose(&self, asked: PurposeOfUse) -> bool {
        match &self.purposes {
            Criterion::Any => true,
            Criterion::OneOf(purposes) => purposes.iter().any(|purpose| asked.is_a(*purpose)),
        }
    }

    fn covers_recipient(&self, request: &Request<'_>) -> bool {
        let Criterion::OneOf(actors) = &self.recipients else { return true };
        actors.iter().any(|actor| {
            actor.is_requester(request.requester, request.roster)
                || self.is_unresolved_deny(actor, request.roster)
        })
    }

    fn covers_holder(&self, request: &Request<'_>) -> bool {
        let Criterion::OneOf(actors) = &self.custodians else { return true };
        actors.iter().any(|actor| match actor.member(request.roster) {
            Some(code) => request.holder == Some(code),
            // Data of a custodian whom nobody knows could be anybody's.
            None => self.effect == Effect::Deny,
        })
    }

    /// A denied recipient told by a member code that no member has: it could be anybody.
    fn is_unresolved_deny(&self, actor: &Actor, roster: &Roster) -> bool {
        self.effect == Effect::Deny
            && matches!(actor, Actor::Member(_))
            && actor.member(roster).is_none()
    }

    /// How narrowly it is meant.
    pub(super) fn specificity(&self, asked: PurposeOfUse) -> Specificity {
        let purpose = match &self.purposes {
            Criterion::Any => 0,
            Criterion::OneOf(purposes) => purposes
                .iter()
                .filter(|purpose| asked.is_a(**purpose))
                .map(|purpose| depth(*purpose))
                .max()
                .unwrap_or(0),
        };
        Specificity {
            purpose,
            recipient: u8::from(self.recipients != Criterion::Any),
            custodian: u8::from(self.custodians != Criterion::Any),
        }
    }
}

fn depth(purpose: PurposeOfUse) -> u8 {
    1 + purpose.parent().map_or(0, depth)
}

/// How narrowly a rule is meant, criterion by criterion. Rules that are narrow in different ways
/// cannot be compared, and neither outweighs the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Specificity {
    purpose: u8,
    recipient: u8,
    custodian: u8,
}

impl Specificity {
    /// Narrower in some way, and in no way wider.
    pub(super) fn outweighs(self, other: Self) -> bool {
        self != other && self.and(other) == self
    }

    /// As narrow as both together: an exception holds only within its base rule.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            purpose: self.purpose.max(other.purpose),
            recipient: self.recipient.max(other.recipient),
            custodian: self.custodian.max(other.custodian),
        }
    }
}
