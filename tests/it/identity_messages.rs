//! FHIR messages of identity changes (IHE PMIR ITI-93).

use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, anybody, lake, max, patient, ruth},
    world::{Client, World, record_numbers},
};

/// What makes something bad of something good.
type Change = fn(&mut Value);

async fn world() -> World {
    World::of(vec![anne(), lake()]).await
}

/// Anne's Patient with this id; its record number is the same.
fn told(id: &str, who: &Value) -> Value {
    patient("anne", id, who)
}

fn put(patient: &Value) -> Value {
    let id = patient["id"].as_str().expect("an id");
    json!({
        "fullUrl": format!("https://emr.anne.example/fhir/Patient/{id}"),
        "resource": patient,
        "request": {"method": "PUT", "url": format!("Patient/{id}")},
        "response": {"status": "200"},
    })
}

fn post(patient: &Value) -> Value {
    let mut entry = put(patient);
    entry["request"] = json!({"method": "POST", "url": "Patient"});
    entry
}

fn delete(id: &str) -> Value {
    json!({"request": {"method": "DELETE", "url": format!("Patient/{id}")},
        "response": {"status": "204"}})
}

/// One Patient of Anne's, merged into another.
fn merged(id: &str, reference: &str) -> Value {
    let mut told = told(id, &ruth());
    told["active"] = json!(false);
    told["link"] = json!([{"type": "replaced-by", "other": {"reference": reference}}]);
    put(&told)
}

fn message(id: &str, entries: &[Value]) -> Value {
    let history = json!({"resourceType": "Bundle", "type": "history", "entry": entries});
    let header = json!({
        "resourceType": "MessageHeader",
        "id": id,
        "eventUri": "urn:ihe:iti:pmir:2019:patient-feed",
        "source": {"endpoint": "https://emr.anne.example/fhir"},
        "destination": [{"endpoint": "https://exchange.example/fhir/$process-message"}],
        "focus": [{"reference": "urn:uuid:0f7a0a7e-0d5c-4a1c-9a37-6d6f0b0a0001"}],
    });
    json!({
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"fullUrl": "urn:uuid:0f7a0a7e-0d5c-4a1c-9a37-6d6f0b0a0000", "resource": header},
            {"fullUrl": "urn:uuid:0f7a0a7e-0d5c-4a1c-9a37-6d6f0b0a0001", "resource": history},
        ],
    })
}

async fn send(feeder: &Client, message: &Value) -> Answer {
    feeder.post("$process-message", message).await
}

/// The code of a response, and what it says of each entry.
fn response(answer: &Answer, to: &str) -> (String, Vec<String>) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["type"], "message");
    let header = answer.of_type("MessageHeader").pop().expect("a header");
    assert_eq!(header["eventUri"], "urn:ihe:iti:pmir:2019:patient-feed-response");
    assert_eq!(header["response"]["identifier"], to);
    assert_eq!(header["response"]["details"]["reference"], answer.entries()[1]["fullUrl"]);
    let said = answer.issues().into_iter().enumerate().map(|(number, issue)| {
        let place = format!("Bundle.entry[1].resource.entry[{number}]");
        assert!(issue["expression"][0].as_str().is_some_and(|at| at.starts_with(&place)));
        issue["details"]["text"].as_str().expect("a text").to_owned()
    });
    let code = header["response"]["code"].as_str().expect("a code").to_owned();
    (code, said.collect())
}

