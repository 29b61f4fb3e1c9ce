//! One person's record from all members, `Patient/{id}/$everything`.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tessera::simulator::Faults;

use crate::{
    answers::{Answer, reference},
    people::{
        RUTHS_RESOURCES, anne, consent, county, deny_all_of, lake, max, patient, ruth, weights,
    },
    world::{Client, Site, World, eventually},
};

async fn everybody() -> (World, Client, String) {
    told_by(vec![anne(), lake(), county()]).await
}

/// The gateway before these members, who asks, and Ruth's enterprise id.
async fn told_by(sites: Vec<Site>) -> (World, Client, String) {
    let world = World::of(sites).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_and_searches_by_type_give_the_same_record() {
    let searched = [anne(), lake(), county()].map(Site::without_everything);
    let ((_a, ed, person), (_b, other_ed, other_person)) =
        tokio::join!(everybody(), told_by(searched.into()));
    let (everything, searched) =
        (ed.everything(&person).await, other_ed.everything(&other_person).await);
    assert_eq!(everything.originals().len(), RUTHS_RESOURCES, "{:?}", everything.originals());
    assert_eq!(everything.originals(), searched.originals());
    assert_eq!(everything.facts(), searched.facts());
    for answer in [everything, searched] {
        for member in ["anne", "lake", "county"] {
            assert_eq!(answer.outcome_of(member), "answered", "{:?}", answer.issues());
        }
        let total = answer.json()["total"].as_u64();
        assert_eq!(total, Some(answer.facts().len() as u64 + 1), "the facts and the person");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_told_twice_is_shown_once_and_its_originals_can_be_read() {
    let (_world, ed, person) = everybody().await;
    let answer = ed.everything(&person).await;
    let groups: Vec<BTreeSet<String>> = answer
        .of_type("Linkage")
        .iter()
        .map(|linkage| {
            let items = linkage["item"].as_array().expect("items").iter();
            items
                .map(|item| item["resource"]["reference"].as_str().expect("told").to_owned())
                .collect()
        })
        .collect();
    let group = |kind: &str, name: &str| {
        ["anne", "lake"].map(|member| format!("{kind}/{member}.ruth-{name}")).into()
    };
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert!(groups.contains(&group("Condition", "diabetes")), "{groups:?}");
    assert!(groups.contains(&group("Observation", "hba1c")), "{groups:?}");

    for original in answer.originals() {
        let read = ed.get(&original).await;
        assert_eq!((read.status, reference(&read.json())), (200, original), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_an_unknown_id() {
    let (_world, ed, _) = everybody().await;
    for id in ["0190a1b2-0000-7000-8000-000000000001", "ruth", "1"] {
        ed.get(&format!("Patient/{id}")).await.refuses(404, "not-found", "");
        ed.get(&format!("Patient/{id}/$everything")).await.refuses(404, "not-found", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_is_shown_with_a_link_to_each_source_record() {
    let (_world, ed, person) = everybody().await;
    let answer = ed.everything(&person).await;
    let shown = answer.entries()[0]["resource"].clone();
    assert_eq!(shown["id"], person.as_str());
    let links: BTreeSet<&str> = shown["link"]
        .as_array()
        .expect("links")
        .iter()
        .map(|link| link["other"]["identifier"]["value"].as_str().expect("a number"))
        .collect();
    assert_eq!(links, BTreeSet::from(["anne-ruth", "lake-ruth", "county-ruth"]));
    assert_eq!(ed.get(&format!("Patient/{person}")).await.json(), shown);
}

fn names(answer: &Answer) -> BTreeSet<String> {
    let facts = answer.facts().into_iter().filter(|fact| !fact.starts_with("Patient/"));
    facts.map(|fact| fact.rsplit_once("ruth-").expect("of Ruth").1.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parameters_narrow_the_record() {
    let searched = [anne(), lake(), county()].map(Site::without_everything);
    let ((_a, ed, person), (_b, other_ed, other_person)) =
        tokio::join!(everybody(), told_by(searched.into()));
    check_parameters(&ed, &person).await;
    check_parameters(&other_ed, &other_person).await;
}

async fn check_parameters(ed: &Client, person: &str) {
    for (query, expected) in [
        ("_type=Observation", vec!["hba1c", "weight-00", "weight-01", "weight-02"]),
        ("_type=AllergyIntolerance,Encounter", vec!["penicillin", "visit"]),
        ("_type=AllergyIntolerance&_type=Encounter", vec!["penicillin", "visit"]),
        ("_type=Goal", vec![]),
        ("_since=2022-01-01T00:00:00Z", vec!["hba1c", "influenza", "visit"]),
        ("_type=Observation&start=2001-01-01&end=2001-12-31", vec!["weight-01"]),
        ("_type=Observation&start=2002", vec!["hba1c", "weight-02"]),
    ] {
        let answer = ed.get(&format!("Patient/{person}/$everything?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(names(&answer), expected, "{query}");
    }
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueCode": "Encounter"}]});
    let posted = ed.post(&format!("Patient/{person}/$everything"), &parameters).await;
    assert_eq!(names(&posted), BTreeSet::from(["visit".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_cannot_be_read_is_refused_by_name() {
    let (_world, ed, person) = everybody().await;
    for (query, place) in [
        ("_since=yesterday", "_since"),
        ("start=2020-13", "start"),
        ("_count=0", "_count"),
        ("_snapshot=1", "_snapshot"),
        ("_count=99999999999999999999999", "_count"),
        ("_snapshot=0190a1b2-0000-7000-8000-000000000001&_offset=-1", "_offset"),
    ] {
        let answer = ed.get(&format!("Patient/{person}/$everything?{query}")).await;
        answer.refuses(400, "invalid", place);
    }
}

/// `Type/id` of the entries in order, without the completeness statement.
fn order(answer: &Answer) -> Vec<String> {
    let entries = answer.entries();
    let told = entries.iter().filter(|entry| entry["search"]["mode"] != "outcome");
    told.map(|entry| reference(&entry["resource"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_to_the_end_give_what_one_page_gives() {
    let (_world, ed, person) = everybody().await;
    let whole = order(&ed.everything(&person).await);
    let mut paged = Vec::new();
    let mut next = Some(format!("Patient/{person}/$everything?_count=4"));
    while let Some(url) = next {
        let page = ed.get(&url).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.outcome_of("lake"), "answered", "the statement stands on every page");
        paged.extend(order(&page));
        assert!(paged.len() <= whole.len(), "more pages than the record has");
        next = page.next_link();
    }
    // What the exchange says itself has ids made of its content, so that they too are the same.
    assert_eq!(paged, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_page_are_read_to_the_end() {
    let mut all = vec![patient("anne", "ruth", &ruth())];
    all.extend(weights("ruth", 23));
    let site = || Site::new("anne", all.clone()).paged(5);
    let ((_a, ed, person), (_b, other_ed, other_person)) =
        tokio::join!(told_by(vec![site()]), told_by(vec![site().without_everything()]));
    for answer in [ed.everything(&person).await, other_ed.everything(&other_person).await] {
        assert_eq!(names(&answer).len(), 23, "{answer:?}");
        assert_eq!(answer.outcome_of("anne"), "answered");
    }
}

/// The link to the second page of Ruth's record.
async fn second_page(ed: &Client, person: &str) -> String {
    let first = ed.get(&format!("Patient/{person}/$everything?_count=4")).await;
    first.next_link().expect("a second page")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_for_who_asked_for_the_first() {
    let (world, ed, person) = everybody().await;
    let link = second_page(&ed, &person).await;
    world.client("clinic").get(&link).await.refuses(410, "expired", "ask again");
    ed.get_for("ETREAT", &link).await.refuses(410, "expired", "ask again");
    assert_eq!(ed.get(&link).await.status, 200);
    let beyond = ed.get(&link.replace("_offset=", "_offset=9")).await;
    assert_eq!((beyond.status, beyond.next_link()), (200, None));
    assert!(beyond.facts().is_empty(), "{beyond:?}");
    let of_max = link.replace(&person, &ed.person(&max()).await);
    ed.get(&of_max).await.refuses(410, "expired", "ask again");
    let invented = link.replace("_snapshot=", "_snapshot=0190a1b2-0000-7000-8000-000000000001&x=");
    ed.get(&invented).await.refuses(410, "expired", "ask again");
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_is_asked_again_for_every_page() {
    let (world, ed, person) = everybody().await;
    let link = second_page(&ed, &person).await;
    let anne = world.feeder("anne");
    for (provision, status, code) in
        [(deny_all_of("lake"), 410, "expired"), (json!({"type": "deny"}), 403, "forbidden")]
    {
        let told = consent(&patient("anne", "ruth", &ruth()), &provision);
        let recorded = anne.put("Consent/c1", &told).await;
        assert!([200, 201].contains(&recorded.status), "{recorded:?}");
        ed.get(&link).await.refuses(status, code, "");
    }
}

/// An answer without what differs from one question to the next: its id, and times.
fn timeless(answer: &Answer) -> String {
    let mut told = answer.json();
    told["id"] = Value::Null;
    told["meta"] = Value::Null;
    for entry in told["entry"].as_array_mut().expect("entries") {
        let resource = &mut entry["resource"];
        if resource["resourceType"] == "Provenance" {
            resource["recorded"] = Value::Null;
        }
        for issue in resource["issue"].as_array_mut().into_iter().flatten() {
            let told = issue["diagnostics"].as_str().unwrap_or_default().to_owned();
            let parts = told.split("; ").filter(|part| !part.starts_with("elapsed_ms="));
            issue["diagnostics"] = parts.collect::<Vec<&str>>().join("; ").into();
        }
    }
    told.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_gets_the_same_answer() {
    let (_world, ed, person) = everybody().await;
    let first = timeless(&ed.everything(&person).await);
    for _ in 0..3 {
        assert_eq!(timeless(&ed.everything(&person).await), first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_queries_than_are_taken_at_once_are_told_to_come_again() {
    let world = World::with(vec![anne(), lake(), county()], |settings| {
        settings["exchange"] = json!({"queries_max": 1});
    })
    .await;
    world.feed_all().await;
    let ed = world.client("ed");
    let path = format!("Patient/{}/$everything", ed.person(&ruth()).await);
    world.misbehave("lake", Faults { delay: Duration::from_millis(700), ..Faults::default() });
    let before = world.stage.member("lake").requests();
    let first = tokio::spawn({
        let (ed, path) = (ed.clone(), path.clone());
        async move { ed.get(&path).await }
    });
    let lake_is_asked = || async { world.stage.member("lake").requests() > before };
    eventually("the first is under way", lake_is_asked).await;
    let second = ed.get(&path).await;
    second.refuses(503, "throttled", "too many queries");
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(first.await.expect("asked").status, 200);
    assert_eq!(ed.get(&path).await.status, 200, "there is room again");
}
