//! The members are looked at again and again, and what is found is there for operators.

use serde_json::{Value, json};
use tessera::{
    domain::MemberCode,
    simulator::{CertificateFault, Faults, PagingFault},
};

use crate::{
    people::{anne, lake, ruth},
    process::{Process, apply_members, tessera},
    world::{Stage, World, eventually, record_numbers},
};

async fn told(world: &World) -> Value {
    let url = format!("http://{}/members", world.gateway.health_address());
    world.client("stranger").get(&url).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_finds_certificates_and_faults_before_anybody_asks() {
    let mut world = World::with(vec![anne(), lake()], |settings| {
        settings["federation"]["probe_interval_s"] = json!(1);
    })
    .await;
    eventually("both are seen", || async {
        let told = told(&world).await;
        [0, 1].iter().all(|at| told["members"][*at]["certificate_days_left"].as_i64() == Some(29))
    })
    .await;
    assert_eq!(told(&world).await["own_certificate_days_left"], 29);
    let certificate = CertificateFault::Expired;
    world.misbehave("lake", Faults { certificate, ..Faults::default() });
    eventually("the fault is seen", || async {
        told(&world).await["members"][1]["fault"].to_string().contains("has expired")
    })
    .await;
    assert!(told(&world).await["members"][0]["fault"].is_null());
    world.go_down("anne").await;
    eventually("it is down", || async {
        told(&world).await["members"][0]["fault"].to_string().contains("nobody listens there")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_about_a_member_is_noticed_day_by_day_and_changes_nothing() {
    let odd = lake()
        .paged(1)
        .told("check_patient", json!(format!("{}|lake-ruth", record_numbers("lake"))));
    let world = World::with(vec![anne(), odd], |settings| {
        settings["federation"]["check_interval_s"] = json!(1);
    })
    .await;
    let paging = PagingFault::LosesCriteria;
    world.misbehave("lake", Faults { paging, ..Faults::default() });
    let directory = &world.gateway.exchange().directory;
    let code = MemberCode::parse("lake").expect("a code");
    let found = |words: &'static str| {
        let code = code.clone();
        async move {
            let last = directory.finding(&code, "oddities").await.expect("read");
            last.is_some_and(|(_, body)| body.contains(words))
        }
    };
    eventually("it is noticed", || found("loses_criteria")).await;
    assert!(directory.roster().member(&code).expect("there").quirks().is_empty());
    world.misbehave("lake", Faults::default());
    eventually("it is well again", || found("\"quirks\":[]")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_failures_and_what_is_left_of_the_budget_are_told() {
    let stage = Stage::set(vec![anne(), lake()], |settings| {
        settings["server"]["health_address"] = json!("127.0.0.1:0");
    });
    assert!(apply_members(&stage).status.success());
    let gateway = Process::serve(&stage);
    for code in ["anne", "lake"] {
        let told = crate::people::patient(code, "ruth", &ruth());
        assert_eq!(stage.feeder(code, &gateway.base).feed(&told).await.status, 201);
    }
    let ed = stage.client("ed", &gateway.base);
    let person = ed.person(&ruth()).await;
    ed.everything(&person).await;
    let answer = tessera::simulator::AnswerFault::Status { status: 500, retry_after_s: None };
    stage.member("lake").set_faults(Faults { answer, ..Faults::default() });
    ed.everything(&person).await;
    let told = ed.get(&format!("{}/members", gateway.health)).await.json();
    let (anne, lake) = (&told["members"][0], &told["members"][1]);
    assert_eq!((&anne["failures"], &anne["error_budget_left"]), (&json!(0), &json!(1.0)), "{told}");
    assert!(lake["failures"].as_u64() > Some(0), "{told}");
    assert!(lake["error_budget_left"].as_f64() < Some(0.0), "{told}");
    let metrics = ed.get(&format!("{}/metrics", gateway.health)).await.text();
    for counted in
        ["tessera_member_error_budget_left{member=\"lake\"}", "tessera_certificate_days_left"]
    {
        assert!(metrics.contains(counted), "no {counted} in {metrics}");
    }
    // The command finds the gateway by the address in its configuration.
    let health: std::net::SocketAddr =
        gateway.health.trim_start_matches("http://").parse().expect("an address");
    let text = std::fs::read_to_string(stage.settings()).expect("written");
    let fixed =
        text.replace("health_address = \"127.0.0.1:0\"", &format!("health_address = \"{health}\""));
    std::fs::write(stage.settings(), fixed).expect("written");
    let shown = tessera(&stage, &["member", "--config", "tessera.toml", "health"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.lines().any(|line| line.contains("lake") && line.contains("closed")), "{shown}");
}
