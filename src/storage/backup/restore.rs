//! Brings a backup back, into a new file or an empty database on a server.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

use crate::storage::{
    DatabaseAddress, Reader, StorageError, StorageSettings,
    claim::Claim,
    columns::Columns,
    lock::DatabaseLock,
    sql::{SqlConnection, SqlRow, Statement},
    sqlite,
};

use super::{
    BackupError, BackupReport, CopiedTable,
    copy::copy,
    file_error, keep, part_beside, scratch,
    table::{Table, tables},
};

/// Reads a backup from beginning to end: its pages, every row, the journal and the audit trail.
pub async fn verify_backup(input: &Path) -> Result<BackupReport, BackupError> {
    let file = std::fs::File::open(input).map_err(|error| file_error(input, &error))?;
    drop(file);
    let options = SqliteConnectOptions::new().filename(input).read_only(true);
    let connection = options.connect().await.map_err(|_| BackupError::NoBackup)?;
    let mut connection = SqlConnection::Sqlite(connection);
    check_pages(&mut connection).await?;
    let promised = contents(&mut connection).await?;
    let tables = tables(&mut connection).await?;
    connection.close().await?;

    let reader = Reader::open(input).await?;
    let report = walk(&reader, &tables).await;
    reader.close().await;
    let report = report?;
    compare(&promised, &report.tables)?;
    Ok(report)
}

/// Brings a backup back and reads back what was written. The file must not be there, the database
/// on a server must be empty.
pub async fn restore(
    input: &Path,
    settings: &StorageSettings,
) -> Result<BackupReport, BackupError> {
    match &settings.address {
        DatabaseAddress::File(path) => restore_file(input, path).await,
        DatabaseAddress::Server(_) => restore_on_server(input, settings).await,
    }
}

async fn restore_file(input: &Path, path: &Path) -> Result<BackupReport, BackupError> {
    for leftover in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(leftover);
        let name = PathBuf::from(name);
        if name.exists() {
            return Err(BackupError::Exists(name));
        }
    }
    let _lock = DatabaseLock::take(path)?;
    let part = part_beside(path)?;
    let (report, _) = unpack(input, &part).await?;
    keep(part, path)?;
    Ok(report)
}

async fn restore_on_server(
    input: &Path,
    settings: &StorageSettings,
) -> Result<BackupReport, BackupError> {
    // On the way it needs the schema of today, which the backup may not have.
    let part = tempfile::Builder::new().prefix("tessera-").tempfile();
    let part = part.map_err(|error| file_error(input, &error))?.into_temp_path();
    let (_, tables) = unpack(input, &part).await?;
    let (mut claim, mut connection) = Claim::stake(settings).await?;
    let restored = fill(&part, &tables, &mut claim, &mut connection, settings).await;
    if restored.is_ok() {
        claim.release(&mut connection).await?;
    }
    // After a failure, what was left undone goes with the connection.
    connection.close().await?;
    restored
}

async fn fill(
    part: &Path,
    tables: &[Table],
    claim: &mut Claim,
    connection: &mut SqlConnection,
    settings: &StorageSettings,
) -> Result<BackupReport, BackupError> {
    claim.begin(connection, false).await?;
    for table in tables {
        let any = format!("SELECT 1 FROM \"{}\" LIMIT 1", table.name);
        if connection.fetch_optional(Statement::built(any, Vec::new())).await?.is_some() {
            connection.command("ROLLBACK").await?;
            claim.release(connection).await?;
            return Err(BackupError::NotEmpty(table.name.clone()));
        }
    }
    let source = Reader::open(part).await?;
    let mut snapshot = source.pool().snapshot().await?;
    let sums = copy(&mut snapshot, tables, Some(&mut *connection)).await?;
    drop(snapshot);
    source.close().await;
    connection.command("COMMIT").await?;
    claim.committed();

    let reader = Reader::with_settings(settings).await?;
    let report = walk(&reader, tables).await;
    reader.close().await;
    let report = report?;
    compare(&sums, &report.tables)?;
    Ok(report)
}

