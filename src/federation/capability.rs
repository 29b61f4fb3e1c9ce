//! What a member says it can do: the parts of its CapabilityStatement that a plan needs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::fhir::{InvalidResource, check_nesting};

/// What a member's server can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// `fhirVersion`, as told.
    pub fhir_version: String,
    /// Name and version of its software, as told.
    pub software: String,
    /// Whether `Patient/{id}/$everything` is declared.
    pub everything: bool,
    /// The resource types that are served.
    pub types: BTreeMap<String, ServedType>,
}

/// One resource type that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedType {
    /// Whether it can be read by id.
    pub reads: bool,
    /// Names of search parameters, those of all types included.
    pub searches: BTreeSet<String>,
    /// `_include` values.
    pub includes: BTreeSet<String>,
    /// `_revinclude` values.
    pub reverse_includes: BTreeSet<String>,
}

impl Capabilities {
    /// Reads a CapabilityStatement (FHIR R4). Unknown elements are ignored.
    pub(super) fn parse(json: &[u8]) -> Result<Self, InvalidResource> {
        check_nesting(json)?;
        let statement: Statement = serde_json::from_slice(json).map_err(|error| {
            InvalidResource::Json { line: error.line(), column: error.column() }
        })?;
        if statement.resource_type != "CapabilityStatement" {
            return Err(InvalidResource::Type);
        }
        let software = statement.software.unwrap_or_default();
        let mut capabilities = Self {
            fhir_version: bounded(&statement.fhir_version),
            software: bounded(&format!("{} {}", software.name, software.version)),
            ..Self::default()
        };
        for rest in statement.rest.into_iter().filter(|rest| rest.mode != "client") {
            capabilities.everything |= rest.operation.iter().any(Operation::is_everything);
            let for_all: Vec<String> = rest.search_param.into_iter().map(|p| p.name).collect();
            for resource in rest.resource {
                if resource.kind == "Patient" {
                    capabilities.everything |= resource
                        .operation
                        .iter()
                        .any(|o| o.is_everything() || o.is_named("everything"));
                }
                let served = capabilities.types.entry(resource.kind).or_default();
                served.reads |= resource.interaction.is_empty()
                    || resource.interaction.iter().any(|interaction| interaction.code == "read");
                let own = resource.search_param.into_iter().map(|param| param.name);
                served.searches.extend(own.chain(for_all.iter().cloned()));
                served.includes.extend(resource.search_include);
                served.reverse_includes.extend(resource.search_rev_include);
            }
        }
        Ok(capabilities)
    }

    /// What differs from what was told earlier, in words; empty where nothing that matters does.
    pub fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut differs = |what: &str, before: &str, now: &str| {
            if before != now {
                changes.push(format!("{what}: {before} -> {now}"));
            }
        };
        differs("FHIR version", &earlier.fhir_version, &self.fhir_version);
        differs("software", &earlier.software, &self.software);
        let declared = |told: bool| if told { "declared" } else { "not declared" };
        differs("$everything", declared(earlier.everything), declared(self.everything));
        for (kind, before) in &earlier.types {
            match self.types.get(kind) {
                None => changes.push(format!("{kind}: served -> not served")),
                Some(now) if now != before => {
                    let lost: Vec<&str> =
                        before.searches.difference(&now.searches).map(String::as_str).collect();
                    let gained: Vec<&str> =
                        now.searches.difference(&before.searches).map(String::as_str).collect();
                    let (lost, gained) = (lost.join(", "), gained.join(", "));
                    changes.push(format!("{kind}: parameters lost [{lost}], gained [{gained}]"));
                }
                Some(_) => {}
            }
        }
        let new = self.types.keys().filter(|kind| !earlier.types.contains_key(*kind));
        changes.extend(new.map(|kind| format!("{kind}: not served -> served")));
        changes
    }

    /// Whether resources of this type can be read by id.
    pub(super) fn reads(&self, resource_type: &str) -> bool {
        self.types.get(resource_type).is_some_and(|served| served.reads)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    resource_type: String,
    #[serde(default)]
    fhir_version: String,
    software: Option<Software>,
    #[serde(default)]
    rest: Vec<Rest>,
}

#[derive(Default, Deserialize)]
struct Software {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
}

