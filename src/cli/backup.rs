//! `tessera backup` and `tessera restore`: everything an exchange knows, in one file and back.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use crate::storage::{
    BackupReport, DatabaseAddress, StorageSettings, backup, restore, verify_backup,
};

/// Arguments of `tessera backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The gateway's database, a file or a postgres:// URL; the gateway may be running
    #[arg(long, value_name = "DATABASE", default_value = "tessera.db")]
    database: DatabaseAddress,
    /// The file to write; one that is there is not overwritten
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Arguments of `tessera restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
    /// Where to bring it back: a file that is not there yet, or an empty database at a postgres://
    /// URL
    #[arg(long, value_name = "DATABASE", required_unless_present = "check")]
    database: Option<DatabaseAddress>,
    /// Read the backup from beginning to end, and write nothing
    #[arg(long, conflicts_with = "database")]
    check: bool,
}

/// Runs `tessera backup`.
pub async fn run_backup(args: BackupArgs) -> anyhow::Result<()> {
    let BackupArgs { database, output } = args;
    let report = backup(&database, &output)
        .await
        .with_context(|| format!("no backup of {database} was made"))?;
    let mut out = io::stdout().lock();
    print(&mut out, &report)?;
    writeln!(out, "Written and read back: {}", output.display())?;
    Ok(())
}

/// Runs `tessera restore`.
pub async fn run_restore(args: RestoreArgs) -> anyhow::Result<()> {
    let input = args.input.display();
    let mut out = io::stdout().lock();
    let Some(database) = args.database else {
        let report = verify_backup(&args.input)
            .await
            .with_context(|| format!("{input} cannot be brought back"))?;
        print(&mut out, &report)?;
        writeln!(out, "The backup is whole: {input}")?;
        return Ok(());
    };
    let report = restore(&args.input, &StorageSettings::at(database.clone()))
        .await
        .with_context(|| format!("{input} was not brought back into {database}"))?;
    print(&mut out, &report)?;
    writeln!(out, "Brought back and read back: {database}")?;
    Ok(())
}

fn print(out: &mut impl Write, report: &BackupReport) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["TABLE", "ROWS", "SHA-256"]);
    for copied in &report.tables {
        table.add_row([&copied.name, &copied.rows.to_string(), &copied.sha256]);
    }
    if let Some(rows) = table.column_mut(1) {
        rows.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")?;
    writeln!(out, "The audit trail is whole: {} rows.", report.audit.rows)?;
    // Kept elsewhere, it proves later that no row was cut off the end.
    writeln!(out, "Head: {}", report.audit.head)
}