/// Copies a backup, checks the copy and makes it a database of today's schema.
async fn unpack(input: &Path, part: &Path) -> Result<(BackupReport, Vec<Table>), BackupError> {
    let (from, to) = (input.to_owned(), part.to_owned());
    let copied = tokio::task::spawn_blocking(move || std::fs::copy(from, to)).await;
    copied.map_err(|_| StorageError::Closed)?.map_err(|error| file_error(input, &error))?;
    let report = verify_backup(part).await?;
    let mut file = scratch(part).await?;
    sqlite::migrations().run_direct(None, &mut file, false).await.map_err(StorageError::from)?;
    let mut connection = SqlConnection::Sqlite(file);
    connection.command("DROP TABLE tessera_backup").await?;
    let tables = tables(&mut connection).await?;
    connection.close().await?;
    Ok((report, tables))
}

async fn check_pages(connection: &mut SqlConnection) -> Result<(), BackupError> {
    let row = connection.fetch_optional(Statement::new("PRAGMA integrity_check(1)")).await;
    let row = match row {
        Err(StorageError::Corrupt(_)) => return Err(BackupError::NoBackup),
        other => other?.ok_or(BackupError::NoBackup)?,
    };
    let found: String = Columns::of(&row, "integrity_check").value()?;
    if found == "ok" { Ok(()) } else { Err(BackupError::Damaged("a page".to_owned())) }
}

/// What the backup says that it holds.
async fn contents(connection: &mut SqlConnection) -> Result<Vec<CopiedTable>, BackupError> {
    let there = "SELECT name FROM sqlite_master WHERE name = 'tessera_backup'";
    if connection.fetch_optional(Statement::new(there)).await?.is_none() {
        return Err(BackupError::NoBackup);
    }
    let asked = Statement::new("SELECT name, row_count, sha256 FROM tessera_backup ORDER BY name");
    let rows: Vec<SqlRow> = connection.fetch(asked).try_collect().await?;
    let read = rows.iter().map(|row| {
        let mut told = Columns::of(row, "tessera_backup");
        Ok(CopiedTable { name: told.value()?, rows: told.count()?, sha256: told.value()? })
    });
    Ok(read.collect::<Result<_, StorageError>>()?)
}

/// Reads every row, and looks whether the journal and the audit trail are whole.
async fn walk(reader: &Reader, tables: &[Table]) -> Result<BackupReport, BackupError> {
    let mut snapshot = reader.pool().snapshot().await?;
    let read = copy(&mut snapshot, tables, None).await.map_err(|error| match error {
        StorageError::Unreadable { .. } => BackupError::Damaged("a row".to_owned()),
        StorageError::Corrupt(_) => BackupError::Damaged("a page".to_owned()),
        other => other.into(),
    })?;
    let asked = Statement::new("SELECT count(*), coalesce(max(seq), 0) FROM journal");
    let row = snapshot.fetch_optional(asked).await?;
    let row = row.ok_or(StorageError::Unreadable { table: "journal" })?;
    let mut told = Columns::of(&row, "journal");
    let (entries, last) = (told.count()?, told.count()?);
    if entries != last {
        return Err(BackupError::JournalGap { entries, last });
    }
    drop(snapshot);
    let audit = reader.verify_audit_chain().await?;
    match audit.first_bad {
        Some(bad) => Err(BackupError::AuditTrail(bad)),
        None => Ok(BackupReport { tables: read, audit }),
    }
}

fn compare(promised: &[CopiedTable], found: &[CopiedTable]) -> Result<(), BackupError> {
    for (promised, found) in promised.iter().zip(found) {
        if promised != found {
            return Err(BackupError::Damaged(format!("table {}", promised.name)));
        }
    }
    if promised.len() == found.len() {
        return Ok(());
    }
    Err(BackupError::Damaged("the list of tables".to_owned()))
}
