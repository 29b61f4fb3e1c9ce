//! Whatever bytes come, the codec neither panics nor loses them.

use proptest::{collection::vec, prelude::*};
use time::UtcOffset;

use super::{Delimiters, Message, Part, PatientIdentifier, PatientReader, SegmentWriter};
use crate::domain::{Demographics, PartialDate};

/// Reads everything that a message may be asked for.
fn read_all(message: &Message) {
    let today = PartialDate::parse("2026-01-01").expect("a date");
    let system_of = |told: &PatientIdentifier| told.authority.uri().unwrap_or_default();
    let reader = PatientReader { today, system_of: &system_of };
    for segment in message.segments() {
        let fields: Vec<Part<'_>> = (0..50).map(|number| segment.field(number)).collect();
        for part in fields.iter().flat_map(Part::repetitions) {
            let _ = (part.component(3).text(), part.subcomponent(2).text(), part.is_null());
        }
        if let Ok(snapshot) = reader.read(segment) {
            let once = snapshot.clone().over(Demographics::default());
            assert_eq!(snapshot.over(once.clone()), once, "telling the same again changes nothing");
        }
    }
    let _ = (message.event_time(UtcOffset::UTC), message.header().check(&["P".to_owned()]));
}

/// Text that looks enough like HL7 to get past the first look.
fn like_hl7() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("PID|".to_owned()),
        Just("\r".to_owned()),
        Just("\"\"".to_owned()),
        Just("EVN|A08|20260101000000+0200".to_owned()),
        "[|^~\\\\&]{1,6}",
        "[A-Za-z0-9 .@+-]{0,12}",
        "\\\\X[0-9A-F]{0,6}\\\\",
        any::<char>().prop_map(|c| c.to_string()),
    ];
    vec(piece, 0..80).prop_map(|pieces| {
        format!("MSH|^~\\&|A|B|||20260101||ADT^A08|1|P|2.5\r{}", pieces.concat())
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = Message::parse(&bytes);
        let _ = Message::parse(&[b"MSH|^~\\&|", &bytes[..]].concat()).map(|message| read_all(&message));
    }

    #[test]
    fn nothing_like_a_message_makes_it_panic(text in like_hl7()) {
        if let Ok(message) = Message::parse(text.as_bytes()) {
            read_all(&message);
            let again = Message::parse(message.to_er7().as_bytes()).expect("it was one");
            prop_assert_eq!(again.to_er7(), message.to_er7());
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        values in vec(vec(vec("\\PC*".prop_map(|told| told.trim().to_owned()), 1..4), 1..4), 1..8),
    ) {
        let delimiters = Delimiters::default();
        let mut writer = SegmentWriter::new("ZZZ", delimiters);
        for field in &values {
            let repetitions: Vec<Vec<&str>> =
                field.iter().map(|one| one.iter().map(String::as_str).collect()).collect();
            let repetitions: Vec<&[&str]> = repetitions.iter().map(Vec::as_slice).collect();
            writer = writer.repetitions(&repetitions);
        }
        let text = SegmentWriter::header(delimiters).end() + &writer.end();
        let message = Message::parse(text.as_bytes()).expect("written by us");
        let segment = message.segment("ZZZ").expect("written");
        for (at, field) in values.iter().enumerate() {
            let told: Vec<&Vec<String>> =
                field.iter().filter(|one| one.iter().any(|value| !value.is_empty())).collect();
            let read: Vec<Part<'_>> = segment.field(at + 1).repetitions().collect();
            prop_assert_eq!(read.len(), told.len());
            for (part, one) in read.iter().zip(told) {
                for (number, value) in one.iter().enumerate() {
                    let value = if value == "\"\"" { "" } else { value };
                    prop_assert_eq!(part.component(number + 1).text(), value);
                }
            }
        }
    }
}
