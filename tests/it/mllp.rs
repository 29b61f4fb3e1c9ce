//! The wire of HL7 v2 feeds: who gets in, frames that never end, order, stopping.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use tessera::{app::SystemClock, domain::MemberCode, tls::MemberTls};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{
    people::{anybody, lake, ruth},
    tls::revoke,
    wire::{TlsWire, Wire, anne_by_messages, framed, message, ruths_pid, takes_messages, world},
    world::{Stage, World},
};

const TIME: &str = "20260105120000+0000";

fn new_patient(number: &str) -> String {
    message("A28", number, TIME, &[&ruths_pid(number)])
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_feed_role_is_refused_and_audited_and_cut_off() {
    let world = world().await;
    for (client, words) in [
        ("ed", "this client may not feed"),
        ("steward", "this client may not feed"),
        ("stranger", "no client of this exchange has this certificate"),
    ] {
        let mut wire = TlsWire::of_client(&world, client).await;
        wire.send(new_patient("R1")).await.refuses("AR", "", "207", words);
        assert!(wire.is_closed().await, "{client}");
    }
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
    let refused = world.trail().await.iter().filter(|event| event.outcome() == "4").count();
    assert_eq!(refused, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_nobody_gets_in() {
    let world = world().await;
    let mut wire = Wire::plain(world.gateway.mllp_address().expect("it listens")).await;
    wire.write(&framed(new_patient("R1"))).await.expect("sent");
    assert!(wire.is_closed().await);
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_known_by_its_certificate_and_not_by_what_the_message_says() {
    let sites = vec![anne_by_messages(), lake()];
    let world = World::with(sites, takes_messages).await;
    // The header says Anne; the certificate says Lake, who has no authority of this name.
    let answer = TlsWire::of(&world, "lake").await.send(new_patient("R1")).await;
    answer.refuses("AE", "PID^1^3", "204", "no identifier is of an assigning authority");
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_revoked_while_connected_is_refused_at_the_next_message() {
    let stage = Stage::set(vec![anne_by_messages()], |settings| {
        settings["tls"]["revocation_lists"] = "revoked.pem".into();
        takes_messages(settings);
    });
    let anne = stage.pki.member(&MemberCode::parse("anne").expect("a code"));
    let anne = anne.read().expect("minted");
    let (_, leaf) = X509Certificate::from_der(&anne.chain()[0]).expect("a certificate");
    let serial = leaf.raw_serial().to_vec();
    revoke(&stage, 1, None);
    let world = World::start(stage, Arc::new(SystemClock)).await;
    let mut wire = TlsWire::of(&world, "anne").await;
    wire.send(new_patient("R1")).await.accepts("registered");
    revoke(&world.stage, 2, Some(serial));
    world.gateway.reload().expect("the list is read");
    let answer = wire.send(new_patient("R2")).await;
    answer.refuses("AR", "", "207", "was revoked");
    assert!(wire.is_closed().await);
    assert_eq!(world.gateway.exchange().index.records_total(), 1);
    // Nor does it get another connection: TLS 1.3 tells so with the first read.
    let address = world.gateway.mllp_address().expect("it listens");
    let again = TlsWire::try_connect(&world.stage, &anne, address, MemberTls::Tls13).await;
    if let Ok(mut wire) = again {
        let _ = wire.write(&framed(new_patient("R3"))).await;
        assert!(wire.is_closed().await);
    }
    assert_eq!(world.gateway.exchange().index.records_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_needs_the_listener_s_word_and_the_member_s() {
    for (listener, member, expected) in
        [("1.3", "1.2", None), ("1.2", "1.3", Some("AR")), ("1.2", "1.2", Some("AA"))]
    {
        let site = anne_by_messages().told("tls_min", json!(member));
        let world = World::with(vec![site], |settings| {
            takes_messages(settings);
            settings["mllp"]["tls_min"] = json!(listener);
        })
        .await;
        let anne = world.stage.pki.member(&MemberCode::parse("anne").expect("a code"));
        let anne = anne.read().expect("minted");
        let address = world.gateway.mllp_address().expect("it listens");
        // A client that offers 1.2 alone.
        let wire = TlsWire::connect_by_tls_1_2(&world.stage, &anne, address).await;
        let code = match wire {
            Ok(mut wire) => Some(wire.send(new_patient("R1")).await.code().to_owned()),
            Err(_) => None,
        };
        assert_eq!(code.as_deref(), expected, "listener {listener}, member {member}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_only_the_configured_client_of_this_machine_is_served() {
    let world = World::with(vec![anne_by_messages()], |settings| {
        settings["mllp"] =
            json!({"plaintext_address": "127.0.0.1:0", "plaintext_client": "anne-feed"});
    })
    .await;
    assert_eq!(world.gateway.mllp_address(), None);
    let address = world.gateway.mllp_plaintext_address().expect("it listens");
    assert!(address.ip().is_loopback());
    Wire::plain(address).await.send(new_patient("R1")).await.accepts("registered");
    world.client("ed").person(&ruth()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_an_end_is_rejected_and_the_connection_closed() {
    let world = world().await;
    let mut wire = TlsWire::of(&world, "anne").await;
    let begin = format!("\x0b{}", new_patient("ENDLESS"));
    wire.write(begin.as_bytes()).await.expect("sent");
    // A hundred megabytes, or as many as the gateway takes before it has enough.
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        if wire.write(&piece).await.is_err() {
            break;
        }
    }
    let answer = wire.read().await.expect("answered");
    answer.refuses("AR", "", "100", "longer than is taken, or has no end");
    assert_eq!(answer.number(), "ENDLESS");
    assert!(wire.is_closed().await);
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
    // Nobody else noticed.
    TlsWire::of(&world, "anne").await.send(new_patient("R1")).await.accepts("registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_stops_within_a_message_or_says_nothing_is_let_go() {
    let world = World::with(vec![anne_by_messages()], |settings| {
        takes_messages(settings);
        settings["mllp"]["message_timeout_s"] = json!(1);
        settings["mllp"]["idle_timeout_s"] = json!(1);
    })
    .await;
    let mut stuck = TlsWire::of(&world, "anne").await;
    stuck.write(format!("\x0b{}", new_patient("STUCK")).as_bytes()).await.expect("sent");
    let answer = stuck.read().await.expect("answered");
    answer.refuses("AR", "", "100", "did not end in time");
    assert_eq!(answer.number(), "STUCK");
    assert!(stuck.is_closed().await);
    assert!(TlsWire::of(&world, "anne").await.is_closed().await);
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_mllp_is_closed_and_small_faults_of_framing_are_put_right() {
    let world = world().await;
    let mut http = TlsWire::of(&world, "anne").await;
    http.write(&b"GET /fhir/metadata HTTP/1.1\r\n".repeat(100)).await.expect("sent");
    assert!(http.is_closed().await);
    let mut wire = TlsWire::of(&world, "anne").await;
    // Junk before, a frame that was cut by the next, an end without its CR.
    let cut = format!("\r\nhello\x0b{}", new_patient("CUT"));
    let next = format!("\x0b{}\x1c", new_patient("R1"));
    wire.write((cut + &next).as_bytes()).await.expect("sent");
    let answer = wire.read().await.expect("answered");
    answer.accepts("registered");
    assert_eq!(answer.number(), "R1");
    wire.send(new_patient("R2")).await.accepts("registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_connection_are_answered_in_order_and_connections_side_by_side() {
    let world = world().await;
    let senders = (0..4).map(|sender| {
        let world = &world;
        async move {
            let mut wire = TlsWire::of(world, "anne").await;
            let messages: Vec<String> = (0..25)
                .map(|turn| {
                    let who = anybody(sender * 25 + turn);
                    let part = |path: &str| {
                        who.pointer(path)
                            .and_then(|told| told.as_str())
                            .unwrap_or_default()
                            .to_owned()
                    };
                    let pid = format!(
                        "PID|1||A{sender}-{turn}^^^ANNE^MR||{}^{}||{}",
                        part("/name/0/family"),
                        part("/name/0/given/0"),
                        part("/birthDate").replace('-', ""),
                    );
                    message("A04", &format!("{sender}-{turn}"), TIME, &[&pid])
                })
                .collect();
            let all: Vec<u8> = messages.iter().flat_map(framed).collect();
            wire.write(&all).await.expect("sent");
            for turn in 0..25 {
                let answer = wire.read().await.expect("answered");
                answer.accepts("registered");
                assert_eq!(answer.number(), format!("{sender}-{turn}"));
            }
        }
    });
    join_all(senders).await;
    assert_eq!(world.gateway.exchange().index.records_total(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_bound_are_closed() {
    let world = World::with(vec![anne_by_messages()], |settings| {
        takes_messages(settings);
        settings["mllp"]["connections_max"] = json!(1);
    })
    .await;
    let mut first = TlsWire::of(&world, "anne").await;
    first.send(new_patient("R1")).await.accepts("registered");
    let address = world.gateway.mllp_address().expect("it listens");
    assert!(Wire::plain(address).await.is_closed().await);
    first.send(new_patient("R2")).await.accepts("registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_under_way_is_finished_when_the_gateway_stops() {
    let world = World::with(vec![anne_by_messages()], |settings| {
        takes_messages(settings);
        settings["server"]["drain_s"] = json!(60);
    })
    .await;
    let (mut busy, mut idle) =
        (TlsWire::of(&world, "anne").await, TlsWire::of(&world, "anne").await);
    idle.send(new_patient("R1")).await.accepts("registered");
    let text = new_patient("R3");
    let (begin, end) = text.split_at(60);
    // One write, so that the beginning of the second message is there when the first is answered.
    let together = [&framed(new_patient("R2"))[..], b"\x0b", begin.as_bytes()].concat();
    busy.write(&together).await.expect("sent");
    busy.read().await.expect("answered").accepts("registered");
    let World { stage, gateway } = world;
    let stopping = tokio::spawn(gateway.stop());
    assert!(idle.is_closed().await, "an idle connection is closed at once");
    busy.write(format!("{end}\x1c\x0d").as_bytes()).await.expect("sent");
    busy.read().await.expect("answered").accepts("registered");
    assert!(busy.is_closed().await);
    stopping.await.expect("stopped");
    let world = World::start(stage, Arc::new(SystemClock)).await;
    assert_eq!(world.gateway.exchange().index.records_total(), 3);
}
