use time::UtcOffset;

use super::{Condition, Fault, Location, Segment, Timestamp};

/// The longest control id that is taken, in bytes (HL7 v2.8 MSH-10).
const CONTROL_ID_BYTES_MAX: usize = 199;

/// MSH, as far as it steers what becomes of the message.
#[derive(Clone, Default)]
pub struct Header {
    /// MSH-3 to MSH-6 as they stand: who sends, and to whom.
    pub parties: [String; 4],
    /// MSH-7 as it stands.
    pub time: String,
    /// MSH-9.1, such as `ADT`.
    pub code: String,
    /// MSH-9.2, such as `A08`; EVN-1 of old senders is not looked at here.
    pub event: String,
    /// MSH-10, the sender's number of the message.
    pub control_id: String,
    /// MSH-11.1: `P` for production.
    pub processing_id: String,
    /// MSH-12.1, such as `2.5.1`.
    pub version: String,
    /// MSH-15: when the sender wants to know that the message is safe.
    pub accept: AcknowledgeWhen,
    /// MSH-16: when the sender wants to know what came of it.
    pub application: AcknowledgeWhen,
    /// MSH-18 as it stands.
    pub charset: String,
}

/// HL7 table 0155: when an acknowledgement is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcknowledgeWhen {
    /// Not told: original mode, always.
    #[default]
    NotTold,
    /// `AL`
    Always,
    /// `NE`
    Never,
    /// `ER`
    OnError,
    /// `SU`
    OnSuccess,
}

impl AcknowledgeWhen {
    fn read(code: &str) -> Self {
        match code {
            "AL" => Self::Always,
            "NE" => Self::Never,
            "ER" => Self::OnError,
            "SU" => Self::OnSuccess,
            _ => Self::NotTold,
        }
    }
}

impl Header {
    pub(super) fn read(msh: Segment<'_>) -> Self {
        let text = |number| msh.field(number).text().into_owned();
        Self {
            parties: [3, 4, 5, 6].map(|number| msh.field(number).raw().to_owned()),
            time: text(7),
            code: text(9).to_ascii_uppercase(),
            event: msh.field(9).component(2).text().to_ascii_uppercase(),
            control_id: text(10),
            processing_id: text(11),
            version: text(12),
            accept: AcknowledgeWhen::read(&text(15)),
            application: AcknowledgeWhen::read(&text(16)),
            charset: msh.field(18).raw().to_owned(),
        }
    }

    /// Refuses a message that is not taken at all: no ADT, another version, a trial message where
    /// `processing_ids` has none, or one that nobody could be told about.
    pub fn check(&self, processing_ids: &[String]) -> Result<(), Fault> {
        let wrong = |condition, text, field| {
            Err(Fault::reject(condition, text).at(Location::field("MSH", field)))
        };
        if self.control_id.is_empty() {
            return wrong(Condition::RequiredField, "the message has no control id", 10);
        }
        if self.control_id.len() > CONTROL_ID_BYTES_MAX {
            return wrong(Condition::DataType, "the control id is longer than 199 bytes", 10);
        }
        if self.code != "ADT" {
            return wrong(Condition::MessageType, "only ADT messages are taken", 9);
        }
        if !self.version.starts_with("2.") {
            return wrong(Condition::VersionId, "only versions 2.x of HL7 are taken", 12);
        }
        if !processing_ids.contains(&self.processing_id) {
            let text = "messages with this processing id are not taken here";
            return wrong(Condition::ProcessingId, text, 11);
        }
        Ok(())
    }

    /// MSH-7, where it can be read.
    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.time)
    }

    /// The zone of MSH-7, which holds for every time of the message that tells none (HL7 v2.5
    /// §2.15.9.7).
    pub fn offset(&self) -> Option<UtcOffset> {
        self.timestamp().and_then(Timestamp::offset)
    }

    /// Whether the version is at least 2.`minor`; versions that cannot be read count as the oldest.
    pub fn is_at_least(&self, minor: u8) -> bool {
        let told = self.version.split('.').nth(1).and_then(|told| told.parse::<u8>().ok());
        told.is_some_and(|told| told >= minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hl7v2::Message;

    fn check(msh: &str, field: u16, condition: Condition) {
        let message = Message::parse(msh.as_bytes()).expect("a message");
        let fault = message.header().check(&["P".to_owned()]).expect_err(msh);
        assert_eq!(fault.location, Some(Location::field("MSH", field)), "{msh}");
        assert_eq!(fault.condition, condition, "{msh}");
        assert_eq!(fault.acknowledged, crate::hl7v2::Acknowledged::Reject);
    }

    #[test]
    fn a_message_that_is_not_taken_at_all_is_rejected_by_its_header() {
        check("MSH|^~\\&|||||||ADT^A01|1|P|3.0", 12, Condition::VersionId);
        check("MSH|^~\\&|||||||ADT^A01|1|P|", 12, Condition::VersionId);
        check("MSH|^~\\&|||||||ADT^A01|1|T|2.5", 11, Condition::ProcessingId);
        check("MSH|^~\\&|||||||ADT^A01||P|2.5", 10, Condition::RequiredField);
        check("MSH|^~\\&|||||||ORU^R01|1|P|2.5", 9, Condition::MessageType);
        check("MSH|^~\\&|||||||", 10, Condition::RequiredField);
        let long = format!("MSH|^~\\&|||||||ADT^A01|{}|P|2.5", "9".repeat(200));
        check(&long, 10, Condition::DataType);
    }

    #[test]
    fn the_header_is_read_by_its_components() {
        let text =
            "MSH|^~\\&|A^1^ISO|F|||20210115160010+0215||adt^a08^ADT_A01|42|P^T|2.5.1|||AL|NE";
        let message = Message::parse(text.as_bytes()).expect("a message");
        let header = message.header();
        header.check(&["P".to_owned()]).expect("taken");
        assert_eq!((header.code.as_str(), header.event.as_str()), ("ADT", "A08"));
        assert_eq!(header.parties[0], "A^1^ISO");
        assert_eq!(
            (header.accept, header.application),
            (AcknowledgeWhen::Always, AcknowledgeWhen::Never)
        );
        assert_eq!(header.offset().expect("told").whole_minutes(), 135);
        assert!(header.is_at_least(5) && !header.is_at_least(6));
    }
}
