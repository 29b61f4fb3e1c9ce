use std::net::SocketAddr;

use serde::Deserialize;

use crate::{directory::TlsVersion, tls::MemberTls};

/// How HL7 v2 messages are taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MllpSettings {
    /// Where to listen over mutual TLS; nowhere where absent.
    pub address: Option<SocketAddr>,
    /// The oldest TLS version.
    pub tls_min: OldestTls,
    /// Where to listen without TLS, a loopback address; nowhere where absent.
    pub plaintext_address: Option<SocketAddr>,
    /// The client of `clients.toml` that whoever connects there feeds as.
    pub plaintext_client: Option<String>,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of one message.
    pub message_bytes_max: usize,
    /// Bytes between two frames.
    pub junk_bytes_max: usize,
    /// How long a TLS handshake may take, in seconds.
    pub handshake_timeout_s: u64,
    /// How long a message may take from its first byte to its last, in seconds.
    pub message_timeout_s: u64,
    /// How long a connection may be silent between messages, in seconds.
    pub idle_timeout_s: u64,
    /// How long an acknowledgement may take to be written, in seconds.
    pub write_timeout_s: u64,
    /// Processing ids (MSH-11) that are taken.
    pub processing_ids: Vec<String>,
    /// Whether to acknowledge each message, or as MSH-15 and MSH-16 ask.
    pub acknowledge: Acknowledge,
}

impl Default for MllpSettings {
    fn default() -> Self {
        Self {
            address: None,
            tls_min: OldestTls::default(),
            plaintext_address: None,
            plaintext_client: None,
            connections_max: 256,
            message_bytes_max: 1 << 20,
            junk_bytes_max: 1 << 10,
            handshake_timeout_s: 10,
            message_timeout_s: 30,
            idle_timeout_s: 3_600,
            write_timeout_s: 10,
            processing_ids: vec!["P".to_owned()],
            acknowledge: Acknowledge::default(),
        }
    }
}

/// The oldest TLS version that the listener speaks; a member needs 1.2 in `members.toml` as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct OldestTls(TlsVersion);

impl OldestTls {
    pub(super) fn versions(self) -> MemberTls {
        match self.0 {
            TlsVersion::Tls12 => MemberTls::Tls12OrLater,
            TlsVersion::Tls13 => MemberTls::Tls13,
        }
    }
}

/// When a message is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledge {
    /// Every message: the acknowledgement is the sender's only proof that it is safe.
    #[default]
    Always,
    /// As the sender asks by MSH-15 and MSH-16, which may be never.
    AsAsked,
}

impl MllpSettings {
    /// What is wrong with the settings, in words for the operator.
    pub fn check(&self) -> Result<(), String> {
        let within = |key: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!("mllp.{key} must be between {least} and {most}"))
            }
        };
        within("connections_max", self.connections_max as u64, 1, 100_000)?;
        within("message_bytes_max", self.message_bytes_max as u64, 1 << 10, 16 << 20)?;
        within("junk_bytes_max", self.junk_bytes_max as u64, 0, 1 << 20)?;
        within("handshake_timeout_s", self.handshake_timeout_s, 1, 300)?;
        within("message_timeout_s", self.message_timeout_s, 1, 3_600)?;
        within("idle_timeout_s", self.idle_timeout_s, 1, 604_800)?;
        within("write_timeout_s", self.write_timeout_s, 1, 300)?;
        if let Some(address) = self.plaintext_address {
            if !address.ip().is_loopback() {
                return Err("mllp.plaintext_address must be a loopback address".to_owned());
            }
            if self.plaintext_client.is_none() {
                return Err("mllp.plaintext_address needs mllp.plaintext_client".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_only_this_machine_is_served_and_only_as_somebody() {
        let told = |address: &str, client: Option<&str>| {
            let settings = MllpSettings {
                plaintext_address: Some(address.parse().expect("an address")),
                plaintext_client: client.map(str::to_owned),
                ..MllpSettings::default()
            };
            settings.check()
        };
        assert_eq!(told("127.0.0.1:2576", Some("anne")), Ok(()));
        assert_eq!(told("[::1]:2576", Some("anne")), Ok(()));
        assert!(told("127.0.0.1:2576", None).is_err());
        assert!(told("0.0.0.0:2576", Some("anne")).is_err());
        assert!(told("192.0.2.1:2576", Some("anne")).is_err());
    }
}
