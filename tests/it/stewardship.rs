//! A steward's day over HTTPS: questions, answers, merges, separations, and who has to be told.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, anybody, county, lake, max, number_of, patient, ruth},
    world::{Client, World, record_numbers},
};

/// `Parameters`, from names and values.
fn parameters(told: &[(&str, &str, Value)]) -> Value {
    let parameter: Vec<Value> =
        told.iter().map(|(name, kind, value)| json!({ "name": name, *kind: value })).collect();
    json!({ "resourceType": "Parameters", "parameter": parameter })
}

fn because() -> (&'static str, &'static str, Value) {
    ("reason", "valueString", json!("both charts were read"))
}

/// The values of a parameter, whatever their kind.
fn values(answer: &Answer, name: &str) -> Vec<Value> {
    named(&answer.json()["parameter"], name)
}

fn named(list: &Value, name: &str) -> Vec<Value> {
    let all = list.as_array().into_iter().flatten().filter(|one| one["name"] == name);
    all.map(|one| {
        let told = one.as_object().expect("an object");
        told.iter().find(|(key, _)| *key != "name").map(|(_, value)| value.clone()).expect("told")
    })
    .collect()
}

fn decision(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    values(answer, "decision")[0].as_u64().expect("a number")
}

fn persons(answer: &Answer) -> Vec<String> {
    let told = values(answer, "patient");
    let id = |value: &Value| {
        value["reference"].as_str().and_then(|text| text.split('/').nth(1)).map(str::to_owned)
    };
    told.iter().map(|value| id(value).expect("a reference")).collect()
}

/// Ruth at three members; at lake she was updated and now looks like somebody else.
async fn ruth_in_doubt() -> (World, String) {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    let person = world.client("ed").person(&ruth()).await;
    let told = world.feeder("lake").feed(&patient("lake", "ruth", &anybody(7))).await;
    assert_eq!((told.status, told.located()), (200, &*person));
    (world, person)
}

async fn only_task(steward: &Client) -> Value {
    let list = steward.get("Task?status=requested").await;
    assert_eq!(list.status, 200, "{list:?}");
    let tasks = list.of_type("Task");
    assert_eq!((tasks.len(), list.json()["total"].as_u64()), (1, Some(1)), "{list:?}");
    tasks[0].clone()
}

async fn decide(steward: &Client, task: &Value, verdict: &str) -> Answer {
    let path = format!("Task/{}/$decide", task["id"].as_str().expect("an id"));
    steward.post(&path, &parameters(&[("verdict", "valueCode", json!(verdict)), because()])).await
}

