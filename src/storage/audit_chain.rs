//! The hash chain that makes a changed, missing or cut-off audit row visible.

use std::fmt::{self, Write as _};

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::TryStreamExt as _;

use super::{
    AuditEntry, Reader, StorageError,
    columns::{Columns, micros, person_bytes},
    insert::AUDIT_HEAD,
    sql::{SqlRow, Statement},
};

pub(super) type Hash = [u8; 32];

const TABLE: &str = "audit_event";

/// The last row's number and hash; before the first row, 0 and zeros.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct ChainHead {
    seq: u64,
    hash: Hash,
}

/// An audit entry with its place in the chain.
pub(super) struct ChainedRow<'w> {
    pub(super) entry: &'w AuditEntry,
    pub(super) seq: u64,
    pub(super) prev_hash: Hash,
    pub(super) hash: Hash,
}

impl ChainHead {
    pub(super) fn append<'w>(&mut self, entry: &'w AuditEntry) -> ChainedRow<'w> {
        let (seq, prev_hash) = (self.seq + 1, self.hash);
        let hash = row_hash(
            &prev_hash,
            &RowBytes {
                seq: seq as i64,
                recorded_at: micros(entry.recorded),
                audit_id: entry.audit_id.as_bytes(),
                request_id: &entry.request_id.to_string(),
                state: entry.state.as_str(),
                person: entry.person.map(person_bytes).as_deref(),
                body: &entry.body,
            },
        );
        *self = Self { seq, hash };
        ChainedRow { entry, seq, prev_hash, hash }
    }

    /// What to ask for the head that was kept with the last audit rows.
    pub(super) fn asked() -> Statement<'static> {
        Statement::new("SELECT value FROM meta WHERE name = $1").bind(AUDIT_HEAD)
    }

    /// Reads the answer; without one nothing was ever written.
    pub(super) fn told(row: Option<&SqlRow>) -> Result<Self, StorageError> {
        let Some(row) = row else { return Ok(Self::default()) };
        let text: &str = Columns::of(row, "meta").value()?;
        Self::parse(text).ok_or(StorageError::Unreadable { table: "meta" })
    }

    fn parse(text: &str) -> Option<Self> {
        let (seq, hex) = text.split_once(':')?;
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut hash = Hash::default();
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(Self { seq: seq.parse().ok()?, hash })
    }
}

impl fmt::Display for ChainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex(&self.hash))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// A row's columns as they are stored, so that whatever stands there can be hashed.
struct RowBytes<'r> {
    seq: i64,
    recorded_at: i64,
    audit_id: &'r [u8],
    request_id: &'r str,
    state: &'r str,
    person: Option<&'r [u8]>,
    body: &'r str,
}

fn row_hash(prev_hash: &[u8], row: &RowBytes<'_>) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(prev_hash);
    context.update(&row.seq.to_be_bytes());
    context.update(&row.recorded_at.to_be_bytes());
    let person_parts: (&[u8], &[u8]) = match row.person {
        Some(person) => (&[1], person),
        None => (&[0], &[]),
    };
    let parts = [
        row.audit_id,
        row.request_id.as_bytes(),
        row.state.as_bytes(),
        person_parts.0,
        person_parts.1,
        row.body.as_bytes(),
    ];
    for part in parts {
        // The length first, so that no byte can wander from one column into the next.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// What walking the audit chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// Rows that are whole and in order, counted from the first.
    pub rows: u64,
    /// SHA-256 of the last whole row, hexadecimal.
    pub head: String,
    /// The first row that is not; after it nothing was checked.
    pub first_bad: Option<BadAuditRow>,
}

/// Where the audit chain breaks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAuditRow {
    /// Its sequence number.
    pub seq: u64,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// How an audit chain can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// The row is not there, though later ones or the kept head say that it was.
    Missing,
    /// The row does not name its predecessor's hash.
    WrongPredecessor,
    /// The row's columns do not give its hash.
    Altered,
    /// A column is not even of its type.
    Unreadable,
    /// The row came after the last one that the writer vouches for.
    NotVouchedFor,
    /// The row is whole, but the kept head has another hash for it: everything was rewritten.
    NotTheHead,
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the row is missing",
            Self::WrongPredecessor => "the row does not follow from the one before it",
            Self::Altered => "the row was altered",
            Self::Unreadable => "the row cannot be read",
            Self::NotVouchedFor => "the row was added behind the last one written",
            Self::NotTheHead => "the chain was rewritten up to here",
        })
    }
}

impl Reader {
    /// Walks the whole audit chain, row by row in constant memory, up to the first bad row.
    pub async fn verify_audit_chain(&self) -> Result<ChainReport, StorageError> {
        // One snapshot, so that rows written meanwhile are not taken for forged ones.
        let mut snapshot = self.pool().snapshot().await?;
        let kept = ChainHead::told(snapshot.fetch_optional(ChainHead::asked()).await?.as_ref())?;
        let mut walked = ChainHead::default();
        let mut first_bad = None;
        {
            let mut rows = snapshot.fetch(Statement::new(
                "SELECT seq, recorded_at, audit_id, request_id, state, person, body, prev_hash, \
                 hash FROM audit_event ORDER BY seq",
            ));
            while let Some(row) = rows.try_next().await? {
                match next_head(&walked, &kept, Columns::of(&row, TABLE)) {
                    Ok(head) => walked = head,
                    Err(bad) => {
                        first_bad = Some(bad);
                        break;
                    }
                }
            }
        }
        if first_bad.is_none() && walked.seq < kept.seq {
            first_bad = Some(BadAuditRow { seq: walked.seq + 1, fault: ChainFault::Missing });
        }
        if first_bad.is_none() && walked != kept {
            first_bad = Some(BadAuditRow { seq: walked.seq, fault: ChainFault::NotTheHead });
        }
        Ok(ChainReport { rows: walked.seq, head: hex(&walked.hash), first_bad })
    }
}

fn next_head(
    walked: &ChainHead,
    kept: &ChainHead,
    mut columns: Columns<'_>,
) -> Result<ChainHead, BadAuditRow> {
    let due = walked.seq + 1;
    let bad = |fault| BadAuditRow { seq: due, fault };
    let (row, prev_hash, hash) = read_row(&mut columns).map_err(|_| bad(ChainFault::Unreadable))?;
    if row.seq as u64 != due {
        return Err(bad(ChainFault::Missing));
    }
    if kept.seq < due {
        return Err(bad(ChainFault::NotVouchedFor));
    }
    if prev_hash != walked.hash {
        return Err(bad(ChainFault::WrongPredecessor));
    }
    let due_hash = row_hash(prev_hash, &row);
    if hash != due_hash {
        return Err(bad(ChainFault::Altered));
    }
    Ok(ChainHead { seq: due, hash: due_hash })
}

fn read_row<'r>(
    columns: &mut Columns<'r>,
) -> Result<(RowBytes<'r>, &'r [u8], &'r [u8]), StorageError> {
    let row = RowBytes {
        seq: columns.value()?,
        recorded_at: columns.value()?,
        audit_id: columns.value()?,
        request_id: columns.value()?,
        state: columns.value()?,
        person: columns.value()?,
        body: columns.value()?,
    };
    Ok((row, columns.value()?, columns.value()?))
}
