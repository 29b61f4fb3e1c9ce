mod action;
mod event;
mod log;

use serde::{Deserialize, Deserializer, de::Error as _};

pub use action::{AuditNote, AuditStart, Closing, Disclosure, Interaction, RawRequest};
pub use log::{AuditError, AuditLog, OpenAudit, Released};

/// How the audit trail is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// How the gateway calls itself in its events.
    pub gateway_name: String,
    /// Its own FHIR base, the network address of the server agent; that of the FHIR interface.
    #[serde(skip)]
    pub base_url: String,
    /// Whether the raw request is kept, as IHE BALP demands. That of a `$match` holds demographics;
    /// without it, verb and path are kept.
    pub keep_query: bool,
    /// Bytes kept of a raw request: 1 KiB to 1 MiB.
    #[serde(deserialize_with = "query_bytes_max")]
    pub query_bytes_max: usize,
    /// Whether an action waits until its opening row is durable. Costs one flush to the disk before
    /// the work begins; the answer waits for the record of what was released either way.
    pub await_open: bool,
}

fn query_bytes_max<'de, D: Deserializer<'de>>(told: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(told)?;
    if (1 << 10..=1 << 20).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(D::Error::custom("query_bytes_max: must be 1024 to 1048576"))
    }
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            gateway_name: "tessera".to_owned(),
            base_url: "https://localhost/fhir".to_owned(),
            keep_query: true,
            query_bytes_max: 16 << 10,
            await_open: false,
        }
    }
}

#[cfg(test)]
mod tests;
