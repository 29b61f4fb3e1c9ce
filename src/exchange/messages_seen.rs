use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;

use crate::hl7v2::Header;

/// The messages taken of late, so that one that is sent again is known again. Kept in memory only:
/// after a restart a message that comes again is carried out again, which changes nothing.
pub struct MessagesSeen(Cache<Sender, Digest>);

/// Who sent it, and its number there; as digests, since a number may be anything.
type Sender = Digest;
type Digest = [u8; 16];

/// Whether a message came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Its number is new.
    New,
    /// The same message, to the last byte.
    Again,
    /// Its number came with another message.
    NumberReused,
}

/// A message by number and by content.
#[derive(Clone, Copy)]
pub(super) struct Fingerprint {
    sender: Sender,
    content: Digest,
}

impl Fingerprint {
    /// Of an HL7 v2 message of this client: MSH-3, MSH-4 and MSH-10 number it, and all of it is its
    /// content, MSH-7 among the rest.
    pub(super) fn of(client_id: &str, header: &Header, bytes: &[u8]) -> Self {
        let parts = [client_id, &header.parties[0], &header.parties[1], &header.control_id];
        Self { sender: hash(parts.join("\r").as_bytes()), content: hash(bytes) }
    }

    /// Of a FHIR message of this client, which its MessageHeader's id numbers.
    pub(super) fn of_fhir(client_id: &str, message_id: &str, bytes: &[u8]) -> Self {
        let parts = ["fhir", client_id, message_id];
        Self { sender: hash(parts.join("\r\r").as_bytes()), content: hash(bytes) }
    }
}

fn hash(bytes: &[u8]) -> Digest {
    let whole = digest(&SHA256, bytes);
    let mut half = [0; 16];
    half.copy_from_slice(&whole.as_ref()[..16]);
    half
}

impl MessagesSeen {
    /// Remembers the last `messages_max`.
    pub fn new(messages_max: u64) -> Self {
        Self(Cache::new(messages_max))
    }

    fn look(&self, fingerprint: &Fingerprint) -> Seen {
        match self.0.get(&fingerprint.sender) {
            None => Seen::New,
            Some(content) if content == fingerprint.content => Seen::Again,
            Some(_) => Seen::NumberReused,
        }
    }

    /// Looks, and reports a number that came with another message: senders do use numbers twice.
    pub(super) fn known_again(&self, client_id: &str, fingerprint: &Fingerprint) -> bool {
        let seen = self.look(fingerprint);
        if seen == Seen::NumberReused {
            metrics::counter!("tessera_feed_numbers_reused_total").increment(1);
            tracing::warn!(client = client_id, "a message's id came with another message");
        }
        seen == Seen::Again
    }

    /// Remembers a message that was taken; one that was not may be sent again.
    pub(super) fn remember(&self, fingerprint: &Fingerprint) {
        self.0.insert(fingerprint.sender, fingerprint.content);
    }
}

impl fmt::Debug for MessagesSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessagesSeen(…)")
    }
}
