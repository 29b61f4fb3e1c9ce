//! From one identifier to others and to where records are: `$ihe-pix` (IHE PIXm ITI-83) and
//! `$locate-records`.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, consent, county, deny_all_of, lake, patient, ruth},
    world::{World, record_numbers},
};

async fn everybody() -> World {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    world
}

fn number(member: &str, id: &str) -> String {
    format!("{}|{member}-{id}", record_numbers(member))
}

fn pix(source: &str, targets: &[&str]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("sourceIdentifier", source);
    for target in targets {
        query.append_pair("targetSystem", target);
    }
    format!("Patient/$ihe-pix?{}", query.finish())
}

/// Values of the identifiers, and references.
fn told(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["resourceType"], "Parameters");
    let parameters = json["parameter"].as_array().cloned().unwrap_or_default();
    let text = |one: &Value| {
        let told = match one["name"].as_str() {
            Some("targetIdentifier") => &one["valueIdentifier"]["value"],
            _ => &one["valueReference"]["reference"],
        };
        told.as_str().expect("told").to_owned()
    };
    parameters.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_identifier_leads_to_the_others() {
    let world = everybody().await;
    let ed = world.client("ed");
    let person = format!("Patient/{}", ed.person(&ruth()).await);
    let base = world.gateway.base_url().to_owned();
    let source = number("anne", "ruth");
    let (lake, county) = (record_numbers("lake"), record_numbers("county"));
    let logical = format!("{base}|{person}");
    for (source, targets, expected) in [
        (&source, vec![], vec!["county-ruth", "lake-ruth", &person]),
        (&source, vec![lake.as_str()], vec!["lake-ruth"]),
        (&source, vec![&lake, &county], vec!["county-ruth", "lake-ruth"]),
        (&source, vec![&base], vec![&person]),
        (&source, vec![&lake, &base], vec!["lake-ruth", &person]),
        (&logical, vec![], vec!["anne-ruth", "county-ruth", "lake-ruth"]),
        (&logical, vec![&county], vec!["county-ruth"]),
        (&number("anne", "max"), vec![&county], vec![]),
    ] {
        let answer = ed.get(&pix(source, &targets)).await;
        assert_eq!(told(&answer), expected, "{source} {targets:?}");
        let events = world.events_of(&answer).await;
        assert!(events[1].body.to_string().contains("ITI-83"), "{events:?}");
    }
    let none = ed.get(&pix(&number("anne", "max"), &[&county])).await;
    assert!(none.json()["parameter"].is_null(), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_and_parameters_are_taken_too() {
    let world = everybody().await;
    let ed = world.client("ed");
    let query = pix(&number("anne", "ruth"), &[&record_numbers("lake")]);
    let form = query.split_once('?').expect("a query").1.to_owned();
    let request = ed.request(Method::POST, "Patient/$ihe-pix");
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(told(&ed.send(request.body(form)).await), ["lake-ruth"]);
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "sourceIdentifier", "valueIdentifier": {"system": record_numbers("anne"),
            "value": "anne-ruth"}},
        {"name": "targetSystem", "valueUri": record_numbers("lake")}]});
    assert_eq!(told(&ed.post("Patient/$ihe-pix", &parameters).await), ["lake-ruth"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_the_words_of_the_standard() {
    let world = everybody().await;
    let ed = world.client("ed");
    let lake = record_numbers("lake");
    let known = number("anne", "ruth");
    for (source, targets, status, code, words) in [
        (
            &number("anne", "nobody"),
            vec![lake.as_str()],
            404,
            "not-found",
            "sourceIdentifier Patient Identifier not found",
        ),
        (
            &format!("{}|Patient/nobody", world.gateway.base_url()),
            vec![],
            404,
            "not-found",
            "sourceIdentifier Patient Identifier not found",
        ),
        (
            &"urn:oid:9.9|1".to_owned(),
            vec![],
            400,
            "code-invalid",
            "sourceIdentifier Assigning Authority not found",
        ),
        (&known, vec!["urn:oid:9.9"], 403, "code-invalid", "targetSystem not found"),
        (&known, vec![&lake, "urn:oid:9.9"], 403, "code-invalid", "targetSystem not found"),
    ] {
        let answer = ed.get(&pix(source, &targets)).await;
        answer.refuses(status, code, words);
        assert_eq!(answer.issues()[0]["diagnostics"], words);
    }
    ed.get("Patient/$ihe-pix").await.refuses(400, "invalid", "is missing");
    ed.get("Patient/$ihe-pix?sourceIdentifier=7").await.refuses(400, "invalid", "both parts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_consent_hides_is_as_unknown() {
    let world = everybody().await;
    let ed = world.client("ed");
    let hide = |provision: Value, name: &'static str| {
        let told = consent(&patient("anne", "ruth", &ruth()), &provision);
        let feeder = world.feeder("anne");
        async move { assert_eq!(feeder.put(&format!("Consent/{name}"), &told).await.status, 201) }
    };
    let locate =
        |member: &str| format!("Patient/$locate-records?identifier={}", number(member, "ruth"));
    hide(deny_all_of("lake"), "c1").await;
    let rest = ed.get(&pix(&number("anne", "ruth"), &[])).await;
    assert_eq!(told(&rest)[..1], ["county-ruth"]);
    assert!(!rest.text().contains("lake"), "{rest:?}");
    let from_hidden = ed.get(&pix(&number("lake", "ruth"), &[])).await;
    from_hidden.refuses(404, "not-found", "sourceIdentifier Patient Identifier not found");
    ed.get(&locate("lake")).await.refuses(404, "not-found", "patient not found");
    let located = ed.get(&locate("anne")).await;
    assert_eq!(located.status, 200);
    assert!(!located.text().contains("lake"), "{located:?}");
    hide(json!({"type": "deny"}), "c2").await;
    let denied = ed.get(&pix(&number("anne", "ruth"), &[])).await;
    denied.refuses(404, "not-found", "sourceIdentifier Patient Identifier not found");
    let nobody = ed.get(&pix(&number("anne", "nobody"), &[])).await;
    assert_eq!(denied.body, nobody.body, "nothing tells that there is somebody");
    ed.get(&locate("anne")).await.refuses(404, "not-found", "patient not found");
}

/// A part of a located record.
fn part<'a>(record: &'a Value, name: &str) -> &'a Value {
    let parts = record["part"].as_array().expect("parts");
    let found = parts.iter().find(|part| part["name"] == name).expect("the part");
    let (_, value) =
        found.as_object().expect("a part").iter().find(|(key, _)| *key != "name").expect("a value");
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_located_with_their_member_since_and_origin() {
    let world = everybody().await;
    let ed = world.client("ed");
    let mut moved = patient("lake", "ruth", &ruth());
    moved["telecom"][0]["value"] = json!("+1 315 555 0199");
    moved["meta"] = json!({"lastUpdated": "2026-02-03T04:05:06Z"});
    let fed = world.feeder("lake").feed(&moved).await;
    let person = ed.person(&ruth()).await;
    let by_id = ed.get(&format!("Patient/{person}/$locate-records")).await;
    let by_number =
        ed.get(&format!("Patient/$locate-records?identifier={}", number("anne", "ruth"))).await;
    assert_eq!(by_id.status, 200, "{by_id:?}");
    assert_eq!(by_id.json(), by_number.json());
    let parameters = by_id.json()["parameter"].as_array().cloned().expect("parameters");
    assert_eq!(parameters[0]["valueReference"]["reference"], format!("Patient/{person}"));
    let records: Vec<&Value> = parameters.iter().filter(|one| one["name"] == "record").collect();
    let members: Vec<&Value> = records.iter().map(|record| part(record, "member")).collect();
    assert_eq!(members, ["anne", "county", "lake"]);
    let lake = records[2];
    assert_eq!(part(lake, "memberName"), "Hospital lake");
    assert_eq!(part(lake, "organization"), "https://lake.example");
    assert_eq!(part(lake, "identifier")["value"], "lake-ruth");
    assert_eq!(part(lake, "event"), "updated");
    assert_eq!(part(lake, "eventTime"), "2026-02-03T04:05:06Z");
    assert_eq!(*part(lake, "message"), fed.request_id());
    assert!(part(lake, "since").as_str() < part(lake, "lastTold").as_str());
    assert_eq!(part(records[0], "event"), "registered");
    let event = world.events_of(&by_id).await.pop().expect("audited");
    assert_eq!(event.person.as_deref(), Some(person.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn locating_takes_parameters_and_refuses_what_names_nobody() {
    let world = everybody().await;
    let ed = world.client("ed");
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "identifier",
        "valueIdentifier": {"system": record_numbers("anne"), "value": "anne-ruth"}}]});
    let posted = ed.post("Patient/$locate-records", &parameters).await;
    assert_eq!(posted.status, 200, "{posted:?}");
    let person = ed.person(&ruth()).await;
    let empty = ed.request(Method::POST, &format!("Patient/{person}/$locate-records"));
    assert_eq!(ed.send(empty).await.json(), posted.json());
    ed.get("Patient/$locate-records").await.refuses(400, "invalid", "identifier");
    ed.get("Patient/$locate-records?identifier=urn:x|1").await.refuses(404, "not-found", "");
    ed.get("Patient/nobody/$locate-records").await.refuses(404, "not-found", "");
    let feeder = world.feeder("anne").get(&format!("Patient/{person}/$locate-records")).await;
    feeder.refuses(403, "forbidden", "no query role");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_defines_itself_is_served_where_its_statement_says() {
    let world = World::of(vec![anne()]).await;
    let ed = world.client("ed");
    let statement = ed.get("metadata").await.json();
    let patient = &statement["rest"][0]["resource"][0];
    let defined = patient["operation"].as_array().into_iter().flatten();
    let defined = defined.chain(patient["searchParam"].as_array().into_iter().flatten());
    let base = world.gateway.base_url();
    let ours: Vec<&str> = defined
        .filter_map(|one| one["definition"].as_str())
        .filter(|url| url.starts_with(base))
        .collect();
    assert!(ours.len() >= 2, "{ours:?}");
    for url in ours {
        let served = ed.get(url).await;
        assert_eq!((served.status, &served.json()["url"]), (200, &json!(url)), "{served:?}");
    }
    let all = ed.get("OperationDefinition").await;
    assert_eq!(all.of_type("OperationDefinition").len() as u64, all.json()["total"]);
    ed.get("OperationDefinition/nothing").await.refuses(404, "not-found", "");
}
