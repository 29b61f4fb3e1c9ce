//! `tessera member`: brings members on and shows them.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use uuid::Uuid;

use crate::{
    access::{AuditLog, AuditSettings, AuditStart, Closing, Interaction, OpenAudit, RawRequest},
    directory::{Change, Directory, Member, Roster, changes, parse_members_toml, stored_roster},
    domain::{Clock, MemberCode, RequestId},
    storage::{Database, DatabaseAddress, Reader, StorageSettings},
};

/// Arguments of `tessera member`.
#[derive(Debug, Args)]
pub struct MemberArgs {
    /// The gateway's database, a file or a postgres:// URL
    #[arg(long, value_name = "DATABASE", default_value = "tessera.db", global = true)]
    database: DatabaseAddress,
    #[command(subcommand)]
    command: MemberCommand,
}

#[derive(Debug, Subcommand)]
enum MemberCommand {
    /// Add and change members as a file tells; members it does not name are left alone
    Apply {
        /// The file, such as config/members.toml
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List the members
    List,
    /// Show everything known of one member, as JSON
    Show {
        /// Its code
        #[arg(value_parser = MemberCode::parse)]
        code: MemberCode,
    },
}

/// Runs `tessera member`. `apply` needs the database for itself; the others read beside a gateway.
pub async fn run(args: MemberArgs, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let mut out = io::stdout();
    match args.command {
        MemberCommand::Apply { file } => {
            let changes = apply(&args.database, &file, clock).await?;
            print_changes(&mut out, &changes)?;
        }
        MemberCommand::List => print_list(&mut out, &stored(&args.database).await?)?,
        MemberCommand::Show { code } => {
            let roster = stored(&args.database).await?;
            let member = roster.member(&code).with_context(|| format!("no member {code}"))?;
            writeln!(out, "{}", serde_json::to_string_pretty(member)?)?;
        }
    }
    Ok(())
}

async fn stored(database: &DatabaseAddress) -> anyhow::Result<Roster> {
    let reader =
        Reader::open(database.clone()).await.with_context(|| format!("cannot read {database}"))?;
    let roster = stored_roster(&reader).await?;
    reader.close().await;
    Ok(roster)
}

/// Applies a file of members to the database, audited.
pub(super) async fn apply(
    database: &DatabaseAddress,
    file: &Path,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Vec<Change>> {
    let name = file.display().to_string();
    let text =
        tokio::fs::read_to_string(file).await.with_context(|| format!("cannot read {name}"))?;
    let told = parse_members_toml(&text).with_context(|| format!("{name} was not applied"))?;
    let store = Database::open(&StorageSettings::at(database.clone())).await?;
    let log = AuditLog::start(store.clone(), AuditSettings::default(), Arc::clone(&clock)).await?;
    let directory = Directory::open(store.clone()).await?;

    let audits = open_audits(&log, &directory.roster(), &told, &name).await?;
    let applied = directory.apply(told, clock.now()).await;
    for (audit, resource, created) in audits {
        let closing = match &applied {
            Ok(_) => Closing::Wrote { resource, person: None, created },
            Err(_) => Closing::Failed("the members could not be applied"),
        };
        audit.close(closing, ()).await?.into_inner();
    }
    directory.close().await;
    log.close().await;
    store.close().await;
    applied.with_context(|| format!("{name} was not applied"))
}

/// Opens the audit of each member that will change, before any does.
async fn open_audits(
    log: &AuditLog,
    known: &Roster,
    told: &Roster,
    file: &str,
) -> anyhow::Result<Vec<(OpenAudit, String, bool)>> {
    let request_id = RequestId::new(Uuid::new_v4());
    let mut audits = Vec::new();
    for change in changes(known, told) {
        let created = matches!(change, Change::Added(_));
        if !created && !matches!(change, Change::Changed { .. }) {
            continue;
        }
        let resource = format!("Organization/{}", change.code());
        let start = AuditStart {
            request_id,
            requester: None,
            client_address: None,
            interaction: Interaction::Administration,
            purpose: None,
            patient: None,
            resource: Some(resource.clone()),
            query: RawRequest {
                method: "tessera member apply".to_owned(),
                path: file.to_owned(),
                ..RawRequest::default()
            },
        };
        audits.push((log.open(start).await?, resource, created));
    }
    Ok(audits)
}

fn print_changes(out: &mut impl Write, changes: &[Change]) -> io::Result<()> {
    for change in changes {
        match change {
            Change::Added(code) => writeln!(out, "added        {code}")?,
            Change::Unchanged(code) => writeln!(out, "unchanged    {code}")?,
            Change::NotInFile(code) => writeln!(out, "not in file  {code} (left alone)")?,
            Change::Changed { code, fields } => {
                writeln!(out, "changed      {code}")?;
                for field in fields {
                    let (name, before, after) = (&field.name, &field.before, &field.after);
                    writeln!(out, "             {name}: {before} -> {after}")?;
                }
            }
        }
    }
    Ok(())
}

fn print_list(out: &mut impl Write, roster: &Roster) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["CODE", "STATUS", "NAME", "FHIR BASE", "DEADLINE MS"]);
    for member in roster.members() {
        table.add_row(row(member));
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn row(member: &Member) -> [String; 5] {
    [
        member.code().to_string(),
        member.status().to_string(),
        member.name().to_owned(),
        member.base().to_owned(),
        member.deadline_ms().to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use time::{OffsetDateTime, macros::datetime};

    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> OffsetDateTime {
            datetime!(2025-06-15 12:00 UTC)
        }
    }

    const ONE: &str = r#"
        [[member]]
        code = "anne"
        name = "St. Anne"
        organization = "urn:oid:1.1"
        identifier_systems = ["urn:oid:1.1.1"]
        fhir_base = "https://anne.example/fhir"
        status = "active"
    "#;

    #[tokio::test]
    async fn applying_twice_changes_once_and_says_what() {
        let home = tempfile::tempdir().expect("a folder");
        let (database, file) =
            (DatabaseAddress::from(home.path().join("t.db")), home.path().join("members.toml"));
        let applied = async |text: String| {
            std::fs::write(&file, text).expect("written");
            let changes = apply(&database, &file, Arc::new(Stopped)).await?;
            let mut out = Vec::new();
            print_changes(&mut out, &changes)?;
            anyhow::Ok(String::from_utf8(out)?)
        };
        assert_eq!(applied(ONE.to_owned()).await.expect("applied"), "added        anne\n");
        assert_eq!(applied(ONE.to_owned()).await.expect("applied"), "unchanged    anne\n");
        let slower = format!("{ONE}\ndeadline_ms = 9000\nlimits = {{ pages_max = 5 }}");
        assert_eq!(
            applied(slower).await.expect("applied"),
            "changed      anne\n             deadline_ms: 8000 -> 9000\n             \
             limits.pages_max: 50 -> 5\n"
        );
        let other = ONE.replace("anne", "lake").replace("1.1", "1.2");
        let both = "not in file  anne (left alone)\nadded        lake\n";
        assert_eq!(applied(other).await.expect("applied"), both);
        // A member that the file does not name still owns its namespace.
        let thief =
            ONE.replace("\"anne\"", "\"thief\"").replace("\"urn:oid:1.1\"", "\"urn:oid:1.3\"");
        let refused = format!("{:#}", applied(thief).await.expect_err("refused"));
        assert!(refused.contains("belongs to both anne and thief"), "{refused}");

        let roster = stored(&database).await.expect("read");
        let mut out = Vec::new();
        print_list(&mut out, &roster).expect("memory takes it");
        let listed = String::from_utf8(out).expect("text");
        assert!(
            listed.contains("anne") && listed.contains("https://lake.example/fhir"),
            "{listed}"
        );

        let reader = Reader::open(database.clone()).await.expect("read");
        let code = MemberCode::parse("anne").expect("a code");
        assert_eq!(reader.member_history(&code).await.expect("read").len(), 2);
        assert!(reader.audit_rows_left_open().await.expect("read").is_empty());
        // An opening and a closing row for each of: added, changed, added, refused.
        assert_eq!(reader.verify_audit_chain().await.expect("walked").rows, 8);
    }
}
