//! `tessera train`: makes a model file from CSV files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::Args;

use super::{
    link::{refuse, training_options},
    linkage_csv::{Reading, read_files},
};
use crate::matching::{Model, bulk::Batch};

/// Train a model on the records of CSV files.
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// CSV files with person records.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where to write the model.
    #[arg(long)]
    output: PathBuf,
    /// Model file that tells what wrong links cost.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Column with the person a record is known to be of, empty where nobody knows.
    #[arg(long, value_name = "COLUMN")]
    labels: Option<String>,
    /// What a wrong link of a kind of pairs costs, such as twin=20; near_twin multiplies twin.
    #[arg(long, value_name = "KIND=TIMES", value_parser = parse_cost)]
    cost: Vec<(String, f64)>,
    /// Version that the model shall bear; the day's date if not given.
    #[arg(long, value_name = "VERSION")]
    name: Option<String>,
    /// Train across values of the `source` column only: each source is free of duplicates.
    #[arg(long)]
    link_only: bool,
}

/// Runs the command.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let mut model = match load_model(args.model.as_deref()) {
        Ok(model) => model,
        Err(problem) => return Ok(refuse(&problem)),
    };
    for (kind, times) in &args.cost {
        if !model.set_cost(kind, *times) {
            return Ok(refuse(&format!("--cost {kind}: no kind of kin; {KINDS}")));
        }
    }
    let mut batch = Batch::new(Arc::new(model));
    let reading = Reading { truth: None, labels: args.labels.as_deref(), sources: args.link_only };
    let read = match read_files(&args.files, reading, |records| batch.extend(records)) {
        Ok(read) => read,
        Err(problem) => return Ok(refuse(&problem)),
    };
    if args.link_only {
        batch.link_only(read.sources.clone());
    }
    batch.block();
    let labels = args.labels.as_ref().map(|_| read.labels.as_slice());
    let mut options = training_options(&args.files, labels)?;
    if let Some(name) = &args.name {
        options.version.clone_from(name);
    }
    batch.train(&options);
    fs::write(&args.output, batch.model().to_json() + "\n")
        .with_context(|| format!("{} cannot be written", args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The kinds whose wrong links have a cost of their own.
const KINDS: &str = "household, twin, junior_senior or near_twin";

fn parse_cost(told: &str) -> Result<(String, f64), String> {
    let (kind, times) =
        told.split_once('=').ok_or("a kind, =, and how many times a missed link")?;
    match times.parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok((kind.to_owned(), times)),
        _ => Err("not a positive number".to_owned()),
    }
}

/// The model of a file, or where training starts without one; else one sentence on what is wrong.
pub(super) fn load_model(file: Option<&Path>) -> Result<Model, String> {
    let Some(file) = file else { return Ok(Model::untrained()) };
    let text = fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    Model::from_json(&text).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::cli::synth::{RegimeName, write_population};

    /// F1 over the pairs of records that no label tells of.
    fn held_out_f1(persons: &[u32], linked: &[u32], labels: &[u32]) -> f64 {
        let pairs = |keys: &dyn Fn(usize) -> (u32, u32)| {
            let mut groups: HashMap<(u32, u32), f64> = HashMap::new();
            for record in (0..persons.len()).filter(|record| labels[*record] == 0) {
                *groups.entry(keys(record)).or_default() += 1.0;
            }
            groups.values().map(|n| n * (n - 1.0) / 2.0).sum::<f64>()
        };
        let right = pairs(&|record| (persons[record], linked[record]));
        let (told, found) =
            (pairs(&|record| (persons[record], 0)), pairs(&|record| (linked[record], 0)));
        2.0 * right / (told + found)
    }

    #[test]
    fn labels_help_where_they_tell_nothing_too() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        write_population(4_000, 9, RegimeName::default(), file.as_file()).expect("written");
        let f1 = |labelled: bool| {
            let mut batch = Batch::new(Arc::new(Model::untrained()));
            let reading = Reading { labels: Some("cluster_id"), ..Reading::default() };
            let files = [file.path().to_owned()];
            let read = read_files(&files, reading, |some| batch.extend(some)).expect("well formed");
            let known = |person: &u32| if person.is_multiple_of(2) { *person } else { 0 };
            let labels: Vec<u32> = read.labels.iter().map(known).collect();
            batch.block();
            let told = labelled.then_some(labels.as_slice());
            batch.train(&training_options(&files, told).expect("a date"));
            assert_eq!(batch.model().to_json().contains("with labels"), labelled);
            let linked = batch.cluster(&batch.compare().edges, batch.model().link_bits());
            held_out_f1(&read.labels, &linked, &labels)
        };
        let (with, without) = (f1(true), f1(false));
        assert!(with > 0.98 && with >= without - 0.001, "{with} with labels, {without} without");
    }

    #[test]
    fn a_cost_is_a_kind_and_a_positive_number() {
        assert_eq!(parse_cost("twin=14"), Ok(("twin".to_owned(), 14.0)));
        for told in ["twin", "twin=", "twin=0", "twin=-1", "twin=inf"] {
            assert!(parse_cost(told).is_err(), "{told}");
        }
    }
}
