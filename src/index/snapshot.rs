//! The memory on disk beside the database, so that opening need not fold the whole journal.
//!
//! Worth something only to the very program, model and journal that it was written by: what it stands
//! on is written at its head, and a digest of all of it at its end. If anything about it is in doubt,
//! it is as if there were none.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek as _, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use aws_lc_rs::digest::{Context, SHA256, digest};
use thiserror::Error;

use crate::{
    domain::EnterpriseId,
    matching::{
        Model, Population,
        kept::{Kept, Sink, Source, kept},
    },
    storage::{JournalRow, Reader},
};

use super::{Shared, State, fold::Folded};

/// What a snapshot begins with.
const MAGIC: [u8; 16] = *b"tessera memory 2";
const DIGEST_BYTES: usize = 32;
/// Bytes that are read at once for a digest.
const CHUNK_BYTES: usize = 1 << 18;

type Digest = [u8; DIGEST_BYTES];

/// Where the memory is kept between a clean stop and the next start.
#[derive(Clone, Debug)]
pub struct Snapshot {
    path: PathBuf,
}

/// Why a snapshot is not used. Never holds patient data.
#[derive(Debug, Error)]
enum Doubt {
    #[error("there is none")]
    Absent,
    #[error("it cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    #[error("it was written by another program or another version")]
    OtherProgram,
    #[error("it was written under another model")]
    OtherModel,
    #[error("it is damaged")]
    Damaged,
    #[error("it does not stand on this journal")]
    OtherJournal,
}

impl From<io::Error> for Doubt {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            kind => Self::Unreadable(kind),
        }
    }
}

/// What a snapshot stands on.
struct Head {
    magic: [u8; 16],
    /// Of the program's file: another build may understand the bytes otherwise.
    program: Digest,
    model: Digest,
    /// The journal's last entry that the memory holds, and its digest.
    last_seq: u64,
    last_entry: Digest,
    last_task_no: u64,
}

kept!(Head { magic, program, model, last_seq, last_entry, last_task_no });

impl Head {
    const BYTES: usize = 16 + 3 * DIGEST_BYTES + 2 * 8;

    fn of(model: &Model, last: &JournalRow, last_task_no: u64) -> io::Result<Self> {
        Ok(Self {
            magic: MAGIC,
            program: program()?,
            model: digest_of(model.to_json().as_bytes()),
            last_seq: last.seq,
            last_entry: entry_digest(last),
            last_task_no,
        })
    }
}

impl Snapshot {
    /// In a file of its own.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Beside a database's file.
    pub fn beside(database: &Path) -> Self {
        Self::at(with_ending(database, ".snapshot"))
    }

    /// The memory as it was kept, if nothing about it is in doubt.
    pub(super) async fn read(&self, reader: &Reader, model: &Arc<Model>) -> Option<Folded> {
        match self.read_undoubted(reader, model).await {
            Ok(folded) => Some(folded),
            Err(Doubt::Absent) => None,
            Err(doubt) => {
                tracing::warn!(%doubt, "the snapshot is not used; the journal is folded");
                None
            }
        }
    }

    async fn read_undoubted(&self, reader: &Reader, model: &Arc<Model>) -> Result<Folded, Doubt> {
        let (path, model) = (self.path.clone(), Arc::clone(model));
        let load = move || {
            let head = check(&path, &model)?;
            Ok::<_, Doubt>((head, path, model))
        };
        let checked = tokio::task::spawn_blocking(load).await;
        let (head, path, model) = checked.map_err(|_| Doubt::Damaged)??;
        let last = reader.journal_entry(head.last_seq).await.map_err(|_| Doubt::OtherJournal)?;
        if last.is_none_or(|last| entry_digest(&last) != head.last_entry) {
            return Err(Doubt::OtherJournal);
        }
        let loaded = tokio::task::spawn_blocking(move || load_state(&path, model)).await;
        let state = loaded.map_err(|_| Doubt::Damaged)??;
        Ok(Folded { state, last_seq: head.last_seq, last_task_no: head.last_task_no })
    }

