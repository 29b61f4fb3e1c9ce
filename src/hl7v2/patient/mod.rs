//! PID: who the patient is, as one message tells it, and what then is known.

mod contacts;
mod licenses;
mod names;

use time::UtcOffset;

use super::{Condition, Fault, Location, Message, Part, PatientIdentifier, Segment, Timestamp};
use crate::domain::{
    Address, Demographics, Identifier, IdentifierKind, IdentifierUse, Name, PartialDate, Sex,
};

/// The system of US social security numbers.
const US_SSN: &str = "http://hl7.org/fhir/sid/us-ssn";

/// Reads PID segments on a day, in the namespaces of one member.
#[derive(Clone, Copy)]
pub struct PatientReader<'a> {
    /// What expired before it is old.
    pub today: PartialDate,
    /// The namespace URI of an identifier; empty where its authority has none that is known.
    pub system_of: &'a dyn Fn(&PatientIdentifier) -> String,
}

/// One element of a message (HL7 v2.5 §2.5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Told<T> {
    /// Empty: what is known stays.
    #[default]
    Nothing,
    /// `""`: what is known goes.
    Deleted,
    /// What holds now.
    Value(T),
}

impl<T: Default> Told<T> {
    fn over(self, known: &mut T) {
        match self {
            Self::Nothing => {}
            Self::Deleted => *known = T::default(),
            Self::Value(value) => *known = value,
        }
    }
}

