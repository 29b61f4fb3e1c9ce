//! `tessera explain`: why two patients are judged one person or two, attribute by attribute.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    cli::{
        model_file,
        unusable::{self, UnusableInput},
    },
    domain::{Demographics, PartialDate},
    fhir::{Resource, patient::read_patient},
    matching::{
        Explanation, PairJudge,
        policy::{Agreement, Policy, PolicyAttribute, PolicyRecord, PolicyVerdict},
    },
};

/// Explains both verdicts on two FHIR Patients. What is printed shows the patients' data.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One FHIR Patient
    #[arg(long)]
    left: PathBuf,
    /// The other
    #[arg(long)]
    right: PathBuf,
    /// The model; the one that ships with this program if not given
    #[arg(long)]
    model: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Both verdicts.
#[derive(Serialize)]
struct Explained {
    probabilistic: Explanation,
    policy: PolicyVerdict,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    unusable::settle(explain(args))
}

fn explain(args: &Args) -> anyhow::Result<ExitCode> {
    let (left, right) = (read(&args.left)?, read(&args.right)?);
    let model = Arc::new(model_file::load(args.model.as_deref())?);
    let today = today();
    let (a, b) = (PolicyRecord::new(&left, today), PolicyRecord::new(&right, today));
    let explained = Explained {
        probabilistic: PairJudge::new(model).explain(&left, &right),
        policy: Policy::default().judge(&a, &b),
    };
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &explained)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", told(&explained))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Demographics, UnusableInput> {
    let json = fs::read(file)
        .map_err(|source| UnusableInput::Unreadable { file: file.to_owned(), source })?;
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&json) {
        let problem = UnusableInput::json_problem(&error);
        return Err(UnusableInput::line(file, error.line() as u64, problem));
    }
    let resource = Resource::parse(&json);
    let reading = resource.and_then(|resource| read_patient(&resource));
    reading
        .map(|reading| reading.demographics)
        .map_err(|error| UnusableInput::line(file, 1, format!("is no FHIR Patient: {error}")))
}

fn today() -> PartialDate {
    let today = OffsetDateTime::now_utc().date();
    let year = u16::try_from(today.year()).unwrap_or(u16::MAX);
    PartialDate::new(year, u8::from(today.month()), Some(today.day()))
        .expect("a calendar's day is a date")
}

/// The explanation as text.
fn told(explained: &Explained) -> String {
    let Explained { probabilistic, policy } = explained;
    let mut lines = vec![waterfall(probabilistic).to_string()];
    lines.extend(probabilistic.vetoes.iter().map(|veto| format!("veto: {}", veto.reason())));
    let (link, review) = probabilistic.thresholds;
    lines.push(format!(
        "{:.1} bits: {} (certain from {link:.1} without veto, review from {review:.1}; model {})",
        probabilistic.bits,
        probabilistic.grade.code(),
        probabilistic.model,
    ));
    let kinds: Vec<String> = probabilistic
        .kinds
        .iter()
        .map(|kind| format!("{} {:.1} %", kind.kind, 100.0 * kind.probability))
        .collect();
    lines.push(format!("as a kind of pair: {}", kinds.join(", ")));
    lines.push(String::new());
    lines.extend(policy_told(policy));
    lines.push(String::new());
    lines.join("\n")
}

fn waterfall(explanation: &Explanation) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["attribute", "left", "right", "level", "frequency", "bits", "sum"]);
    let mut sum = explanation.prior_bits;
    let bits = |bits: f32| format!("{bits:+.1}");
    table.add_row(["", "", "", "before anything is compared", "", "", &bits(sum)]);
    for step in &explanation.steps {
        sum += step.bits;
        let frequency =
            if step.frequency_bits == 0.0 { String::new() } else { bits(-step.frequency_bits) };
        table.add_row([
            step.attribute,
            &step.left,
            &step.right,
            step.level,
            &frequency,
            &bits(step.bits),
            &bits(sum),
        ]);
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn policy_told(policy: &PolicyVerdict) -> Vec<String> {
    let agreements: Vec<String> = policy
        .attributes
        .iter()
        .filter(|(_, how)| *how != Agreement::Missing)
        .map(|(attribute, how)| format!("{} {}", name(attribute), name(how)))
        .collect();
    let mut lines = vec![format!("policy, table {}: {}", policy.table, agreements.join(", "))];
    lines.extend(policy.fired.iter().map(|rule| {
        let fuzzy: Vec<String> = rule.fuzzy.iter().map(name::<PolicyAttribute>).collect();
        let nearly = if fuzzy.is_empty() { "" } else { ", nearly: " };
        format!("rule {} is satisfied{nearly}{}", name(&rule.id), fuzzy.join(", "))
    }));
    lines.extend(policy.guarded.iter().map(|id| {
        format!("rule {} would be, but the first names may be those of twins", name(id))
    }));
    lines.extend(policy.refusal.iter().map(|refusal| format!("refused: {}", name(refusal))));
    let verdict = if policy.is_satisfied() { "satisfied" } else { "not satisfied" };
    lines.push(format!("policy {verdict}"));
    lines
}

/// The word that stands for a value in JSON, with spaces.
fn name<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}
