use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::offset};

/// One of the four invented members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::cli::demo) enum Site {
    /// A cardiac hospital that writes by the book.
    Mercy,
    /// An older system: capitals, OIDs, UTC.
    Lakeside,
    /// A trauma center in another time zone with local codes beside the standard ones.
    StAnne,
    /// A clinic that writes small and has dots in its ids.
    Northclinic,
}

impl Site {
    /// All of them, in the order of their codes' first mention.
    pub(in crate::cli::demo) const ALL: [Self; 4] =
        [Self::Mercy, Self::Lakeside, Self::StAnne, Self::Northclinic];

    /// The member code, and the folder's name.
    pub(in crate::cli::demo) const fn code(self) -> &'static str {
        match self {
            Self::Mercy => "mercy",
            Self::Lakeside => "lakeside",
            Self::StAnne => "stanne",
            Self::Northclinic => "northclinic",
        }
    }

    /// The member's name for people.
    pub(in crate::cli::demo) const fn name(self) -> &'static str {
        match self {
            Self::Mercy => "Mercy Heart Hospital",
            Self::Lakeside => "Lakeside Medical Group",
            Self::StAnne => "St. Anne Trauma Center",
            Self::Northclinic => "Northside Clinic",
        }
    }

    /// The namespace of the member's record numbers.
    pub(super) fn record_numbers(self) -> String {
        format!("https://{}.example/mrn", self.code())
    }

    /// A record number in the member's own style.
    pub(super) fn record_number(self, number: u32) -> String {
        match self {
            Self::Mercy => format!("M{:07}", 4_000_000 + number),
            Self::Lakeside => format!("{:06}-LK", 310_000 + number),
            Self::StAnne => format!("SA{:08}", 70_000_000 + number * 3),
            Self::Northclinic => format!("{:05}", 20_000 + number),
        }
    }

    /// A resource id in the member's own style; only two use the record number for the Patient.
    pub(super) fn resource_id(self, resource_type: &str, number: u32) -> String {
        match self {
            Self::Mercy => format!("{}", 880_000 + number),
            Self::Lakeside => format!("LK-{}-{number}", &resource_type.to_lowercase()[..4]),
            // Spread over 64 bits, as from a system that draws its ids by chance.
            Self::StAnne => {
                format!("{:016x}", (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            }
            Self::Northclinic => format!("nc.{number}"),
        }
    }

    const fn offset(self) -> UtcOffset {
        match self {
            Self::Mercy | Self::Northclinic => offset!(-5),
            Self::Lakeside => offset!(UTC),
            Self::StAnne => offset!(-6),
        }
    }

    /// The same fact in the member's own writing: code systems, time zone, letters, local codes.
    pub(super) fn write(self, fact: Value) -> Value {
        self.write_element("", fact)
    }

    fn write_element(self, element: &str, value: Value) -> Value {
        match value {
            Value::Object(mut elements) => {
                if let (Self::StAnne, Some(codings)) = (self, elements.get_mut("coding")) {
                    add_local_code(codings);
                }
                elements.into_iter().map(|(k, v)| (k.clone(), self.write_element(&k, v))).collect()
            }
            Value::Array(list) => {
                list.into_iter().map(|one| self.write_element(element, one)).collect()
            }
            Value::String(text) => Value::String(self.write_text(element, text)),
            other => other,
        }
    }

    fn write_text(self, element: &str, text: String) -> String {
        if let Ok(at) = OffsetDateTime::parse(&text, &Rfc3339) {
            let at = at.to_offset(self.offset());
            return at.format(&Rfc3339).expect("a time that was just parsed");
        }
        match (self, element) {
            (Self::Lakeside, "display" | "unit" | "family" | "given") => text.to_uppercase(),
            (Self::Lakeside, "system") => oid(&text).map_or(text, str::to_owned),
            (Self::Northclinic, "display") => text.to_lowercase(),
            _ => text,
        }
    }
}

/// The OID of a code system, as older systems write it.
fn oid(uri: &str) -> Option<&'static str> {
    Some(match uri {
        "http://snomed.info/sct" => "urn:oid:2.16.840.1.113883.6.96",
        "http://loinc.org" => "urn:oid:2.16.840.1.113883.6.1",
        "http://www.nlm.nih.gov/research/umls/rxnorm" => "urn:oid:2.16.840.1.113883.6.88",
        "http://hl7.org/fhir/sid/cvx" => "urn:oid:2.16.840.1.113883.12.292",
        _ => return None,
    })
}

fn add_local_code(codings: &mut Value) {
    let Some(list) = codings.as_array_mut() else { return };
    let standard = |coding: &Value| coding["system"].as_str().is_some_and(|uri| oid(uri).is_some());
    let Some(code) = list.iter().find(|one| standard(one)).map(|one| one["code"].clone()) else {
        return;
    };
    let code = format!("SA{}", code.as_str().unwrap_or_default().replace('-', ""));
    list.push(json!({"system": "https://stanne.example/codes", "code": code}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_writes_the_same_fact_its_own_way() {
        let fact = json!({"code": {"coding": [{"system": "http://loinc.org", "code": "6301-6", "display": "INR"}]},
            "effectiveDateTime": "2026-11-20T13:15:00Z", "authoredOn": "2026-11-20"});
        let [mercy, lakeside, stanne, northclinic] = Site::ALL.map(|site| site.write(fact.clone()));
        assert_eq!(mercy["effectiveDateTime"], "2026-11-20T08:15:00-05:00");
        assert_eq!(lakeside["effectiveDateTime"], "2026-11-20T13:15:00Z");
        assert_eq!(lakeside["code"]["coding"][0]["system"], "urn:oid:2.16.840.1.113883.6.1");
        assert_eq!(stanne["code"]["coding"][1]["code"], "SA63016");
        assert_eq!(northclinic["code"]["coding"][0]["display"], "inr");
        assert_eq!(northclinic["authoredOn"], "2026-11-20");
    }
}
