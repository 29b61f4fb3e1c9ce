use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Exchange, ExchangeError};
use crate::{
    access::Permit,
    domain::{Address, Demographics, EnterpriseId, RecordKey},
    fhir::{Issue, IssueSeverity, IssueType, patient::demographics_to_patient},
    index::{GoldenView, Location},
};

/// One person as a permit lets it be seen.
#[derive(Clone)]
pub struct PatientView {
    person: EnterpriseId,
    demographics: Demographics,
    sources: Vec<Source>,
    updated: OffsetDateTime,
    doubt: Doubt,
}

/// Whether some of what is shown may be somebody else's.
#[derive(Clone, Default)]
struct Doubt {
    /// Whether a steward has yet to say if a record belongs to the person.
    stands: bool,
    /// The records in doubt, as far as records are shown at all.
    records: Vec<RecordKey>,
}

/// The tag of a Patient some of whose records may be somebody else's.
const IN_DOUBT_SYSTEM: &str = "urn:tessera:identity";
/// Its code; a link in doubt has it as an extension.
const IN_DOUBT_CODE: &str = "link-in-doubt";

/// One record as its member told it last, as the Patient that has this gateway id.
pub(super) fn fed_patient(id: &str, location: &Location) -> String {
    let mut patient = demographics_to_patient(&location.demographics);
    patient.insert("id".into(), id.into());
    let told = location.told.format(&Rfc3339).expect("the year has four digits");
    let mut meta = json!({ "lastUpdated": told });
    if location.in_doubt {
        meta["tag"] = in_doubt_tag();
    }
    patient.insert("meta".into(), meta);
    patient.insert("active".into(), true.into());
    Value::Object(patient).to_string()
}

fn in_doubt_tag() -> Value {
    json!([{
        "system": IN_DOUBT_SYSTEM,
        "code": IN_DOUBT_CODE,
        "display": "A record behind this may be another person's",
    }])
}

/// The extension of whatever leads to a record that may be somebody else's.
pub fn in_doubt_extension() -> Value {
    let url = format!("{IN_DOUBT_SYSTEM}:{IN_DOUBT_CODE}");
    json!([{ "url": url, "valueBoolean": true }])
}

/// A source record and who keeps it.
#[derive(Clone)]
struct Source {
    record: RecordKey,
    member_name: String,
}

impl PatientView {
    /// The golden view over the permitted records; `None` where none is left.
    pub(super) async fn of(
        exchange: &Exchange,
        permit: &Permit,
    ) -> Result<Option<Self>, ExchangeError> {
        let golden = exchange.index.golden(permit).await?;
        Ok(golden.map(|golden| Self::of_golden(exchange, golden)))
    }

    /// The view of a person whose permitted records were read already.
    pub(super) fn of_golden(exchange: &Exchange, golden: GoldenView) -> Self {
        let roster = exchange.directory.roster();
        let sources = golden
            .records
            .into_iter()
            .map(|record| {
                let member = roster.member(&record.member);
                let member_name = member.map_or(record.member.as_str(), |one| one.name());
                Source { member_name: member_name.to_owned(), record }
            })
            .collect();
        Self {
            person: golden.person,
            demographics: golden.demographics,
            sources,
            updated: golden.updated,
            doubt: Doubt { stands: !golden.in_doubt.is_empty(), records: golden.in_doubt },
        }
    }

    /// Without the identifiers of other namespaces, and without links to their records.
    #[must_use]
    pub(super) fn within(mut self, systems: &[String]) -> Self {
        let wanted = |system: &str| systems.iter().any(|one| one == system);
        self.demographics.identifiers.retain(|one| wanted(one.system.trim()));
        self.sources.retain(|source| wanted(source.record.local_id.system()));
        self
    }

    /// The person.
    pub fn person(&self) -> EnterpriseId {
        self.person
    }

    /// Just enough for a human being to see whether this is the one meant: names, birth date, sex and
    /// town. No identifier, no contact, and not where there are records.
    pub(super) fn to_tell_apart(&self) -> Self {
        let told = &self.demographics;
        let town = |address: &Address| Address {
            city: address.city.clone(),
            state: address.state.clone(),
            country: address.country.clone(),
            ..Address::default()
        };
        let demographics = Demographics {
            names: told.names.clone(),
            birth_date: told.birth_date,
            sex: told.sex,
            addresses: told.addresses.iter().filter(|one| !one.old).map(town).collect(),
            multiple_birth: told.multiple_birth,
            birth_order: told.birth_order,
            ..Demographics::default()
        };
        let doubt = Doubt { records: Vec::new(), ..self.doubt };
        let (person, updated) = (self.person, self.updated);
        Self { person, demographics, sources: Vec::new(), updated, doubt }
    }

    /// What must be said beside the person: that a record may be somebody else's, until a steward has
    /// decided.
    pub fn warnings(&self) -> Vec<Issue> {
        let warn = |text: String| Issue::new(IssueSeverity::Warning, IssueType::Conflict, text);
        let named: Vec<Issue> = self
            .sources
            .iter()
            .filter(|source| self.doubt.records.contains(&source.record))
            .map(|source| {
                warn(format!(
                    "It is in doubt whether the record of {} is this patient's: what it tells may \
                     be another person's until a steward has decided",
                    source.member_name
                ))
            })
            .collect();
        if named.is_empty() && self.doubt.stands {
            return vec![warn(format!(
                "It is in doubt whether all that is shown of Patient/{} is one person's",
                self.person
            ))];
        }
        named
    }

    /// The person as a FHIR R4 `Patient`: the golden view, and a `seealso` link to each source record.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// The same, taken apart.
    pub fn to_value(&self) -> Value {
        let mut patient = demographics_to_patient(&self.demographics);
        patient.insert("id".into(), self.person.to_string().into());
        let updated = self.updated.format(&Rfc3339).expect("the year has four digits");
        let mut meta = json!({ "lastUpdated": updated });
        if self.doubt.stands {
            meta["tag"] = in_doubt_tag();
        }
        patient.insert("meta".into(), meta);
        let own = self.sources.iter().map(Source::identifier);
        let identifiers: &mut Value =
            patient.entry("identifier").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = identifiers {
            // The golden view may hold the same record numbers, without who keeps them.
            list.retain(|told| !self.sources.iter().any(|source| source.is(told)));
            list.extend(own);
            list.retain(|told| !told["value"].is_null());
        }
        if patient["identifier"].as_array().is_some_and(Vec::is_empty) {
            patient.remove("identifier");
        }
        if !self.sources.is_empty() {
            let link = |source: &Source| {
                let mut link = source.link();
                if self.doubt.records.contains(&source.record) {
                    link["extension"] = in_doubt_extension();
                }
                link
            };
            patient.insert("link".into(), self.sources.iter().map(link).collect());
        }
        Value::Object(patient)
    }
}

impl Source {
    fn identifier(&self) -> Value {
        let id = &self.record.local_id;
        json!({
            "type": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                "code": "MR"
            }] },
            "system": id.system(),
            "value": id.value(),
            "assigner": { "display": self.member_name },
        })
    }

    fn is(&self, told: &Value) -> bool {
        let id = &self.record.local_id;
        told["system"] == id.system() && told["value"] == id.value()
    }

    fn link(&self) -> Value {
        json!({
            "other": {
                "type": "Patient",
                "identifier": self.identifier(),
                "display": self.member_name,
            },
            "type": "seealso",
        })
    }
}
