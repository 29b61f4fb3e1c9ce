use time::macros::datetime;

use super::*;
use crate::domain::NameUse;

const HEADER: &str = "MSH|^~\\&|A|B|C|D|20260305120000||ADT^A08^ADT_A01|1|P|2.5.1\r";

fn today() -> PartialDate {
    PartialDate::parse("2026-03-05").expect("a date")
}

fn message(pid: &str) -> Message {
    Message::parse(format!("{HEADER}{pid}\r").as_bytes()).expect("a message")
}

fn read(pid: &str) -> Result<PatientSnapshot, Fault> {
    let system_of = |told: &PatientIdentifier| match told.authority.namespace.as_str() {
        "ANNE" => "urn:anne".to_owned(),
        _ => told.authority.uri().unwrap_or_default(),
    };
    let reader = PatientReader { today: today(), system_of: &system_of };
    reader.read(message(pid).segment("PID").expect("there"))
}

fn known(pid: &str) -> Demographics {
    read(pid).expect("readable").over(Demographics::default())
}

fn after(first: &str, then: &str) -> Demographics {
    read(then).expect("readable").over(known(first))
}

const WHOLE: &str = "PID|1||A1^^^ANNE^MR~7^^^&1.2.3&ISO^PI~99^^^ACC^AN||Okafor^Ada^B^Jr^Dr^MD^L~Lind^Ada^^^^^M~X^Y^^^^^P|Berg^Eva^^^^^M|19840305|F|Addy^^^^^^A||1 Elm St&Elm St&1^Apt 2^Salem^MA^01970^USA^H~2 Oak^^Lynn^MA^^^BA||(978)555-0100^PRN^PH~^NET^Internet^ada@b.org|^WPN^PH^^1^978^5550101|||||123-45-6788|S123^MA||||Y|2|||||N|N";

#[test]
fn a_whole_patient_is_read() {
    let told = known(WHOLE);
    let uses: Vec<_> =
        told.names.iter().map(|name| (name.family.as_str(), name.name_use)).collect();
    assert_eq!(
        uses,
        [("Okafor", NameUse::Official), ("Lind", NameUse::Maiden), ("Addy", NameUse::Nickname)]
    );
    assert_eq!(told.names[0].given, ["Ada", "B"]);
    assert_eq!(told.names[0].suffixes, ["Jr", "MD"]);
    assert_eq!(told.birth_date.map(|date| date.to_string()).as_deref(), Some("1984-03-05"));
    assert_eq!(told.sex, Some(Sex::Female));
    assert_eq!(told.addresses[0].lines, ["1 Elm St", "Apt 2"]);
    assert!(!told.addresses[0].old && told.addresses[1].old);
    assert_eq!(told.phones, ["(978)555-0100", "+1 9785550101"]);
    assert_eq!(told.emails, ["ada@b.org"]);
    assert_eq!((told.multiple_birth, told.birth_order), (Some(true), Some(2)));
    assert_eq!(told.mothers_maiden_name.as_deref(), Some("Berg"));
    assert_eq!((told.deceased, told.identity_unknown), (Some(false), false));
    let identifiers: Vec<_> = told
        .identifiers
        .iter()
        .map(|one| (one.kind, one.system.as_str(), one.value.as_str()))
        .collect();
    assert_eq!(
        identifiers,
        [
            (IdentifierKind::MedicalRecord, "urn:anne", "A1"),
            (IdentifierKind::MedicalRecord, "urn:oid:1.2.3", "7"),
            (IdentifierKind::SocialSecurity, US_SSN, "123-45-6788"),
            (IdentifierKind::DriversLicense, "urn:oid:2.16.840.1.113883.4.3.25", "S123"),
        ]
    );
}

#[test]
fn what_is_empty_stays_and_what_is_null_goes() {
    let same = after(WHOLE, "PID|1||A1^^^ANNE^MR~7^^^&1.2.3&ISO^PI||");
    assert_eq!(same, known(WHOLE));
    let gone = after(
        WHOLE,
        "PID|1||A1^^^ANNE^MR||\"\"|\"\"|\"\"|\"\"|||\"\"||\"\"||||||\"\"|\"\"||||\"\"||||||\"\"|",
    );
    assert_eq!(
        gone,
        Demographics {
            identifiers: vec![current(IdentifierKind::MedicalRecord, "urn:anne", "A1")],
            emails: Vec::new(),
            ..Demographics::default()
        }
    );
}

