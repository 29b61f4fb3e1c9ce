use serde_json::{Value, json};

use super::Site;

/// Somebody as one member knows them.
#[derive(Clone, Debug, Default)]
pub(in crate::cli::demo) struct Person {
    /// Given names in order.
    pub(super) given: Vec<String>,
    /// Surname.
    pub(super) family: String,
    /// `Jr.`, `Sr.` …
    pub(super) suffix: Option<&'static str>,
    /// FHIR `HumanName.use`; `official` where empty.
    pub(super) name_use: &'static str,
    /// Surname at birth.
    pub(super) maiden: Option<&'static str>,
    /// FHIR administrative gender.
    pub(super) sex: &'static str,
    /// `YYYY-MM-DD`.
    pub(super) born: Option<String>,
    /// Social security number.
    pub(super) ssn: Option<String>,
    /// Telephone.
    pub(super) phone: Option<String>,
    /// E-mail.
    pub(super) email: Option<String>,
    /// Street, city, state, ZIP.
    pub(super) home: Option<[String; 4]>,
    /// Where they lived before.
    pub(super) old_home: Option<[String; 4]>,
    /// Mother's maiden name.
    pub(super) mothers_maiden_name: Option<&'static str>,
    /// Order among those born together.
    pub(super) birth_order: Option<u8>,
}

impl Person {
    pub(super) fn new(given: &str, family: &str, sex: &'static str, born: &str) -> Self {
        Self {
            given: given.split(' ').map(str::to_owned).collect(),
            family: family.to_owned(),
            sex,
            born: Some(born.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn ssn(mut self, ssn: &str) -> Self {
        self.ssn = Some(ssn.to_owned());
        self
    }

    pub(super) fn reached(mut self, phone: &str, email: &str) -> Self {
        self.phone = (!phone.is_empty()).then(|| phone.to_owned());
        self.email = (!email.is_empty()).then(|| email.to_owned());
        self
    }

    pub(super) fn at_home(mut self, line: &str, city: &str, state: &str, zip: &str) -> Self {
        self.home = Some([line, city, state, zip].map(str::to_owned));
        self
    }

    pub(super) fn named(mut self, given: &str, family: &str) -> Self {
        self.given = given.split(' ').map(str::to_owned).collect();
        family.clone_into(&mut self.family);
        self
    }

    pub(super) fn suffix(mut self, suffix: &'static str) -> Self {
        self.suffix = Some(suffix);
        self
    }

    /// The FHIR Patient of a member, US Core's must-haves in it.
    pub(super) fn to_patient(&self, site: Site, id: &str, record_number: &str) -> Value {
        let mut identifiers =
            vec![json!({"use": "usual", "type": identifier_type("MR", "Medical record number"),
            "system": site.record_numbers(), "value": record_number})];
        if let Some(ssn) = &self.ssn {
            identifiers.push(json!({"type": identifier_type("SS", "Social Security number"),
                "system": "http://hl7.org/fhir/sid/us-ssn", "value": ssn}));
        }
        let mut patient = json!({"resourceType": "Patient", "id": id, "active": true,
            "identifier": identifiers, "name": self.names(), "gender": self.sex});
        if let Some(born) = &self.born {
            patient["birthDate"] = json!(born);
        }
        let telecom: Vec<Value> = [("phone", &self.phone), ("email", &self.email)]
            .into_iter()
            .filter_map(|(system, value)| {
                Some(json!({"system": system, "value": value.as_ref()?, "use": "home"}))
            })
            .collect();
        if !telecom.is_empty() {
            patient["telecom"] = Value::Array(telecom);
        }
        let addresses: Vec<Value> = [("home", &self.home), ("old", &self.old_home)]
            .into_iter()
            .filter_map(|(told_use, home)| {
                let [line, city, state, zip] = home.as_ref()?;
                Some(json!({"use": told_use, "line": [line], "city": city, "state": state,
                    "postalCode": zip, "country": "US"}))
            })
            .collect();
        if !addresses.is_empty() {
            patient["address"] = Value::Array(addresses);
        }
        if let Some(order) = self.birth_order {
            patient["multipleBirthInteger"] = json!(order);
        }
        if let Some(name) = self.mothers_maiden_name {
            patient["extension"] = json!([{
                "url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName",
                "valueString": name}]);
        }
        site.write(patient)
    }

    fn names(&self) -> Vec<Value> {
        let told_use = if self.name_use.is_empty() { "official" } else { self.name_use };
        let mut name = json!({"use": told_use, "family": self.family});
        if self.given.iter().any(|given| !given.is_empty()) {
            name["given"] = json!(self.given);
        }
        if let Some(suffix) = self.suffix {
            name["suffix"] = json!([suffix]);
        }
        let maiden = self
            .maiden
            .map(|family| json!({"use": "maiden", "family": family, "given": self.given}));
        [Some(name), maiden].into_iter().flatten().collect()
    }
}

fn identifier_type(code: &str, text: &str) -> Value {
    json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code}],
        "text": text})
}
