//! Reads whole tables, sums them up, and writes them elsewhere.

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::TryStreamExt as _;

use crate::storage::{
    StorageError,
    audit_chain::hex,
    sql::{BINDS_MAX, Snapshot, SqlConnection, Statement, Value},
};

use super::{CopiedTable, table::Table};

/// Rows in one statement.
const STATEMENT_ROWS_MAX: usize = 256;

/// Reads all rows of these tables, and writes them into a database with the same schema where one
/// is given. Commits nothing.
pub(super) async fn copy(
    from: &mut Snapshot,
    tables: &[Table],
    mut into: Option<&mut SqlConnection>,
) -> Result<Vec<CopiedTable>, StorageError> {
    let mut copied = Vec::with_capacity(tables.len());
    for table in tables {
        let mut sum = Sum::new();
        let mut due = Vec::new();
        let rows_max = STATEMENT_ROWS_MAX.min(BINDS_MAX / table.width());
        let mut rows = from.fetch(Statement::built(table.select(), Vec::new()));
        while let Some(row) = rows.try_next().await? {
            let values = table.values(&row)?;
            sum.add(&values);
            if let Some(into) = &mut into {
                due.extend(values);
                if due.len() == rows_max * table.width() {
                    insert(into, table, std::mem::take(&mut due)).await?;
                }
            }
        }
        if let Some(into) = &mut into
            && !due.is_empty()
        {
            insert(into, table, due).await?;
        }
        copied.push(sum.of(table));
    }
    Ok(copied)
}

async fn insert(
    into: &mut SqlConnection,
    table: &Table,
    values: Vec<Value<'_>>,
) -> Result<(), StorageError> {
    let sql = table.insert(values.len() / table.width());
    into.execute(Statement::built(sql, values)).await.map(|_| ())
}

/// A checksum over the rows of a table, the same for both databases.
struct Sum {
    rows: u64,
    context: Context,
}

impl Sum {
    fn new() -> Self {
        Self { rows: 0, context: Context::new(&SHA256) }
    }

    fn add(&mut self, values: &[Value<'_>]) {
        self.rows += 1;
        for value in values {
            match value {
                Value::Number(value) => self.part(1, value.map(i64::to_be_bytes).as_ref()),
                Value::Real(value) => self.part(2, value.map(f64::to_be_bytes).as_ref()),
                Value::Text(value) => self.part(3, value.as_deref().map(str::as_bytes)),
                Value::Bytes(value) => self.part(4, value.as_deref()),
            }
        }
    }

    /// Kind and length first, so that no byte can wander from one value into the next.
    fn part(&mut self, kind: u8, bytes: Option<&(impl AsRef<[u8]> + ?Sized)>) {
        let Some(bytes) = bytes.map(AsRef::as_ref) else { return self.context.update(&[0]) };
        self.context.update(&[kind]);
        self.context.update(&(bytes.len() as u64).to_be_bytes());
        self.context.update(bytes);
    }

    fn of(self, table: &Table) -> CopiedTable {
        let sha256 = hex(self.context.finish().as_ref());
        CopiedTable { name: table.name.clone(), rows: self.rows, sha256 }
    }
}
