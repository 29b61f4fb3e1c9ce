//! `tessera member`: brings members on, checks them, and shows them.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};

use super::member_health;
use crate::{
    access::AuditLog,
    app::{gateway_identity, read_model},
    config::Config,
    directory::{Change, Directory, MemberStatus, Roster, parse_members_toml, stored_roster},
    domain::{Clock, LocalId, MemberCode},
    exchange::{ExchangeError, Manager, MemberDesk},
    federation::{Checkup, Federation, StepResult},
    storage::{Database, DatabaseAddress, Reader},
};

/// Arguments of `tessera member`.
#[derive(Debug, Args)]
pub struct MemberArgs {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE", default_value = "config/tessera.toml", global = true)]
    config: PathBuf,
    /// The gateway's database, a file or a postgres:// URL; that of the configuration where left out
    #[arg(long, value_name = "DATABASE", global = true)]
    database: Option<DatabaseAddress>,
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
    Show(Named),
    /// Show how every member is doing, at the gateway that runs on this machine
    Health,
    /// Show every version of a member's entry
    History(Named),
    /// Make an earlier version of a member's entry the newest one
    Revert {
        #[command(flatten)]
        member: Named,
        /// The version, as `history` lists it
        #[arg(long, value_name = "VERSION")]
        to: u32,
    },
    /// Walk through everything that an active member needs, and say what is wrong
    Test {
        #[command(flatten)]
        member: Named,
        #[command(flatten)]
        patient: TestPatient,
        /// Save the oddities of its server that are noticed
        #[arg(long)]
        learn: bool,
    },
    /// Ask it from now on, if it passes its check
    Activate {
        #[command(flatten)]
        member: Named,
        #[command(flatten)]
        patient: TestPatient,
    },
    /// Take no feed from it any more; it is still asked
    Drain(Named),
    /// Neither take a feed from it nor ask it
    Suspend(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// Its code
    #[arg(value_parser = MemberCode::parse)]
    code: MemberCode,
}

#[derive(Debug, Args)]
struct TestPatient {
    /// A made-up patient that the member keeps for this, as system|value: with it, reading, records
    /// and paging are tried too
    #[arg(long, value_name = "SYSTEM|VALUE", value_parser = local_id)]
    patient: Option<LocalId>,
}

fn local_id(text: &str) -> Result<LocalId, String> {
    let (system, value) = text.split_once('|').ok_or("must be system|value")?;
    LocalId::parse(system, value).map_err(|error| error.to_string())
}

/// Runs `tessera member`; exit status 1 where a check failed. What changes or checks needs the
/// database for itself, as of a gateway that is stopped: one that runs is changed at `/admin`.
pub async fn run(args: MemberArgs, clock: Arc<dyn Clock>) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    let database = match &args.database {
        Some(address) => address.clone(),
        None => Config::read(&args.config)?.storage.settings()?.address,
    };
    match args.command {
        MemberCommand::List => print_list(&mut out, &stored(&database).await?)?,
        MemberCommand::Show(Named { code }) => {
            let roster = stored(&database).await?;
            let member = roster.member(&code).with_context(|| format!("no member {code}"))?;
            writeln!(out, "{}", serde_json::to_string_pretty(member)?)?;
        }
        MemberCommand::Health => {
            let address = Config::read(&args.config)?.server.health_address;
            member_health::print(&mut out, &member_health::ask(address).await?)?;
        }
        MemberCommand::History(Named { code }) => {
            let reader = open_reader(&database).await?;
            for row in reader.member_history(&code).await? {
                writeln!(out, "{}  {}  {}", row.version, row.recorded, row.body)?;
            }
            reader.close().await;
        }
        command => {
            let office = Office::open(&args.config, &database, clock).await?;
            let done = change(&office, command, &mut out).await;
            office.close().await;
            return done;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn change(
    office: &Office,
    command: MemberCommand,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let desk = office.desk();
    let changed = match command {
        MemberCommand::Apply { file } => {
            let name = file.display().to_string();
            let applied = apply_file(desk, &file).await?;
            return told(out, applied, &format!("{name} was not applied"));
        }
        MemberCommand::Test { member, patient, learn } => {
            let manager = Manager::Command("tessera member test", member.code.as_str());
            let checkup = desk.check(manager, &member.code, patient.patient, learn).await?;
            print_checkup(out, &checkup)?;
            return Ok(if checkup.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        MemberCommand::Activate { member, patient } => {
            let manager = Manager::Command("tessera member activate", member.code.as_str());
            desk.set_status(manager, &member.code, MemberStatus::Active, patient.patient).await
        }
        MemberCommand::Drain(Named { code }) => {
            let manager = Manager::Command("tessera member drain", code.as_str());
            desk.set_status(manager, &code, MemberStatus::Draining, None).await
        }
        MemberCommand::Suspend(Named { code }) => {
            let manager = Manager::Command("tessera member suspend", code.as_str());
            desk.set_status(manager, &code, MemberStatus::Suspended, None).await
        }
        MemberCommand::Revert { member, to } => {
            let manager = Manager::Command("tessera member revert", member.code.as_str());
            desk.revert(manager, &member.code, to).await
        }
        MemberCommand::List
        | MemberCommand::Show(_)
        | MemberCommand::Health
        | MemberCommand::History(_) => {
            return Ok(ExitCode::SUCCESS);
        }
    };
    told(out, changed, "the member was not changed")
}

/// Prints what changed, or the check that stood in the way.
fn told(
    out: &mut impl Write,
    changed: Result<Vec<Change>, ExchangeError>,
    failed: &str,
) -> anyhow::Result<ExitCode> {
    match changed {
        Ok(changes) => {
            print_changes(out, &changes)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(ExchangeError::CheckFailed(code, checkup)) => {
            print_checkup(out, &checkup)?;
            writeln!(out, "{failed}: {code} would be asked and failed its check")?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(anyhow::Error::new(error).context(failed.to_owned())),
    }
}

async fn apply_file(
    desk: MemberDesk<'_>,
    file: &Path,
) -> anyhow::Result<Result<Vec<Change>, ExchangeError>> {
    let name = file.display().to_string();
    let text =
        tokio::fs::read_to_string(file).await.with_context(|| format!("cannot read {name}"))?;
    let told = parse_members_toml(&text).with_context(|| format!("{name} was not applied"))?;
    Ok(desk.apply(Manager::Command("tessera member apply", &name), told).await)
}

/// Applies a file of members to a gateway's database, checked and audited.
pub(super) async fn apply(
    config: &Path,
    file: &Path,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Vec<Change>> {
    let database = Config::read(config)?.storage.settings()?.address;
    let office = Office::open(config, &database, clock).await?;
    let applied = apply_file(office.desk(), file).await;
    office.close().await;
    applied?.with_context(|| format!("{} was not applied", file.display()))
}

/// What managing members needs, opened for one command.
struct Office {
    store: Database,
    log: AuditLog,
    directory: Directory,
    federation: Federation,
    clock: Arc<dyn Clock>,
}

impl Office {
    async fn open(
        config: &Path,
        database: &DatabaseAddress,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let config = Config::read(config)?;
        let identity = gateway_identity(&config.tls)?;
        let model = Arc::new(read_model(&config.index.model)?);
        let mut settings = config.storage.settings()?;
        settings.address = database.clone();
        let store = Database::open(&settings).await?;
        let log = AuditLog::start(store.clone(), config.audit, Arc::clone(&clock)).await?;
        let directory = Directory::open(store.clone()).await?;
        let federation = Federation::new(
            config.federation,
            directory.clone(),
            identity,
            model,
            Arc::clone(&clock),
        )?;
        Ok(Self { store, log, directory, federation, clock })
    }

    fn desk(&self) -> MemberDesk<'_> {
        MemberDesk {
            directory: &self.directory,
            federation: &self.federation,
            audit: &self.log,
            clock: &*self.clock,
        }
    }

    async fn close(self) {
        self.directory.close().await;
        self.log.close().await;
        self.store.close().await;
    }
}

async fn open_reader(database: &DatabaseAddress) -> anyhow::Result<Reader> {
    Reader::open(database.clone()).await.with_context(|| format!("cannot read {database}"))
}

async fn stored(database: &DatabaseAddress) -> anyhow::Result<Roster> {
    let reader = open_reader(database).await?;
    let roster = stored_roster(&reader).await?;
    reader.close().await;
    Ok(roster)
}

fn print_checkup(out: &mut impl Write, checkup: &Checkup) -> io::Result<()> {
    for step in &checkup.steps {
        let mark = match step.result {
            StepResult::Passed => "ok",
            StepResult::Warned => "WARN",
            StepResult::Failed => "FAIL",
            StepResult::Skipped => "-",
        };
        writeln!(out, "{mark:<5} {:<14} {}", step.name, step.told)?;
    }
    if !checkup.learned.is_empty() {
        writeln!(out, "noticed: {}", checkup.learned)?;
    }
    Ok(())
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

fn row(member: &crate::directory::Member) -> [String; 5] {
    [
        member.code().to_string(),
        member.status().to_string(),
        member.name().to_owned(),
        member.base().to_owned(),
        member.deadline_ms().to_string(),
    ]
}
