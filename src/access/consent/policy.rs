use serde::Deserialize;

use crate::domain::PurposeOfUse;

/// What the exchange does where no consent on file says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentSettings {
    /// The policy in force without a consent on file.
    pub default_policy: DefaultPolicy,
    /// Whether the purpose BTG overrides a consent on file that denies. It never overrides the
    /// default policy.
    pub break_glass: bool,
    /// What happens to data without security labels where a consent withholds labelled data.
    pub unlabelled: Unlabelled,
}

impl Default for ConsentSettings {
    fn default() -> Self {
        Self {
            default_policy: DefaultPolicy::PermitTreatment,
            break_glass: true,
            unlabelled: Unlabelled::Withhold,
        }
    }
}

/// IHE PCF implicit policies, by their canonical URIs; exactly one is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DefaultPolicy {
    /// Treatment, and its narrower purposes.
    #[serde(rename = "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal")]
    PermitTreatment,
    /// Every purpose that the client may act for.
    #[serde(rename = "https://profiles.ihe.net/ITI/PCF/Policy-all-normal")]
    PermitAll,
    /// Emergencies only.
    #[serde(rename = "https://profiles.ihe.net/ITI/PCF/Policy-break-glass-only")]
    EmergencyOnly,
    /// Nothing.
    #[serde(rename = "https://profiles.ihe.net/ITI/PCF/Policy-deny")]
    Deny,
}

impl DefaultPolicy {
    pub(super) fn permits(self, purpose: PurposeOfUse) -> bool {
        match self {
            Self::PermitTreatment => purpose.is_a(PurposeOfUse::Treatment),
            Self::PermitAll => true,
            Self::EmergencyOnly => purpose.is_emergency(),
            Self::Deny => false,
        }
    }
}

/// Data that no security label describes, where labelled data are withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlabelled {
    /// Withheld: they may be what the patient meant.
    Withhold,
    /// Released: members label whatever is sensitive.
    Release,
}
