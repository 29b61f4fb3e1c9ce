use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
};

use futures_util::TryStreamExt as _;
use proptest::prelude::*;
use rstest::rstest;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    access::{Clients, ConsentBook, ConsentSettings, Permit},
    directory::{Directory, parse_members_toml},
    domain::{
        Address, Demographics, EnterpriseId, Identifier, IdentifierKind, IdentifierUse, LocalId,
        MemberCode, Name, PartialDate, PersonRecords, PurposeOfUse, RecordKey, Sex,
    },
    matching::MatchGrade,
    storage::{JournalRow, StorageSettings},
};

use super::{
    deed::Standing,
    rules::{Bond, Voice},
    *,
};

mod joining;
mod lifecycle;
mod rebuilding;
mod registering;
mod snapshot;
mod stewardship;

const START: OffsetDateTime = datetime!(2026-03-05 12:00:00.000000789 UTC);

/// Each look at it is a second later.
#[derive(Default)]
struct TickingClock(AtomicI64);

impl Clock for TickingClock {
    fn now(&self) -> OffsetDateTime {
        START + Duration::seconds(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct World {
    home: TempDir,
    db: Database,
    index: Index,
}

impl World {
    async fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        Self::at(home, None, Model::default_model()).await
    }

    async fn at(home: TempDir, file_bytes_max: Option<u64>, model: Model) -> Self {
        let path = home.path().join("tessera.db");
        let settings = StorageSettings { file_bytes_max, ..StorageSettings::at(path) };
        Self::opened(home, &settings, model, None).await
    }

    async fn opened(
        home: TempDir,
        settings: &StorageSettings,
        model: Model,
        snapshot: Option<Snapshot>,
    ) -> Self {
        let db = Database::open(settings).await.expect("the database opens");
        let clock = Arc::new(TickingClock::default());
        let limits = IndexLimits { batch_records_max: 16, ..IndexLimits::default() };
        let index = Index::open_from(snapshot, db.clone(), Arc::new(model), limits, clock).await;
        Self { home, db, index: index.expect("it opens") }
    }

    async fn reopen(self, file_bytes_max: Option<u64>, model: Model) -> Self {
        self.index.close().await;
        self.db.close().await;
        Self::at(self.home, file_bytes_max, model).await
    }

    async fn register(&self, key: &str, demographics: &Demographics) -> Registered {
        self.index.register(telling(key, demographics)).await.expect("the disk is fine")
    }

    async fn journal(&self) -> Vec<JournalRow> {
        self.db.reader().journal(0).try_collect().await.expect("the journal reads")
    }

    fn tasks(&self) -> Vec<(TaskKind, EnterpriseId, Option<EnterpriseId>)> {
        let query = ReviewQuery { tasks_max: 100, ..ReviewQuery::default() };
        let mut tasks = self.index.reviews(&query).tasks;
        tasks.sort_by_key(|task| task.no);
        tasks.into_iter().map(|task| (task.kind, task.person, task.other)).collect()
    }

    /// Everything that must survive a rebuild.
    fn memory(&self) -> Memory {
        let state = self.index.shared.read();
        let registry = &state.registry;
        let records_of = |id| {
            let numbers = registry.records_of(id).iter().map(|&no| {
                let record = registry.record(no);
                let known = (record.version, record.current_seq, record.event_micros, record.since);
                (registry.key(no), known, record.entry.is_some(), registry.standing(no))
            });
            numbers.collect()
        };
        let people = |id| registry.person(id);
        let tasks = registry.tasks().iter();
        let tasks = tasks.map(|task| {
            let raised = &task.raised;
            let what = (raised.no, raised.kind, raised.person, raised.other, task.record_no);
            (what, task.state, task.owner.clone(), task.changed)
        });
        let rules = registry.rules().iter();
        let rules = rules.map(|(seq, rule)| (seq, rule.bond, rule.voice, rule.sides.clone()));
        let persons = registry.person_ids().map(|id| (id, records_of(id))).collect();
        let living = registry.person_ids().map(|id| (id, registry.living(id))).collect();
        Memory {
            persons,
            living,
            people: registry.person_ids().map(people).collect(),
            tasks: tasks.collect(),
            rules: rules.collect(),
            entries: state.population.len(),
        }
    }

    /// Registers two persons and then a record that is certain about both.
    async fn bring_together(&self, told: [&Demographics; 3]) -> [Registered; 3] {
        let [left, right, both] = told;
        let left = self.register("north/1", left).await;
        let right = self.register("south/1", right).await;
        assert_ne!(left.person, right.person, "two persons so far");
        let found = self.index.find(both, 5);
        let certain = found.iter().filter(|one| one.verdict.grade == MatchGrade::Certain);
        assert_eq!(certain.count(), 2, "the third agrees with both: {found:?}");
        [left, right, self.register("east/1", both).await]
    }

    /// Reopens, and finds everything as it was.
    async fn check_rebuild(self) -> Self {
        let live = self.memory();
        let rebuilt = self.reopen(None, Model::default_model()).await;
        assert_eq!(rebuilt.memory(), live, "rebuilt from the journal");
        check_projections(&rebuilt).await;
        rebuilt
    }
}

type KnownRecord = (RecordKey, (u32, u64, i64, OffsetDateTime), bool, Standing);
type KnownTask = (
    (u64, TaskKind, EnterpriseId, Option<EnterpriseId>, u32),
    TaskState,
    Option<Box<str>>,
    OffsetDateTime,
);

#[derive(Debug, PartialEq)]
struct Memory {
    persons: BTreeMap<EnterpriseId, Vec<KnownRecord>>,
    living: BTreeMap<EnterpriseId, EnterpriseId>,
    people: Vec<Option<PersonRecords>>,
    tasks: Vec<KnownTask>,
    rules: Vec<(u64, Bond, Voice, [Vec<u32>; 2])>,
    entries: usize,
}

/// `north/1` is the record 1 of the member north.
fn key(text: &str) -> RecordKey {
    let (member, value) = text.split_once('/').expect("member/value");
    RecordKey {
        member: MemberCode::parse(member).expect("a legal code"),
        local_id: LocalId::parse(&format!("urn:{member}"), value).expect("a legal identifier"),
    }
}

fn telling(text: &str, demographics: &Demographics) -> Registration {
    Registration {
        record: key(text),
        demographics: demographics.clone(),
        event_time: None,
        source_message: Some("MSG1".to_owned()),
        fed_by: "north-feeder".to_owned(),
    }
}

fn at(hour: i64, telling: Registration) -> Registration {
    Registration { event_time: Some(START - Duration::hours(24 - hour)), ..telling }
}

fn patient(given: &str, family: &str, born: &str, street: &str, phone: &str) -> Demographics {
    Demographics {
        names: vec![Name {
            family: family.to_owned(),
            given: vec![given.to_owned()],
            ..Name::default()
        }],
        birth_date: PartialDate::parse(born).ok(),
        sex: Some(Sex::Female),
        addresses: vec![Address {
            lines: vec![street.to_owned()],
            city: "Worcester".to_owned(),
            state: "MA".to_owned(),
            postal_code: "01609".to_owned(),
            ..Address::default()
        }],
        phones: vec![phone.to_owned()],
        ..Demographics::default()
    }
}

fn imogen() -> Demographics {
    patient("Imogen", "Thistlewood", "1951-11-23", "17 Larkspur Lane", "508-555-0142")
}

fn bertha() -> Demographics {
    patient("Bertha", "Quackenbush", "1984-02-09", "903 Canal Street", "617-555-0190")
}

/// What a clerk mistypes: still the same woman beyond doubt.
fn imogen_mistyped() -> Demographics {
    patient("Imogen", "Thistelwood", "1951-11-23", "17 Larkspur Ln", "(508) 555-0142")
}

/// Same household, same family name, born the same day; the given names differ.
fn twin() -> Demographics {
    Demographics {
        names: vec![Name {
            family: "Thistlewood".to_owned(),
            given: vec!["Beatrice".to_owned()],
            ..Name::default()
        }],
        ..imogen()
    }
}

/// Her number, as only some members know it.
fn with_ssn(told: Demographics) -> Demographics {
    let ssn = Identifier {
        kind: IdentifierKind::SocialSecurity,
        system: "http://hl7.org/fhir/sid/us-ssn".to_owned(),
        value: "532-21-8847".to_owned(),
        identifier_use: IdentifierUse::Current,
    };
    Demographics { identifiers: vec![ssn], ..told }
}

fn named(given: &[&str], told: Demographics) -> Demographics {
    let name = |given: &&str| Name { given: vec![(*given).to_owned()], ..told.names[0].clone() };
    Demographics { names: given.iter().map(name).collect(), ..told }
}

fn suffixed(suffix: &str, told: Demographics) -> Demographics {
    let name = Name { suffixes: vec![suffix.to_owned()], ..told.names[0].clone() };
    Demographics { names: vec![name], ..told }
}

fn told_in_part(told: Demographics) -> Demographics {
    let birth_date = PartialDate::parse("1951").ok();
    with_ssn(Demographics { birth_date, phones: Vec::new(), addresses: Vec::new(), ..told })
}

/// Told so short that by itself it might be a sister's: only her number shows who it is.
fn imogen_cut_short() -> Demographics {
    told_in_part(named(&["Immy"], imogen()))
}

/// Under her married name, which her old records do not know.
fn imogen_married() -> Demographics {
    let name = Name { family: "Quackenbush".to_owned(), ..imogen().names[0].clone() };
    told_in_part(Demographics { names: vec![name], ..imogen() })
}

/// Both twins' names in one record.
fn mixed_up() -> Demographics {
    named(&["Imogen", "Beatrice"], imogen())
}

fn permit(world: &World, person: EnterpriseId) -> Permit {
    let members = r#"
        [[member]]
        code = "north"
        name = "North"
        organization = "urn:oid:1.2.3"
        identifier_systems = ["urn:north"]
        fhir_base = "https://north.example/fhir"
        status = "active"
    "#;
    let clients = r#"
        [[client]]
        id = "er"
        san_uris = ["urn:er"]
        organization = { name = "ER", identifier = "urn:oid:1.2.4" }
        roles = ["query"]
        purposes = ["TREAT"]
    "#;
    let directory = Directory::in_memory(parse_members_toml(members).expect("a legal directory"));
    let consents = ConsentBook::in_memory(ConsentSettings::default(), directory);
    let clients = Clients::from_toml(clients).expect("a legal list of clients");
    let requester = clients.on_this_machine("er").expect("it is listed");
    let person = world.index.person(person).expect("the person is known");
    consents
        .decide(&requester, &person, PurposeOfUse::Treatment, START)
        .expect("the default policy permits treatment")
}

/// One telling of one of a few people, as mistyped as feeds are.
fn tellings() -> impl Strategy<Value = Vec<Registration>> {
    let given = prop::sample::select(vec!["Imogen", "Imogene", "Bertha", "Beatrice"]);
    let family = prop::sample::select(vec!["Thistlewood", "Thistelwood", "Quackenbush"]);
    let born = prop::sample::select(vec!["1951-11-23", "1951-11-32", "1984-02-09", "1951"]);
    let street = prop::sample::select(vec!["17 Larkspur Lane", "903 Canal Street"]);
    let phone = prop::sample::select(vec!["508-555-0142", "617-555-0190"]);
    let member = prop::sample::select(vec!["north", "south", "east"]);
    // One who is often told short, so that she is several persons until somebody tells her number.
    let given = prop_oneof![given, Just("Immy")];
    let told = (given, family, born, street, phone, prop::bool::weighted(0.4));
    let one = (told, member, 0..6_u8, prop::option::of(0..24_i64), prop::bool::weighted(0.1));
    prop::collection::vec(one, 1..40).prop_map(|tellings| {
        let registration =
            |((given, family, born, street, phone, ssn), member, no, hour, unknown)| {
                let told = patient(given, family, born, street, phone);
                let told = if ssn { with_ssn(told) } else { told };
                let told = Demographics { identity_unknown: unknown, ..told };
                let telling = telling(&format!("{member}/{no}"), &told);
                if let Some(hour) = hour { at(hour, telling) } else { telling }
            };
        tellings.into_iter().map(registration).collect()
    })
}

/// A model to which the same person is that much more likely beforehand.
fn other_model(matching_pairs: f64) -> Model {
    let mut json: serde_json::Value =
        serde_json::from_str(&Model::default_model().to_json()).expect("a model is JSON");
    let classes = json["classes"].as_array_mut().expect("a model lists its classes");
    let same = classes.iter_mut().find(|class| class["class"] == "match").expect("and this one");
    same["pairs"] = matching_pairs.into();
    Model::from_json(&json.to_string()).expect("only the number of pairs differs")
}

/// The tables say what the memory says.
async fn check_projections(world: &World) {
    let records: Vec<_> = world.db.reader().source_records().try_collect().await.expect("room");
    let persons: Vec<_> = world.db.reader().persons().try_collect().await.expect("they read");
    let open = world.db.reader().review_tasks("open", 0, 10_000).await.expect("tasks read");
    let state = world.index.shared.read();
    assert_eq!(records.len(), state.registry.records_total());
    for row in records {
        let record = state.registry.record(row.record_no);
        assert_eq!(row.key, state.registry.key(row.record_no));
        assert_eq!(row.person, state.registry.person_of(row.record_no));
        assert_eq!((row.version, row.current_seq), (record.version, record.current_seq));
        assert_eq!(row.standing, state.registry.standing(row.record_no).as_str());
        assert!(row.registered_seq > 0 && row.registered_seq <= row.current_seq);
    }
    let living = persons.iter().filter(|row| row.redirect_to.is_none()).count();
    assert_eq!(living, state.registry.persons_total());
    for row in persons {
        assert_eq!(Some(row.created_seq), state.registry.created_seq(row.person));
        let survivor = state.registry.living(row.redirect_to.unwrap_or(row.person));
        assert_eq!(state.registry.living(row.person), survivor);
        assert_eq!(survivor == row.person, row.redirect_to.is_none());
    }
    let open: Vec<u64> = open.into_iter().map(|task| task.task_no).collect();
    let known = state.registry.tasks().iter().filter(|task| task.state == TaskState::Open);
    assert_eq!(open, known.map(|task| task.raised.no).collect::<Vec<_>>());
}
