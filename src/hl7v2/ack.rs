use time::OffsetDateTime;

use super::{
    AcknowledgeWhen, Charset, Delimiters, Fault, Header, Location, Message, SegmentWriter,
};

/// Original-mode acknowledgement codes (HL7 table 0008).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// `AA`: done, and safe.
    Accept,
    /// `AE`: the content is wrong; nothing was done.
    Error,
    /// `AR`: not taken, for what the message is or for what the exchange cannot do now.
    Reject,
}

impl Acknowledged {
    /// The code in original mode.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accept => "AA",
            Self::Error => "AE",
            Self::Reject => "AR",
        }
    }

    /// The code of an accept acknowledgement in enhanced mode.
    const fn accept_code(self) -> &'static str {
        match self {
            Self::Accept => "CA",
            Self::Error => "CE",
            Self::Reject => "CR",
        }
    }
}

/// The answer to a message: MSH, MSA, and ERR for each fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// What became of the message.
    pub acknowledged: Acknowledged,
    /// Why, where it was not accepted.
    pub faults: Vec<Fault>,
    /// A few words on what was done, for people who read logs.
    pub note: &'static str,
}

impl Acknowledgement {
    /// Done.
    pub fn accept(note: &'static str) -> Self {
        Self { acknowledged: Acknowledged::Accept, faults: Vec::new(), note }
    }

    /// Not done.
    pub fn refuse(fault: Fault) -> Self {
        Self { acknowledged: fault.acknowledged, faults: vec![fault], note: "" }
    }

    /// Whether the sender asked for it. In original mode always; in enhanced mode, where MSH-15 and
    /// MSH-16 tell, as they tell.
    pub fn is_asked_for(&self, header: &Header) -> bool {
        let accepted = self.acknowledged == Acknowledged::Accept;
        let wants = |when| match when {
            AcknowledgeWhen::Always => true,
            AcknowledgeWhen::NotTold | AcknowledgeWhen::Never => false,
            AcknowledgeWhen::OnError => !accepted,
            AcknowledgeWhen::OnSuccess => accepted,
        };
        let original = [header.accept, header.application] == [AcknowledgeWhen::NotTold; 2];
        original || wants(header.accept) || wants(header.application)
    }

    /// The acknowledgement as bytes, in the delimiters and characters of the message; its own
    /// number is `control_id`. Where the sender asks for accept acknowledgements by MSH-15, the
    /// codes are `CA`, `CE`, `CR`: all is done by then.
    pub fn to_bytes(&self, message: &Message, control_id: &str, now: OffsetDateTime) -> Vec<u8> {
        let text = self.write(message.header(), message.delimiters(), control_id, now);
        message.charset().encode(&text)
    }

    /// As [`Self::to_bytes`], for what could not be read: `control_id_told` is MSH-10 as far as it
    /// was seen.
    pub fn to_unreadable(
        &self,
        control_id_told: &str,
        control_id: &str,
        now: OffsetDateTime,
    ) -> Vec<u8> {
        let header = Header { control_id: control_id_told.to_owned(), ..Header::default() };
        Charset::Utf8.encode(&self.write(&header, Delimiters::default(), control_id, now))
    }

    fn write(
        &self,
        header: &Header,
        delimiters: Delimiters,
        control_id: &str,
        now: OffsetDateTime,
    ) -> String {
        let [application, facility, own_application, own_facility] = &header.parties;
        let version = if header.version.starts_with("2.") { &header.version } else { "2.5" };
        let processing = if header.processing_id.is_empty() { "P" } else { &header.processing_id };
        let kind: &[&str] = match header.event.as_str() {
            "" => &["ACK"],
            event => &["ACK", event, "ACK"],
        };
        let mut out = SegmentWriter::header(delimiters)
            .raw(own_application)
            .raw(own_facility)
            .raw(application)
            .raw(facility)
            .text(&dtm(now))
            .skip(1)
            .components(kind)
            .text(control_id)
            .text(processing)
            .text(version)
            .skip(5)
            .raw(&header.charset)
            .end();
        let by_accept = matches!(
            header.accept,
            AcknowledgeWhen::Always | AcknowledgeWhen::OnError | AcknowledgeWhen::OnSuccess
        );
        let code =
            if by_accept { self.acknowledged.accept_code() } else { self.acknowledged.code() };
        // MSA-3 was withdrawn with v2.7; ERR tells the same since v2.5.
        let words = if header.is_at_least(7) {
            ""
        } else {
            self.faults.first().map_or(self.note, |fault| fault.text)
        };
        out += &SegmentWriter::new("MSA", delimiters)
            .text(code)
            .text(&header.control_id)
            .text(words)
            .end();
        for fault in &self.faults {
            out += &err(fault, header, delimiters);
        }
        out
    }
}

