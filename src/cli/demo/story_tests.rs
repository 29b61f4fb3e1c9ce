//! What the merge makes of each written story, as snapshots: the page for an emergency department, each
//! fact with everybody who tells it, and the contradictions.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use time::macros::datetime;

use super::{
    SEED,
    holdings::{Holdings, Owner},
    invented,
};
use crate::{
    domain::EnterpriseId,
    fhir::Resource,
    record::{Brief, BriefInput, MemberAnswer, MergeContext, MergedRecord, merge},
};

#[test]
fn each_written_story_is_told_as_it_should_be() {
    let dir = tempfile::tempdir().expect("a folder");
    let now = datetime!(2026-03-01 12:00 UTC);
    let truth = invented::write(dir.path(), 0, SEED, now).expect("written");
    let holdings = Holdings::read(dir.path()).expect("readable");
    assert!(truth.patients.len() >= 12, "{}", truth.patients.len());
    for (story, local_ids) in &truth.patients {
        let mut person = None;
        let mut answers = Vec::new();
        for (member, patient) in holdings.source_patients(local_ids) {
            person.get_or_insert_with(|| serde_json::from_str(patient.resource.json()));
            let owner = Owner::Patient(format!("{}/{}", member.code, patient.id));
            answers.push(MemberAnswer {
                member: member.code.clone(),
                base_url: format!("https://{}.example/fhir", member.code),
                name: Some(format!("Hospital {}", member.code)),
                organization_id: None,
                patient_ids: vec![patient.id.clone()],
                resources: resources(dir.path(), &holdings, member.code.as_str(), &owner),
            });
        }
        let context = MergeContext {
            person: EnterpriseId::from_u128(1),
            recorded: now,
            exchange_name: "Exchange".to_owned(),
            exchange_id: None,
        };
        let record = merge(&context, answers);
        let brief = Brief::of(&BriefInput {
            person: &person.expect("somebody holds the patient").expect("JSON"),
            record: &record,
            statement: &[],
            now,
        });
        let page = format!("{}\n{}", brief.to_text(), told(&record));
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(story.as_str(), page);
        });
    }
}

/// What a member holds of one patient of its own.
fn resources(dir: &Path, holdings: &Holdings, member: &str, owner: &Owner) -> Vec<Resource> {
    let mut all = BTreeMap::new();
    for file in fs::read_dir(dir.join(member)).expect("a folder") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("text");
        for line in text.lines() {
            let resource = Resource::parse(line.as_bytes()).expect("a resource");
            let id = resource.id().expect("an id");
            let name = format!("{member}/{}/{id}", resource.resource_type());
            if holdings.owner(&name) == Some(owner) {
                all.insert(name, resource);
            }
        }
    }
    all.into_values().collect()
}

/// The facts, each with those who tell it, and what contradicts what.
fn told(record: &MergedRecord) -> String {
    let mut text = String::from("FACTS\n");
    let mut behind: BTreeMap<String, String> = BTreeMap::new();
    for group in record.groups() {
        let names: Vec<String> =
            group.iter().map(|one| name(&one.resource_type, &one.gateway_id)).collect();
        behind.insert(names[0].clone(), names[1..].join(" = "));
    }
    for fact in record.facts() {
        let name = name(fact.resource_type, fact.id);
        match behind.get(&name) {
            Some(others) => writeln!(text, "  {name} = {others}"),
            None => writeln!(text, "  {name}"),
        }
        .expect("a string takes all");
    }
    text.push_str("CONTRADICTIONS\n");
    for conflict in record.conflicts() {
        let (kind, sides) = (conflict.kind.code(), conflict.implicated.join(" / "));
        writeln!(text, "  {:?} {kind}: {sides}", conflict.danger).expect("a string takes all");
    }
    text
}

fn name(resource_type: &str, id: &str) -> String {
    format!("{resource_type}/{id}")
}
