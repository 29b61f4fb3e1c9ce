//! `tessera audit`: proves that nobody touched the audit trail.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::storage::{ChainReport, DatabaseAddress, Reader};

/// Arguments of `tessera audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Walk the hash chain of the audit trail and name the first row that breaks it
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The gateway's database, a file or a postgres:// URL; the gateway may be running
    #[arg(long, value_name = "DATABASE", default_value = "tessera.db")]
    database: DatabaseAddress,
}

/// Runs `tessera audit`; fails with 1 where the chain is broken.
pub async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let AuditCommand::Verify(args) = args.command;
    let report = walk(&args.database).await?;
    print(&mut io::stdout().lock(), &report)?;
    Ok(if report.first_bad.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn walk(database: &DatabaseAddress) -> anyhow::Result<ChainReport> {
    let reader =
        Reader::open(database.clone()).await.with_context(|| format!("cannot read {database}"))?;
    let report = reader.verify_audit_chain().await?;
    reader.close().await;
    Ok(report)
}

fn print(out: &mut impl Write, report: &ChainReport) -> io::Result<()> {
    match report.first_bad {
        None => {
            writeln!(out, "The audit trail is whole: {} rows.", report.rows)?;
            // Kept elsewhere, it proves later that no row was cut off the end.
            writeln!(out, "Head: {}", report.head)
        }
        Some(bad) => {
            writeln!(out, "The audit trail is BROKEN at row {}: {}.", bad.seq, bad.fault)?;
            writeln!(out, "The {} rows before it are whole.", report.rows)
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::RequestId,
        storage::{
            AuditEntry, AuditState, BadAuditRow, ChainFault, Database, StorageSettings,
            Write as Row,
        },
    };

    fn printed(report: &ChainReport) -> String {
        let mut out = Vec::new();
        print(&mut out, report).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_first_bad_row_is_named() {
        let whole = ChainReport { rows: 7, head: "ab".to_owned(), first_bad: None };
        assert_eq!(printed(&whole), "The audit trail is whole: 7 rows.\nHead: ab\n");
        let bad = BadAuditRow { seq: 8, fault: ChainFault::Altered };
        let broken = ChainReport { first_bad: Some(bad), ..whole };
        assert_eq!(
            printed(&broken),
            "The audit trail is BROKEN at row 8: the row was altered.\n\
             The 7 rows before it are whole.\n"
        );
    }

    #[tokio::test]
    async fn a_running_gateways_trail_is_walked() {
        let home = tempfile::tempdir().expect("a folder");
        let address = DatabaseAddress::from(home.path().join("t.db"));
        assert!(walk(&address).await.is_err(), "there is no database yet");
        let store =
            Database::open(&StorageSettings::at(address.clone())).await.expect("the store opens");
        let row = AuditEntry {
            audit_id: Uuid::from_u128(1),
            request_id: RequestId::new(Uuid::from_u128(2)),
            state: AuditState::Closed,
            recorded: time::OffsetDateTime::UNIX_EPOCH,
            person: None,
            body: "{}".to_owned(),
        };
        store.write(vec![Row::Audit(row)]).await.expect("written");
        let report = walk(&address).await.expect("walked");
        assert_eq!((report.rows, report.first_bad), (1, None));
        store.close().await;
    }
}
