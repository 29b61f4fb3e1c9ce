//! Invented people, and what members hold of them.

use serde_json::{Value, json};

use crate::world::{Site, record_numbers};

/// A patient as a member registers them: an id, a record number, and who it is.
pub(crate) fn patient(member: &str, id: &str, who: &Value) -> Value {
    let mut patient = who.clone();
    patient["resourceType"] = json!("Patient");
    patient["id"] = json!(id);
    patient["identifier"] = json!([{
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203",
            "code": "MR"}]},
        "system": record_numbers(member),
        "value": format!("{member}-{id}"),
    }]);
    patient
}

/// System and value of a patient's record number.
pub(crate) fn number_of(patient: &Value) -> (String, String) {
    let told = |name: &str| patient["identifier"][0][name].as_str().unwrap_or_default().to_owned();
    (told("system"), told("value"))
}

/// Ruth, who is known everywhere.
pub(crate) fn ruth() -> Value {
    json!({
        "name": [{"use": "official", "family": "Calloway", "given": ["Ruth", "Edna"]}],
        "gender": "female",
        "birthDate": "1958-03-14",
        "telecom": [{"system": "phone", "value": "+1 315 555 0142", "use": "home"}],
        "address": [{"use": "home", "line": ["12 Harbour Row"], "city": "Oswego", "state": "NY",
            "postalCode": "13126", "country": "US"}],
    })
}

/// Max, another patient of the same members.
pub(crate) fn max() -> Value {
    json!({
        "name": [{"use": "official", "family": "Ostrander", "given": ["Max", "Leopold"]}],
        "gender": "male",
        "birthDate": "1991-11-02",
        "telecom": [{"system": "phone", "value": "+1 716 555 0177", "use": "mobile"}],
        "address": [{"use": "home", "line": ["4 Quarry Lane"], "city": "Buffalo", "state": "NY",
            "postalCode": "14201", "country": "US"}],
    })
}

/// One of two sisters born on one day.
pub(crate) fn twin(given: &str, order: u8) -> Value {
    json!({
        "name": [{"use": "official", "family": "Vandermeer", "given": [given]}],
        "gender": "female",
        "birthDate": "2015-09-21",
        "multipleBirthInteger": order,
        "telecom": [{"system": "phone", "value": "+1 607 555 0119", "use": "home"}],
        "address": [{"use": "home", "line": ["31 Orchard Street"], "city": "Ithaca", "state": "NY",
            "postalCode": "14850", "country": "US"}],
    })
}

/// Somebody unlike everybody else with another number, from 0 to some thousands.
pub(crate) fn anybody(number: usize) -> Value {
    const ONSETS: [&str; 16] = [
        "Bra", "Col", "Dun", "Fer", "Gil", "Hol", "Jar", "Kel", "Lom", "Mar", "Nor", "Pel", "Quin",
        "Ros", "Sten", "Tor",
    ];
    const ENDS: [&str; 12] = [
        "aby", "beck", "croft", "dale", "enby", "field", "gate", "hurst", "ington", "low", "mere",
        "wick",
    ];
    const GIVEN: [&str; 10] = [
        "Agnes", "Basil", "Clara", "Dexter", "Esther", "Fergus", "Greta", "Hugo", "Ingrid", "Jonas",
    ];
    let family = format!("{}{}", ONSETS[number % 16], ENDS[number / 16 % 12]);
    let given = GIVEN[number * 7 % 10];
    json!({
        "name": [{"use": "official", "family": family, "given": [given]}],
        "gender": if number.is_multiple_of(2) { "female" } else { "male" },
        "birthDate": format!("{}-{:02}-{:02}", 1930 + number * 13 % 80, 1 + number * 5 % 12,
            1 + number * 11 % 28),
        "telecom": [{"system": "phone", "value": format!("+1 585 {:03} {:04}", 200 + number / 9000,
            1000 + number % 9000)}],
        "address": [{"line": [format!("{} {} Avenue", 10 + number, ENDS[number * 5 % 12])],
            "city": "Rochester", "state": "NY", "postalCode": format!("{}", 14600 + number % 99)}],
    })
}

fn coded(system: &str, code: &str) -> Value {
    json!({"coding": [{"system": system, "code": code}]})
}

fn category(system: &str, code: &str) -> Value {
    json!([coded(&format!("http://terminology.hl7.org/CodeSystem/{system}"), code)])
}

/// A resource about a member's patient; its id begins with the patient's.
fn about(kind: &str, patient: &str, name: &str, mut told: Value) -> Value {
    told["resourceType"] = json!(kind);
    told["id"] = json!(format!("{patient}-{name}"));
    let subject = json!({"reference": format!("Patient/{patient}")});
    let element =
        if ["AllergyIntolerance", "Immunization"].contains(&kind) { "patient" } else { "subject" };
    told[element] = subject;
    told
}

/// A penicillin allergy.
pub(crate) fn allergy(patient: &str) -> Value {
    let rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
    let clinical = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
    about(
        "AllergyIntolerance",
        patient,
        "penicillin",
        json!({"clinicalStatus": coded(clinical, "active"), "code": coded(rxnorm, "7980"),
            "recordedDate": "2011-04-02", "meta": {"lastUpdated": "2011-04-02T08:00:00Z"}}),
    )
}

