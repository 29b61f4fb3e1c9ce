//! The directory over HTTP: for operators at `/admin/members`, for everybody as IHE mCSD.

use serde_json::{Value, json};
use tessera::simulator::{CertificateFault, Faults};

use crate::{
    answers::Answer,
    people::{anne, lake},
    world::{Client, World},
};

async fn world() -> World {
    World::of(vec![anne(), lake().told("status", json!("testing"))]).await
}

fn admin(world: &World, path: &str) -> String {
    format!("{}/admin/members{path}", world.gateway.base_url().trim_end_matches("/fhir"))
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = |entry: &Value| {
        let resource = &entry["resource"];
        format!("{}/{}", resource["resourceType"], resource["id"]).replace('"', "")
    };
    answer.entries().iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_checks_activates_changes_and_reverts_a_member() {
    let world = world().await;
    let operator = world.client("operator");
    let act = async |action: &str| operator.post(&admin(&world, action), "").await;
    let checked = act("/lake/test").await;
    assert_eq!((checked.status, &checked.json()["passed"]), (200, &json!(true)), "{checked:?}");
    let activated = act("/lake/activate").await;
    assert_eq!(activated.json()["fields"][0]["after"], "active", "{activated:?}");

    let shown = operator.get(&admin(&world, "/lake")).await.json();
    assert_eq!(shown["version"], 2, "{shown}");
    let mut member = shown["member"].clone();
    member["deadline_ms"] = json!(4_000);
    let changed = operator.put(&admin(&world, "/lake"), &member).await;
    assert_eq!(
        (changed.status, &changed.json()["change"]),
        (200, &json!("changed")),
        "{changed:?}"
    );
    let reverted = act("/lake/revert?version=2").await;
    assert_eq!(reverted.json()["fields"][0]["after"], "8000", "{reverted:?}");
    let history = operator.get(&admin(&world, "/lake/history")).await.json();
    assert_eq!(history.as_array().map(Vec::len), Some(4), "{history}");

    let events = world.events_of(&reverted).await;
    assert_eq!(events.len(), 2, "an opening and a closing row: {events:?}");
    assert!(events[1].body.to_string().contains("Organization/lake"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_its_check_is_not_activated() {
    let world = world().await;
    let certificate = CertificateFault::Expired;
    world.misbehave("lake", Faults { certificate, ..Faults::default() });
    let operator = world.client("operator");
    let refused = operator.post(&admin(&world, "/lake/activate"), "").await;
    refused.refuses(422, "business-rule", "certificate has expired");
    let shown = operator.get(&admin(&world, "/lake")).await.json();
    assert_eq!(shown["member"]["status"], "testing");
    let mut member = shown["member"].clone();
    member["status"] = json!("active");
    let refused = operator.put(&admin(&world, "/lake"), &member).await;
    refused.refuses(422, "business-rule", "certificate has expired");
    member["stauts"] = json!("active");
    operator.put(&admin(&world, "/lake"), &member).await.refuses(422, "invalid", "stauts");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_operator_manages_members_and_the_attempt_is_audited() {
    let world = world().await;
    for name in ["ed", "steward", "stranger"] {
        let client: Client = world.client(name);
        let refused = client.post(&admin(&world, "/lake/suspend"), "").await;
        refused.refuses(403, "forbidden", "");
        assert_eq!(world.events_of(&refused).await.len(), 2, "{name}");
        client.get(&admin(&world, "")).await.refuses(403, "forbidden", "");
    }
    let listed = world.client("operator").get(&admin(&world, "")).await;
    assert_eq!(listed.json().as_array().map(Vec::len), Some(2), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_are_an_mcsd_directory() {
    let world = world().await;
    let ed = world.client("ed");
    let search = async |query: &str| ids(&ed.get(query).await);
    assert_eq!(
        search("Organization").await,
        ["Organization/Exchange", "Organization/anne", "Organization/lake"]
    );
    for (query, expected) in [
        ("Organization?name=hospital%20AN", &["Organization/anne"][..]),
        ("Organization?name:contains=lak", &["Organization/lake"]),
        ("Organization?name:exact=hospital%20lake", &[]),
        ("Organization?identifier=urn:ietf:rfc:3986|https://anne.example", &["Organization/anne"]),
        ("Organization?active=true&type=prov&_id=lake", &["Organization/lake"]),
        ("Organization?_lastUpdated=lt2020-01-01", &[]),
        (
            "Organization?_id=lake&_include=Organization:endpoint\
             &_revinclude=OrganizationAffiliation:participating-organization",
            &["Organization/lake", "Endpoint/lake", "OrganizationAffiliation/lake"],
        ),
        ("Endpoint?status=active", &["Endpoint/anne"]),
        ("Endpoint?organization=Organization/lake", &["Endpoint/lake"]),
        ("Endpoint?connection-type=hl7-fhir-rest&status=test", &["Endpoint/lake"]),
        ("OrganizationAffiliation?active=true", &["OrganizationAffiliation/anne"]),
        (
            "OrganizationAffiliation?primary-organization=Exchange&role=HIE/HIO&_count=1\
             &date=ge2020-01-01",
            &["OrganizationAffiliation/anne"],
        ),
        (
            "OrganizationAffiliation?participating-organization=lake\
             &_include=OrganizationAffiliation:endpoint",
            &["OrganizationAffiliation/lake", "Endpoint/lake"],
        ),
    ] {
        assert_eq!(search(query).await, expected, "{query}");
    }
    let read = ed.get("Endpoint/anne").await;
    assert_eq!(read.json()["address"], world.stage.member("anne").base_url(), "{read:?}");
    ed.get("Organization/nobody").await.refuses(404, "not-found", "");
    ed.get("Organization?active:contains=x").await.refuses(400, "value", "active");
    world.client("stranger").get("Organization").await.refuses(403, "forbidden", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_search_is_paged_and_can_be_posted() {
    let world = world().await;
    let ed = world.client("ed");
    let first = ed.get("Organization?_count=2").await;
    assert_eq!(ids(&first).len(), 2);
    let next = first.next_link().expect("another page");
    assert_eq!(ids(&ed.get(&next).await), ["Organization/lake"]);
    let posted = ed
        .request(reqwest::Method::POST, "Endpoint/_search")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("organization=lake");
    assert_eq!(ids(&ed.send(posted).await), ["Endpoint/lake"]);
}
