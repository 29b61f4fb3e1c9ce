use std::{io::Write as _, path::Path, pin::pin};

use futures_util::TryStreamExt as _;
use rstest::rstest;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::domain::{EnterpriseId, LocalId, MemberCode, RecordKey, RequestId};

use super::{sql::SqlPool, test_server::server, *};

mod backups;
mod schema;
mod server;

const NOON: OffsetDateTime = datetime!(2026-03-05 12:00:00.123456 UTC);

/// Which database a test runs on.
#[derive(Clone, Copy, Debug)]
enum Engine {
    Sqlite,
    Postgres,
}
use Engine::{Postgres, Sqlite};

/// An empty database of a test's own.
struct Home {
    folder: TempDir,
    address: DatabaseAddress,
}

impl Home {
    fn on(engine: Engine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let address = match engine {
            Sqlite => folder.path().join("tessera.db").into(),
            Postgres => server().database().parse().expect("a URL"),
        };
        Self { folder, address }
    }

    /// A lease short enough for tests that wait for its end.
    fn settings(&self) -> StorageSettings {
        let lease = std::time::Duration::from_millis(400);
        StorageSettings { lease, ..StorageSettings::at(self.address.clone()) }
    }

    fn file(&self) -> &Path {
        self.address.file().expect("it is on SQLite")
    }

    async fn open(&self) -> Database {
        Database::open(&self.settings()).await.expect("the database opens")
    }

    async fn reader(&self) -> Reader {
        Reader::open(self.address.clone()).await.expect("the database opens")
    }

    /// Does what only somebody with the database in hand can do.
    async fn tamper(&self, sql: &str) {
        match &self.address {
            DatabaseAddress::File(path) => {
                let mut connection =
                    SqliteConnectOptions::new().filename(path).connect().await.expect("it is free");
                run(sql).execute(&mut connection).await.expect("the statement is good");
                connection.close().await.expect("nothing is pending");
            }
            DatabaseAddress::Server(server) => {
                let mut connection = server.options().connect().await.expect("it answers");
                run(sql).execute(&mut connection).await.expect("the statement is good");
                connection.close().await.expect("nothing is pending");
            }
        }
    }
}

fn run(sql: &str) -> sqlx::RawSql {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
}

fn audit(audit_id: u128, state: AuditState) -> Write {
    Write::Audit(AuditEntry {
        audit_id: Uuid::from_u128(audit_id),
        request_id: RequestId::new(Uuid::from_u128(7)),
        state,
        recorded: NOON,
        person: (state == AuditState::Closed).then(|| EnterpriseId::from_u128(audit_id + 1)),
        body: format!("{{\"action\":{audit_id}}}"),
    })
}

fn member(code: &str, version: u32) -> MemberRow {
    MemberRow {
        code: MemberCode::parse(code).expect("a legal code"),
        version,
        recorded: NOON + Duration::seconds(version.into()),
        body: format!("{{\"version\":{version}}}"),
    }
}

fn consent(id: &str, version: u32, value: &str) -> ConsentRow {
    ConsentRow {
        id: id.to_owned(),
        version,
        recorded: NOON,
        anchor: RecordKey {
            member: MemberCode::parse("north").expect("a legal code"),
            local_id: LocalId::parse("urn:north", value).expect("a legal identifier"),
        },
        status: "active".to_owned(),
        body: "{}".to_owned(),
    }
}

fn journal(seq: u64, bytes: usize) -> JournalRow {
    JournalRow {
        seq,
        recorded: NOON,
        kind: "registered".into(),
        person: Some(EnterpriseId::from_u128(u128::from(seq))),
        record: Some(consent("x", 1, &seq.to_string()).anchor),
        event_time: None,
        model_version: "m1".to_owned(),
        decision: "{}".to_owned(),
        demographics: Some("x".repeat(bytes)),
    }
}

fn task() -> ReviewTaskRow {
    ReviewTaskRow {
        task_no: 1,
        kind: "possible_link".into(),
        state: "open".into(),
        person: EnterpriseId::from_u128(1),
        other: Some(EnterpriseId::from_u128(u128::MAX)),
        record: None,
        bits: 7.5,
        opened: NOON,
        changed: NOON,
        body: "{}".to_owned(),
    }
}

