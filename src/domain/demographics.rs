use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Address, PartialDate};

/// What a source tells of one patient, as told: nothing normalized, nothing thrown away.
///
/// Serialized into the journal, so a field may be added but never renamed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Demographics {
    /// All names, current and historical, the most usual first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Name>,
    /// Date of birth, as precise as the source knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<PartialDate>,
    /// Administrative sex; `None` where unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    /// All addresses, current and historical.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Telephone numbers as told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<String>,
    /// E-mail addresses as told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    /// Business identifiers: SSN, MBI, payer ids, licences, record numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// Whether the patient is one of several born together, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple_birth: Option<bool>,
    /// Order among those born together, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_order: Option<u8>,
    /// Mother's maiden name (HL7 extension `patient-mothersMaidenName`, PID-6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mothers_maiden_name: Option<String>,
    /// Whether the patient is known to have died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deceased: Option<bool>,
    /// Whether the source itself doubts who this is (PID-31 = Y, or an alias).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub identity_unknown: bool,
}

impl fmt::Debug for Demographics {
    // Demographics are PHI: a log may say that there are some, never which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Demographics(…)")
    }
}

/// One name of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Name {
    /// What the name is for.
    #[serde(rename = "use", skip_serializing_if = "NameUse::is_usual")]
    pub name_use: NameUse,
    /// Family name; double surnames stay as told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub family: String,
    /// Given names in order: first, then middle names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// Titles before the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Suffixes: generational or professional.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffixes: Vec<String>,
    /// The whole name, where the source gives no parts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// FHIR R4 `HumanName.use`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameUse {
    /// Used today; also where the source does not say.
    #[default]
    Usual,
    /// The formal, registered name.
    Official,
    /// A temporary one.
    Temp,
    /// What friends say.
    Nickname,
    /// Chosen to hide who it is; never evidence.
    Anonymous,
    /// No longer in use.
    Old,
    /// Before marriage.
    Maiden,
}

impl NameUse {
    fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

/// Administrative sex: FHIR R4 `administrative-gender` without *unknown*, which is absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Neither, as recorded.
    Other,
}

/// A business identifier: FHIR R4 `Identifier`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// What kind it is, by its type code or its system.
    pub kind: IdentifierKind,
    /// Namespace URI; may be empty where the source gives none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// The value as told.
    pub value: String,
    /// Whether it still holds.
    #[serde(default, rename = "use", skip_serializing_if = "IdentifierUse::is_current")]
    pub identifier_use: IdentifierUse,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({:?} {}|…)", self.kind, self.system)
    }
}

/// Whether an identifier may still be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentifierUse {
    /// Valid, as far as the source says.
    #[default]
    Current,
    /// `use` = old, or its period ended.
    Old,
    /// `use` = temp: never definitive.
    Temp,
}

impl IdentifierUse {
    fn is_current(&self) -> bool {
        *self == Self::Current
    }
}

/// The kinds of identifier that matching tells apart: HL7 v2 table 0203 and well-known systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// Medical record number (MR, MRT, PI, PT).
    MedicalRecord,
    /// Whole social security number (SS).
    SocialSecurity,
    /// Last four digits of a social security number.
    SocialSecurityLast4,
    /// Individual taxpayer identification number (TAX).
    TaxpayerId,
    /// Medicare Beneficiary Identifier (MC, system us-mbi).
    MedicareBeneficiary,
    /// Insurance member number of the individual (MB).
    Member,
    /// Insurance number of the policy holder (SN).
    Subscriber,
    /// Driver's licence or state id (DL).
    DriversLicense,
    /// Passport (PPN).
    Passport,
    /// An identifier that names one person in its namespace (PE, national or enterprise id).
    PersonId,
    /// Account or visit number (AN, VN): never evidence of a person.
    Account,
    /// Anything else.
    Other,
}

impl IdentifierKind {
    /// The kind of a type code of HL7 v2 table 0203; `None` where matching does not tell it apart.
    pub fn of_type_code(code: &str) -> Option<Self> {
        Some(match code {
            "MR" | "MRT" | "PI" | "PT" => Self::MedicalRecord,
            "SS" => Self::SocialSecurity,
            "SSN4" => Self::SocialSecurityLast4,
            "TAX" => Self::TaxpayerId,
            "MC" => Self::MedicareBeneficiary,
            "MB" => Self::Member,
            "SN" => Self::Subscriber,
            "DL" | "STID" => Self::DriversLicense,
            "PPN" => Self::Passport,
            "PE" | "NI" | "HC" => Self::PersonId,
            "AN" | "VN" => Self::Account,
            _ => return None,
        })
    }
}
