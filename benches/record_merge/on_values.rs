//! Comparable work on `serde_json::Value`, as one would write it without further thought.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// One resource under its id in the exchange.
struct Told {
    reference: String,
    member: usize,
    key: Option<String>,
    json: String,
}

/// Merges what each member told; how many facts are left.
pub(crate) fn grouped(members: &[Vec<String>]) -> Result<usize> {
    let mut all = Vec::new();
    for (member, told) in members.iter().enumerate() {
        for json in told {
            all.push(take(member, serde_json::from_slice(json.as_bytes())?)?);
        }
    }
    all.sort_by(|a, b| a.reference.cmp(&b.reference));
    let mut by_key: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, told) in all.iter().enumerate() {
        if let Some(key) = &told.key {
            by_key.entry(key).or_default().push(at);
        }
    }
    let mut groups: Vec<Vec<usize>> = by_key
        .into_values()
        .filter(|group| group.iter().any(|at| all[*at].member != all[group[0]].member))
        .collect();
    groups.sort_unstable();
    let mut written: Vec<String> = Vec::new();
    let mut hidden = 0;
    for group in &mut groups {
        // The fullest is shown.
        group.sort_by_key(|at| std::cmp::Reverse(all[*at].json.len()));
        hidden += group.len() - 1;
        let items: Vec<Value> = group
            .iter()
            .map(|at| json!({"type": "alternate", "resource": {"reference": all[*at].reference}}))
            .collect();
        written.push(json!({"resourceType": "Linkage", "item": items}).to_string());
    }
    let mut targets: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    for told in &all {
        targets.entry(told.member).or_default().push(json!({"reference": told.reference}));
    }
    for (member, target) in targets {
        let who = json!({"display": format!("m{member}")});
        let agent = json!([{"who": who}]);
        written.push(
            json!({"resourceType": "Provenance", "target": target, "agent": agent}).to_string(),
        );
    }
    std::hint::black_box(&written);
    Ok(all.len() - hidden)
}

fn take(member: usize, mut resource: Value) -> Result<Told> {
    let kind = resource["resourceType"].as_str().context("a type")?.to_owned();
    let id = format!("m{member}.{}", resource["id"].as_str().context("an id")?);
    let key = key(&kind, &resource);
    resource["id"] = id.clone().into();
    resource["meta"]["source"] = format!("https://m{member}.example/fhir").into();
    rewrite(member, &mut resource);
    Ok(Told { reference: format!("{kind}/{id}"), member, key, json: resource.to_string() })
}

fn rewrite(member: usize, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(member, item)),
        Value::Object(members) => {
            for (name, inner) in members {
                match inner {
                    Value::String(told) if name == "reference" => {
                        if told == "Patient/p" {
                            "Patient/00000000-0000-0000-0000-000000000001".clone_into(told);
                        } else if let Some((kind, id)) = told.split_once('/') {
                            *told = format!("{kind}/m{member}.{id}");
                        }
                    }
                    _ => rewrite(member, inner),
                }
            }
        }
        _ => {}
    }
}

/// Type, first code in one spelling, instant and content; `None` where it tells no code.
fn key(kind: &str, resource: &Value) -> Option<String> {
    let concept = ["code", "medicationCodeableConcept", "vaccineCode"]
        .into_iter()
        .map(|name| &resource[name])
        .find(|concept| concept.is_object());
    let concept = concept.or_else(|| resource["type"].get(0))?;
    let coding = &concept["coding"][0];
    let system = coding["system"].as_str()?.to_lowercase();
    let system =
        system.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let code = coding["code"].as_str()?.trim();
    let when = [
        &resource["effectiveDateTime"],
        &resource["onsetDateTime"],
        &resource["authoredOn"],
        &resource["performedDateTime"],
        &resource["occurrenceDateTime"],
        &resource["recordedDate"],
        &resource["period"]["start"],
    ];
    let when = when.into_iter().find_map(Value::as_str)?;
    let instant = OffsetDateTime::parse(when, &Rfc3339).map(OffsetDateTime::unix_timestamp);
    let when = instant.map_or_else(|_| when.to_owned(), |instant| instant.to_string());
    let content: Vec<String> =
        ["valueQuantity", "valueCodeableConcept", "component", "bodySite", "lotNumber", "intent"]
            .into_iter()
            .map(|name| resource[name].to_string())
            .collect();
    Some(format!("{kind}|{system}|{code}|{when}|{}", content.join("|")))
}
