//! `tessera evaluate`: how often the two verdicts are right on cases whose truth is known.

mod cases;
mod pairs;
mod population;
mod tally;
mod verification;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use serde::Serialize;

use crate::cli::{model_file, unusable};

/// Measures the probabilistic verdict, the policy verdict and both together, as JSON on standard output.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("cases").required(true).args(["pairs", "population", "verification"]))]
pub struct Args {
    /// Cases of two FHIR Patients each, one a line: source, target, expected_match
    #[arg(long, value_name = "PAIRS")]
    pairs: Option<PathBuf>,
    /// Queries with the ids of their candidates, and the candidates, one a line
    #[arg(long, num_args = 2, value_names = ["QUERIES", "CANDIDATES"])]
    population: Option<Vec<PathBuf>>,
    /// A population as `tessera synth` writes it: how often the check of what members return is right
    #[arg(long, value_name = "SYNTH")]
    verification: Option<PathBuf>,
    /// The model; the one that ships with this program if not given
    #[arg(long)]
    model: Option<PathBuf>,
    /// Train on the candidates first, without their truth, as a bulk link does
    #[arg(long, requires = "population")]
    train: bool,
}

/// One figure for each way to decide.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Verdicts<T> {
    /// The weight alone: certain.
    probabilistic: T,
    /// The policy alone: some combination agrees.
    policy: T,
    /// Both.
    both: T,
}

impl Verdicts<bool> {
    fn new(probabilistic: bool, policy: bool) -> Self {
        Self { probabilistic, policy, both: probabilistic && policy }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    unusable::settle(evaluate(args))
}

fn evaluate(args: &Args) -> anyhow::Result<ExitCode> {
    let model = Arc::new(model_file::load(args.model.as_deref())?);
    if let Some(file) = &args.verification {
        return print(&verification::evaluate(file, model)?);
    }
    match (&args.pairs, args.population.as_deref()) {
        (Some(pairs), _) => print(&pairs::evaluate(pairs, model)?),
        (None, Some([queries, candidates])) => {
            print(&population::evaluate(queries, candidates, model, args.train)?)
        }
        (None, _) => anyhow::bail!("--population takes a file of queries and one of candidates"),
    }
}

fn print(figures: &impl Serialize) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, figures)?;
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}