async fn done(feeder: &Client, id: &str, entries: &[Value], said: &[&str]) {
    let answer = send(feeder, &message(id, entries)).await;
    let (code, told) = response(&answer, id);
    assert_eq!((code.as_str(), told), ("ok", said.iter().map(ToString::to_string).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_creates_changes_merges_and_deletes() {
    let world = world().await;
    let (anne, ed) = (world.feeder("anne"), world.client("ed"));
    let (one, two) = (told("1", &ruth()), told("2", &ruth()));
    let entries = [post(&one), put(&two), post(&told("3", &max()))];
    done(&anne, "m1", &entries, &["registered"; 3]).await;
    let person = ed.person(&ruth()).await;
    assert_eq!(ed.get("Patient/anne.1").await.status, 200);

    let mut moved = one.clone();
    moved["address"][0]["line"] = json!(["7 Lighthouse Road"]);
    let entries = [put(&moved), merged("2", "Patient/1"), delete("3"), delete("9"), put(&moved)];
    let said = ["updated", "merged", "deleted", "nothing new", "nothing new"];
    done(&anne, "m2", &entries, &said).await;
    let read = ed.get(&format!("Patient/{person}")).await;
    assert!(read.text().contains("7 Lighthouse Road"), "{read:?}");
    assert!(ed.matches(&max()).await.certain().is_empty(), "he was deleted");
    let source = format!("{}|anne-2", record_numbers("anne"));
    let led = ed.get(&format!("Patient/$ihe-pix?sourceIdentifier={source}")).await;
    assert!(led.text().contains("anne-1"), "{led:?}");

    // Another member's Patient/1 is another.
    let lakes = patient("lake", "1", &anybody(5));
    done(&world.feeder("lake"), "m1", &[put(&lakes)], &["registered"]).await;
    assert!(ed.get("Patient/anne.1").await.text().contains("Calloway"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_is_audited_as_the_transaction_that_it_is() {
    let world = world().await;
    let anne = world.feeder("anne");
    let first = send(&anne, &message("m1", &[post(&told("1", &ruth()))])).await;
    let second = send(&anne, &message("m2", &[put(&told("1", &ruth())), delete("1")])).await;
    for (answer, actions) in [(first, &["C"][..]), (second, &["U", "D"])] {
        let events = world.events_of(&answer).await;
        let closed: Vec<_> = events.iter().filter(|event| !event.open).collect();
        let told: Vec<&str> =
            closed.iter().map(|event| event.body["action"].as_str().expect("told")).collect();
        assert_eq!(told, actions, "{events:?}");
        for event in closed {
            assert!(event.person.is_some() && event.body.to_string().contains("ITI-93"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_again_is_known_again_and_changes_nothing() {
    let world = world().await;
    let anne = world.feeder("anne");
    let entries = [post(&told("1", &ruth())), put(&told("2", &ruth())), merged("2", "Patient/1")];
    done(&anne, "m1", &entries, &["registered", "registered", "merged"]).await;
    done(&anne, "m1", &entries, &["taken before"; 3]).await;
    // An id that is used twice is carried out.
    done(&anne, "m1", &entries[..1], &["nothing new"]).await;
    let world = world.restarted().await;
    // Nobody remembers it any more; what was merged away is told so.
    let again = send(&world.feeder("anne"), &message("m1", &entries)).await;
    let (code, said) = response(&again, "m1");
    assert_eq!(
        (code.as_str(), &said[..1], &said[2..]),
        ("fatal-error", &["nothing new".to_owned()][..], &["nothing new".to_owned()][..])
    );
    assert!(said[1].contains("merged into another"), "{said:?}");
    assert_eq!(world.gateway.exchange().index.records_total(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_entry_refuses_the_message_and_nothing_is_done() {
    let world = world().await;
    let anne = world.feeder("anne");
    let good = [post(&told("1", &ruth())), post(&told("2", &max()))];
    let bad = |change: Change| {
        let mut third = put(&told("3", &anybody(3)));
        change(&mut third);
        message("m1", &[good[0].clone(), good[1].clone(), third, put(&told("4", &anybody(4)))])
    };
    let at = |rest: &str| format!("Bundle.entry[1].resource.entry[2]{rest}");
    let checks: [(Change, u16, &str, String); 9] = [
        (
            |e| e["resource"]["birthDate"] = json!("1958-02-30"),
            422,
            "value",
            at(".resource.birthDate"),
        ),
        (|e| e["resource"]["name"] = json!([]), 422, "value", at(".resource.name")),
        (
            |e| e["resource"]["identifier"][0]["system"] = json!("urn:x"),
            422,
            "required",
            at(".resource.identifier"),
        ),
        (|e| e["resource"]["active"] = json!(false), 422, "not-supported", at("")),
        (
            |e| {
                e["resource"]["active"] = json!(false);
                e["resource"]["link"] = json!([{"type": "replaced-by",
                    "other": {"reference": "https://elsewhere.example/fhir/Patient/1"}}]);
            },
            422,
            "value",
            at(".resource.link.other"),
        ),
        (|e| e["resource"]["id"] = json!(null), 400, "required", at(".resource.id")),
        (|e| e["request"]["url"] = json!("Patient/7"), 400, "value", at(".request.url")),
        (|e| e["request"]["method"] = json!("PATCH"), 400, "not-supported", at(".request.method")),
        (
            |e| e["resource"]["resourceType"] = json!("Person"),
            400,
            "not-supported",
            at(".resource"),
        ),
    ];
    for (change, status, code, place) in checks {
        let answer = send(&anne, &bad(change)).await;
        answer.refuses(status, code, &place);
        assert_eq!(world.gateway.exchange().index.records_total(), 0, "{place}");
        let events = world.events_of(&answer).await;
        assert_eq!(events.last().expect("audited").outcome(), "4", "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_in_its_turn_fails_that_entry_alone() {
    let world = world().await;
    let anne = world.feeder("anne");
    let mut renumbered = told("2", &max());
    renumbered["identifier"][0]["value"] = json!("anne-1");
    let entries = [
        post(&told("1", &ruth())),
        post(&told("2", &max())),
        merged("1", "Patient/9"),
        put(&renumbered),
        put(&told("4", &anybody(4))),
    ];
    let answer = send(&anne, &message("m1", &entries)).await;
    let (code, said) = response(&answer, "m1");
    assert_eq!(code, "fatal-error");
    assert_eq!([&said[0], &said[1], &said[4]], ["registered"; 3]);
    assert!(said[2].contains("to survive") && said[3].contains("new identifier"), "{said:?}");
    assert_eq!(world.gateway.exchange().index.records_total(), 3);
    // It was not all done, so it is carried out again.
    let again = send(&anne, &message("m1", &entries)).await;
    assert_eq!(response(&again, "m1").1[0], "nothing new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_entry_undoes_nothing() {
    let world = world().await;
    let anne = world.feeder("anne");
    let at = |line: &str, time: &str| {
        let mut told = told("1", &ruth());
        told["address"][0]["line"] = json!([line]);
        let mut entry = put(&told);
        entry["response"]["lastModified"] = json!(time);
        entry
    };
    let now = at("7 Lighthouse Road", "2026-02-02T10:00:00Z");
    done(&anne, "m1", &[now], &["registered"]).await;
    let late = "late: something later is known";
    done(&anne, "m2", &[at("1 Former Street", "2026-02-01T10:00:00Z")], &[late]).await;
    let mut deleted = message("m3", &[delete("1")]);
    deleted["timestamp"] = json!("2026-02-01T11:00:00Z");
    assert_eq!(response(&send(&anne, &deleted).await, "m3").1, [late]);
    let read = world.client("ed").get("Patient/anne.1").await;
    assert!(read.text().contains("7 Lighthouse Road"), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_message_is_refused() {
    let world = world().await;
    let anne = world.feeder("anne");
    let whole = message("m1", &[post(&told("1", &ruth()))]);
    let checks: [(Change, &str, &str); 5] = [
        (|told| told["type"] = json!("transaction"), "value", "Bundle.type"),
        (
            |told| told["entry"][0]["resource"]["eventUri"] = json!("urn:x"),
            "not-supported",
            "eventUri",
        ),
        (|told| told["entry"][1]["resource"]["type"] = json!("batch"), "value", "must be history"),
        (|told| told["entry"] = json!([]), "structure", "Bundle.entry"),
        (|told| told["resourceType"] = json!("Patient"), "value", "Bundle of type message"),
    ];
    for (change, code, words) in checks {
        let mut told = whole.clone();
        change(&mut told);
        send(&anne, &told).await.refuses(400, code, words);
    }
    anne.get("$process-message").await.refuses(405, "not-supported", "");
    anne.post("$process-message?async=true", &whole).await.refuses(400, "not-supported", "at once");
    world.client("ed").post("$process-message", &whole).await.refuses(
        403,
        "forbidden",
        "feed role",
    );
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
    assert_eq!(anne.post("$process-message?async=false&_pretty=true", &whole).await.status, 200);
    let statement = anne.get("metadata").await.json();
    let messaging = &statement["messaging"][0]["supportedMessage"][0];
    assert_eq!(messaging["mode"], "receiver");
    assert_eq!(statement["rest"][0]["operation"][0]["name"], "process-message");
}
