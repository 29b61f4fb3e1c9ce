//! Ids under which the exchange shows what its members hold: `<member code>.<original id>`.

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::MemberCode;

/// FHIR R4 `id`: `[A-Za-z0-9\-\.]{1,64}`.
const ID_BYTES_MAX: usize = 64;
/// Bytes of a hash in an id: 160 bits, so that member code and hash fit 64 characters.
const HASH_BYTES: usize = 20;
const HASH_MARK: &str = "h-";

/// The gateway id of a member's resource. Routable without a lookup, unless [`is_hashed`].
///
/// Hashed where the original id is longer than an id may be, or holds characters FHIR forbids.
pub fn gateway_id(member: &MemberCode, resource_type: &str, source_id: &str) -> String {
    let plain = member.as_str().len() + 1 + source_id.len() <= ID_BYTES_MAX
        && !source_id.is_empty()
        && source_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && !is_hash(source_id);
    if plain {
        return format!("{member}.{source_id}");
    }
    hashed_id(member, &["id", resource_type, source_id])
}

/// Whether a gateway id holds a hash in place of the original id, so that only a stored
/// [`super::IdMapping`] leads back to the member.
pub fn is_hashed(gateway_id: &str) -> bool {
    gateway_id.split_once('.').is_some_and(|(_, id)| is_hash(id))
}

fn is_hash(id: &str) -> bool {
    id.strip_prefix(HASH_MARK).is_some_and(|hex| {
        hex.len() == HASH_BYTES * 2
            && hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    })
}

/// A gateway id made of a hash over `parts`.
pub(super) fn hashed_id(member: &MemberCode, parts: &[&str]) -> String {
    format!("{member}.{HASH_MARK}{}", hash(parts))
}

/// The id of something the exchange says itself. It holds no dot, so it is never a member's.
pub(super) fn own_id(kind: &str, parts: &[&str]) -> String {
    format!("{kind}-{}", hash(parts))
}

/// SHA-256 over length-prefixed parts, cut to 160 bits, in hexadecimal.
pub(super) fn hash(parts: &[&str]) -> String {
    let mut text = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let sum = digest(&SHA256, &text);
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let bytes = sum.as_ref().iter().take(HASH_BYTES);
    bytes.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> MemberCode {
        MemberCode::parse("st-anne").expect("a code")
    }

    #[test]
    fn an_ordinary_id_stays_readable() {
        let id = gateway_id(&member(), "Observation", "a.1-B");
        assert_eq!(id, "st-anne.a.1-B");
        assert!(!is_hashed(&id));
    }

    #[test]
    fn a_long_or_odd_id_is_hashed_into_a_legal_one() {
        let long = "x".repeat(57);
        let pretender = format!("h-{}", "0".repeat(40));
        for odd in [long.as_str(), "a_b", "ä", "", pretender.as_str()] {
            let id = gateway_id(&member(), "Observation", odd);
            assert!(is_hashed(&id) && id.len() <= ID_BYTES_MAX, "{odd} became {id}");
            assert_eq!(id, gateway_id(&member(), "Observation", odd));
            assert_ne!(id, gateway_id(&member(), "Condition", odd));
        }
        assert!(!is_hashed(&gateway_id(&member(), "Observation", &"x".repeat(56))));
    }
}