    /// Takes the file away, so that the next start folds the whole journal.
    pub(super) fn discard(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(error = %error.kind(), "the snapshot cannot be taken away");
        }
    }

    /// Keeps the memory as it stands after `last`. What was kept before is replaced as a whole or not
    /// at all.
    pub(super) async fn write(
        &self,
        shared: &Arc<Shared>,
        last: JournalRow,
        last_task_no: u64,
    ) -> io::Result<()> {
        let (path, shared) = (self.path.clone(), Arc::clone(shared));
        let write = move || {
            let state = shared.read();
            let head = Head::of(state.population.model(), &last, last_task_no)?;
            replace(&path, &head, &state)
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(ending);
    longer.into()
}

fn replace(path: &Path, head: &Head, state: &State) -> io::Result<()> {
    let unfinished = with_ending(path, ".new");
    let written = save(&unfinished, head, state).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // It holds patient data and is worth nothing; where even this fails, the next one replaces it.
        let _ = fs::remove_file(&unfinished);
        return written;
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Head, population, then registry and postings, the length of either, the digest of it all.
fn save(path: &Path, head: &Head, state: &State) -> io::Result<()> {
    // Whoever may not read the database may not read this either; not even what was left behind
    // under its name is written into.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut out = Digesting { file, context: Context::new(&SHA256) };
    let State { population, registry, search } = state;
    let mut sink = Sink::new(&mut out);
    head.keep(&mut sink);
    sink.finish()?;
    let mut sink = Sink::new(&mut out);
    population.keep(&mut sink);
    let population_bytes = sink.finish()?;
    let mut sink = Sink::new(&mut out);
    registry.keep(&mut sink);
    search.keep(&mut sink);
    let rest_bytes = sink.finish()?;
    let mut sink = Sink::new(&mut out);
    [population_bytes, rest_bytes].keep(&mut sink);
    sink.finish()?;
    let Digesting { mut file, context } = out;
    file.write_all(context.finish().as_ref())?;
    file.sync_all()
}

/// A file, and the digest of what is written into it.
struct Digesting {
    file: File,
    context: Context,
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.context.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether the file is this program's and whole; then its head.
fn check(path: &Path, model: &Model) -> Result<Head, Doubt> {
    let mut file = File::open(path)?;
    let head: Head = read_next(&mut file, Head::BYTES as u64)?;
    if head.magic != MAGIC || head.program != program()? {
        return Err(Doubt::OtherProgram);
    }
    if head.model != digest_of(model.to_json().as_bytes()) {
        return Err(Doubt::OtherModel);
    }
    let told = file.metadata()?.len().checked_sub(DIGEST_BYTES as u64).ok_or(Doubt::Damaged)?;
    file.rewind()?;
    let found = digest_of_file(&mut Read::by_ref(&mut file).take(told))?;
    let expected: Digest = read_next(&mut file, DIGEST_BYTES as u64)?;
    if found == expected { Ok(head) } else { Err(Doubt::Damaged) }
}

/// Reads what was checked.
fn load_state(path: &Path, model: Arc<Model>) -> Result<State, Doubt> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-(DIGEST_BYTES as i64 + 16)))?;
    let [population_bytes, rest_bytes]: [u64; 2] = read_next(&mut file, 16)?;
    let at = |start: u64| -> io::Result<File> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    };
    let start = Head::BYTES as u64;
    let (mut first, mut second) = (at(start)?, at(start + population_bytes)?);
    let (population, rest) = rayon::join(
        || whole(&mut first, population_bytes, |from| Population::read(model, from)),
        || whole(&mut second, rest_bytes, |from| Some((Kept::read(from)?, Kept::read(from)?))),
    );
    let (population, (registry, search)) =
        (population.ok_or(Doubt::Damaged)?, rest.ok_or(Doubt::Damaged)?);
    Ok(State { population, registry, search })
}

/// What so many bytes tell, where they tell nothing more.
fn whole<T>(
    file: &mut File,
    bytes: u64,
    read: impl FnOnce(&mut Source<'_>) -> Option<T>,
) -> Option<T> {
    let mut source = Source::new(file, bytes);
    let told = read(&mut source)?;
    (source.left() == 0).then_some(told)
}

fn read_next<T: Kept>(file: &mut File, bytes: u64) -> Result<T, Doubt> {
    whole(file, bytes, T::read).ok_or(Doubt::Damaged)
}

/// The digest of this very program, as it was when it was first asked for.
fn program() -> io::Result<Digest> {
    static PROGRAM: OnceLock<Digest> = OnceLock::new();
    if let Some(known) = PROGRAM.get() {
        return Ok(*known);
    }
    let found = digest_of_file(&mut File::open(std::env::current_exe()?)?)?;
    Ok(*PROGRAM.get_or_init(|| found))
}

fn digest_of_file(file: &mut impl Read) -> io::Result<Digest> {
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(as_digest(context.finish().as_ref())),
            read => context.update(&chunk[..read]),
        }
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    as_digest(digest(&SHA256, bytes).as_ref())
}

fn as_digest(bytes: &[u8]) -> Digest {
    bytes.try_into().expect("SHA-256 has 32 bytes")
}

/// Of all that an entry tells, so that the same place in another journal is another.
fn entry_digest(row: &JournalRow) -> Digest {
    let JournalRow { seq, recorded, kind, person, record, event_time, .. } = row;
    let mut context = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_le_bytes());
        context.update(bytes);
    };
    add(&seq.to_le_bytes());
    add(&recorded.unix_timestamp_nanos().to_le_bytes());
    add(kind.as_bytes());
    add(&person.map_or(0, EnterpriseId::as_u128).to_le_bytes());
    let (system, value) = record
        .as_ref()
        .map_or(("", ""), |record| (record.local_id.system(), record.local_id.value()));
    add(record.as_ref().map_or("", |record| record.member.as_str()).as_bytes());
    add(system.as_bytes());
    add(value.as_bytes());
    add(&event_time.map_or(i128::MIN, time::OffsetDateTime::unix_timestamp_nanos).to_le_bytes());
    add(row.model_version.as_bytes());
    add(row.decision.as_bytes());
    add(row.demographics.as_deref().unwrap_or_default().as_bytes());
    as_digest(context.finish().as_ref())
}
