//! Which tables there are, told by the schema itself, so that no backup misses a new one.

use futures_util::TryStreamExt as _;

use crate::storage::{
    StorageError,
    columns::{Columns, Readable},
    insert::insert_sql,
    sql::{SqlConnection, SqlRow, Statement, Value},
};

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Real,
    Text,
    Bytes,
}

/// A table of the schema.
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<(String, Kind)>,
    key: Vec<String>,
}

/// The tables of a SQLite file by name, without the migrator's and the backup's own.
pub(super) async fn tables(connection: &mut SqlConnection) -> Result<Vec<Table>, StorageError> {
    let names = Statement::new(
        "SELECT name FROM sqlite_master WHERE type = 'table' \
         AND name NOT IN ('_sqlx_migrations', 'tessera_backup') AND name NOT LIKE 'sqlite_%' \
         ORDER BY name",
    );
    let rows: Vec<SqlRow> = connection.fetch(names).try_collect().await?;
    let mut tables = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: String = Columns::of(row, "sqlite_master").value()?;
        tables.push(Table::read(connection, name).await?);
    }
    Ok(tables)
}

impl Table {
    async fn read(connection: &mut SqlConnection, name: String) -> Result<Self, StorageError> {
        let asked = Statement::new("SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid");
        let rows: Vec<SqlRow> = connection.fetch(asked.bind(&*name)).try_collect().await?;
        let (mut columns, mut key) = (Vec::new(), Vec::new());
        for row in &rows {
            let mut told = Columns::of(row, "pragma_table_info");
            let (column, kind): (String, String) = (told.value()?, told.value()?);
            let place: i64 = told.value()?;
            if place > 0 {
                key.push((place, column.clone()));
            }
            let kind = match &*kind {
                "INTEGER" => Kind::Number,
                "REAL" => Kind::Real,
                "TEXT" => Kind::Text,
                "BLOB" => Kind::Bytes,
                _ => return Err(StorageError::Sql(format!("{name}.{column} is of type {kind}"))),
            };
            columns.push((column, kind));
        }
        key.sort();
        Ok(Self { name, columns, key: key.into_iter().map(|(_, column)| column).collect() })
    }

    /// All rows, in the order of the key.
    pub(super) fn select(&self) -> String {
        let columns = quoted(self.columns.iter().map(|(column, _)| column));
        let key = quoted(self.key.iter());
        format!("SELECT {columns} FROM \"{}\" ORDER BY {key}", self.name)
    }

    /// So many rows.
    pub(super) fn insert(&self, rows: usize) -> String {
        let columns = quoted(self.columns.iter().map(|(column, _)| column));
        let into = format!("INSERT INTO \"{}\" ({columns}) ", self.name);
        insert_sql(&into, self.width(), rows, "")
    }

    /// How many columns it has.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The values of a row that [`Self::select`] gave.
    pub(super) fn values(&self, row: &SqlRow) -> Result<Vec<Value<'static>>, StorageError> {
        let mut told = Columns::of(row, "a table under copy");
        self.columns.iter().map(|(_, kind)| value(*kind, &mut told)).collect()
    }
}

fn value(kind: Kind, told: &mut Columns<'_>) -> Result<Value<'static>, StorageError> {
    fn some<'r, T>(told: &mut Columns<'r>) -> Result<Option<T>, StorageError>
    where
        Option<T>: Readable<'r>,
    {
        told.value()
    }
    Ok(match kind {
        Kind::Number => Value::Number(some(told)?),
        Kind::Real => Value::Real(some(told)?),
        Kind::Text => Value::Text(some::<String>(told)?.map(Into::into)),
        Kind::Bytes => Value::Bytes(some::<Vec<u8>>(told)?.map(Into::into)),
    })
}

fn quoted<'n>(names: impl Iterator<Item = &'n String>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