fn person() -> PersonRow {
    PersonRow {
        person: EnterpriseId::from_u128(1),
        redirect_to: Some(EnterpriseId::from_u128(2)),
        created_seq: 1,
        changed_seq: 1,
    }
}

fn record() -> SourceRecordRow {
    SourceRecordRow {
        record_no: 0,
        key: consent("x", 1, "9").anchor,
        person: EnterpriseId::from_u128(1),
        version: 1,
        event_time: Some(NOON),
        since: NOON,
        changed: NOON,
        current_seq: 1,
        registered_seq: 1,
        standing: "active".into(),
    }
}

/// [`record`] as [`some_of_everything`] leaves it.
fn changed_record() -> SourceRecordRow {
    let person = EnterpriseId::from_u128(2);
    SourceRecordRow { person, version: 2, current_seq: 2, ..record() }
}

fn some_of_everything() -> Vec<Write> {
    let (told, changed) = (record(), changed_record());
    vec![
        Write::Journal(journal(1, 10)),
        Write::Journal(journal(2, 10)),
        Write::SourceRecord(told.clone()),
        Write::Relink { record_no: 0, person: EnterpriseId::from_u128(3) },
        Write::Relink { record_no: 0, person: changed.person },
        Write::SourceRecord(SourceRecordRow { person: told.person, ..changed }),
        Write::RecordHistory { record_no: 0, seq: 2 },
        Write::PersonHistory { person: EnterpriseId::from_u128(2), seq: 2 },
        Write::Person(person()),
        Write::ReviewTask(task()),
        Write::Consent(consent("c", 1, "9")),
        Write::Consent(consent("c", 2, "10")),
        Write::Member(member("north", 1)),
        Write::Meta { name: "index.model".into(), value: "m1".to_owned() },
    ]
}

#[rstest]
#[tokio::test]
async fn the_live_writer_flushes_each_commit(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let db = home.open().await;
    let durability = db.writer_durability().await.expect("the writer answers");
    let due = match engine {
        Sqlite => Durability::Sqlite { journal_mode: "wal".to_owned(), synchronous: 2 },
        Postgres => Durability::Postgres {
            synchronous_commit: "on".to_owned(),
            fsync: "on".to_owned(),
            full_page_writes: "on".to_owned(),
        },
    };
    assert_eq!(durability, due);
}

#[rstest]
#[tokio::test]
async fn one_process_writes_until_it_closes(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let db = home.open().await;
    let second = Database::open(&home.settings()).await.err();
    assert!(matches!(second, Some(StorageError::InUse(_))), "{second:?}");
    home.reader().await.close().await;
    db.close().await;
    assert_eq!(db.write(vec![audit(1, AuditState::Open)]).await, Err(StorageError::Closed));
    db.close().await;
    home.open().await.close().await;
}

#[rstest]
#[tokio::test]
async fn what_was_acknowledged_reads_back_after_reopening(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let home = Home::on(engine);
    let db = home.open().await;
    db.write(some_of_everything()).await.expect("the disk is fine");
    db.write(vec![Write::Member(member("north", 2))]).await.expect("the disk is fine");
    db.close().await;

    let db = home.open().await;
    let reader = db.reader();
    let entries: Vec<JournalRow> =
        reader.journal(0).try_collect().await.expect("the journal reads");
    assert!(entries == [journal(1, 10), journal(2, 10)]);
    let entry = reader.journal_entry(2).await.expect("the journal reads");
    assert!(entry == Some(journal(2, 10)));
    let records: Vec<_> = reader.source_records().try_collect().await.expect("records read");
    assert!(records == [changed_record()]);
    let persons: Vec<_> = reader.persons().try_collect().await.expect("persons read");
    assert!(persons == [person()]);
    assert!(reader.review_tasks("open", 0, 10).await.expect("tasks read") == [task()]);
    assert!(reader.consents().await.expect("consents read") == [consent("c", 2, "10")]);
    let anchor = consent("c", 1, "9").anchor;
    assert!(reader.consents_of(&anchor).await.expect("consents read").is_empty());
    assert_eq!(reader.consent_history("c").await.expect("history reads").len(), 2);
    assert_eq!(reader.members().await.expect("members read"), [member("north", 2)]);
    let code = MemberCode::parse("north").expect("a legal code");
    let history = reader.member_history(&code).await.expect("history reads");
    assert_eq!(history, [member("north", 1), member("north", 2)]);
    assert_eq!(reader.meta("index.model").await, Ok(Some("m1".to_owned())));
}

