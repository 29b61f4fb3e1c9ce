//! Faults of bodies and of TLS, and the address where they are set, as a client meets them.

use serde_json::{Value, json};

use super::{
    tests::{World, client},
    *,
};

fn answer(answer: AnswerFault) -> Faults {
    Faults { answer, ..Faults::default() }
}

#[tokio::test]
async fn bodies_are_broken_inflated_and_trickled() {
    let world = World::new(SimulatorOptions::default());
    world.simulator.set_faults(answer(AnswerFault::Malformed));
    let body = world.get("/Patient").await.bytes().await.expect("whole HTTP");
    assert!(serde_json::from_slice::<Value>(&body).is_err());

    world.simulator.set_faults(answer(AnswerFault::GzipBomb { bytes: 10 << 20 }));
    let response = world.get("/Patient").await;
    assert_eq!(response.bytes().await.expect("inflated").len(), 10 << 20);

    world.simulator.set_faults(answer(AnswerFault::Trickled { pause_ms: 0 }));
    assert_eq!(world.ids("/Patient").await, ["ada", "bo"]);
}

#[tokio::test]
async fn a_refused_parameter_is_an_error_and_others_are_not() {
    let world = World::new(SimulatorOptions::default());
    let refused_parameters = vec!["_count".to_owned()];
    world.simulator.set_faults(Faults { refused_parameters, ..Faults::default() });
    assert_eq!(world.get("/Patient?_count=5").await.status(), 400);
    assert_eq!(world.get("/Patient?family=berg").await.status(), 200);
}

#[tokio::test]
async fn certificates_go_wrong_for_those_who_connect_from_then_on() {
    let world = World::new(SimulatorOptions::default());
    world.allow_tls_faults();
    let connects = async |certificate| {
        world.simulator.set_faults(Faults { certificate, ..Faults::default() });
        let url = format!("{}/metadata", world.simulator.base_url());
        client(&world.pki).get(url).send().await.is_ok_and(|response| response.status() == 200)
    };
    for fault in [
        CertificateFault::Expired,
        CertificateFault::AnotherName,
        CertificateFault::UnknownAuthority,
        CertificateFault::RefusesClients,
    ] {
        assert!(!connects(fault).await, "{fault:?}");
    }
    assert!(connects(CertificateFault::None).await);
}

#[tokio::test]
async fn faults_are_set_shown_and_taken_back_at_the_control_address() {
    let world = World::new(SimulatorOptions::default());
    let http = client(&world.pki);
    let simulators = [world.simulator];
    let bind = ([127, 0, 0, 1], 0).into();
    let control = Control::start(bind, &simulators).expect("it listens");
    let url = format!("http://{}/members/mercy/faults", control.address());
    let put = async |faults: Value| {
        let sent = http.put(&url).body(faults.to_string()).send().await.expect("an answer");
        sent.status().as_u16()
    };
    assert_eq!(put(json!({"delay_ms": 7})).await, 200);
    let shown = http.get(&url).send().await.expect("an answer").text().await.expect("a body");
    assert!(shown.contains("\"delay_ms\":7"), "{shown}");
    assert_eq!(put(json!({"delay": 7})).await, 400);
    assert_eq!(put(json!({"certificate": "expired"})).await, 409);
    assert_eq!(http.delete(&url).send().await.expect("an answer").status(), 200);
    let all = format!("http://{}/members", control.address());
    let all = http.get(all).send().await.expect("an answer").text().await.expect("a body");
    assert!(all.contains("\"delay_ms\":0"), "{all}");
    let unknown = format!("http://{}/members/lake/faults", control.address());
    assert_eq!(http.get(unknown).send().await.expect("an answer").status(), 404);
    control.stop().await;
    let outside = Control::start(([0, 0, 0, 0], 0).into(), &simulators);
    assert!(matches!(outside, Err(ControlError::NotLoopback(_))));
}
