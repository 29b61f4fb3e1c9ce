//! HL7 v2 messages in ER7 form: reading them, what an ADT message says of a patient, and the
//! acknowledgement it gets.
//!
//! Pure. A message is kept as text and read where it lies; nothing here allocates more than the
//! message is long, whatever it holds.

mod ack;
mod charset;
mod delimiters;
mod escape;
mod event;
mod fault;
mod header;
mod identifier;
mod message;
mod patient;
#[cfg(test)]
mod properties;
mod timestamp;
mod write;

pub use ack::{Acknowledged, Acknowledgement};
pub use charset::Charset;
pub use delimiters::Delimiters;
pub use event::IdentityEffect;
pub use fault::{Condition, Fault, Location};
pub use header::{AcknowledgeWhen, Header};
pub use identifier::{Authority, PatientIdentifier};
pub use message::{MESSAGE_BYTES_MAX, Message, Part, Segment};
pub use patient::{PatientReader, PatientSnapshot};
pub use timestamp::Timestamp;
pub use write::SegmentWriter;
