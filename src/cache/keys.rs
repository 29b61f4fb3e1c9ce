use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac, rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use thiserror::Error;

/// A name under which Redis keeps something: an HMAC, so that it tells nothing.
pub(super) type Name = [u8; 32];

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Keys in one file: the one in use, the next and a few that are running out.
const KEYS_MAX: usize = 16;
/// The longest id of a key.
const ID_BYTES_MAX: usize = 32;
/// A file of keys is a few lines.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Version of the sealed form.
const SEALED: u8 = 1;

/// The keys that seal entries, and name them. The first is in use; the others open what other
/// gateways sealed while keys are being changed.
///
/// A file of one line a key: its id, a blank, 32 random bytes in base64. `#` begins a comment.
pub struct CacheKeys(Vec<Key>);

struct Key {
    id: String,
    names: hmac::Key,
    sealing: RandomizedNonceKey,
}

/// Why keys cannot be used. Names no key.
#[derive(Debug, Error)]
pub enum CacheKeyError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A line is no key.
    #[error(
        "line {0}: not a key: an id of letters, digits and hyphens, a blank, 32 bytes in base64"
    )]
    Line(usize),
    /// Two keys have one id.
    #[error("line {0}: a key of this id stands above")]
    Repeated(usize),
    /// No keys, or too many.
    #[error("between 1 and 16 keys are needed")]
    Number,
    /// The machine has no random numbers to give.
    #[error("no random numbers")]
    Random,
}

impl CacheKeys {
    /// Reads a file of keys.
    pub fn read(path: &Path) -> Result<Self, CacheKeyError> {
        if fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(CacheKeyError::Number);
        }
        Self::parse(&fs::read_to_string(path)?)
    }

    pub(super) fn parse(text: &str) -> Result<Self, CacheKeyError> {
        let mut keys: Vec<Key> = Vec::new();
        let mut ids = BTreeSet::new();
        for (at, line) in text.lines().enumerate() {
            let (line, number) = (line.trim(), at + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = Key::parse(line).ok_or(CacheKeyError::Line(number))?;
            if !ids.insert(key.id.clone()) {
                return Err(CacheKeyError::Repeated(number));
            }
            keys.push(key);
        }
        if (1..=KEYS_MAX).contains(&keys.len()) {
            Ok(Self(keys))
        } else {
            Err(CacheKeyError::Number)
        }
    }

    /// Adds a new key at the end of a file, which is made where it is missing, readable by its owner
    /// alone. Gives its id. A first key is in use at once; a later one, once it stands first.
    pub fn mint_into(path: &Path) -> Result<String, CacheKeyError> {
        let is_new = !path.try_exists()?;
        if !is_new && Self::read(path)?.0.len() == KEYS_MAX {
            return Err(CacheKeyError::Number);
        }
        let (mut id, mut secret) = ([0; 4], [0; SECRET_BYTES]);
        rand::fill(&mut id).map_err(|_| CacheKeyError::Random)?;
        rand::fill(&mut secret).map_err(|_| CacheKeyError::Random)?;
        let id = format!("{:08x}", u32::from_be_bytes(id));
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if is_new {
            writeln!(
                file,
                "# Keys of the answer cache. The first is in use; the others still open."
            )?;
        } else if !fs::read_to_string(path)?.ends_with('\n') {
            writeln!(file)?;
        }
        writeln!(file, "{id} {}", STANDARD.encode(secret))?;
        file.sync_all()?;
        Ok(id)
    }

    /// What something is called under the key in use.
    pub(super) fn name(&self, what: &[u8]) -> Name {
        self.0[0].name(what)
    }

    /// What it is called under every key: the first is that of the key in use.
    pub(super) fn names(&self, what: &[u8]) -> Vec<Name> {
        self.0.iter().map(|key| key.name(what)).collect()
    }

    /// Seals a value for the place of this name, until a moment in Unix milliseconds. `None` where the
    /// machine has no random numbers.
    pub(super) fn seal(&self, name: &Name, expires_ms: i64, mut value: Vec<u8>) -> Option<Vec<u8>> {
        let key = &self.0[0];
        let mut sealed = key.head(expires_ms);
        let aad = Aad::from([sealed.as_slice(), name].concat());
        let nonce = key.sealing.seal_in_place_append_tag(aad, &mut value).ok()?;
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut value);
        Some(sealed)
    }

    /// Opens what was sealed for the place of this name, and says until when it holds. `None` where it
    /// was sealed for another place, with another key, or changed.
    pub(super) fn open(&self, name: &Name, sealed: &[u8]) -> Option<(Vec<u8>, i64)> {
        let (head, rest) = split_head(sealed)?;
        let id = head.get(2..head.len() - 8)?;
        let key = self.0.iter().find(|key| key.id.as_bytes() == id)?;
        let expires_ms = i64::from_be_bytes(head[head.len() - 8..].try_into().ok()?);
        let (nonce, value) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut value = value.to_vec();
        let aad = Aad::from([head, name].concat());
        let length = key.sealing.open_in_place(nonce, aad, &mut value).ok()?.len();
        value.truncate(length);
        Some((value, expires_ms))
    }
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let (id, secret) = line.split_once(char::is_whitespace)?;
        let whole = !id.is_empty()
            && id.len() <= ID_BYTES_MAX
            && id.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
        let secret = STANDARD.decode(secret.trim()).ok()?;
        if !whole || secret.len() != SECRET_BYTES {
            return None;
        }
        // One secret, and from it a key for each use.
        let secret = Salt::new(HKDF_SHA256, b"tessera answer cache").extract(&secret);
        let derived = |purpose: &'static [u8]| {
            let mut key = [0; SECRET_BYTES];
            secret.expand(&[purpose], Bytes32).ok()?.fill(&mut key).ok()?;
            Some(key)
        };
        Some(Self {
            id: id.to_owned(),
            names: hmac::Key::new(hmac::HMAC_SHA256, &derived(b"names")?),
            sealing: RandomizedNonceKey::new(&AES_256_GCM, &derived(b"values")?).ok()?,
        })
    }

    fn name(&self, what: &[u8]) -> Name {
        let tag = hmac::sign(&self.names, what);
        tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// Version, id of the key and expiry: what is told in the clear, and cannot be changed.
    fn head(&self, expires_ms: i64) -> Vec<u8> {
        let mut head = vec![SEALED, self.id.len() as u8];
        head.extend_from_slice(self.id.as_bytes());
        head.extend_from_slice(&expires_ms.to_be_bytes());
        head
    }
}

