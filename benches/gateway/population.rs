use std::{collections::HashMap, io::BufWriter};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use tessera::{
    cli::synth::{RegimeName, write_population},
    domain::MemberCode,
    domain::PartialDate,
};

use crate::world::record_system;

/// The hospitals that `tessera synth` invents.
pub(crate) const MEMBERS: usize = 8;
/// Same seed, same population.
const SEED: u64 = 20_260_301;

/// A patient as a hospital tells of it.
pub(crate) struct Told {
    pub(crate) member: MemberCode,
    pub(crate) record_number: String,
    /// A FHIR Patient.
    pub(crate) json: String,
}

impl Told {
    /// The same without its record number, as one who does not know it asks.
    pub(crate) fn anonymous(&self) -> Result<Value> {
        let mut patient: Value = serde_json::from_str(&self.json)?;
        let own = record_system(&self.member);
        if let Some(identifiers) = patient["identifier"].as_array_mut() {
            identifiers.retain(|identifier| identifier["system"] != own.as_str());
        }
        Ok(patient)
    }

    /// The same as an HL7 v2 message that registers it.
    pub(crate) fn to_message(&self) -> Result<String> {
        let patient: Value = serde_json::from_str(&self.json)?;
        let text = |pointer: &str| {
            patient.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let ssn = patient["identifier"][1]["value"].as_str().unwrap_or_default();
        let phone = patient["telecom"].as_array().into_iter().flatten();
        let phone = phone.clone().find(|one| one["system"] == "phone").map(|one| &one["value"]);
        let sex = match patient["gender"].as_str() {
            Some("female") => "F",
            Some("male") => "M",
            _ => "",
        };
        let (member, number) = (&self.member, &self.record_number);
        Ok(format!(
            "MSH|^~\\&|ADT|{member}|TESSERA|HIE|20260301120000+0000||ADT^A28^ADT_A05|{member}{number}|P|2.5\r\
             EVN||20260301120000+0000\r\
             PID|1||{number}^^^{member}^MR||{}^{}^{}^{}||{}|{sex}|||{}^^{}^{}^{}||{}||||||{ssn}\r",
            text("/name/0/family"),
            text("/name/0/given/0"),
            text("/name/0/given/1"),
            text("/name/0/suffix/0"),
            text("/birthDate").replace('-', ""),
            text("/address/0/line/0"),
            text("/address/0/city"),
            text("/address/0/state"),
            text("/address/0/postalCode"),
            phone.and_then(Value::as_str).unwrap_or_default(),
        ))
    }

    /// System and value of its record number, and the Patient.
    pub(crate) fn to_feed(&self) -> (String, String, Bytes) {
        let patient = Bytes::from(self.json.clone());
        (record_system(&self.member), self.record_number.clone(), patient)
    }
}

/// Records of one population in two parts, so that the second is about the first's people too.
pub(crate) fn invented(
    first: usize,
    second: usize,
    members: &[MemberCode],
) -> Result<(Vec<Told>, Vec<Told>)> {
    let mut told = Vec::with_capacity(first + second);
    each_invented(first + second, members, |one| {
        told.push(one);
        Ok(())
    })?;
    let second = told.split_off(first);
    Ok((told, second))
}

/// Hands over each record of a population, one after the other.
pub(crate) fn each_invented(
    records: usize,
    members: &[MemberCode],
    mut take: impl FnMut(Told) -> Result<()>,
) -> Result<()> {
    let (from, to) = std::io::pipe()?;
    let inventing = std::thread::spawn(move || {
        write_population(records as u64, SEED, RegimeName::Usual, BufWriter::new(to))
    });
    for row in csv::Reader::from_reader(from).deserialize() {
        take(patient(&row?, members)?)?;
    }
    inventing.join().map_err(|_| anyhow::anyhow!("nobody was invented"))?.context("inventing")
}

fn patient(row: &HashMap<String, String>, members: &[MemberCode]) -> Result<Told> {
    let column = |name: &str| row.get(name).map(String::as_str).unwrap_or_default();
    // The hospitals are H0, H1 and so on.
    let number = column("source").strip_prefix('H').and_then(|digits| digits.parse().ok());
    let member = number.and_then(|at: usize| members.get(at)).context("no such hospital")?;
    let given: Vec<&str> =
        [column("given"), column("middle")].into_iter().filter(|name| !name.is_empty()).collect();
    let mut identifiers = vec![
        json!({"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203",
            "code": "MR"}]}, "system": record_system(member), "value": column("mrn")}),
    ];
    if !column("ssn").is_empty() {
        identifiers
            .push(json!({"system": "http://hl7.org/fhir/sid/us-ssn", "value": column("ssn")}));
    }
    let telecom: Vec<Value> = [("phone", column("phone")), ("email", column("email"))]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(system, value)| json!({"system": system, "value": value}))
        .collect();
    let mut patient = json!({
        "resourceType": "Patient",
        "identifier": identifiers,
        "name": [{"family": column("family"), "given": given, "suffix": [column("suffix")]}],
        "telecom": telecom,
        "address": [{"line": [column("address_line")], "city": column("city"),
            "state": column("state"), "postalCode": column("postal_code")}],
    });
    without_empty(&mut patient);
    match column("sex") {
        "F" => patient["gender"] = "female".into(),
        "M" => patient["gender"] = "male".into(),
        _ => {}
    }
    // A clerk's slip may be no date at all; the interface would refuse it.
    if PartialDate::parse(column("birth_date")).is_ok() {
        patient["birthDate"] = column("birth_date").into();
    }
    let record_number = column("mrn").to_owned();
    Ok(Told { member: member.clone(), record_number, json: patient.to_string() })
}

/// Takes out what is empty, as FHIR wants it.
fn without_empty(value: &mut Value) {
    let is_empty = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(list) => {
            list.iter_mut().for_each(without_empty);
            list.retain(|one| !is_empty(one));
        }
        Value::Object(members) => {
            members.values_mut().for_each(without_empty);
            members.retain(|_, one| !is_empty(one));
        }
        _ => {}
    }
}