/// The doubt about lake's record stands where identifiers and places are told, too.
async fn check_identifiers_in_doubt(world: &World) {
    let ed = world.client("ed");
    let number = |member: &str| format!("{}|{member}-ruth", record_numbers(member));
    let referred = |answer: &Answer| -> Vec<(String, bool)> {
        let told = values(answer, "targetIdentifier").into_iter().chain(values(answer, "targetId"));
        let each = told.map(|told| {
            let value = told["value"].as_str().or(told["reference"].as_str()).expect("a text");
            (value.to_owned(), told["extension"][0]["valueBoolean"] == true)
        });
        each.collect()
    };
    let pix = |member: &str| format!("Patient/$ihe-pix?sourceIdentifier={}", number(member));
    let from_anne = referred(&ed.get(&pix("anne")).await);
    let expected = [("county-ruth", false), ("lake-ruth", true)];
    for ((value, in_doubt), expected) in from_anne.iter().zip(expected) {
        assert_eq!((&**value, *in_doubt), expected);
    }
    assert!(!from_anne[2].1, "of the person itself there is no doubt: {from_anne:?}");
    let from_lake = referred(&ed.get(&pix("lake")).await);
    assert!(from_lake.len() == 3 && from_lake.iter().all(|(_, doubt)| *doubt), "{from_lake:?}");

    let path = format!("Patient/$locate-records?identifier={}", number("county"));
    let located = ed.get(&path).await;
    let records = located.json()["parameter"].clone();
    let records = records.as_array().expect("parameters").iter().skip(1);
    let told = records.map(|one| {
        [&named(&one["part"], "member"), &named(&one["part"], "inDoubt")]
            .map(|told| told[0].clone())
    });
    let expected = [json!(["anne", false]), json!(["county", false]), json!(["lake", true])];
    assert_eq!(told.map(|told| json!(told)).collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_a_doubt_until_a_steward_has_decided() {
    let (world, person) = ruth_in_doubt().await;
    let (ed, steward) = (world.client("ed"), world.client("steward"));
    let shown = || async {
        let read = ed.get(&format!("Patient/{person}")).await;
        let matched = ed.matches(&ruth()).await;
        let everything = ed.everything(&person).await;
        let warned = |answer: &Answer| {
            let about = |issue: &Value| {
                issue["details"]["text"].as_str().is_some_and(|text| text.contains("in doubt"))
            };
            answer.issues().iter().any(about)
        };
        let tag = read.json()["meta"]["tag"][0]["code"] == "link-in-doubt";
        [tag, warned(&matched), warned(&everything)]
    };
    assert_eq!(shown().await, [true; 3]);
    let read = ed.get(&format!("Patient/{person}")).await;
    let doubted = read.json()["link"]
        .as_array()
        .expect("links")
        .iter()
        .filter(|link| link["extension"].is_array())
        .count();
    assert_eq!(doubted, 1, "one of three records is in doubt: {read:?}");

    check_identifiers_in_doubt(&world).await;

    let task = only_task(&steward).await;
    assert_eq!(
        (&task["priority"], &task["code"]["coding"][0]["code"]),
        (&json!("urgent"), &json!("link_in_doubt"))
    );
    assert_eq!(task["focus"]["reference"], format!("Patient/{person}"));
    decision(&decide(&steward, &task, "cannot-tell").await);
    assert_eq!(shown().await, [true; 3], "nobody can tell: it is still in doubt");
    assert!(steward.get("Task").await.of_type("Task").is_empty(), "and not asked again");

    let undone = decision(&decide(&steward, &task, "same").await);
    assert_eq!(shown().await, [false; 3]);
    let undo = parameters(&[("decision", "valuePositiveInt", json!(undone)), because()]);
    decision(&steward.post("Patient/$undo-decision", &undo).await);
    assert_eq!(shown().await, [true; 3], "as it was before");
    let answer = decide(&steward, &task, "different").await;
    decision(&answer);
    assert_eq!(persons(&answer).len(), 2, "{answer:?}");
    assert_eq!(shown().await, [false; 3]);
    let world = world.restarted().await;
    let read = world.client("ed").get(&format!("Patient/{person}")).await;
    assert!(!read.text().contains("lake-ruth"), "separated for good: {read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_separation_lists_everybody_who_was_shown_the_mixed_record() {
    let world = World::of(vec![anne(), lake()]).await;
    world.feed_all().await;
    let (ed, clinic, steward) =
        (world.client("ed"), world.client("clinic"), world.client("steward"));
    let (one, other) = (ed.person(&ruth()).await, ed.person(&max()).await);
    let reference = |id: &str| json!({ "reference": format!("Patient/{id}") });
    let merge = parameters(&[
        ("source", "valueReference", reference(&other)),
        ("target", "valueReference", reference(&one)),
        because(),
    ]);
    decision(&steward.post("Patient/$merge-persons", &merge).await);
    // Shown while mixed: under the id that stays, and under the one that leads to it.
    ed.everything(&one).await;
    assert_eq!(clinic.get(&format!("Patient/{other}")).await.status, 200);
    let identifier = |of: &Value| {
        let (system, value) = number_of(of);
        json!({ "system": system, "value": value })
    };
    let leave = parameters(&[
        ("record", "valueIdentifier", identifier(&patient("anne", "max", &max()))),
        ("record", "valueIdentifier", identifier(&patient("lake", "max", &max()))),
        because(),
    ]);
    let separated = steward.post(&format!("Patient/{one}/$separate-records"), &leave).await;
    let number = decision(&separated);
    let minted = persons(&separated).into_iter().find(|person| *person != one).expect("minted");
    assert_ne!(minted, other, "who leaves gets an id of its own");
    ed.everything(&one).await;

    let shown = steward.get(&format!("Patient/$shown-while-mixed?decision={number}")).await;
    shown.keeps_to(&steward.get("OperationDefinition/Patient-shown-while-mixed").await.json());
    let told: Vec<(String, String)> = values(&shown, "shown")
        .iter()
        .map(|part| {
            let text = |name: &str| named(part, name)[0].as_str().expect("text").to_owned();
            (text("client"), text("interaction"))
        })
        .collect();
    let expected = [("ed", "operation"), ("clinic", "read")];
    let expected = expected.map(|(client, what)| (client.to_owned(), what.to_owned()));
    assert_eq!(told, expected, "neither what came before nor after, nor any write: {shown:?}");

    let history = steward.get(&format!("Patient/{one}/$identity-history")).await;
    history.keeps_to(&steward.get("OperationDefinition/Patient-identity-history").await.json());
    let texts: Vec<String> = values(&history, "event")
        .iter()
        .map(|event| named(event, "text")[0].as_str().expect("text").to_owned())
        .collect();
    for expected in ["was registered", "two persons are one", "took records out"] {
        assert!(texts.iter().any(|text| text.contains(expected)), "{texts:?}");
    }
    let reason = history.text().contains("both charts were read");
    assert!(reason && !history.text().contains("Calloway"), "reasons, and no demographics");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_shows_both_sides_and_every_look_is_audited() {
    let (world, person) = ruth_in_doubt().await;
    let steward = world.client("steward");
    let task = only_task(&steward).await;
    let id = task["id"].as_str().expect("an id");
    let evidence = steward.get(&format!("Task/{id}/$evidence")).await;
    evidence.keeps_to(&steward.get("OperationDefinition/Task-evidence").await.json());
    let record = &values(&evidence, "record")[0];
    assert_eq!(named(record, "member"), [json!("lake")]);
    let own = &values(&evidence, "person")[0];
    let others = named(own, "record");
    assert_eq!(others.len(), 2, "{own}");
    let comparison = &named(&others[0], "comparison")[0];
    assert!(!named(comparison, "attribute").is_empty(), "{comparison}");
    assert_eq!(named(&others[0], "demographics")[0]["name"][0]["family"], "Calloway");
    let events = world.events_of(&evidence).await;
    let closing = events.last().expect("it is audited");
    assert_eq!((closing.person.as_deref(), closing.outcome()), (Some(&*person), "0"));

    let list = steward.get("Task").await;
    assert!(!list.text().contains("Calloway") && !list.text().contains("lake-ruth"));
    let claimed = steward.send(steward.request(Method::POST, &format!("Task/{id}/$claim"))).await;
    decision(&claimed);
    let read = steward.get(&format!("Task/{id}")).await.json();
    assert_eq!(
        (&read["status"], &read["owner"]["identifier"]["value"]),
        (&json!("in-progress"), &json!("steward"))
    );
    let decided = decide(&steward, &task, "different").await;
    let events = world.events_of(&decided).await;
    let told: Vec<_> = events.iter().filter(|event| !event.open).collect();
    assert_eq!(told.len(), 2, "one for each person: {told:?}");
    assert!(told.iter().all(|event| event.body.to_string().contains("PatientUpdate")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_steward_sees_and_decides() {
    let (world, person) = ruth_in_doubt().await;
    let ed = world.client("ed");
    for path in [
        "Task".to_owned(),
        "Task/1".to_owned(),
        "Task/1/$evidence".to_owned(),
        format!("Patient/{person}/$identity-history"),
        "Patient/$shown-while-mixed?decision=1".to_owned(),
    ] {
        ed.get(&path).await.refuses(403, "forbidden", "steward");
    }
    let body = parameters(&[("decision", "valuePositiveInt", json!(1)), because()]);
    ed.post("Patient/$undo-decision", &body).await.refuses(403, "forbidden", "steward");
    let feeder = world.feeder("anne");
    feeder.get("Task").await.refuses(403, "forbidden", "steward");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decided_is_refused_in_fhirs_words() {
    let (world, person) = ruth_in_doubt().await;
    let steward = world.client("steward");
    let task = only_task(&steward).await;
    let reference = |id: &str| json!({ "reference": format!("Patient/{id}") });
    let merge = |source: &str, target: &str| {
        parameters(&[
            ("source", "valueReference", reference(source)),
            ("target", "valueReference", reference(target)),
            because(),
        ])
    };
    let nobody = "01987654-3210-7abc-8def-0123456789ab";
    let separate = |value: &str| {
        let record = json!({ "system": "https://anne.example/mrn", "value": value });
        parameters(&[("record", "valueIdentifier", record), because()])
    };
    let leave = format!("Patient/{person}/$separate-records");
    for (path, body, status, code, words) in [
        ("Patient/$merge-persons", merge(&person, &person), 422, "business-rule", "same person"),
        ("Patient/$merge-persons", merge(nobody, &person), 404, "not-found", "patient not found"),
        ("Patient/$merge-persons", parameters(&[because()]), 400, "invalid", "source"),
        (&*leave, separate("unknown"), 422, "business-rule", "not one of the person's"),
        (
            "Task/99/$decide",
            parameters(&[("verdict", "valueCode", json!("same")), because()]),
            404,
            "not-found",
            "no such review task",
        ),
        (
            "Task/1/$decide",
            parameters(&[("verdict", "valueCode", json!("yes")), because()]),
            400,
            "invalid",
            "verdict",
        ),
        (
            "Task/1/$decide",
            parameters(&[("verdict", "valueCode", json!("same"))]),
            400,
            "invalid",
            "reason",
        ),
        (
            "Patient/$undo-decision",
            parameters(&[("decision", "valuePositiveInt", json!(1)), because()]),
            404,
            "not-found",
            "no decision",
        ),
    ] {
        steward.post(path, &body).await.refuses(status, code, words);
    }
    decision(&decide(&steward, &task, "different").await);
    decide(&steward, &task, "same").await.refuses(409, "conflict", "closed");
    steward.get("Task?patient=1").await.refuses(400, "not-supported", "searched by");
    steward.get("Patient/$shown-while-mixed").await.refuses(400, "invalid", "decision");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_defined_and_listed() {
    let world = World::of(vec![anne()]).await;
    let ed = world.client("ed");
    let capability = ed.get("metadata").await.json();
    let resources = capability["rest"][0]["resource"].as_array().expect("resources").clone();
    let own = world.gateway.base_url().to_owned();
    let mut defined = 0;
    for resource in resources {
        for operation in resource["operation"].as_array().into_iter().flatten() {
            let url = operation["definition"].as_str().expect("a url");
            let Some((_, id)) = url.split_once("/fhir/OperationDefinition/") else { continue };
            if url.starts_with("http://hl7.org/") {
                continue;
            }
            let told = ed.get(&format!("{own}/OperationDefinition/{id}")).await;
            assert_eq!((told.status, &told.json()["code"]), (200, &operation["name"]), "{url}");
            defined += 1;
        }
    }
    assert!(defined >= 9, "all of the stewards' and perhaps others: {defined}");
    assert_eq!(ed.get("OperationDefinition/Patient-nothing").await.status, 404);
}
