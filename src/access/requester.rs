use std::fmt;

use serde::Deserialize;

use super::Refusal;
use crate::domain::{MemberCode, PurposeOfUse};

/// Who asks: an authenticated client of the exchange. Only [`super::Clients`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    pub(super) client_id: String,
    pub(super) organization: RequestingOrganization,
    pub(super) roles: RoleSet,
    pub(super) purposes: Vec<PurposeOfUse>,
    pub(super) default_purpose: Option<PurposeOfUse>,
}

/// The organization that a client acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestingOrganization {
    /// What people read.
    pub name: String,
    /// Its identifier, a URI such as `urn:oid:…`.
    pub identifier: String,
    /// Its code, where it is a member.
    pub member: Option<MemberCode>,
}

impl Requester {
    /// The client's id, as in `clients.toml`.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The organization it acts for.
    pub fn organization(&self) -> &RequestingOrganization {
        &self.organization
    }

    /// The member it acts for, where it is one.
    pub fn member(&self) -> Option<&MemberCode> {
        self.organization.member.as_ref()
    }

    /// Refuses a requester without the role.
    pub fn may(&self, role: Role) -> Result<(), Refusal> {
        if self.roles.has(role) { Ok(()) } else { Err(Refusal::MissingRole(role)) }
    }

    /// The purpose of this request: the one told, as an HL7 or TEFCA code, or the client's default.
    ///
    /// A purpose must be allowed by name. Being allowed the wider one does not allow the narrower:
    /// whoever may treat may not, for that alone, break the glass.
    pub fn purpose(&self, told: Option<&str>) -> Result<PurposeOfUse, Refusal> {
        let purpose = match told {
            Some(code) => parse_purpose(code).ok_or(Refusal::UnknownPurpose)?,
            None => self.default_purpose.ok_or(Refusal::NoPurpose)?,
        };
        if !self.purposes.contains(&purpose) {
            return Err(Refusal::PurposeNotAllowed(purpose));
        }
        if purpose.is_emergency() {
            self.may(Role::Emergency)?;
        }
        Ok(purpose)
    }
}

/// TEFCA exchange purpose codes (XP, OID 2.16.840.1.113883.3.7204.1.5.2.1) and the HL7 purpose each
/// stands for here. Longest prefix first within a family.
const TEFCA_PURPOSES: [(&str, PurposeOfUse); 6] = [
    ("T-TREAT", PurposeOfUse::Treatment),
    ("T-TRTMNT", PurposeOfUse::Treatment),
    ("T-PYMNT", PurposeOfUse::Payment),
    ("T-HCO", PurposeOfUse::Operations),
    ("T-PH", PurposeOfUse::PublicHealth),
    ("T-IAS", PurposeOfUse::PatientRequest),
];

fn parse_purpose(code: &str) -> Option<PurposeOfUse> {
    let tefca = || {
        // `T-HCO-CC` is a kind of `T-HCO`; `T-HCOX` is nothing.
        TEFCA_PURPOSES.into_iter().find_map(|(family, purpose)| {
            let rest = code.strip_prefix(family)?;
            (rest.is_empty() || rest.starts_with('-')).then_some(purpose)
        })
    };
    PurposeOfUse::parse(code).ok().or_else(tefca)
}

/// What a client may do at all, whatever the patient says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Tell the exchange about its own patients.
    Feed,
    /// Ask about patients.
    Query,
    /// Use the emergency purposes, ETREAT and BTG.
    Emergency,
    /// Decide uncertain links, record consents for others.
    Steward,
    /// Change members and settings.
    Operator,
    /// Read the audit trail.
    Auditor,
}

impl Role {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Feed => "feed",
            Self::Query => "query",
            Self::Emergency => "emergency",
            Self::Steward => "steward",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        })
    }
}

/// The roles of a client. No role includes another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleSet(u8);

impl RoleSet {
    /// Whether the role is among them.
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requester(roles: &[Role], purposes: &[PurposeOfUse]) -> Requester {
        Requester {
            client_id: "ed".to_owned(),
            organization: RequestingOrganization {
                name: "St. Anne".to_owned(),
                identifier: "urn:oid:1.2".to_owned(),
                member: None,
            },
            roles: roles.iter().copied().collect(),
            purposes: purposes.to_vec(),
            default_purpose: purposes.first().copied(),
        }
    }

    #[test]
    fn no_role_includes_another() {
        let all = [
            Role::Feed,
            Role::Query,
            Role::Emergency,
            Role::Steward,
            Role::Operator,
            Role::Auditor,
        ];
        for held in all {
            let requester = requester(&[held], &[]);
            for asked in all {
                let expected =
                    if held == asked { Ok(()) } else { Err(Refusal::MissingRole(asked)) };
                assert_eq!(requester.may(asked), expected, "{held} asked for {asked}");
            }
        }
    }

    #[test]
    fn a_purpose_is_allowed_by_its_own_name_and_emergencies_need_their_role() {
        use PurposeOfUse::{BreakGlass, EmergencyTreatment, Operations, Payment, Treatment};
        let plain = requester(&[Role::Query], &[Treatment, EmergencyTreatment, Operations]);
        let emergency =
            requester(&[Role::Query, Role::Emergency], &[Treatment, EmergencyTreatment]);
        for (who, told, expected) in [
            (&plain, None, Ok(Treatment)),
            (&plain, Some("TREAT"), Ok(Treatment)),
            (&plain, Some("T-TRTMNT"), Ok(Treatment)),
            (&plain, Some("T-HCO-CC"), Ok(Operations)),
            (&plain, Some("T-HCOX"), Err(Refusal::UnknownPurpose)),
            (&plain, Some("treat"), Err(Refusal::UnknownPurpose)),
            (&plain, Some(""), Err(Refusal::UnknownPurpose)),
            (&plain, Some("HPAYMT"), Err(Refusal::PurposeNotAllowed(Payment))),
            (&plain, Some("ETREAT"), Err(Refusal::MissingRole(Role::Emergency))),
            (&emergency, Some("ETREAT"), Ok(EmergencyTreatment)),
            (&emergency, Some("BTG"), Err(Refusal::PurposeNotAllowed(BreakGlass))),
        ] {
            assert_eq!(who.purpose(told), expected, "{told:?}");
        }
        assert_eq!(requester(&[Role::Query], &[]).purpose(None), Err(Refusal::NoPurpose));
    }
}