/// A diabetes since 2015.
pub(crate) fn problem(patient: &str) -> Value {
    about(
        "Condition",
        patient,
        "diabetes",
        json!({"category": category("condition-category", "problem-list-item"),
            "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical",
                "active"),
            "code": coded("http://snomed.info/sct", "44054006"),
            "onsetDateTime": "2015-06-01", "meta": {"lastUpdated": "2015-06-01T08:00:00Z"}}),
    )
}

/// An HbA1c at a moment.
pub(crate) fn laboratory(patient: &str, moment: &str) -> Value {
    about(
        "Observation",
        patient,
        "hba1c",
        json!({"status": "final", "category": category("observation-category", "laboratory"),
            "code": coded("http://loinc.org", "4548-4"), "effectiveDateTime": moment,
            "valueQuantity": {"value": 7.1, "unit": "%", "system": "http://unitsofmeasure.org",
                "code": "%"},
            "meta": {"lastUpdated": "2024-02-04T08:00:00Z"}}),
    )
}

/// Body weights, one a year from 2000.
pub(crate) fn weights(patient: &str, years: usize) -> impl Iterator<Item = Value> {
    (0..years).map(move |year| {
        about(
            "Observation",
            patient,
            &format!("weight-{year:02}"),
            json!({"status": "final", "category": category("observation-category", "vital-signs"),
                "code": coded("http://loinc.org", "29463-7"),
                "effectiveDateTime": format!("{}-05-06T09:00:00Z", 2000 + year),
                "valueQuantity": {"value": 60 + year, "unit": "kg",
                    "system": "http://unitsofmeasure.org", "code": "kg"},
                "meta": {"lastUpdated": format!("{}-05-06T10:00:00Z", 2000 + year)}}),
        )
    })
}

/// Metformin.
fn medication(patient: &str) -> Value {
    let rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
    about(
        "MedicationRequest",
        patient,
        "metformin",
        json!({"status": "active", "intent": "order", "authoredOn": "2020-01-07",
            "medicationCodeableConcept": coded(rxnorm, "860975"),
            "meta": {"lastUpdated": "2020-01-07T08:00:00Z"}}),
    )
}

/// An influenza vaccination.
fn immunization(patient: &str) -> Value {
    about(
        "Immunization",
        patient,
        "influenza",
        json!({"status": "completed", "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "158"),
            "occurrenceDateTime": "2023-10-11", "meta": {"lastUpdated": "2023-10-11T08:00:00Z"}}),
    )
}

/// A resource of another type about a patient.
pub(crate) fn told_about(kind: &str, patient: &str, name: &str, told: Value) -> Value {
    about(kind, patient, name, told)
}

/// A visit in 2022.
fn encounter(patient: &str) -> Value {
    about(
        "Encounter",
        patient,
        "visit",
        json!({"status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "period": {"start": "2022-08-01T10:00:00Z", "end": "2022-08-01T10:30:00Z"},
            "meta": {"lastUpdated": "2022-08-01T11:00:00Z"}}),
    )
}

/// Anne: allergy, problem, laboratory, medication and three weights of Ruth's; something of Max's.
pub(crate) fn anne() -> Site {
    let mut all = vec![
        patient("anne", "ruth", &ruth()),
        allergy("ruth"),
        problem("ruth"),
        laboratory("ruth", "2024-02-03T09:30:00Z"),
        medication("ruth"),
        patient("anne", "max", &max()),
        problem("max"),
        laboratory("max", "2024-02-03T09:30:00Z"),
    ];
    all.extend(weights("ruth", 3));
    Site::new("anne", all)
}

/// Lake: the same problem and laboratory of Ruth's, and a vaccination; something of Max's.
pub(crate) fn lake() -> Site {
    Site::new(
        "lake",
        vec![
            patient("lake", "ruth", &ruth()),
            problem("ruth"),
            laboratory("ruth", "2024-02-03T10:30:00+01:00"),
            immunization("ruth"),
            patient("lake", "max", &max()),
            allergy("max"),
            immunization("max"),
        ],
    )
}

/// County: one visit of Ruth's.
pub(crate) fn county() -> Site {
    Site::new("county", vec![patient("county", "ruth", &ruth()), encounter("ruth")])
}

/// How many resources of Ruth's the three members hold, her Patient at each of them included.
pub(crate) const RUTHS_RESOURCES: usize = 8 + 4 + 2;

/// What a patient says: a Consent (IHE PCF) for one of their records.
pub(crate) fn consent(record: &Value, provision: &Value) -> Value {
    let (system, value) = number_of(record);
    json!({
        "resourceType": "Consent",
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "patient": {"identifier": {"system": system, "value": value}},
        "dateTime": "2025-01-01",
        "organization": [{"reference": "Organization/anne"}],
        "policy": [{"uri": "urn:policy:one"}],
        "provision": provision,
    })
}

/// A rule of a Consent: nobody gets what this member holds.
pub(crate) fn deny_all_of(member: &str) -> Value {
    let role = coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "CST");
    let reference = json!({"reference": format!("Organization/{member}")});
    json!({"type": "deny", "actor": [{"role": role, "reference": reference}]})
}