/// A member's own words, as long as an operator reads.
fn bounded(text: &str) -> String {
    let shown = text.trim().chars().filter(|letter| !letter.is_control());
    shown.take(120).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rest {
    #[serde(default)]
    mode: String,
    #[serde(default)]
    resource: Vec<RestResource>,
    #[serde(default)]
    search_param: Vec<SearchParam>,
    #[serde(default)]
    operation: Vec<Operation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestResource {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    interaction: Vec<Interaction>,
    #[serde(default)]
    search_param: Vec<SearchParam>,
    #[serde(default)]
    search_include: Vec<String>,
    #[serde(default)]
    search_rev_include: Vec<String>,
    #[serde(default)]
    operation: Vec<Operation>,
}

#[derive(Deserialize)]
struct Interaction {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct SearchParam {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    name: String,
    #[serde(default)]
    definition: String,
}

impl Operation {
    /// By its canonical, `…/OperationDefinition/Patient-everything`, whoever's base stands before it.
    fn is_everything(&self) -> bool {
        let canonical = self.definition.split('|').next().unwrap_or_default();
        canonical.ends_with("/Patient-everything") || self.is_named("patient-everything")
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.trim_start_matches('$').eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Capabilities {
        Capabilities::parse(json.as_bytes()).expect("a CapabilityStatement")
    }

    #[test]
    fn types_and_parameters_are_read() {
        let told = parse(
            r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server",
              "searchParam":[{"name":"_lastUpdated"}],
              "resource":[{"type":"Observation","interaction":[{"code":"search-type"}],
                "searchParam":[{"name":"patient","type":"reference"},{"name":"category"}],
                "searchRevInclude":["Provenance:target"]},
               {"type":"Medication","interaction":[{"code":"read"}]}]}]}"#,
        );
        let observation = &told.types["Observation"];
        let names: Vec<_> = observation.searches.iter().map(String::as_str).collect();
        assert_eq!(names, ["_lastUpdated", "category", "patient"]);
        assert!(observation.reverse_includes.contains("Provenance:target"));
        assert!(!told.everything && told.reads("Medication") && !told.reads("Observation"));
    }

    #[test]
    fn everything_is_declared_in_several_ways() {
        let of_patient = |operation: &str| {
            parse(&format!(
                r#"{{"resourceType":"CapabilityStatement","rest":[{{"mode":"server","resource":
                   [{{"type":"Patient","operation":[{operation}]}}]}}]}}"#
            ))
        };
        assert!(of_patient(r#"{"name":"everything"}"#).everything);
        assert!(of_patient(r#"{"name":"$everything"}"#).everything);
        let canonical =
            r#"{"name":"x","definition":"http://h/OperationDefinition/Patient-everything|4.0.1"}"#;
        assert!(of_patient(canonical).everything);
        let encounters =
            r#"{"name":"x","definition":"http://h/OperationDefinition/Encounter-everything"}"#;
        assert!(!of_patient(encounters).everything);
        let of_system = parse(
            r#"{"resourceType":"CapabilityStatement","rest":[{"mode":"server",
               "operation":[{"name":"everything","definition":"http://h/Encounter-everything"}]}]}"#,
        );
        assert!(!of_system.everything);
    }

    #[test]
    fn what_changed_is_told_in_words() {
        let earlier = parse(
            r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server",
              "resource":[{"type":"Goal"},{"type":"Observation","searchParam":[{"name":"patient"},
              {"name":"code"}]},{"type":"Patient","operation":[{"name":"everything"}]}]}]}"#,
        );
        let now = parse(
            r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server",
              "resource":[{"type":"Flag"},{"type":"Observation","searchParam":[{"name":"patient"},
              {"name":"category"}]},{"type":"Patient"}]}]}"#,
        );
        assert!(now.changes_since(&now).is_empty());
        assert_eq!(
            now.changes_since(&earlier),
            [
                "$everything: declared -> not declared",
                "Goal: served -> not served",
                "Observation: parameters lost [code], gained [category]",
                "Flag: not served -> served",
            ]
        );
    }

    #[test]
    fn another_resource_says_nothing() {
        let error = Capabilities::parse(br#"{"resourceType":"OperationOutcome"}"#);
        assert_eq!(error, Err(InvalidResource::Type));
    }
}
