use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{
    answer::Answer,
    client::{FhirClient, Found},
    feeding::Persons,
    holdings::{Holdings, SourcePatient},
    report::Query,
    truth::Truth,
};
use crate::domain::{EnterpriseId, PurposeOfUse};

/// What the emergency department asks for.
pub(super) const PURPOSE: PurposeOfUse = PurposeOfUse::EmergencyTreatment;

/// A patient who was asked for and found.
struct Asked {
    /// How the person was found.
    found: Found,
    /// The answer to `$everything`, as it came.
    json: Vec<u8>,
    /// How long `$everything` took.
    elapsed: Duration,
}

/// Somebody who was recognized with certainty.
pub(super) struct Recognized {
    /// Who it is, and how sure that is.
    pub(super) found: Found,
    /// How many persons came into question.
    pub(super) candidates: usize,
}

/// Asks who this is; `None` where that is not certain.
pub(super) async fn recognize(client: &FhirClient, patient: &Value) -> Result<Option<Recognized>> {
    let mut found = client.find(patient, PURPOSE).await?;
    let candidates = found.len();
    // One certain person and no second: what may be released.
    let certain = found.iter().filter(|one| one.grade == "certain").count();
    if certain != 1 || found[0].grade != "certain" {
        return Ok(None);
    }
    Ok(Some(Recognized { found: found.swap_remove(0), candidates }))
}

/// Asks who this is and, where that is certain, for everything; `None` where it is not.
async fn ask(client: &FhirClient, patient: &Value) -> Result<Option<Asked>> {
    let Some(Recognized { found, .. }) = recognize(client, patient).await? else {
        return Ok(None);
    };
    let (json, elapsed) = client.everything(found.person, PURPOSE).await?;
    Ok(Some(Asked { found, json, elapsed }))
}

/// Asks for every patient of the truth, one after another, as the report needs it; each answer is
/// written into `answers` as `<enterprise id>.json`.
pub(super) async fn ask_for_all(
    client: &FhirClient,
    truth: &Truth,
    holdings: &Holdings,
    persons: &Persons,
    answers: Option<&Path>,
    progress: &ProgressBar,
) -> Result<Vec<Query>> {
    if let Some(dir) = answers {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut queries = Vec::new();
    for (name, local_ids) in &truth.patients {
        let (_, patient) = holdings
            .source_patients(local_ids)
            .next()
            .with_context(|| format!("no member holds the patient {name} of the truth"))?;
        let (answer, elapsed) = match answer_about(client, patient, persons).await? {
            Some((person, json, elapsed)) => {
                if let Some(dir) = answers {
                    let path = dir.join(format!("{person}.json"));
                    fs::write(&path, &json)
                        .with_context(|| format!("cannot write {}", path.display()))?;
                }
                (Some(Answer::parse(&json)?), Some(elapsed))
            }
            None => (None, None),
        };
        queries.push(Query { patient: name.clone(), answer, elapsed });
        progress.inc(1);
    }
    Ok(queries)
}

async fn answer_about(
    client: &FhirClient,
    patient: &SourcePatient,
    persons: &Persons,
) -> Result<Option<(EnterpriseId, Vec<u8>, Duration)>> {
    let told: Value = patient.resource.read()?;
    if is_unidentified(&told) {
        // Whoever has no name is asked for by the wristband: the id that the feed was answered with.
        let Some(person) = persons.get(&patient.local_id) else { return Ok(None) };
        let (json, elapsed) = client.everything(*person, PURPOSE).await?;
        return Ok(Some((*person, json, elapsed)));
    }
    let asked = ask(client, &as_known_outside(&told)).await?;
    Ok(asked.map(|asked| (asked.found.person, asked.json, asked.elapsed)))
}

/// Whether the source itself says that it does not know who this is (FHIR `HumanName.use`).
pub(super) fn is_unidentified(patient: &Value) -> bool {
    let names = patient["name"].as_array().map(Vec::as_slice).unwrap_or_default();
    !names.is_empty() && names.iter().all(|name| name["use"] == "anonymous")
}

/// What somebody outside knows of a patient: demographics, and identifiers other than the source's
/// own record numbers.
pub(super) fn as_known_outside(patient: &Value) -> Value {
    let mut known = json!({"resourceType": "Patient"});
    for element in DEMOGRAPHICS {
        if !patient[element].is_null() {
            known[element] = patient[element].clone();
        }
    }
    let list = |element: &str| patient[element].as_array().cloned().unwrap_or_default();
    let mut identifiers = list("identifier");
    identifiers.retain(|told| told["type"]["coding"][0]["code"] != "MR");
    let mut extensions = list("extension");
    extensions.retain(|told| told["url"] == MOTHERS_MAIDEN_NAME);
    for (element, kept) in [("identifier", identifiers), ("extension", extensions)] {
        if !kept.is_empty() {
            known[element] = Value::Array(kept);
        }
    }
    known
}

const DEMOGRAPHICS: [&str; 7] = [
    "name",
    "birthDate",
    "gender",
    "telecom",
    "address",
    "multipleBirthBoolean",
    "multipleBirthInteger",
];
const MOTHERS_MAIDEN_NAME: &str =
    "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outsider_knows_no_record_number() {
        let patient = json!({"resourceType": "Patient", "id": "7", "birthDate": "1951-03-14", "maritalStatus": {}, "identifier": [
            {"type": {"coding": [{"code": "MR"}]}, "system": "https://mercy.example/mrn", "value": "7"}]});
        let asked = as_known_outside(&patient);
        assert_eq!(asked, json!({"resourceType": "Patient", "birthDate": "1951-03-14"}));
    }

    #[test]
    fn an_alias_is_nobody_and_no_name_is_not_an_alias() {
        let named = |told_use: &str| json!({"name": [{"use": told_use, "family": "Doe"}]});
        assert!(is_unidentified(&named("anonymous")));
        assert!(!is_unidentified(&named("official")) && !is_unidentified(&json!({})));
    }
}
