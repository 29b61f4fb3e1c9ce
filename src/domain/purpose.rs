use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why somebody asks: HL7 `v3-ActReason`, value set `v3-PurposeOfUse`, as far as the exchange knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PurposeOfUse {
    /// Treatment.
    Treatment,
    /// Emergency treatment, a kind of treatment.
    EmergencyTreatment,
    /// Break the glass, a kind of emergency treatment.
    BreakGlass,
    /// Payment.
    Payment,
    /// Health care operations.
    Operations,
    /// Public health.
    PublicHealth,
    /// The patient asks.
    PatientRequest,
    /// Research.
    Research,
}

impl PurposeOfUse {
    /// Every purpose, for tables.
    pub const ALL: [Self; 8] = [
        Self::Treatment,
        Self::EmergencyTreatment,
        Self::BreakGlass,
        Self::Payment,
        Self::Operations,
        Self::PublicHealth,
        Self::PatientRequest,
        Self::Research,
    ];

    /// The code system of the codes.
    pub const SYSTEM: &'static str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

    /// The HL7 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Treatment => "TREAT",
            Self::EmergencyTreatment => "ETREAT",
            Self::BreakGlass => "BTG",
            Self::Payment => "HPAYMT",
            Self::Operations => "HOPERAT",
            Self::PublicHealth => "PUBHLTH",
            Self::PatientRequest => "PATRQT",
            Self::Research => "HRESCH",
        }
    }

    /// Parses the HL7 code.
    pub fn parse(code: &str) -> Result<Self, UnknownPurpose> {
        Self::ALL.into_iter().find(|p| p.code() == code).ok_or(UnknownPurpose)
    }

    /// The next wider purpose: BTG is a kind of ETREAT, ETREAT a kind of TREAT.
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::BreakGlass => Some(Self::EmergencyTreatment),
            Self::EmergencyTreatment => Some(Self::Treatment),
            _ => None,
        }
    }

    /// Whether `self` is `wider` or a kind of it.
    pub fn is_a(self, wider: Self) -> bool {
        self == wider || self.parent().is_some_and(|parent| parent.is_a(wider))
    }

    /// Whether somebody's life may hang on the answer.
    pub fn is_emergency(self) -> bool {
        self.is_a(Self::EmergencyTreatment)
    }
}

impl fmt::Display for PurposeOfUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for PurposeOfUse {
    type Error = UnknownPurpose;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        Self::parse(&code)
    }
}

impl From<PurposeOfUse> for String {
    fn from(purpose: PurposeOfUse) -> Self {
        purpose.code().to_owned()
    }
}

/// A purpose that the exchange does not know.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a purpose of use that this exchange knows")]
pub struct UnknownPurpose;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaking_the_glass_is_treatment_but_treatment_is_no_emergency() {
        assert!(PurposeOfUse::BreakGlass.is_a(PurposeOfUse::Treatment));
        assert!(PurposeOfUse::BreakGlass.is_emergency());
        assert!(!PurposeOfUse::Treatment.is_emergency());
        assert!(!PurposeOfUse::Payment.is_a(PurposeOfUse::Treatment));
    }

    #[test]
    fn codes_parse_back() {
        for purpose in PurposeOfUse::ALL {
            assert_eq!(PurposeOfUse::parse(purpose.code()), Ok(purpose));
        }
        assert_eq!(PurposeOfUse::parse("treat"), Err(UnknownPurpose));
    }
}