fn split_head(sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let [SEALED, id_bytes, ..] = sealed else { return None };
    sealed.split_at_checked(2 + usize::from(*id_bytes) + 8)
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        SECRET_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, byte: u8) -> String {
        format!("{id} {}\n", STANDARD.encode([byte; SECRET_BYTES]))
    }

    fn keys(text: &str) -> CacheKeys {
        CacheKeys::parse(text).expect("keys")
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_alone() {
        let keys = keys(&line("a", 1));
        let (here, there) = (keys.name(b"here"), keys.name(b"there"));
        let sealed = keys.seal(&here, 77, b"a value".to_vec()).expect("sealed");
        assert!(!sealed.windows(7).any(|part| part == b"a value"));
        assert_eq!(keys.open(&here, &sealed), Some((b"a value".to_vec(), 77)));
        assert_eq!(keys.open(&there, &sealed), None);
    }

    #[test]
    fn no_byte_of_a_sealed_value_can_be_changed() {
        let keys = keys(&line("a", 1));
        let here = keys.name(b"here");
        let sealed = keys.seal(&here, 77, b"a value".to_vec()).expect("sealed");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(keys.open(&here, &changed), None, "byte {at}");
            assert_eq!(keys.open(&here, &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_key_that_no_longer_stands_first_still_opens_and_still_names() {
        let (old, new) = (line("old", 1), line("new", 2));
        let (before, after) = (keys(&format!("{old}{new}")), keys(&format!("{new}{old}")));
        let here = before.name(b"here");
        let sealed = before.seal(&here, 5, b"v".to_vec()).expect("sealed");
        assert_ne!(after.name(b"here"), here);
        assert!(after.names(b"here").contains(&here));
        assert_eq!(after.open(&here, &sealed), Some((b"v".to_vec(), 5)));
        assert_eq!(keys(&new).open(&here, &sealed), None);
    }

    #[test]
    fn a_file_of_keys_is_read_line_by_line() {
        let twice = format!("{}{}", line("a", 1), line("a", 2));
        let many: String = (0..17).map(|at| line(&format!("k{at}"), at)).collect();
        for (text, wrong) in [
            ("", "between 1 and 16"),
            ("# nothing\n", "between 1 and 16"),
            ("a AAAA\n", "line 1: not a key"),
            ("nothing\n", "line 1: not a key"),
            (twice.as_str(), "line 2: a key of this id"),
            (many.as_str(), "between 1 and 16"),
        ] {
            let error = CacheKeys::parse(text).err().expect("refused").to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_minted_key_is_its_owners_alone_and_the_next_waits_for_its_turn() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache.keys");
        let first = CacheKeys::mint_into(&path).expect("minted");
        let second = CacheKeys::mint_into(&path).expect("minted");
        let read = CacheKeys::read(&path).expect("read");
        let ids: Vec<&str> = read.0.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, [first.as_str(), second.as_str()]);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