#[rstest]
#[tokio::test]
async fn a_conflicting_write_fails_alone(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let db = home.open().await;
    db.write(vec![Write::Member(member("north", 1))]).await.expect("the disk is fine");
    // Nothing runs in between on this single thread, so the three make one group.
    let before = db.enqueue(vec![Write::Member(member("east", 1))]).await;
    let stale =
        db.enqueue(vec![Write::Member(member("north", 1)), Write::Member(member("south", 1))]);
    let stale = stale.await;
    let after = db.enqueue(vec![Write::Member(member("west", 1))]).await;
    assert_eq!(before.await, Ok(()));
    assert_eq!(stale.await, Err(StorageError::Conflict));
    assert_eq!(after.await, Ok(()));
    let members = db.reader().members().await.expect("members read");
    let codes: Vec<&str> = members.iter().map(|row| row.code.as_str()).collect();
    assert_eq!(codes, ["east", "north", "west"], "south went down with its own write");
}

#[rstest]
#[tokio::test]
async fn a_write_is_bounded(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let settings = StorageSettings { group_rows_max: 2, ..home.settings() };
    let db = Database::open(&settings).await.expect("the database opens");
    let writes = (1..=3).map(|id| audit(id, AuditState::Open)).collect();
    assert_eq!(db.write(writes).await, Err(StorageError::TooLarge { rows: 3, rows_max: 2 }));
}

/// As the server says it where its disk is full.
const FULL_AT_300_000_BYTES: &str = "
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF length(NEW.demographics) >= 300000 THEN
            RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION full_disk()";

#[rstest]
#[tokio::test]
async fn a_full_disk_changes_nothing_and_harms_nothing(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let settings = StorageSettings { file_bytes_max: Some(400_000), ..home.settings() };
    let db = Database::open(&settings).await.expect("the database opens");
    if let Postgres = engine {
        home.tamper(FULL_AT_300_000_BYTES).await;
    }
    db.write(vec![audit(1, AuditState::Open)]).await.expect("there is room yet");
    let large = vec![
        audit(2, AuditState::Open),
        Write::Journal(journal(1, 300_000)),
        Write::Journal(journal(2, 300_000)),
    ];
    assert_eq!(db.write(large).await, Err(StorageError::DiskFull));
    let entries: Vec<_> = db.reader().journal(0).try_collect().await.expect("the journal reads");
    assert!(entries.is_empty());
    db.write(vec![audit(1, AuditState::Closed)]).await.expect("a small row still fits");
    let durability = db.writer_durability().await.expect("the writer answers");
    durability.check().expect("the connection made after the failure is durable too");
    let report = db.reader().verify_audit_chain().await.expect("the chain can be walked");
    assert_eq!((report.rows, report.first_bad), (2, None));
}

