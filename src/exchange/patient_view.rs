use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Exchange, ExchangeError};
use crate::{
    access::Permit,
    domain::{Address, Demographics, EnterpriseId, RecordKey},
    fhir::patient::demographics_to_patient,
    index::GoldenView,
};

/// One person as a permit lets it be seen.
#[derive(Clone)]
pub struct PatientView {
    person: EnterpriseId,
    demographics: Demographics,
    sources: Vec<Source>,
    updated: OffsetDateTime,
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
        Self { person: self.person, demographics, sources: Vec::new(), updated: self.updated }
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
        patient.insert("meta".into(), json!({ "lastUpdated": updated }));
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
            patient.insert("link".into(), self.sources.iter().map(Source::link).collect());
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
