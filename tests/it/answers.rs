//! What the gateway said: reading its answers and its audit trail.

use std::{collections::BTreeSet, fmt};

use reqwest::{Response, header::HeaderMap};
use serde_json::Value;
use tessera::storage::{AuditRow, AuditState};

/// An answer of the gateway.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Compares with the snapshot of this name: one for both databases, so no crate stands before it.
pub(crate) fn check_snapshot(name: &str, shown: &Value) {
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!(name, shown);
    });
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a whole body").to_vec();
        Self { status, headers, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn request_id(&self) -> String {
        let id = self.header("x-request-id");
        assert!(!id.is_empty(), "{self:?}");
        id.to_owned()
    }

    /// The person that a feed's `Location` names.
    pub(crate) fn located(&self) -> &str {
        self.header("location").rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn entries(&self) -> Vec<Value> {
        self.json()["entry"].as_array().cloned().unwrap_or_default()
    }

    /// The Patients of a `$match` that are graded certain.
    pub(crate) fn certain(&self) -> Vec<Value> {
        let certain = self.entries().into_iter().filter(|entry| grade(entry) == "certain");
        certain.map(|entry| entry["resource"].clone()).collect()
    }

    /// The entries' resources of one type.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<Value> {
        let resources = self.entries().into_iter().map(|entry| entry["resource"].clone());
        resources.filter(|resource| resource["resourceType"] == kind).collect()
    }

    /// `Type/id` of what members told: singles and representatives.
    pub(crate) fn facts(&self) -> BTreeSet<String> {
        self.entries()
            .iter()
            .filter(|entry| {
                entry["search"]["mode"] == "match" && entry["resource"]["link"].is_null()
            })
            .map(|entry| reference(&entry["resource"]))
            .collect()
    }

    /// Every original of the answer: the facts, and those that stand behind a group.
    pub(crate) fn originals(&self) -> BTreeSet<String> {
        let mut all = self.facts();
        for linkage in self.of_type("Linkage") {
            for item in linkage["item"].as_array().into_iter().flatten() {
                all.insert(item["resource"]["reference"].as_str().expect("told").to_owned());
            }
        }
        all
    }

    /// The issues of an OperationOutcome, be it the answer itself or an entry of it.
    pub(crate) fn issues(&self) -> Vec<Value> {
        let json = self.json();
        let outcomes = if json["resourceType"] == "OperationOutcome" {
            vec![json]
        } else {
            self.of_type("OperationOutcome")
        };
        let issues = outcomes.iter().filter_map(|outcome| outcome["issue"].as_array());
        issues.flatten().cloned().collect()
    }

    /// What the completeness statement calls a member's part of the answer.
    pub(crate) fn outcome_of(&self, member: &str) -> String {
        let begin = format!("member={member}; outcome=");
        let told: Vec<String> = self
            .issues()
            .iter()
            .filter_map(|issue| {
                Some(issue["diagnostics"].as_str()?.strip_prefix(&begin)?.to_owned())
            })
            .map(|rest| rest.split(';').next().unwrap_or_default().to_owned())
            .collect();
        assert!(told.len() <= 1, "{member} is told of {} times", told.len());
        told.into_iter().next().unwrap_or_default()
    }

    pub(crate) fn next_link(&self) -> Option<String> {
        let json = self.json();
        let mut links = json["link"].as_array()?.iter();
        let next = links.find(|link| link["relation"] == "next")?;
        next["url"].as_str().map(str::to_owned)
    }

    /// Asserts that these Parameters have no name and no type that their OperationDefinition lacks.
    pub(crate) fn keeps_to(&self, definition: &Value) {
        let parameters = definition["parameter"].as_array().expect("parameters");
        let given: Vec<&Value> = parameters.iter().filter(|one| one["use"] == "out").collect();
        assert_eq!(self.status, 200, "{self:?}");
        check_parameters(&self.json()["parameter"], &given);
    }

    /// Asserts a refusal in FHIR's words: status, issue type, and words that the issue has
    /// somewhere.
    pub(crate) fn refuses(&self, status: u16, code: &str, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.header("content-type").starts_with("application/fhir+json"), "{self:?}");
        let issues = self.issues();
        let told = |issue: &Value| {
            issue["severity"] == "error"
                && issue["code"] == code
                && issue.to_string().contains(words)
        };
        assert!(issues.iter().any(told), "no {code} with {words:?}: {self:?}");
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.text())
    }
}

fn check_parameters(told: &Value, defined: &[&Value]) {
    for one in told.as_array().into_iter().flatten() {
        let named = defined.iter().find(|known| known["name"] == one["name"]);
        let known = named.unwrap_or_else(|| panic!("{} is not defined", one["name"]));
        let value = one.as_object().expect("an object").keys().find(|key| *key != "name");
        let kind = known["type"].as_str().unwrap_or_default();
        match value.map(String::as_str) {
            Some("part") => {
                let parts = known["part"].as_array().expect("it is defined with parts");
                check_parameters(&one["part"], &parts.iter().collect::<Vec<_>>());
            }
            Some("resource") => assert_eq!(one["resource"]["resourceType"], kind, "{one}"),
            Some(value) => {
                let told = value.strip_prefix("value").expect("a value").to_lowercase();
                assert_eq!(told, kind.to_lowercase(), "{one}");
            }
            None => panic!("{} has no value", one["name"]),
        }
    }
}

/// FHIR match grade of an entry.
pub(crate) fn grade(entry: &Value) -> &str {
    let extensions = entry["search"]["extension"].as_array();
    let grade = extensions
        .into_iter()
        .flatten()
        .find(|told| told["url"] == "http://hl7.org/fhir/StructureDefinition/match-grade");
    grade.and_then(|told| told["valueCode"].as_str()).unwrap_or_default()
}

/// `Type/id`.
pub(crate) fn reference(resource: &Value) -> String {
    let part = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", part("resourceType"), part("id"))
}

/// A row of the audit trail.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) request_id: String,
    pub(crate) open: bool,
    pub(crate) person: Option<String>,
    pub(crate) body: Value,
}

impl Event {
    pub(crate) fn of(row: &AuditRow) -> Self {
        Self {
            request_id: row.entry.request_id.to_string(),
            open: row.entry.state == AuditState::Open,
            person: row.entry.person.map(|person| person.to_string()),
            body: serde_json::from_str(&row.entry.body).expect("an AuditEvent"),
        }
    }

    /// FHIR `audit-event-outcome`.
    pub(crate) fn outcome(&self) -> &str {
        self.body["outcome"].as_str().unwrap_or_default()
    }

    /// Why it was refused or failed.
    pub(crate) fn reason(&self) -> &str {
        self.body["outcomeDesc"].as_str().unwrap_or_default()
    }
}
