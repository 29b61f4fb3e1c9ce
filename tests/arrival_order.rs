//! The order in which records arrive says little about who is who.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::Arc,
};

use tessera::{
    app::SystemClock,
    domain::{
        Address, Demographics, EnterpriseId, Identifier, IdentifierKind, IdentifierUse, LocalId,
        MemberCode, Name, PartialDate, RecordKey, Sex,
    },
    index::{Index, IndexLimits, Registration},
    matching::Model,
    storage::{Database, StorageSettings},
};

const RECORDS: usize = 400;
const ORDERS: u64 = 4;

/// A record and its true person.
struct Labelled {
    registration: Registration,
    truth: String,
}

/// Persons as sets of positions in the file.
type Persons = BTreeSet<Vec<usize>>;

#[tokio::test]
async fn the_order_of_arrival_says_little_about_who_is_who() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let records = invented(&home.path().join("records.csv"));
    let truth = {
        let mut persons: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, record) in records.iter().enumerate() {
            persons.entry(&record.truth).or_default().push(at);
        }
        pairs(&persons.into_values().collect())
    };
    let mut linked: Vec<BTreeSet<(usize, usize)>> = Vec::new();
    for order in 0..ORDERS {
        let mut arrivals: Vec<usize> = (0..records.len()).collect();
        fastrand::Rng::with_seed(order).shuffle(&mut arrivals);
        let file = home.path().join(format!("{order}.db"));
        let found = pairs(&persons_after(&records, &arrivals, &file).await);
        assert!(found.is_subset(&truth), "nobody is taken for another, in any order");
        linked.push(found);
    }
    let always = linked.iter().skip(1).fold(linked[0].clone(), |all, next| &all & next);
    let ever = linked.iter().fold(BTreeSet::new(), |all, next| &all | next);
    let share = always.len() as f64 / ever.len() as f64;
    assert!(share > 0.97, "{share} of the links are there in every order");
    assert!(always.len() as f64 > 0.9 * truth.len() as f64, "and most that should be");
}

/// All pairs of records that are one person's.
fn pairs(persons: &Persons) -> BTreeSet<(usize, usize)> {
    let of_one = |person: &Vec<usize>| {
        let mut pairs = Vec::new();
        for (at, &later) in person.iter().enumerate() {
            pairs.extend(person[..at].iter().map(|&earlier| (earlier, later)));
        }
        pairs
    };
    persons.iter().flat_map(of_one).collect()
}

async fn persons_after(records: &[Labelled], arrivals: &[usize], file: &Path) -> Persons {
    let db = Database::open(&StorageSettings::at(file)).await.expect("the database opens");
    let model = Arc::new(Model::default_model());
    let limits = IndexLimits { batch_records_max: 50, ..IndexLimits::default() };
    let index =
        Index::open(db.clone(), model, limits, Arc::new(SystemClock)).await.expect("it opens");
    let told = arrivals.iter().map(|&at| records[at].registration.clone()).collect();
    for answer in index.register_many(told).await {
        answer.expect("the disk is fine");
    }
    let mut persons: BTreeMap<EnterpriseId, Vec<usize>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        let person = index.person_of(&record.registration.record).expect("it is registered");
        let found = index.find(&record.registration.demographics, 5);
        assert!(found.iter().any(|found| found.person == person), "found by what was told");
        persons.entry(person.id).or_default().push(at);
    }
    assert_eq!(index.persons_total(), persons.len());
    index.close().await;
    db.close().await;
    persons.into_values().collect()
}

/// What `tessera synth` invents, as members would tell it.
fn invented(file: &Path) -> Vec<Labelled> {
    let status = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["synth", "--seed", "7", "--records", &RECORDS.to_string(), "--output"])
        .arg(file)
        .status()
        .expect("the program runs");
    assert!(status.success());
    let mut rows = csv::Reader::from_path(file).expect("the file is there");
    let rows = rows.deserialize::<BTreeMap<String, String>>();
    rows.map(|row| labelled(&row.expect("it is CSV"))).collect()
}

fn labelled(row: &BTreeMap<String, String>) -> Labelled {
    let told = |column: &str| Some(row[column].clone()).filter(|value| !value.is_empty());
    let list = |column: &str| told(column).into_iter().collect::<Vec<String>>();
    let ssn = told("ssn").map(|value| Identifier {
        kind: IdentifierKind::SocialSecurity,
        system: "http://hl7.org/fhir/sid/us-ssn".to_owned(),
        value,
        identifier_use: IdentifierUse::Current,
    });
    let member = row["source"].to_lowercase();
    let demographics = Demographics {
        names: vec![Name {
            family: row["family"].clone(),
            given: [list("given"), list("middle")].concat(),
            suffixes: list("suffix"),
            ..Name::default()
        }],
        birth_date: PartialDate::parse(&row["birth_date"]).ok(),
        sex: match row["sex"].as_str() {
            "M" => Some(Sex::Male),
            "F" => Some(Sex::Female),
            _ => None,
        },
        addresses: vec![Address {
            lines: list("address_line"),
            city: row["city"].clone(),
            state: row["state"].clone(),
            postal_code: row["postal_code"].clone(),
            ..Address::default()
        }],
        phones: list("phone"),
        emails: list("email"),
        identifiers: ssn.into_iter().collect(),
        ..Demographics::default()
    };
    Labelled {
        registration: Registration {
            record: RecordKey {
                local_id: LocalId::parse(&format!("urn:{member}"), &row["record_id"])
                    .expect("a legal identifier"),
                member: MemberCode::parse(&member).expect("a legal code"),
            },
            demographics,
            event_time: None,
            source_message: None,
            fed_by: "order-test".to_owned(),
        },
        truth: row["cluster_id"].clone(),
    }
}
