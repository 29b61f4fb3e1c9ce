//! Members that want a token: SMART Backend Services and OAuth 2.0 client credentials.

use std::fs;

use jsonwebtoken::Algorithm;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::json;
use tessera::simulator::{ClientProof, Faults, TokenFault, TokenRules};

use crate::{
    answers::Answer,
    people::{anne, lake, ruth},
    world::{Site, World},
};

const SECRET: &str = "a secret of this test: 7&+%";

/// Lake wants an assertion that is signed with the key; the gateway's key lies in the file.
fn lake_with_key(key: &KeyPair, file: &str, algorithm: Algorithm) -> Site {
    let proof =
        ClientProof::Key { key_id: "k1".to_owned(), algorithm, public_key: key.public_key_pem() };
    let authorization = json!({
        "kind": "private_key_jwt", "client_id": "tessera", "key_id": "k1", "key_file": file,
        "algorithm": format!("{algorithm:?}"),
    });
    let rules = TokenRules { client_id: "tessera".to_owned(), proof, lifetime_s: 300 };
    lake().with_tokens(rules).told("authorization", authorization)
}

fn key_file(key: &KeyPair) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), key.serialize_pem()).expect("written");
    file
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key")
}

/// A world where Lake wants a token, and Ruth's person there.
async fn world(site: Site) -> (World, String) {
    let world = World::of(vec![anne(), site]).await;
    world.feed_all().await;
    let person = world.client("ed").person(&ruth()).await;
    (world, person)
}

async fn asked(world: &World, person: &str) -> Answer {
    world.client("ed").everything(person).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_gets_one_token_for_many_requests() {
    let key = new_key();
    let file = key_file(&key);
    let (world, person) =
        world(lake_with_key(&key, &file.path().to_string_lossy(), Algorithm::ES384)).await;
    for _ in 0..3 {
        let answer = asked(&world, &person).await;
        assert_eq!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
    }
    assert_eq!(world.stage.member("lake").token_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_taken_back_is_replaced_within_the_query() {
    let key = new_key();
    let file = key_file(&key);
    let (world, person) =
        world(lake_with_key(&key, &file.path().to_string_lossy(), Algorithm::ES384)).await;
    asked(&world, &person).await;
    world.stage.member("lake").revoke_tokens();
    let answer = asked(&world, &person).await;
    assert_eq!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
    assert!(world.stage.member("lake").token_requests() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_member_is_told_as_refusing_and_the_others_answer() {
    let key = new_key();
    let file = key_file(&key);
    let (world, person) =
        world(lake_with_key(&key, &file.path().to_string_lossy(), Algorithm::ES384)).await;
    for (token, outcome) in [
        (TokenFault::Refused, "refused"),
        (TokenFault::Worthless, "refused"),
        (TokenFault::Unavailable, "unreachable"),
    ] {
        world.stage.member("lake").revoke_tokens();
        world.misbehave("lake", Faults { token, ..Faults::default() });
        let answer = asked(&world, &person).await;
        assert_eq!(answer.outcome_of("anne"), "answered");
        assert_eq!(answer.outcome_of("lake"), outcome, "{token:?}: {:?}", answer.issues());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_registered_gets_no_token() {
    let file = key_file(&new_key());
    let site = lake_with_key(&new_key(), &file.path().to_string_lossy(), Algorithm::ES384);
    let (world, person) = world(site).await;
    let answer = asked(&world, &person).await;
    assert_eq!(answer.outcome_of("lake"), "refused", "{:?}", answer.issues());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_gets_a_token_from_the_endpoint_that_is_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), format!("{SECRET}\n")).expect("written");
    let encoded =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    // The address of the endpoint is known only once the member runs; discovery needs none.
    let rules = TokenRules {
        client_id: "tessera".to_owned(),
        proof: ClientProof::Secret(encoded(SECRET)),
        lifetime_s: 300,
    };
    let world = World::of(vec![anne(), lake().with_tokens(rules)]).await;
    world.feed_all().await;
    let person = world.client("ed").person(&ruth()).await;
    assert_eq!(asked(&world, &person).await.outcome_of("lake"), "refused", "no token is asked for");
    let operator = world.client("operator");
    let url = format!("{}/admin/members/lake", world.gateway.base_url().trim_end_matches("/fhir"));
    let mut member = operator.get(&url).await.json()["member"].clone();
    let origin = world.stage.member("lake").base_url().replace("/fhir", "");
    member["authorization"] = json!({
        "kind": "client_credentials", "client_id": "tessera", "secret_file": file.path(),
        "token_url": format!("{origin}/token"),
    });
    let changed = operator.put(&url, &member).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert!(!changed.text().contains(SECRET), "{changed:?}");
    let answer = asked(&world, &person).await;
    assert_eq!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
}