#[test]
fn lists_are_replaced_as_a_whole() {
    let moved = after(WHOLE, "PID|1||A1^^^ANNE^MR||Okafor^Ada||||||7 Sea Rd^^Lynn^MA");
    assert_eq!(moved.names.len(), 1);
    assert_eq!(moved.addresses[0].lines, ["7 Sea Rd"]);
    assert_eq!(moved.addresses.len(), 1);
    // PID-3 is the whole list; numbers with fields of their own stay until these tell otherwise.
    let kinds: Vec<_> = moved.identifiers.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [
            IdentifierKind::MedicalRecord,
            IdentifierKind::SocialSecurity,
            IdentifierKind::DriversLicense
        ]
    );
}

#[test]
fn a_social_security_number_of_pid_3_replaces_the_one_of_pid_19() {
    let told = after(WHOLE, "PID|1||A1^^^ANNE^MR~555-12-3456^^^USSSA^SS||Okafor");
    let numbers: Vec<_> = told
        .identifiers
        .iter()
        .filter(|one| one.kind == IdentifierKind::SocialSecurity)
        .map(|one| one.value.as_str())
        .collect();
    assert_eq!(numbers, ["555-12-3456"]);
}

#[test]
fn whom_the_sender_itself_does_not_know_is_told_as_unknown() {
    let pid = |unknown: &str, reliability: &str| {
        format!("PID|1||A1^^^ANNE^MR||Doe^John{}{unknown}|{reliability}", "|".repeat(26))
    };
    for (unknown, reliability, expected) in [
        ("Y", "", true),
        ("N", "", false),
        ("", "AL", true),
        ("N", "US~AL", true),
        ("", "US", false),
        ("", "", false),
    ] {
        assert_eq!(
            known(&pid(unknown, reliability)).identity_unknown,
            expected,
            "{unknown} {reliability}"
        );
    }
    assert!(after(&pid("Y", ""), &pid("", "")).identity_unknown);
    assert!(!after(&pid("Y", ""), &pid("\"\"", "")).identity_unknown);
    assert!(!after(&pid("Y", ""), &pid("N", "")).identity_unknown);
}

#[test]
fn a_birth_order_of_an_only_child_is_no_order() {
    let pid =
        |multiple, order| format!("PID|1||A1^^^ANNE^MR||Doe{}{multiple}|{order}", "|".repeat(19));
    let told = known(&pid("N", "2"));
    assert_eq!((told.multiple_birth, told.birth_order), (Some(false), None));
    let told = known(&pid("Y", "2"));
    assert_eq!((told.multiple_birth, told.birth_order), (Some(true), Some(2)));
}

#[test]
fn death_is_told_by_indicator_or_time() {
    let pid =
        |time, indicator| format!("PID|1||A1^^^ANNE^MR||Doe{}{time}|{indicator}", "|".repeat(24));
    assert_eq!(known(&pid("", "Y")).deceased, Some(true));
    assert_eq!(known(&pid("20250101", "")).deceased, Some(true));
    assert_eq!(known(&pid("20250101", "N")).deceased, Some(false));
    assert_eq!(known(&pid("", "")).deceased, None);
}

#[test]
fn what_decides_and_cannot_be_understood_is_a_fault() {
    for (pid, field) in [
        ("PID|1||A1||Doe||19840230", 7),
        ("PID|1||A1||Doe||05/03/1984", 7),
        ("PID|1||A1||Doe|||female?", 8),
    ] {
        let fault = read(pid).err().expect(pid);
        assert_eq!(fault.location, Some(Location::field("PID", field)), "{pid}");
    }
}

#[test]
fn an_event_is_dated_by_evn_then_msh_then_pid() {
    let time = |rest: &str, msh: &str| {
        let text = format!("MSH|^~\\&|||||{msh}||ADT^A08|1|P|2.5\r{rest}");
        let message = Message::parse(text.as_bytes()).expect("a message");
        message.event_time(UtcOffset::from_hms(-5, 0, 0).expect("a zone"))
    };
    let pid = format!("PID{}20050101120000", "|".repeat(33));
    let all = format!("EVN||20260304110000\r{pid}");
    assert_eq!(time(&all, "20260305120000+0200"), Some(datetime!(2026-03-04 11:00 +2)));
    assert_eq!(time(&pid, "20260305120000+0200"), Some(datetime!(2026-03-05 12:00 +2)));
    assert_eq!(time(&pid, ""), Some(datetime!(2005-01-01 12:00 -5)));
    assert_eq!(
        time("EVN||20260304\rPID|1", "20260305120000"),
        Some(datetime!(2026-03-05 12:00 -5))
    );
    assert_eq!(time("EVN||x\rPID|1", ""), None);
}