/// ERR: by ERR-2 and ERR-3 since v2.5, by ERR-1 before.
fn err(fault: &Fault, header: &Header, delimiters: Delimiters) -> String {
    let (code, name) = (fault.condition.code(), fault.condition.name());
    let place = fault.location.unwrap_or(Location { segment: "", occurrence: 0, field: 0 });
    let number = |told: u16| if told == 0 { String::new() } else { told.to_string() };
    let (occurrence, field) = (number(place.occurrence), number(place.field));
    let writer = SegmentWriter::new("ERR", delimiters);
    if header.is_at_least(5) || !header.version.starts_with("2.") {
        return writer
            .skip(1)
            .components(&[place.segment, &occurrence, &field])
            .components(&[code, name, "HL70357"])
            .text("E")
            .skip(3)
            .text(fault.text)
            .end();
    }
    let sub = delimiters.subcomponent;
    let coded = format!("{code}{sub}{name}{sub}HL70357");
    let component = delimiters.component;
    let place = [place.segment, &occurrence, &field, &coded].join(&component.to_string());
    writer.raw(&place).end()
}

/// The time as HL7 `DTM`, in UTC.
fn dtm(now: OffsetDateTime) -> String {
    let now = now.to_offset(time::UtcOffset::UTC);
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}.{:03}+0000",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::hl7v2::Condition;

    fn answer(msh: &str, acknowledgement: &Acknowledgement) -> String {
        let message = Message::parse(msh.as_bytes()).expect("a message");
        let bytes = acknowledgement.to_bytes(&message, "T1", datetime!(2026-03-05 01:02:03.4 +2));
        String::from_utf8(bytes).expect("text").replace('\r', "\n")
    }

    fn fault() -> Fault {
        let text = "no identifier is the member's";
        Fault::error(Condition::UnknownKey, text).at(Location::field("PID", 3))
    }

    #[test]
    fn an_acknowledgement_echoes_number_parties_and_version() {
        let text = answer(
            "MSH|^~\\&|APP^1&2|FAC|GW|EX|20260305||ADT^A08^ADT_A01|4\\T\\2|P|2.5.1||||||UNICODE UTF-8",
            &Acknowledgement::accept("updated"),
        );
        assert_eq!(
            text,
            "MSH|^~\\&|GW|EX|APP^1&2|FAC|20260304230203.400+0000||ACK^A08^ACK|T1|P|2.5.1||||||UNICODE UTF-8\nMSA|AA|4\\T\\2|updated\n"
        );
    }

    #[test]
    fn errors_are_told_as_the_version_wants_it() {
        let refused = Acknowledgement::refuse(fault());
        let new = answer("MSH|^~\\&|||||||ADT^A08|7|P|2.8", &refused);
        assert!(
            new.ends_with(
                "MSA|AE|7\nERR||PID^1^3|204^Unknown key identifier^HL70357|E||||no identifier is the member's\n"
            ),
            "{new}"
        );
        let old = answer("MSH|^~\\&|||||||ADT^A08|7|P|2.3.1", &refused);
        assert!(
            old.ends_with(
                "MSA|AE|7|no identifier is the member's\nERR|PID^1^3^204&Unknown key identifier&HL70357\n"
            ),
            "{old}"
        );
    }

    #[test]
    fn a_sender_in_enhanced_mode_gets_what_it_asks_for() {
        let (good, bad) = (Acknowledgement::accept(""), Acknowledgement::refuse(fault()));
        for (fields, on_success, on_error) in [
            ("|", true, true),
            ("AL|NE", true, true),
            ("NE|NE", false, false),
            ("NE|AL", true, true),
            ("ER|NE", false, true),
            ("SU|", true, false),
        ] {
            let msh = format!("MSH|^~\\&|||||||ADT^A08|7|P|2.5|||{fields}");
            let message = Message::parse(msh.as_bytes()).expect("a message");
            let asked = |one: &Acknowledgement| one.is_asked_for(message.header());
            assert_eq!((asked(&good), asked(&bad)), (on_success, on_error), "{fields}");
        }
        let accept = answer("MSH|^~\\&|||||||ADT^A08|7|P|2.5|||AL|NE", &bad);
        assert!(accept.contains("MSA|CE|7"), "{accept}");
        let application = answer("MSH|^~\\&|||||||ADT^A08|7|P|2.5|||NE|AL", &bad);
        assert!(application.contains("MSA|AE|7"), "{application}");
    }

    #[test]
    fn what_could_not_be_read_is_answered_too() {
        let refused = Acknowledgement::refuse(Fault::reject(Condition::SegmentSequence, "no MSH"));
        let bytes = refused.to_unreadable("", "T1", datetime!(2026-03-05 01:02:03 UTC));
        let text = String::from_utf8(bytes).expect("text").replace('\r', "\n");
        assert!(text.contains("||ACK|T1|P|2.5|"), "{text}");
        assert!(text.contains("MSA|AR||no MSH\nERR|||100^"), "{text}");
    }
}
