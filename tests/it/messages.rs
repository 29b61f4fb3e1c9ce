//! What HL7 v2 messages do to who is who.

use crate::{
    answers::Event,
    people::{anybody, ruth},
    wire::{Ack, TlsWire, message, ruths_pid, world},
    world::World,
};

const TIME: &str = "20260105120000+0000";

async fn send(world: &World, text: &str) -> Ack {
    TlsWire::of(world, "anne").await.send(text).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_registered_updated_and_found() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    let told = message("A04", "1", TIME, &[&ruths_pid("R1"), "PV1|1|O"]);
    anne.send(&told).await.accepts("registered");
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    let moved = "PID|1||R1^^^ANNE^MR||Calloway^Ruth^Edna||||||7 Lighthouse Road^^Oswego^NY^13126";
    let moved = message("A08", "2", "20260105130000+0000", &[moved]);
    anne.send(&moved).await.accepts("updated");
    let read = ed.get(&format!("Patient/{person}")).await;
    assert!(read.text().contains("7 Lighthouse Road"), "{read:?}");
    // What the message left empty stays.
    assert!(read.text().contains("1958-03-14") && read.text().contains("5550142"), "{read:?}");
    let gone = message(
        "A31",
        "3",
        "20260105140000+0000",
        &["PID|1||R1^^^ANNE^MR||Calloway^Ruth^Edna||||||||\"\""],
    );
    anne.send(&gone).await.accepts("updated");
    let read = ed.get(&format!("Patient/{person}")).await;
    assert!(!read.text().contains("5550142"), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_again_is_known_again_and_a_number_used_twice_is_carried_out() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    let told = message("A28", "7", TIME, &[&ruths_pid("R1")]);
    anne.send(&told).await.accepts("registered");
    anne.send(&told).await.accepts("taken before");
    send(&world, &told).await.accepts("taken before");
    let other = message("A28", "7", TIME, &[&ruths_pid("R2")]);
    anne.send(&other).await.accepts("registered");
    assert_eq!(world.gateway.exchange().index.records_total(), 2);
    // After a restart nobody remembers numbers, but it changes nothing all the same.
    let world = world.restarted().await;
    send(&world, &told).await.accepts("nothing new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_message_undoes_nothing() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    let told = |number: &str, time: &str, street: &str| {
        let pid = format!("PID|1||R1^^^ANNE^MR||Calloway^Ruth||19580314|F|||{street}^^Oswego^NY");
        message("A08", number, time, &[&pid])
    };
    anne.send(told("1", "20260105120000+0000", "7 Lighthouse Road")).await.accepts("registered");
    let late = told("2", "20260104120000+0000", "1 Former Street");
    anne.send(late).await.accepts("late: something later is known");
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    let read = ed.get(&format!("Patient/{person}")).await;
    assert!(read.text().contains("7 Lighthouse Road"), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_taken_says_why_and_does_nothing() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    let pid = ruths_pid("R1");
    let whole = message("A28", "1", TIME, &[&pid]);
    let with = |pid: &str| message("A28", "1", TIME, &[pid]);
    for (text, code, place, condition, words) in [
        (whole.replacen("MSH|", "MSG|", 1), "AR", "MSH^1", "100", "begin with an MSH"),
        (whole.replacen("|^~\\&|", "|||||", 1), "AR", "MSH^1^2", "100", "delimiters"),
        (whole.replacen("ADT^A28", "ORU^R01", 1), "AR", "MSH^1^9", "200", "only ADT"),
        (whole.replacen("ADT^A28", "ADT^A99", 1), "AR", "MSH^1^9", "201", "event"),
        (whole.replacen("|P|", "|T|", 1), "AR", "MSH^1^11", "202", "processing id"),
        (whole.replacen("|2.5.1", "|3.0", 1), "AR", "MSH^1^12", "203", "versions 2.x"),
        (whole.replacen("|1|P|", "||P|", 1), "AR", "MSH^1^10", "101", "no control id"),
        (
            whole.replacen("|2.5.1", "|2.5.1||||||KLINGON", 1),
            "AR",
            "MSH^1^18",
            "103",
            "character set",
        ),
        (whole.replacen("PID|", "pid|", 1), "AR", "", "100", "no segment"),
        (message("A28", "1", TIME, &["PV1|1|O"]), "AE", "PID^1", "100", "is missing"),
        (message("A28", "1", TIME, &[&pid, &pid]), "AE", "PID^1", "100", "one such segment"),
        (with("PID|1||||Calloway^Ruth"), "AE", "PID^1^3", "101", "no identifier"),
        (with("PID|1||\"\"||Calloway^Ruth"), "AE", "PID^1^3", "101", "no identifier"),
        (with("PID|1||7^^^ANNE^AN||Calloway"), "AE", "PID^1^3", "101", "no identifier"),
        (with("PID|1||R1^^^OTHER^MR||Calloway"), "AE", "PID^1^3", "204", "assigning authority"),
        (with("PID|1||R1^^^&1.2.3&ISO||Calloway"), "AE", "PID^1^3", "204", "assigning authority"),
        (with("PID|1||R\\X00\\1^^^ANNE^MR||Calloway"), "AE", "PID^1^3", "102", "control character"),
        (with("PID|1||R1||Calloway"), "AE", "PID^1^3", "204", "assigning authority"),
        (with("PID|1||R1^^^ANNE^MR"), "AE", "PID^1^5", "101", "no name"),
        (with("PID|1||R1^^^ANNE^MR||Calloway||19580230"), "AE", "PID^1^7", "102", "date of birth"),
        (with("PID|1||R1^^^ANNE^MR||Calloway|||woman"), "AE", "PID^1^8", "103", "sex"),
    ] {
        anne.send(&text).await.refuses(code, place, condition, words);
    }
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
    // The connection was kept all along.
    anne.send(&whole).await.accepts("registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_in_the_character_set_that_the_header_names() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    let told = |number: &str, set: &str, name: &[u8]| {
        let head =
            message("A28", number, TIME, &[]).replacen("|2.5.1", &format!("|2.5.1||||||{set}"), 1);
        let begin = format!("{head}\rPID|1||{number}^^^ANNE^MR||");
        [begin.as_bytes(), name, b"^J\\XF6\\rg||19700101"].concat()
    };
    for (number, set, name) in [
        ("L1", "8859/1", &b"M\xfcller"[..]),
        ("U1", "UNICODE UTF-8", b"M\xc3\xbcller"),
        ("N1", "", b"M\xfcller"),
    ] {
        anne.send(told(number, set, name)).await.accepts("registered");
    }
    let answer = anne.send(told("B1", "UNICODE UTF-8", b"M\xfcller")).await;
    assert_eq!(answer.code(), "AE", "{answer:?}");
    let index = &world.gateway.exchange().index;
    assert_eq!((index.records_total(), index.persons_total()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_sender_does_not_know_is_held_out_of_matching() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    anne.send(message("A28", "1", TIME, &[&ruths_pid("R1")])).await.accepts("registered");
    let unknown = format!("{}{}Y", ruths_pid("R2"), "|".repeat(18));
    anne.send(message("A04", "2", TIME, &[&unknown])).await.accepts("registered");
    let index = &world.gateway.exchange().index;
    assert_eq!(index.persons_total(), 2, "nobody is taken for a stranger");
    // Once she is known, she may be compared.
    let known = format!("{}{}N", ruths_pid("R2"), "|".repeat(18));
    let later = message("A08", "3", "20260105130000+0000", &[&known]);
    anne.send(later).await.accepts("updated");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_an_identity_do_nothing_and_are_acknowledged() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    for (at, event) in
        ["A11", "A17", "A20", "A23", "A25", "A38", "A41", "A43", "A45", "A60"].iter().enumerate()
    {
        let text = message(event, &at.to_string(), TIME, &[&ruths_pid("R1"), "MRG|R2^^^ANNE^MR"]);
        anne.send(text).await.accepts("no identity effect");
    }
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_audited() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    let who = anybody(3);
    let family = who["name"][0]["family"].as_str().expect("a name");
    let pid = format!("PID|1||R1^^^ANNE^MR||{family}^X||19500101");
    anne.send(message("A28", "1", TIME, &[&pid])).await.accepts("registered");
    anne.send(message("A11", "2", TIME, &[&pid])).await.accepts("no identity effect");
    let refused = anne.send(message("A28", "3", TIME, &["PID|1"])).await;
    assert_eq!(refused.code(), "AE");
    let trail = world.trail().await;
    let outcomes: Vec<&str> =
        trail.iter().filter(|event| !event.open).map(Event::outcome).collect();
    assert_eq!(outcomes, ["0", "0", "4"]);
    let told = trail.iter().find(|event| !event.open).expect("one");
    assert!(told.person.is_some());
}

/// A merge of `prior` into `present`.
fn merge(event: &str, number: &str, prior: &str, present: &str) -> String {
    let mrg = format!("MRG|{prior}");
    message(event, number, "20260106120000+0000", &[&ruths_pid(present), &mrg])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_makes_two_records_one() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    for number in ["R1", "R2"] {
        anne.send(message("A28", number, TIME, &[&ruths_pid(number)])).await.accepts("registered");
    }
    let told = merge("A40", "3", "R2^^^ANNE^MR", "R1");
    anne.send(&told).await.accepts("merged");
    anne.send(&told).await.accepts("taken before");
    let again = merge("A40", "4", "R2^^^ANNE^MR", "R1");
    anne.send(&again).await.accepts("nothing new");
    // Its identifier leads to the survivor; it is fed no more itself.
    let later = message("A08", "5", "20260107120000+0000", &[&ruths_pid("R2")]);
    anne.send(&later).await.refuses("AE", "PID^1^3", "204", "merged into another");
    world.client("ed").person(&ruth()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_cannot_be_is_refused_and_nothing_is_half_done() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    for number in ["R1", "R2", "R3"] {
        anne.send(message("A28", number, TIME, &[&ruths_pid(number)])).await.accepts("registered");
    }
    for (number, prior, present, place, condition, words) in [
        ("10", "R1^^^ANNE^MR", "R1", "", "205", "the same patient"),
        ("11", "R9^^^ANNE^MR", "R1", "MRG^1^1", "204", "to be merged"),
        ("12", "R1^^^ANNE^MR", "R9", "PID^1^3", "204", "to survive"),
        ("13", "R2^^^OTHER^MR", "R1", "MRG^1^1", "204", "assigning authority"),
        ("14", "R2^^^ANNE^MR~R3^^^ANNE^MR", "R1", "MRG^1^1", "205", "one prior identifier"),
        ("15", "", "R1", "MRG^1^1", "101", "no identifier"),
    ] {
        let text = merge("A40", number, prior, present);
        anne.send(&text).await.refuses("AE", place, condition, words);
    }
    let two =
        [ruths_pid("R1"), "MRG|R2^^^ANNE^MR".into(), ruths_pid("R1"), "MRG|R3^^^ANNE^MR".into()];
    let two: Vec<&str> = two.iter().map(String::as_str).collect();
    let text = message("A40", "16", "20260106120000+0000", &two);
    anne.send(&text).await.refuses("AE", "PID^1", "100", "one such segment");
    // Round and round.
    anne.send(merge("A40", "20", "R2^^^ANNE^MR", "R1")).await.accepts("merged");
    anne.send(merge("A40", "21", "R1^^^ANNE^MR", "R2")).await.refuses(
        "AE",
        "PID^1^3",
        "204",
        "itself merged",
    );
    anne.send(merge("A40", "22", "R2^^^ANNE^MR", "R3")).await.refuses(
        "AE",
        "MRG^1^1",
        "204",
        "merged into another before",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_renamed_ended_and_told_of_again() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    anne.send(message("A28", "1", TIME, &[&ruths_pid("R1")])).await.accepts("registered");
    anne.send(merge("A47", "2", "R1^^^ANNE^MR", "R5")).await.accepts("identifier changed");
    anne.send(merge("A47", "3", "R1^^^ANNE^MR", "R5")).await.accepts("nothing new");
    anne.send(merge("A47", "4", "R7^^^ANNE^MR", "R8")).await.refuses(
        "AE",
        "",
        "204",
        "no patient is registered",
    );
    let moved = "PID|1||R5^^^ANNE^MR||Calloway^Ruth^Edna||||||7 Lighthouse Road^^Oswego^NY";
    let text = message("A08", "5", "20260107120000+0000", &[moved]);
    anne.send(&text).await.accepts("updated");
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    let read = ed.get(&format!("Patient/{person}")).await;
    assert!(read.text().contains("Lighthouse") && read.text().contains("1958-03-14"), "{read:?}");

    let delete = |number: &str| message("A29", number, "20260108120000+0000", &[&ruths_pid("R5")]);
    anne.send(delete("6")).await.accepts("deleted");
    assert!(ed.matches(&ruth()).await.certain().is_empty());
    anne.send(delete("7")).await.accepts("nothing new");
    let unknown = message("A29", "8", "20260108120000+0000", &[&ruths_pid("R9")]);
    anne.send(&unknown).await.refuses("AE", "", "204", "no patient is registered");
    // Told of again, it starts from nothing: what was known before is not filled in.
    let bare = "PID|1||R5^^^ANNE^MR||Calloway^Ruth^Edna||19580314|F";
    let text = message("A28", "9", "20260109120000+0000", &[bare]);
    anne.send(&text).await.accepts("registered");
    let told = world.gateway.exchange();
    assert_eq!(told.index.persons_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_linked_and_unlinked_on_the_member_s_word() {
    let world = world().await;
    let mut anne = TlsWire::of(&world, "anne").await;
    let married = "PID|1||R2^^^ANNE^MR||Ostrander^R||1958|F";
    anne.send(message("A28", "1", TIME, &[&ruths_pid("R1")])).await.accepts("registered");
    anne.send(message("A28", "2", TIME, &[married])).await.accepts("registered");
    let index = &world.gateway.exchange().index;
    assert_eq!(index.persons_total(), 2);
    let pids = [ruths_pid("R1"), married.to_owned()];
    let two = |event: &str, number: &str, time: &str| {
        message(event, number, time, &[&pids[0], "PV1|1|O", &pids[1]])
    };
    anne.send(two("A24", "3", "20260106120000+0000")).await.accepts("linked");
    assert_eq!(index.persons_total(), 1);
    anne.send(two("A24", "4", "20260106120000+0000")).await.accepts("nothing new");
    anne.send(two("A37", "5", "20260107120000+0000")).await.accepts("unlinked");
    assert_eq!(index.persons_total(), 2);
    let one = message("A24", "6", "20260108120000+0000", &[&pids[0]]);
    anne.send(&one).await.refuses("AE", "PID^1", "100", "two such segments");
    let same = message("A24", "7", "20260108120000+0000", &[&pids[0], &pids[0]]);
    anne.send(&same).await.refuses("AE", "", "205", "the same patient");
}
