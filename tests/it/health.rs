//! `/livez`, `/readyz` and `/metrics` on the port for the machine itself.

use serde_json::json;

use crate::{
    people::{allergy, anne, patient, ruth},
    process::{Process, apply_members},
    world::{Site, Stage, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_runs_is_live_and_ready() {
    let world = World::of(vec![anne()]).await;
    let anybody = world.client("stranger");
    for (path, told) in [("livez", "ok\n"), ("readyz", "ready\n")] {
        let url = format!("http://{}/{path}", world.gateway.health_address());
        let answer = anybody.get(&url).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, told), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_port_serves_nothing_else() {
    let world = World::of(vec![anne()]).await;
    let url = format!("http://{}/fhir/metadata", world.gateway.health_address());
    assert_eq!(world.client("ed").get(&url).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_metrics_nor_logs_hold_patient_data() {
    let mut marked = patient("anne", "marked", &ruth());
    marked["name"] = json!([{"family": "Marksdottir", "given": ["Zebulona"]}]);
    let site = Site::new("anne", vec![marked.clone(), allergy("marked")]);
    let stage = Stage::set(vec![site], |settings| {
        settings["log"] = json!({"level": "trace"});
    });
    assert!(apply_members(&stage).status.success());
    let gateway = Process::serve(&stage);
    let anne = stage.feeder("anne", &gateway.base);
    let created = anne.feed(&marked).await;
    assert_eq!(created.status, 201);
    let mut wrong = marked.clone();
    wrong["birthDate"] = json!("Zebulona");
    assert_eq!(anne.feed(&wrong).await.status, 422);
    let ed = stage.client("ed", &gateway.base);
    let person = ed.person(&marked).await;
    assert_eq!(ed.get(&format!("Patient/{person}")).await.status, 200);
    ed.everything(&person).await;
    assert_eq!(ed.get("Patient/anne.marked").await.status, 200);
    assert_eq!(ed.get("Patient/Zebulona").await.status, 404);
    assert_eq!(ed.get("Patient?family=Marksdottir").await.status, 200);
    let number = "sourceIdentifier=https://anne.example/mrn|anne-marked";
    assert_eq!(ed.get(&format!("Patient/$ihe-pix?{number}")).await.status, 200);
    assert_eq!(ed.get("Patient?birthdate=Zebulona").await.status, 400);

    let metrics = ed.get(&format!("{}/metrics", gateway.health)).await;
    assert_eq!(metrics.status, 200);
    let metrics = metrics.text();
    for counted in [
        "tessera_index_records 1",
        "tessera_index_persons 1",
        "route=\"/fhir/Patient/$match\"",
        "route=\"/fhir/Patient/{id}\"",
    ] {
        assert!(metrics.contains(counted), "no {counted} in {metrics}");
    }
    drop((anne, ed));
    gateway.terminate();
    let (_, log) = tokio::task::spawn_blocking(move || gateway.exit()).await.expect("ended");
    let marks = ["Zebulona", "Marksdottir", "anne-marked", "1958", "315 555", "Harbour", &*person];
    for mark in marks {
        for (place, text) in [("metrics", &metrics), ("log", &log)] {
            assert!(!text.contains(mark), "{mark} in the {place}: {text}");
        }
    }
}
