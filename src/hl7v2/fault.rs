use std::fmt;

use super::Acknowledged;

/// What is wrong with a message, by place and rule, never by value: safe to send and to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How it is acknowledged: as an error or a rejection.
    pub acknowledged: Acknowledged,
    /// The code of table 0357.
    pub condition: Condition,
    /// Where, as far as it can be said.
    pub location: Option<Location>,
    /// One sentence.
    pub text: &'static str,
}

impl Fault {
    /// The content is wrong: `AE`.
    pub const fn error(condition: Condition, text: &'static str) -> Self {
        Self { acknowledged: Acknowledged::Error, condition, location: None, text }
    }

    /// The message is not taken at all: `AR`.
    pub const fn reject(condition: Condition, text: &'static str) -> Self {
        Self { acknowledged: Acknowledged::Reject, condition, location: None, text }
    }

    /// The fault with its place.
    #[must_use]
    pub const fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location {
            Some(location) => write!(f, "{location}: {}", self.text),
            None => f.write_str(self.text),
        }
    }
}

/// A place in a message: HL7 v2.5 `ERL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Segment id.
    pub segment: &'static str,
    /// Which of the segments with this id, from 1.
    pub occurrence: u16,
    /// Field position, from 1; 0 where the segment as a whole is meant.
    pub field: u16,
}

impl Location {
    /// A field of the first segment with this id.
    pub const fn field(segment: &'static str, field: u16) -> Self {
        Self { segment, occurrence: 1, field }
    }

    /// A whole segment.
    pub const fn segment(segment: &'static str) -> Self {
        Self::field(segment, 0)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.occurrence, self.field) {
            (0 | 1, 0) => f.write_str(self.segment),
            (0 | 1, field) => write!(f, "{}-{field}", self.segment),
            (nth, 0) => write!(f, "{}({nth})", self.segment),
            (nth, field) => write!(f, "{}({nth})-{field}", self.segment),
        }
    }
}

/// HL7 table 0357, message error conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 100
    SegmentSequence,
    /// 101
    RequiredField,
    /// 102
    DataType,
    /// 103
    TableValue,
    /// 200
    MessageType,
    /// 201
    EventCode,
    /// 202
    ProcessingId,
    /// 203
    VersionId,
    /// 204
    UnknownKey,
    /// 205
    DuplicateKey,
    /// 206
    Locked,
    /// 207
    Internal,
}

impl Condition {
    /// The code.
    pub const fn code(self) -> &'static str {
        self.told().0
    }

    /// HL7's name of it.
    pub const fn name(self) -> &'static str {
        self.told().1
    }

    const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::SegmentSequence => ("100", "Segment sequence error"),
            Self::RequiredField => ("101", "Required field missing"),
            Self::DataType => ("102", "Data type error"),
            Self::TableValue => ("103", "Table value not found"),
            Self::MessageType => ("200", "Unsupported message type"),
            Self::EventCode => ("201", "Unsupported event code"),
            Self::ProcessingId => ("202", "Unsupported processing id"),
            Self::VersionId => ("203", "Unsupported version id"),
            Self::UnknownKey => ("204", "Unknown key identifier"),
            Self::DuplicateKey => ("205", "Duplicate key identifier"),
            Self::Locked => ("206", "Application record locked"),
            Self::Internal => ("207", "Application internal error"),
        }
    }
}
