//! A client that goes away stops the work that it asked for.

use std::time::Duration;

use reqwest::Method;
use tessera::{
    simulator::Faults,
    tls::{MemberTls, client_config},
};

use crate::{
    people::{anne, lake, ruth},
    world::{Client, World, eventually},
};

/// The emergency department with a connection of its own.
fn caller(world: &World, protocol: &[u8]) -> Client {
    let code = tessera::domain::MemberCode::parse("ed").expect("a code");
    let credentials = world.stage.pki.client(&code).read().expect("minted");
    let roots = world.stage.pki.trust_roots().expect("minted");
    let mut tls = client_config(&credentials, &roots, MemberTls::Tls13).expect("whole");
    tls.alpn_protocols = vec![protocol.to_vec()];
    Client::with_tls(tls, world.gateway.base_url())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_any_longer_for_a_client_that_has_gone() {
    let world = World::of(vec![anne(), lake()]).await;
    world.feed_all().await;
    let person = world.client("ed").person(&ruth()).await;
    let federation = &world.gateway.exchange().federation;
    // Lake would hold the query far longer than this test waits for anything.
    world.misbehave("lake", Faults { delay: Duration::from_mins(4), ..Faults::default() });
    for protocol in [&b"http/1.1"[..], b"h2"] {
        let ed = caller(&world, protocol);
        let asked = world.stage.member("lake").requests();
        let request = ed.request(Method::GET, &format!("Patient/{person}/$everything"));
        let asking = tokio::spawn(request.send());
        eventually("lake is asked", || async { world.stage.member("lake").requests() > asked })
            .await;
        assert!(federation.requests_under_way() > 0);
        asking.abort();
        drop(ed);
        eventually("the work has stopped", || async { federation.requests_under_way() == 0 }).await;
        let reader = world.gateway.store().reader();
        eventually("its event is closed", || async {
            reader.audit_rows_left_open().await.expect("read").is_empty()
        })
        .await;
        let last = world.trail().await.pop().expect("audited");
        assert_eq!(last.person.as_deref(), Some(person.as_str()), "{last:?}");
    }
}
