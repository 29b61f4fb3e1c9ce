//! `tessera synth`: an invented population with its truth, for tests, benches and demonstrations.
//!
//! Households move, marry, have twins and name sons after fathers; eight hospitals register them,
//! each in its own hand and with its own slips. The same seed gives the same bytes.

mod dice;
mod household;
mod names;
mod person;
mod places;
mod regime;
mod slips;
mod visit;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use csv::StringRecord;

use household::Population;
pub use regime::RegimeName;

use super::person_row::COLUMNS;

/// Records that wait to be written, so that one person's do not stand side by side in the file.
const SHUFFLE_WINDOW_RECORDS: usize = 65_536;

/// Writes an invented population as CSV, `cluster_id` naming the person behind each record.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many records to write.
    #[arg(long)]
    records: u64,
    /// Same seed, same population.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the region registers its people.
    #[arg(long, value_enum, default_value_t)]
    regime: RegimeName,
    /// Where to write the CSV.
    #[arg(long)]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shown = args.output.display();
    let file = File::create(&args.output).with_context(|| format!("cannot create {shown}"))?;
    let out = BufWriter::with_capacity(1 << 20, file);
    write_population(args.records, args.seed, args.regime, out)
        .with_context(|| format!("cannot write {shown}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Streams `records` records of a population as CSV, so that memory does not grow with their number.
///
/// `source` is the hospital, `cluster_id` the person behind the record, `mrn` its record number there.
pub fn write_population(
    records: u64,
    seed: u64,
    regime: RegimeName,
    out: impl Write,
) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    let mut population = Population::new(seed, records, regime.regime());
    let mut shuffle = fastrand::Rng::with_seed(seed ^ 0x5ee5_aced);
    let mut waiting: Vec<StringRecord> = Vec::new();
    let (mut registered, mut written) = (0, 0);
    while registered < records {
        for record in population.next_household() {
            if registered == records {
                break;
            }
            registered += 1;
            waiting.push(record);
            if waiting.len() == SHUFFLE_WINDOW_RECORDS {
                let record = waiting.swap_remove(shuffle.usize(..SHUFFLE_WINDOW_RECORDS));
                write_numbered(&mut writer, &mut written, &record)?;
            }
        }
    }
    shuffle.shuffle(&mut waiting);
    for record in &waiting {
        write_numbered(&mut writer, &mut written, record)?;
    }
    writer.flush()?;
    Ok(())
}

fn write_numbered(
    writer: &mut csv::Writer<impl Write>,
    written: &mut u64,
    record: &StringRecord,
) -> csv::Result<()> {
    writer.write_field(format!("r{written}"))?;
    *written += 1;
    writer.write_record(record)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn population(records: u64, seed: u64) -> Vec<HashMap<String, String>> {
        population_of(records, seed, RegimeName::Usual)
    }

    fn population_of(records: u64, seed: u64, regime: RegimeName) -> Vec<HashMap<String, String>> {
        let mut bytes = Vec::new();
        write_population(records, seed, regime, &mut bytes).expect("memory takes any bytes");
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        reader.deserialize().collect::<Result<_, _>>().expect("each row has all columns")
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let write = |seed| {
            let mut bytes = Vec::new();
            write_population(500, seed, RegimeName::Usual, &mut bytes)
                .expect("memory takes any bytes");
            bytes
        };
        assert_eq!(write(7), write(7));
        assert_ne!(write(7), write(8));
    }

    #[test]
    fn exactly_as_many_records_as_asked_each_with_its_own_id() {
        for asked in [0, 1, 3, 1_000] {
            let rows = population(asked, 3);
            assert_eq!(rows.len() as u64, asked);
            let ids: HashSet<&str> = rows.iter().map(|row| row["record_id"].as_str()).collect();
            assert_eq!(ids.len() as u64, asked);
        }
    }

    #[test]
    fn a_person_has_about_1_9_records_and_some_have_many() {
        let rows = population(20_000, 1);
        let mut persons: HashMap<&str, usize> = HashMap::new();
        for row in &rows {
            *persons.entry(&row["cluster_id"]).or_default() += 1;
        }
        let mean = rows.len() as f64 / persons.len() as f64;
        assert!((1.75..2.05).contains(&mean), "{mean}");
        assert!(persons.values().any(|&records| records >= 7));
    }

    #[test]
    fn there_are_twins_and_juniors_and_newborns_and_couples() {
        let rows = population(20_000, 1);
        assert!(rows.iter().any(|row| row["suffix"].eq_ignore_ascii_case("JR")));
        assert!(rows.iter().any(|row| row["given"].to_ascii_uppercase().starts_with("BABY")));
        assert!(pairs_sharing(&rows, &["birth_date", "family", "address_line"]) > 20, "twins");
        assert!(pairs_sharing(&rows, &["phone", "address_line"]) > 200, "households");
    }

    #[test]
    fn regimes_differ_by_what_they_are_named_for() {
        let told = |rows: &[HashMap<String, String>], column: &str| {
            rows.iter().filter(|row| !row[column].is_empty()).count()
        };
        let [usual, careful, hurried, sparse, families] = [
            RegimeName::Usual,
            RegimeName::Careful,
            RegimeName::Hurried,
            RegimeName::Sparse,
            RegimeName::Families,
        ]
        .map(|regime| population_of(8_000, 1, regime));
        assert!(told(&careful, "ssn") > told(&usual, "ssn"));
        assert!(told(&usual, "phone") > told(&hurried, "phone"));
        assert_eq!(told(&sparse, "ssn"), 0);
        let twins = ["birth_date", "family", "address_line"];
        assert!(pairs_sharing(&families, &twins) > 2 * pairs_sharing(&usual, &twins));
        assert!(pairs_sharing(&families, &["email"]) > 3 * pairs_sharing(&usual, &["email"]));
    }

    /// How many values of the columns together belong to two persons.
    fn pairs_sharing(rows: &[HashMap<String, String>], columns: &[&str]) -> usize {
        let mut persons: HashMap<Vec<&str>, HashSet<&str>> = HashMap::new();
        for row in rows {
            let values: Vec<&str> = columns.iter().map(|column| row[*column].as_str()).collect();
            if values.iter().all(|value| !value.is_empty()) {
                persons.entry(values).or_default().insert(&row["cluster_id"]);
            }
        }
        persons.values().filter(|persons| persons.len() == 2).count()
    }
}
