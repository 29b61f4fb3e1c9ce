//! Two dialects, one schema.

use std::collections::BTreeMap;

use super::*;

/// Table and column, with type and whether it may be absent.
type Schema = BTreeMap<(String, String), (String, bool)>;

/// What only one of the two needs.
fn is_ours(table: &str) -> bool {
    !["_sqlx_migrations", "writer_lease"].contains(&table)
}

async fn of_sqlite(home: &Home) -> Schema {
    let mut connection =
        SqliteConnectOptions::new().filename(home.file()).connect().await.expect("it is free");
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT t.name, c.name, c.type, c.\"notnull\" FROM sqlite_master t, \
         pragma_table_info(t.name) c WHERE t.type = 'table'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the schema reads");
    rows.into_iter()
        .filter(|row| is_ours(&row.0))
        .map(|(table, column, kind, not_null)| ((table, column), (kind, not_null)))
        .collect()
}

async fn of_postgres(home: &Home) -> Schema {
    let DatabaseAddress::Server(server) = &home.address else { panic!("it is on PostgreSQL") };
    let mut connection = server.options().connect().await.expect("it answers");
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO' \
         FROM information_schema.columns WHERE table_schema = 'public'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the schema reads");
    let in_sqlite = |kind: &str| match kind {
        "bigint" => "INTEGER",
        "double precision" => "REAL",
        "bytea" => "BLOB",
        "text" => "TEXT",
        other => panic!("{other} is a type that SQLite's dialect does not have"),
    };
    rows.into_iter()
        .filter(|row| is_ours(&row.0))
        .map(|(table, column, kind, not_null)| {
            ((table, column), (in_sqlite(&kind).to_owned(), not_null))
        })
        .collect()
}

#[tokio::test]
async fn both_dialects_give_the_same_tables() {
    let (file, server) = (Home::on(Sqlite), Home::on(Postgres));
    file.open().await.close().await;
    server.open().await.close().await;
    let (file, server) = (of_sqlite(&file).await, of_postgres(&server).await);
    assert!(file.len() > 50, "{file:?}");
    assert_eq!(file, server, "a step of migrations/sqlite needs its like in migrations/postgres");
}

#[test]
fn both_dialects_take_the_same_steps() {
    let steps = |migrations: sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrations.iter().map(|step| (step.version, step.description.to_string())).collect()
    };
    assert_eq!(steps(sqlite::migrations()), steps(postgres::migrations()));
}

#[rstest]
#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone(#[values(Sqlite, Postgres)] engine: Engine) {
    let home = Home::on(engine);
    home.open().await.close().await;
    let step = match engine {
        Sqlite => "INSERT INTO _sqlx_migrations VALUES (9999, 'later', 0, true, x'00', 0)",
        Postgres => "INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '', 0)",
    };
    home.tamper(step).await;
    let refused = Database::open(&home.settings()).await.err();
    assert!(
        matches!(&refused, Some(StorageError::Migration(why)) if why.contains("newer")),
        "{refused:?}"
    );
    let output = home.folder.path().join("a.backup");
    let refused = backup(&home.address, &output).await.err();
    assert!(matches!(&refused, Some(BackupError::Storage(StorageError::Migration(_)))));
    assert!(!output.exists());
}