#[rstest]
#[tokio::test]
async fn concurrent_writers_are_all_heard(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let db = home.open().await;
    let tasks: Vec<_> = (1..=200_u128)
        .map(|id| {
            let db = db.clone();
            tokio::spawn(async move {
                db.write(vec![audit(id, AuditState::Open)]).await?;
                db.write(vec![audit(id, AuditState::Closed)]).await
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics").expect("the disk is fine");
    }
    let report = db.reader().verify_audit_chain().await.expect("the chain can be walked");
    assert_eq!((report.rows, report.first_bad), (400, None));
    assert!(db.reader().audit_rows_left_open().await.expect("rows read").is_empty());
}

#[rstest]
#[tokio::test]
async fn audits_left_open_are_found_after_a_restart(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let db = home.open().await;
    db.write(vec![audit(1, AuditState::Open), audit(2, AuditState::Open)]).await.expect("room");
    db.write(vec![audit(1, AuditState::Stretch), audit(1, AuditState::Closed)])
        .await
        .expect("there is room");
    db.close().await;
    let db = home.open().await;
    let left = db.reader().audit_rows_left_open().await.expect("rows read");
    assert_eq!(left.iter().map(|row| row.seq).collect::<Vec<_>>(), [2]);
    let of_person = db.reader().audit_rows_of(EnterpriseId::from_u128(2), 10).await;
    assert_eq!(of_person.expect("rows read").len(), 1);
    let mut rows = pin!(db.reader().audit_rows(3));
    let last = rows.try_next().await.expect("rows read").expect("there are four rows");
    let Write::Audit(expected) = audit(1, AuditState::Closed) else { unreachable!() };
    assert!(last == AuditRow { seq: 4, entry: expected });
}

#[rstest]
#[tokio::test]
async fn the_audit_chain_names_the_first_bad_row(#[values(Sqlite, Postgres)] engine: Engine) {
    for (sql, seq, fault) in [
        ("UPDATE audit_event SET body = '{}' WHERE seq = 3", 3, ChainFault::Altered),
        ("UPDATE audit_event SET person = NULL WHERE seq = 4", 4, ChainFault::Altered),
        ("UPDATE audit_event SET recorded_at = 0 WHERE seq = 1", 1, ChainFault::Altered),
        ("UPDATE audit_event SET prev_hash = hash WHERE seq = 2", 2, ChainFault::WrongPredecessor),
        ("DELETE FROM audit_event WHERE seq = 2", 2, ChainFault::Missing),
        ("DELETE FROM audit_event WHERE seq >= 4", 4, ChainFault::Missing),
        ("DELETE FROM audit_event", 1, ChainFault::Missing),
        ("DELETE FROM meta WHERE name = 'audit.head'", 1, ChainFault::NotVouchedFor),
        (
            "UPDATE meta SET value = '4' || substr(value, 2) WHERE name = 'audit.head'",
            5,
            ChainFault::NotVouchedFor,
        ),
        (
            "UPDATE meta SET value = '5:' || replace('00000000', '0', '00000000') \
             WHERE name = 'audit.head'",
            5,
            ChainFault::NotTheHead,
        ),
    ] {
        let home = Home::on(engine);
        let db = home.open().await;
        for id in 1..=5 {
            db.write(vec![audit(id, AuditState::Closed)]).await.expect("the disk is fine");
        }
        let whole = db.reader().verify_audit_chain().await.expect("the chain can be walked");
        assert_eq!((whole.rows, whole.first_bad), (5, None));
        db.close().await;
        home.tamper(sql).await;
        let reader = home.reader().await;
        let report = reader.verify_audit_chain().await.expect("the chain can be walked");
        assert_eq!(report.first_bad, Some(BadAuditRow { seq, fault }), "{sql}");
        reader.close().await;
    }
}

#[tokio::test]
async fn an_audit_row_that_is_not_even_text_is_named() {
    let home = Home::on(Sqlite);
    let db = home.open().await;
    for id in 1..=3 {
        db.write(vec![audit(id, AuditState::Closed)]).await.expect("the disk is fine");
    }
    db.close().await;
    home.tamper("UPDATE audit_event SET body = x'ff' WHERE seq = 2").await;
    let report = home.reader().await.verify_audit_chain().await.expect("it can be walked");
    assert_eq!(report.first_bad, Some(BadAuditRow { seq: 2, fault: ChainFault::Unreadable }));
}

#[rstest]
#[tokio::test]
async fn the_chain_goes_on_after_reopening(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    for id in 1..=3 {
        let db = home.open().await;
        db.write(vec![audit(id, AuditState::Open)]).await.expect("the disk is fine");
        db.close().await;
    }
    let db = home.open().await;
    let report = db.reader().verify_audit_chain().await.expect("the chain can be walked");
    assert_eq!((report.rows, report.first_bad), (3, None));
}

#[tokio::test]
async fn damage_is_recognised_at_open() {
    let spoil_start = |path: &Path| {
        let mut file = std::fs::OpenOptions::new().write(true).open(path).expect("it is there");
        file.write_all(b"this is no database at all").expect("the disk is fine");
    };
    let cut_in_half = |path: &Path| {
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("it is there");
        let bytes = file.metadata().expect("it has a length").len();
        file.set_len(bytes / 2).expect("the disk is fine");
    };
    let damages: [fn(&Path); 2] = [spoil_start, cut_in_half];
    for damage in damages {
        let home = Home::on(Sqlite);
        let db = home.open().await;
        let rows = (1..=200).map(|seq| Write::Journal(journal(seq, 2_000))).collect();
        db.write(rows).await.expect("the disk is fine");
        db.close().await;
        damage(home.file());
        let error = Database::open(&home.settings()).await.err().expect("the file is damaged");
        assert!(matches!(error, StorageError::Corrupt(_)), "{error}");
    }
}

#[rstest]
#[case::journal("UPDATE journal SET demographics = replace(demographics, 'x', 'y') WHERE seq = 2")]
#[case::time("UPDATE journal SET event_time = 1 WHERE seq = 2")]
#[case::consent("UPDATE consent SET status = 'inactive'")]
#[case::consent_history("UPDATE consent_history SET body = '[]' WHERE version = 1")]
#[case::member("UPDATE member SET body = replace(body, '2', '3')")]
#[tokio::test]
async fn a_flipped_bit_is_recognised(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[case] sql: &str,
) {
    let home = Home::on(engine);
    let db = home.open().await;
    db.write(some_of_everything()).await.expect("the disk is fine");
    db.write(vec![Write::Member(member("north", 2))]).await.expect("the disk is fine");
    let read = async || {
        let reader = home.reader().await;
        let journal = reader.journal(0).try_collect::<Vec<_>>().await.map(|rows| rows.len());
        let read = [
            journal,
            reader.journal_entry(2).await.map(|row| row.iter().count()),
            reader.consents().await.map(|rows| rows.len()),
            reader.consent_history("c").await.map(|rows| rows.len()),
            reader.members().await.map(|rows| rows.len()),
        ];
        reader.close().await;
        read
    };
    assert_eq!(read().await, [Ok(2), Ok(1), Ok(1), Ok(2), Ok(1)]);
    db.close().await;
    home.tamper(sql).await;
    let found = read().await.into_iter().find_map(Result::err);
    let Some(StorageError::Corrupt(what)) = &found else { panic!("{found:?}") };
    assert!(what.contains("is not as it was written"), "{what}");
    assert!(found.expect("found").to_string().contains("tessera restore"), "the way out");
}

#[rstest]
#[tokio::test]
async fn a_read_only_database_says_so(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    let db = home.open().await;
    let refused = match db.reader().pool() {
        SqlPool::Sqlite(pool) => run("DELETE FROM journal").execute(pool).await.err(),
        SqlPool::Postgres(pool) => run("DELETE FROM journal").execute(pool).await.err(),
    };
    assert_eq!(refused.map(StorageError::from), Some(StorageError::ReadOnly));
}

#[tokio::test]
async fn a_place_that_takes_no_file_is_read_only() {
    // Not even root makes files there.
    let nowhere = StorageSettings::at(Path::new("/sys/tessera.db"));
    assert_eq!(Database::open(&nowhere).await.err(), Some(StorageError::ReadOnly));
}

#[tokio::test]
async fn a_clean_stop_leaves_everything_in_the_file_itself() {
    let home = Home::on(Sqlite);
    let db = home.open().await;
    db.write(vec![audit(1, AuditState::Open)]).await.expect("the disk is fine");
    db.close().await;
    let log = home.file().with_extension("db-wal");
    assert!(!log.exists(), "the log was folded back");
}

#[tokio::test]
async fn a_file_in_no_folder_is_an_error() {
    let home = Home::on(Sqlite);
    let nowhere = StorageSettings::at(home.folder.path().join("absent").join("tessera.db"));
    assert!(matches!(Database::open(&nowhere).await.err(), Some(StorageError::Io(_))));
}
