//! Members feed their patients under their own ids: `PUT` and `DELETE Patient/{member}.{id}`.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, anybody, consent, deny_all_of, lake, max, patient, ruth},
    world::{Client, World, record_numbers},
};

async fn world() -> World {
    World::of(vec![anne(), lake()]).await
}

/// A member's Patient with an id of its own, and with a record number that is another.
fn told(member: &str, id: &str, number: &str, who: &Value) -> Value {
    let mut told = patient(member, number, who);
    told["id"] = json!(id);
    told
}

async fn put(feeder: &Client, member: &str, told: &Value) -> Answer {
    let id = told["id"].as_str().expect("an id");
    feeder.put(&format!("Patient/{member}.{id}"), told).await
}

/// What leads to the same person: the values of the other identifiers.
async fn led_to(ed: &Client, member: &str, number: &str) -> Answer {
    let source = format!("{}|{member}-{number}", record_numbers(member));
    ed.get(&format!("Patient/$ihe-pix?sourceIdentifier={source}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_patients_of_one_id_are_two() {
    let world = world().await;
    let (anne, lake) = (world.feeder("anne"), world.feeder("lake"));
    let (hers, theirs) = (told("anne", "1", "A7", &ruth()), told("lake", "1", "L7", &max()));
    let created = put(&anne, "anne", &hers).await;
    assert_eq!((created.status, created.header("etag")), (201, "W/\"1\""), "{created:?}");
    assert_eq!(created.located(), "anne.1");
    assert_eq!(put(&lake, "lake", &theirs).await.status, 201);
    assert_eq!(world.gateway.exchange().index.persons_total(), 2);

    let again = put(&anne, "anne", &hers).await;
    assert_eq!((again.status, again.header("etag")), (200, "W/\"1\""), "nothing is new");
    let mut moved = hers.clone();
    moved["address"][0]["line"] = json!(["7 Lighthouse Road"]);
    // The id may be told as the gateway shows it.
    moved["id"] = json!("anne.1");
    let updated = anne.put("Patient/anne.1", &moved).await;
    assert_eq!((updated.status, updated.header("etag")), (200, "W/\"2\""), "{updated:?}");

    // The member is not there to give it: it is shown as it was told.
    let ed = world.client("ed");
    let read = ed.get("Patient/anne.1").await;
    assert_eq!((read.status, &read.json()["id"]), (200, &json!("anne.1")), "{read:?}");
    assert!(read.text().contains("7 Lighthouse Road") && read.text().contains("anne-A7"));
    let events = world.events_of(&read).await;
    let person = ed.person(&ruth()).await;
    assert_eq!(events.last().expect("audited").person, Some(person.clone()));
    assert_eq!(ed.get("Patient/lake.1").await.json()["gender"], "male");
    // What the member has itself is read there, as ever.
    assert_eq!(ed.get("Patient/anne.max").await.status, 404, "nobody fed him");

    let own = put(&anne, "anne", &patient("anne", "ruth", &ruth())).await;
    assert_eq!(own.status, 201, "{own:?}");
    assert_eq!(ed.get("Patient/anne.ruth").await.json()["id"], "anne.ruth");
    assert_eq!(ed.person(&ruth()).await, person);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_leads_to_one_record_whatever_its_number_becomes() {
    let world = world().await;
    let anne = world.feeder("anne");
    // Fed by number first: the id then leads to that very record.
    let by_number = anne.feed(&told("anne", "1", "A7", &ruth())).await;
    let by_id = put(&anne, "anne", &told("anne", "1", "A7", &ruth())).await;
    assert_eq!((by_number.status, by_id.status), (201, 200), "{by_id:?}");
    let rival = put(&anne, "anne", &told("anne", "2", "A7", &ruth())).await;
    rival.refuses(409, "conflict", "another Patient id");

    let renumbered = put(&anne, "anne", &told("anne", "1", "A8", &ruth())).await;
    assert_eq!(renumbered.status, 200, "{renumbered:?}");
    let world = world.restarted().await;
    let (anne, ed) = (world.feeder("anne"), world.client("ed"));
    assert_eq!(world.gateway.exchange().index.records_total(), 1, "it is the same record");
    assert!(led_to(&ed, "anne", "A7").await.text().contains("anne-A8"));
    assert!(ed.get("Patient/anne.1").await.text().contains("anne-A8"));

    assert_eq!(put(&anne, "anne", &told("anne", "3", "A9", &anybody(3))).await.status, 201);
    let taken = put(&anne, "anne", &told("anne", "1", "A9", &ruth())).await;
    taken.refuses(409, "conflict", "registered under the new identifier");
    let mut both = told("anne", "4", "A8", &ruth());
    let more = told("anne", "4", "A9", &ruth())["identifier"][0].clone();
    both["identifier"].as_array_mut().expect("a list").push(more);
    put(&anne, "anne", &both).await.refuses(412, "multiple-matches", "several patients");
    let story = world.client("steward");
    let person = ed.person(&ruth()).await;
    let story = story.get(&format!("Patient/{person}/$identity-history")).await;
    assert!(story.text().contains("calls the patient of record"), "{story:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_member_s_own_patient_is_refused() {
    let world = world().await;
    let (anne, lake) = (world.feeder("anne"), world.feeder("lake"));
    let hers = told("anne", "1", "A7", &ruth());
    lake.put("Patient/anne.1", &hers).await.refuses(403, "forbidden", "another member's");
    let delete = |feeder: &Client, id: &str| {
        let request = feeder.request(Method::DELETE, &format!("Patient/{id}"));
        let feeder = feeder.clone();
        async move { feeder.send(request).await }
    };
    delete(&lake, "anne.1").await.refuses(403, "forbidden", "another member's");
    anne.put("Patient/anne.2", &hers).await.refuses(400, "invalid", "id of the URL");
    anne.put("Patient/1", &hers).await.refuses(405, "not-supported", "not offered");
    delete(&anne, "1").await.refuses(405, "not-supported", "not offered");
    for id in ["anne.", "anne.%00", "anne.a_b", "ANNE.1", &format!("anne.{}", "9".repeat(60))] {
        anne.put(&format!("Patient/{id}"), &hers).await.refuses(400, "invalid", "FHIR id");
    }
    let numberless = told("lake", "1", "L7", &ruth());
    put(&anne, "anne", &numberless).await.refuses(422, "required", "Patient.identifier");
    let mut inactive = hers.clone();
    inactive["active"] = json!(false);
    put(&anne, "anne", &inactive).await.refuses(422, "not-supported", "its deletion");
    let mut nameless = hers.clone();
    nameless["name"] = json!([]);
    put(&anne, "anne", &nameless).await.refuses(422, "value", "Patient.name");
    world.client("ed").put("Patient/anne.1", &hers).await.refuses(403, "forbidden", "feed role");
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_for_another_version_is_refused() {
    let world = world().await;
    let anne = world.feeder("anne");
    let hers = told("anne", "1", "A7", &ruth());
    let put_if = |version: &str, told: &Value| {
        let request = anne.with_body(Method::PUT, "Patient/anne.1", told);
        anne.send(request.header(header::IF_MATCH, version))
    };
    put_if("W/\"1\"", &hers).await.refuses(412, "conflict", "another version");
    assert_eq!(put(&anne, "anne", &hers).await.status, 201);
    let mut moved = hers.clone();
    moved["address"][0]["line"] = json!(["7 Lighthouse Road"]);
    let moved = put_if("W/\"1\"", &moved).await;
    assert_eq!((moved.status, moved.header("etag")), (200, "W/\"2\""), "{moved:?}");
    put_if("W/\"1\"", &hers).await.refuses(412, "conflict", "another version");
    for wrong in ["1", "*", "W/\"x\"", "W/\"1\", W/\"2\""] {
        put_if(wrong, &hers).await.refuses(400, "invalid", "If-Match");
    }
    let read = world.client("ed").get("Patient/anne.1").await;
    assert!(read.text().contains("7 Lighthouse Road"), "{read:?}");

    let path = crate::world::feed_path(&hers);
    let conditional = anne.with_body(Method::PUT, &path, &hers);
    let stale = anne.send(conditional.header(header::IF_MATCH, "W/\"1\"")).await;
    stale.refuses(412, "conflict", "another version");
    let delete = anne.request(Method::DELETE, "Patient/anne.1").header(header::IF_MATCH, "W/\"2\"");
    anne.send(delete).await.refuses(400, "not-supported", "update alone");
}

/// One Patient of Anne's, merged into what its link tells.
fn merged(id: &str, number: &str, other: &Value) -> Value {
    let mut merged = told("anne", id, number, &ruth());
    merged["active"] = json!(false);
    merged["link"] = json!([{"type": "replaced-by", "other": other}]);
    merged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_merged_into_another_by_reference_or_identifier() {
    let world = world().await;
    let (anne, ed) = (world.feeder("anne"), world.client("ed"));
    for (id, number) in [("1", "A1"), ("2", "A2"), ("3", "A3")] {
        assert_eq!(put(&anne, "anne", &told("anne", id, number, &ruth())).await.status, 201);
    }
    let base = world.gateway.base_url();
    let to = |reference: &str| json!({ "reference": reference });
    for foreign in ["Patient/lake.1", "Patient/1", "https://elsewhere.example/Patient/anne.1", ""] {
        let answer = put(&anne, "anne", &merged("2", "A2", &to(foreign))).await;
        answer.refuses(422, "value", "Patient.link.other");
    }
    let refused = |id: &str, number: &str, other: &str| {
        let told = merged(id, number, &to(other));
        let anne = anne.clone();
        async move { put(&anne, "anne", &told).await }
    };
    refused("2", "A2", "Patient/anne.9").await.refuses(404, "not-found", "to survive");
    refused("9", "A9", "Patient/anne.1").await.refuses(404, "not-found", "to be merged");
    refused("2", "A2", "Patient/anne.2").await.refuses(422, "business-rule", "same record");

    let by_reference = refused("2", "A2", "Patient/anne.1").await;
    assert_eq!((by_reference.status, by_reference.located()), (200, "anne.2"), "{by_reference:?}");
    assert_eq!(refused("2", "A2", &format!("{base}/Patient/anne.1")).await.status, 200, "again");
    let identifier = json!({"identifier": {"system": record_numbers("anne"), "value": "anne-A1"}});
    assert_eq!(put(&anne, "anne", &merged("3", "A3", &identifier)).await.status, 200);
    refused("1", "A1", "Patient/anne.2").await.refuses(409, "conflict", "itself merged");

    // What was merged away is neither told of nor shown; its number leads to what stayed.
    let late = put(&anne, "anne", &told("anne", "2", "A2", &ruth())).await;
    late.refuses(409, "conflict", "merged into another");
    ed.get("Patient/anne.2").await.refuses(404, "not-found", "");
    assert!(led_to(&ed, "anne", "A2").await.text().contains("anne-A1"));
    assert_eq!(ed.get("Patient/anne.1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_patient_is_gone_until_it_is_told_again() {
    let world = world().await;
    let (anne, ed) = (world.feeder("anne"), world.client("ed"));
    let delete = || anne.send(anne.request(Method::DELETE, "Patient/anne.1"));
    assert_eq!(delete().await.status, 204, "what is not there is deleted as well");
    assert_eq!(put(&anne, "anne", &told("anne", "1", "A1", &ruth())).await.status, 201);
    for _ in 0..2 {
        assert_eq!(delete().await.status, 204);
    }
    ed.get("Patient/anne.1").await.refuses(404, "not-found", "");
    assert!(ed.matches(&ruth()).await.certain().is_empty());
    // Under another number it is another record, and the id leads to that.
    assert_eq!(put(&anne, "anne", &told("anne", "1", "A2", &ruth())).await.status, 201);
    let read = ed.get("Patient/anne.1").await;
    assert!(read.text().contains("anne-A2") && !read.text().contains("anne-A1"), "{read:?}");
    // And the number of the one that is gone may be told of under another id.
    assert_eq!(put(&anne, "anne", &told("anne", "2", "A1", &ruth())).await.status, 201);
    assert!(ed.get("Patient/anne.2").await.text().contains("anne-A1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_word_stands_and_consent_hides_what_was_fed() {
    let world = world().await;
    let (anne, ed) = (world.feeder("anne"), world.client("ed"));
    let at = |time: &str, number: &str| {
        let mut told = told("anne", "1", number, &ruth());
        told["meta"] = json!({ "lastUpdated": time });
        told
    };
    assert_eq!(put(&anne, "anne", &at("2026-02-02T10:00:00Z", "A1")).await.status, 201);
    let late = put(&anne, "anne", &at("2026-02-01T10:00:00Z", "A0")).await;
    assert_eq!(late.status, 200, "{late:?}");
    let read = ed.get("Patient/anne.1").await;
    assert!(read.text().contains("anne-A1") && !read.text().contains("anne-A0"), "{read:?}");
    assert_eq!(world.gateway.exchange().index.records_total(), 1);

    let told = consent(&told("anne", "1", "A1", &ruth()), &deny_all_of("anne"));
    assert_eq!(anne.put("Consent/c1", &told).await.status, 201);
    ed.get("Patient/anne.1").await.refuses(404, "not-found", "");
    anne.get("Patient/anne.1").await.refuses(403, "forbidden", "query role");
}
