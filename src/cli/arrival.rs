//! Records of CSV files, registered one after another as a live feed would, in an index made for it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;

use super::person_row::{Row, read_row};
use crate::{
    app::SystemClock,
    domain::{LocalId, MemberCode, RecordKey},
    index::{Index, IndexLimits, Registration},
    matching::Model,
    storage::{Database, StorageSettings},
};

/// Records handed to the index at a time; each is decided by itself, in order.
const BATCH_RECORDS: usize = 1_000;
/// The namespace of the records' numbers.
const SYSTEM: &str = "urn:tessera:line";

/// Registers the records in the order of the files; for each record the number of its person's first
/// record. The files were read before, so they are well formed.
pub(super) fn persons(files: &[PathBuf], model: Arc<Model>) -> anyhow::Result<Vec<u32>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(register(files, model))
}

async fn register(files: &[PathBuf], model: Arc<Model>) -> anyhow::Result<Vec<u32>> {
    let home = tempfile::tempdir()?;
    let db = Database::open(&StorageSettings::at(home.path().join("index.db"))).await?;
    let limits = IndexLimits::default();
    let index = Index::open(db.clone(), model, limits, Arc::new(SystemClock)).await?;
    let mut keys = Vec::new();
    for file in files {
        register_file(&index, file, &mut keys).await?;
    }
    let mut first = HashMap::new();
    let mut persons = Vec::with_capacity(keys.len());
    for (number, key) in (0..).zip(&keys) {
        let person = index.person_of(key).context("every record was registered")?;
        persons.push(*first.entry(person.id).or_insert(number));
    }
    index.close().await;
    db.close().await;
    Ok(persons)
}

async fn register_file(
    index: &Index,
    file: &Path,
    keys: &mut Vec<RecordKey>,
) -> anyhow::Result<()> {
    let member = MemberCode::parse("link")?;
    let mut batch = Vec::with_capacity(BATCH_RECORDS);
    let mut rows = csv::Reader::from_path(file)?.into_deserialize::<Row>();
    loop {
        let row = rows.next().transpose()?;
        let ends = row.is_none();
        if let Some(row) = row {
            let local_id = LocalId::parse(SYSTEM, &keys.len().to_string())?;
            let record = RecordKey { member: member.clone(), local_id };
            keys.push(record.clone());
            batch.push(Registration {
                record,
                // A slip is no reason to leave somebody out; the rest of the row counts.
                demographics: read_row(&row, None).demographics,
                event_time: None,
                source_message: None,
                fed_by: "link".to_owned(),
            });
        }
        if ends || batch.len() == BATCH_RECORDS {
            for answer in index.register_many(std::mem::take(&mut batch)).await {
                answer?;
            }
        }
        if ends {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        cli::{
            linkage_csv::{Reading, read_files},
            synth::{RegimeName, write_population},
        },
        matching::{NormalizedRecord, bulk::Batch},
    };

    /// F1 of some persons against the true ones.
    fn f1(linked: &[u32], truth: &[u32]) -> f64 {
        let pairs = |keys: &dyn Fn(usize) -> (u32, u32)| {
            let mut groups: BTreeMap<(u32, u32), f64> = BTreeMap::new();
            for record in 0..truth.len() {
                *groups.entry(keys(record)).or_default() += 1.0;
            }
            groups.values().map(|n| n * (n - 1.0) / 2.0).sum::<f64>()
        };
        let right = pairs(&|record| (linked[record], truth[record]));
        2.0 * right / (pairs(&|record| (linked[record], 0)) + pairs(&|record| (truth[record], 0)))
    }

    #[test]
    fn one_after_another_links_as_well_as_all_at_once() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        write_population(3_000, 4, RegimeName::default(), file.as_file()).expect("written");
        let files = [file.path().to_owned()];
        let model = Arc::new(Model::default_model());
        let mut batch = Batch::new(Arc::clone(&model));
        let reading = Reading { truth: Some("cluster_id"), ..Reading::default() };
        let read = read_files(&files, reading, |some| batch.extend(some)).expect("well formed");
        batch.block();
        let at_once = batch.cluster(&batch.compare().edges, model.link_bits());
        let one_by_one = persons(&files, model).expect("the disk is fine");
        let (bulk, live) = (f1(&at_once, &read.truth), f1(&one_by_one, &read.truth));
        assert!(bulk > 0.97 && (live - bulk).abs() < 0.003, "{bulk} at once, {live} one by one");
    }

    #[test]
    fn a_row_is_told_as_a_feed_tells_it() {
        let row: Row = [
            ("given", "Ann"),
            ("middle", "Ruth"),
            ("family", "Lee"),
            ("suffix", ""),
            ("sex", "F"),
            ("birth_date", "1984-03-05"),
            ("ssn", "871-27-2195"),
            ("phone", "317-341-0388"),
            ("address_line", "217 Forest St"),
            ("city", "Salem"),
            ("postal_code", "46210"),
            ("mrn", "H1"),
        ]
        .map(|(column, value)| (column.to_owned(), value.to_owned()))
        .into();
        let flat = crate::matching::FlatRecord {
            given: "Ann",
            middle: "Ruth",
            family: "Lee",
            sex: "F",
            birth_date: "1984-03-05",
            ssn: "871-27-2195",
            phone: "317-341-0388",
            address_line: "217 Forest St",
            city: "Salem",
            postal_code: "46210",
            record_number: "H1",
            ..Default::default()
        };
        let told = NormalizedRecord::from_demographics(&read_row(&row, None).demographics);
        assert_eq!(told, NormalizedRecord::from_flat(&flat));
    }
}
