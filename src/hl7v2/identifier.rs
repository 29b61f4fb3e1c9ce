use std::fmt;

use super::{Part, Timestamp};
use crate::domain::PartialDate;

/// Who gave an identifier: HL7 v2 `HD`, a local name, a universal id of some type, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Authority {
    /// HD.1, a name that the two sides agreed on.
    pub namespace: String,
    /// HD.2.
    pub universal_id: String,
    /// HD.3: `ISO`, `UUID`, `URI`, `DNS` …
    pub universal_id_type: String,
}

impl Authority {
    fn read(hd: Part<'_>) -> Self {
        let text = |number| hd.subcomponent(number).text().into_owned();
        Self {
            namespace: text(1),
            universal_id: text(2),
            universal_id_type: text(3).to_ascii_uppercase(),
        }
    }

    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        self.namespace.is_empty() && self.universal_id.is_empty()
    }

    /// The universal id as a URI, where it is of a type that has one.
    pub fn uri(&self) -> Option<String> {
        if self.universal_id.is_empty() {
            return None;
        }
        match self.universal_id_type.as_str() {
            "ISO" => Some(format!("urn:oid:{}", self.universal_id)),
            "UUID" | "GUID" => Some(format!("urn:uuid:{}", self.universal_id.to_ascii_lowercase())),
            "URI" => Some(self.universal_id.clone()),
            _ => None,
        }
    }
}

/// An identifier with its authority: HL7 v2 `CX`, as in PID-3 and MRG-1.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientIdentifier {
    /// CX.1
    pub value: String,
    /// CX.4
    pub authority: Authority,
    /// CX.5, of table 0203.
    pub type_code: String,
    /// CX.8, where it is a date.
    pub expires: Option<PartialDate>,
}

impl fmt::Debug for PatientIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatientIdentifier({:?}, {})", self.authority, self.type_code)
    }
}

impl PatientIdentifier {
    /// The identifiers of a field, without those that have no value.
    pub fn of(field: Part<'_>) -> Vec<Self> {
        let told = field.repetitions().map(|cx| Self {
            value: cx.text().into_owned(),
            authority: Authority::read(cx.component(4)),
            type_code: cx.component(5).text().to_ascii_uppercase(),
            expires: Timestamp::parse(&cx.component(8).text()).map(Timestamp::date),
        });
        told.filter(|identifier| !identifier.value.is_empty()).collect()
    }

    /// Whether it may name a patient: accounts, visits and numbers that hide somebody do not.
    pub fn names_a_patient(&self) -> bool {
        !matches!(self.type_code.as_str(), "AN" | "ANC" | "ANT" | "VN" | "ANON" | "PNT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hl7v2::Message;

    #[test]
    fn authorities_come_as_name_universal_id_or_both() {
        let text =
            "MSH|^~\\&|A\rPID|||1^^^BCBS^MR~2^^^&1.2.3&ISO~3^^^NS&1.2.3&ISO^PI^^^20200101~~4^^^^AN";
        let message = Message::parse(text.as_bytes()).expect("a message");
        let ids = PatientIdentifier::of(message.segment("PID").expect("there").field(3));
        let authorities: Vec<_> = ids
            .iter()
            .map(|id| (id.authority.namespace.as_str(), id.authority.uri().unwrap_or_default()))
            .collect();
        assert_eq!(
            authorities,
            [
                ("BCBS", String::new()),
                ("", "urn:oid:1.2.3".to_owned()),
                ("NS", "urn:oid:1.2.3".to_owned()),
                ("", String::new())
            ]
        );
        assert_eq!(ids[2].expires.map(|date| date.to_string()).as_deref(), Some("2020-01-01"));
        assert!(ids[0].names_a_patient() && !ids[3].names_a_patient());
    }
}
