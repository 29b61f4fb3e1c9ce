//! A backup holds everything, is checked at both ends, and overwrites nothing.

use std::path::PathBuf;

use super::*;

/// All that a database tells its readers.
#[derive(PartialEq)]
struct Everything {
    journal: Vec<JournalRow>,
    records: Vec<SourceRecordRow>,
    persons: Vec<PersonRow>,
    tasks: Vec<ReviewTaskRow>,
    consents: Vec<ConsentRow>,
    consent_history: Vec<ConsentRow>,
    members: Vec<MemberRow>,
    member_history: Vec<MemberRow>,
    audit: Vec<AuditRow>,
    left_open: Vec<AuditRow>,
    chain: ChainReport,
}

async fn everything(reader: &Reader) -> Everything {
    let north = MemberCode::parse("north").expect("a legal code");
    Everything {
        journal: reader.journal(0).try_collect().await.expect("the journal reads"),
        records: reader.source_records().try_collect().await.expect("records read"),
        persons: reader.persons().try_collect().await.expect("persons read"),
        tasks: reader.review_tasks("open", 0, 100).await.expect("tasks read"),
        consents: reader.consents().await.expect("consents read"),
        consent_history: reader.consent_history("c").await.expect("history reads"),
        members: reader.members().await.expect("members read"),
        member_history: reader.member_history(&north).await.expect("history reads"),
        audit: reader.audit_rows(0).try_collect().await.expect("the trail reads"),
        left_open: reader.audit_rows_left_open().await.expect("the trail reads"),
        chain: reader.verify_audit_chain().await.expect("the chain can be walked"),
    }
}

/// A database with rows in every table.
async fn filled(engine: Engine) -> (Home, Database) {
    let home = Home::on(engine);
    let db = home.open().await;
    db.write(some_of_everything()).await.expect("the disk is fine");
    db.write(vec![audit(1, AuditState::Open), audit(2, AuditState::Open)]).await.expect("room");
    db.write(vec![audit(1, AuditState::Closed)]).await.expect("there is room");
    (home, db)
}

async fn backed_up(engine: Engine) -> (Home, PathBuf) {
    let (home, db) = filled(engine).await;
    let file = home.folder.path().join("a.backup");
    backup(&home.address, &file).await.expect("it is made while the database is open");
    db.close().await;
    (home, file)
}