impl<T> Told<T> {
    fn is_told(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// What one PID tells. Each element replaces, deletes or leaves what is known.
#[derive(Clone, Default)]
pub struct PatientSnapshot {
    names: Told<Vec<Name>>,
    birth_date: Told<Option<PartialDate>>,
    sex: Told<Option<Sex>>,
    addresses: Told<Vec<Address>>,
    phones: Told<Vec<String>>,
    emails: Told<Vec<String>>,
    identifiers: Vec<Identifier>,
    social_security: Told<Vec<Identifier>>,
    license: Told<Vec<Identifier>>,
    multiple_birth: Told<Option<bool>>,
    birth_order: Told<Option<u8>>,
    mothers_maiden_name: Told<Option<String>>,
    deceased: Told<Option<bool>>,
    identity_unknown: Told<bool>,
}

impl PatientReader<'_> {
    /// Reads a PID; a fault where an element that decides who it is cannot be understood.
    pub fn read(self, pid: Segment<'_>) -> Result<PatientSnapshot, Fault> {
        let (phones, emails) = contacts::telecom(pid);
        let birth_order = told(pid.field(25), |part| Ok(part.text().parse().ok()))?;
        let multiple_birth = told(pid.field(24), |part| Ok(yes_or_no(part)))?;
        Ok(PatientSnapshot {
            names: names::names(pid, self.today),
            birth_date: told(pid.field(7), birth_date)?,
            sex: told(pid.field(8), sex)?,
            addresses: contacts::addresses(pid.field(11), self.today),
            phones,
            emails,
            identifiers: self.identifiers(pid.field(3)),
            social_security: told(pid.field(19), |part| {
                let number = part.text();
                Ok(vec![current(IdentifierKind::SocialSecurity, US_SSN, &number)])
            })?,
            license: told(pid.field(20), |part| Ok(licenses::license(part)))?,
            // An order beside "not one of several" orders nothing.
            birth_order: match multiple_birth {
                Told::Value(Some(false)) | Told::Deleted => Told::Deleted,
                _ => birth_order,
            },
            multiple_birth,
            mothers_maiden_name: told(pid.field(6), |part| Ok(names::mothers_maiden_name(part)))?,
            deceased: deceased(pid)?,
            identity_unknown: identity_unknown(pid),
        })
    }

    fn identifiers(self, field: Part<'_>) -> Vec<Identifier> {
        PatientIdentifier::of(field)
            .into_iter()
            .filter(PatientIdentifier::names_a_patient)
            .map(|told| {
                let kind =
                    IdentifierKind::of_type_code(&told.type_code).unwrap_or(IdentifierKind::Other);
                let system = match kind {
                    IdentifierKind::SocialSecurity => US_SSN.to_owned(),
                    _ => (self.system_of)(&told),
                };
                let identifier_use = match told.expires {
                    Some(day) if day < self.today => IdentifierUse::Old,
                    _ if told.type_code == "MRT" => IdentifierUse::Temp,
                    _ => IdentifierUse::Current,
                };
                Identifier { kind, system, value: told.value, identifier_use }
            })
            .collect()
    }
}

impl PatientSnapshot {
    /// What is known of the patient after the message.
    pub fn over(self, mut known: Demographics) -> Demographics {
        self.names.over(&mut known.names);
        self.birth_date.over(&mut known.birth_date);
        self.sex.over(&mut known.sex);
        self.addresses.over(&mut known.addresses);
        self.phones.over(&mut known.phones);
        self.emails.over(&mut known.emails);
        self.multiple_birth.over(&mut known.multiple_birth);
        self.birth_order.over(&mut known.birth_order);
        self.mothers_maiden_name.over(&mut known.mothers_maiden_name);
        self.deceased.over(&mut known.deceased);
        self.identity_unknown.over(&mut known.identity_unknown);
        // PID-3 is the whole list of the patient's identifiers, but for the kinds that have fields
        // of their own.
        let mut identifiers = self.identifiers;
        for (kind, told) in [
            (IdentifierKind::SocialSecurity, self.social_security),
            (IdentifierKind::DriversLicense, self.license),
        ] {
            let listed = identifiers.iter().any(|identifier| identifier.kind == kind);
            let mut of_kind: Vec<Identifier> =
                known.identifiers.iter().filter(|known| known.kind == kind).cloned().collect();
            if listed && !told.is_told() {
                of_kind.clear();
            }
            told.over(&mut of_kind);
            for identifier in of_kind {
                let same =
                    |other: &Identifier| other.kind == kind && other.value == identifier.value;
                if !identifiers.iter().any(same) {
                    identifiers.push(identifier);
                }
            }
        }
        known.identifiers = identifiers;
        known
    }
}

fn told<T>(
    field: Part<'_>,
    read: impl FnOnce(Part<'_>) -> Result<T, Fault>,
) -> Result<Told<T>, Fault> {
    if field.is_null() {
        Ok(Told::Deleted)
    } else if field.is_empty() {
        Ok(Told::Nothing)
    } else {
        read(field).map(Told::Value)
    }
}

fn current(kind: IdentifierKind, system: &str, value: &str) -> Identifier {
    Identifier {
        kind,
        system: system.to_owned(),
        value: value.to_owned(),
        identifier_use: IdentifierUse::Current,
    }
}

fn birth_date(part: Part<'_>) -> Result<Option<PartialDate>, Fault> {
    Timestamp::parse(&part.text()).map(|told| Some(told.date())).ok_or_else(|| {
        let text = "the date of birth is not a date of the calendar, as YYYY[MM[DD]]";
        Fault::error(Condition::DataType, text).at(Location::field("PID", 7))
    })
}

/// HL7 table 0001, and the words for it that some senders write.
fn sex(part: Part<'_>) -> Result<Option<Sex>, Fault> {
    match part.text().to_ascii_uppercase().as_str() {
        "F" | "FEMALE" => Ok(Some(Sex::Female)),
        "M" | "MALE" => Ok(Some(Sex::Male)),
        "O" | "A" | "N" | "X" | "OTHER" => Ok(Some(Sex::Other)),
        "U" | "UNKNOWN" => Ok(None),
        _ => {
            let text = "the administrative sex is not one of F, M, O, A, N, X, U";
            Err(Fault::error(Condition::TableValue, text).at(Location::field("PID", 8)))
        }
    }
}

fn yes_or_no(part: Part<'_>) -> Option<bool> {
    match part.text().to_ascii_uppercase().as_str() {
        "Y" => Some(true),
        "N" => Some(false),
        _ => None,
    }
}

/// PID-30 says whether; a time of death in PID-29 says so, too.
fn deceased(pid: Segment<'_>) -> Result<Told<Option<bool>>, Fault> {
    let indicator = told(pid.field(30), |part| Ok(yes_or_no(part)))?;
    let time = told(pid.field(29), |_| Ok(Some(true)))?;
    Ok(if indicator.is_told() { indicator } else { time })
}

/// PID-31, and table 0445's code for an alias in PID-32.
fn identity_unknown(pid: Segment<'_>) -> Told<bool> {
    let reliability = pid.field(32);
    if reliability.repetitions().any(|code| code.text().eq_ignore_ascii_case("AL")) {
        return Told::Value(true);
    }
    let unknown = pid.field(31);
    match yes_or_no(unknown) {
        Some(told) => Told::Value(told),
        None if unknown.is_null() || reliability.is_null() => Told::Deleted,
        None => Told::Nothing,
    }
}

impl Message {
    /// When what the message says held at the sender: EVN-2, or else MSH-7, or else PID-33. A time
    /// is taken where it tells at least the hour; `zone` holds where neither it nor MSH-7 tells one.
    ///
    /// PID-33 comes last: many senders leave it years behind, and what it dates would look late.
    pub fn event_time(&self, zone: UtcOffset) -> Option<time::OffsetDateTime> {
        let zone = self.header().offset().unwrap_or(zone);
        let field = |segment: &str, number| {
            let told = self.segment(segment)?;
            Timestamp::parse(&told.field(number).text())?.moment(zone)
        };
        field("EVN", 2)
            .or_else(|| self.header().timestamp()?.moment(zone))
            .or_else(|| field("PID", 33))
    }
}

#[cfg(test)]
mod tests;