#[rstest]
#[tokio::test]
async fn what_is_brought_back_is_what_was_there(
    #[values(Sqlite, Postgres)] from: Engine,
    #[values(Sqlite, Postgres)] into: Engine,
) {
    let (home, file) = backed_up(from).await;
    let checked = verify_backup(&file).await.expect("it is whole");
    let rows =
        |name: &str| checked.tables.iter().find(|table| table.name == name).map(|table| table.rows);
    assert_eq!(
        (rows("journal"), rows("audit_event"), rows("consent_history")),
        (Some(2), Some(3), Some(2))
    );
    assert_eq!(checked.audit.rows, 3);

    let there = Home::on(into);
    let restored = restore(&file, &there.settings()).await.expect("it is brought back");
    assert_eq!(restored, checked);
    let (before, db) = (home.reader().await, there.open().await);
    assert!(everything(&before).await == everything(db.reader()).await);
    db.write(vec![audit(9, AuditState::Closed)]).await.expect("the chain goes on");
    let report = db.reader().verify_audit_chain().await.expect("the chain can be walked");
    assert_eq!((report.rows, report.first_bad), (4, None));
    db.close().await;

    // A backup of what was brought back has the same rows: 3 of them by now one more.
    let again = home.folder.path().join("again.backup");
    let again = backup(&there.address, &again).await.expect("it is made");
    let differ: Vec<&str> = again
        .tables
        .iter()
        .zip(&checked.tables)
        .filter(|(now, then)| now != then)
        .map(|(now, _)| now.name.as_str())
        .collect();
    assert_eq!(differ, ["audit_event", "meta"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_shows_one_moment(#[values(Sqlite, Postgres)] engine: Engine) {
    let (home, db) = filled(engine).await;
    let writing = tokio::spawn({
        let db = db.clone();
        async move {
            for seq in 3..=60 {
                let entry = Write::Journal(journal(seq, 2_000));
                db.write(vec![entry, audit(seq.into(), AuditState::Closed)]).await?;
            }
            Ok::<(), StorageError>(())
        }
    });
    let mut made = 0;
    while !writing.is_finished() || made == 0 {
        made += 1;
        let output = home.folder.path().join(format!("{made}.backup"));
        let report = backup(&home.address, &output).await.expect("it is whole");
        let rows = |name: &str| {
            report.tables.iter().find(|table| table.name == name).expect("a table").rows
        };
        // Each group has an entry and an audit row, after two and three of the start.
        assert_eq!(rows("journal") + 1, rows("audit_event"));
    }
    writing.await.expect("no panic").expect("nobody was in its way");
}

#[rstest]
#[tokio::test]
async fn nothing_is_overwritten(#[values(Sqlite, Postgres)] engine: Engine) {
    let (home, file) = backed_up(engine).await;
    let exists = Some(BackupError::Exists(file.clone()));
    assert_eq!(backup(&home.address, &file).await.err(), exists);
    let refused = restore(&file, &home.settings()).await.err();
    match engine {
        Sqlite => assert_eq!(refused, Some(BackupError::Exists(home.file().to_owned()))),
        Postgres => assert!(matches!(refused, Some(BackupError::NotEmpty(_))), "{refused:?}"),
    }
    let db = home.open().await;
    assert_eq!(db.reader().verify_audit_chain().await.expect("walked").rows, 3);
    let refused = restore(&file, &home.settings()).await.expect_err("it is in use");
    match engine {
        Sqlite => assert!(matches!(refused, BackupError::Exists(_)), "{refused}"),
        Postgres => {
            let used = matches!(refused, BackupError::Storage(StorageError::InUse(_)));
            assert!(used, "{refused}");
        }
    }
}

#[tokio::test]
async fn a_log_left_behind_is_not_mixed_with_a_backup() {
    let (home, file) = backed_up(Sqlite).await;
    let target = home.folder.path().join("new.db");
    let log = home.folder.path().join("new.db-wal");
    std::fs::write(&log, "of another database").expect("written");
    let refused = restore(&file, &StorageSettings::at(target.as_path())).await.err();
    assert_eq!(refused, Some(BackupError::Exists(log)));
    assert!(!target.exists());
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 3] = [
        ("cut in half", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path).expect("it is there");
            file.set_len(file.metadata().expect("it has a length").len() / 2).expect("cut");
        }),
        ("no database", |path| std::fs::write(path, "a letter to the editor").expect("written")),
        ("a bit of a name", |path| {
            let mut bytes = std::fs::read(path).expect("it is there");
            let at = bytes.windows(8).position(|part| part == b"xxxxxxxx").expect("demographics");
            bytes[at + 3] ^= 1;
            std::fs::write(path, bytes).expect("written");
        }),
    ];
    for (name, damage) in damages {
        let (home, file) = backed_up(Sqlite).await;
        damage(&file);
        let target = home.folder.path().join("new.db");
        let refused = restore(&file, &StorageSettings::at(target.as_path())).await.err();
        let told = matches!(refused, Some(BackupError::Damaged(_) | BackupError::NoBackup));
        assert!(told, "{name}: {refused:?}");
        assert!(!target.exists(), "{name}");
        let server = Home::on(Postgres);
        assert!(restore(&file, &server.settings()).await.is_err(), "{name}");
    }
}

#[rstest]
#[case("DELETE FROM journal WHERE seq = 1", "journal")]
#[case("DELETE FROM audit_event WHERE seq = 3", "audit trail")]
#[case("UPDATE audit_event SET body = '{}' WHERE seq = 1", "audit trail")]
#[tokio::test]
async fn what_is_wrong_in_the_database_is_found_before_there_is_a_backup(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[case] sql: &str,
    #[case] told: &str,
) {
    let (home, db) = filled(engine).await;
    db.close().await;
    home.tamper(sql).await;
    let output = home.folder.path().join("a.backup");
    let refused = backup(&home.address, &output).await.expect_err("it is refused");
    assert!(refused.to_string().contains(told), "{refused}");
    assert!(!output.exists());
    let left = std::fs::read_dir(home.folder.path()).expect("a folder").flatten();
    let parts = left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(parts.count(), 0, "no half a file is left");
}

#[tokio::test]
async fn a_database_is_no_backup() {
    let (home, db) = filled(Sqlite).await;
    db.close().await;
    assert_eq!(verify_backup(home.file()).await.err(), Some(BackupError::NoBackup));
    let absent = home.folder.path().join("absent");
    assert!(matches!(verify_backup(&absent).await.err(), Some(BackupError::File { .. })));
}
