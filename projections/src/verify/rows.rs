//! Rows of any read model, compared column by column. A column that a migration adds is compared
//! without a word here.

use std::collections::{BTreeMap, HashMap};

use runledger_ledger::store::{Store, StoreError};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column, FromRow, Row, TypeInfo, ValueRef};
use uuid::Uuid;

use super::{Difference, Verification};
use crate::db::Tx;
use crate::query::{Statement, Value};
use crate::tables::Model;

/// Rows that are compared at a time.
const PAGE: i64 = 512;
/// How much of a long value is shown around the place where it differs.
const SHOWN: usize = 120;

/// A table of the read models.
pub(super) struct Table {
    name: &'static str,
    select: &'static str,
    /// The columns of its key, behind workspace and generation.
    key: &'static [&'static str],
    /// The same, as they stand in a statement.
    order: &'static str,
    tuple: &'static str,
    /// Rows for which this does not hold count as missing.
    only: &'static str,
}

/// All tables that hold rows of a generation.
pub(super) const TABLES: [Table; 9] = [
    Table {
        name: "runs",
        select: "SELECT * FROM runs",
        key: &["run_id"],
        order: " ORDER BY run_id LIMIT ",
        tuple: " AND (run_id)",
        only: "",
    },
    Table {
        name: "subjects",
        select: "SELECT * FROM subjects",
        key: &["subject_key"],
        order: " ORDER BY subject_key LIMIT ",
        tuple: " AND (subject_key)",
        only: "",
    },
    Table {
        name: "workers",
        select: "SELECT * FROM workers",
        key: &["connection", "worker"],
        order: " ORDER BY connection, worker LIMIT ",
        tuple: " AND (connection, worker)",
        only: "",
    },
    Table {
        name: "worker_queues",
        select: "SELECT * FROM worker_queues",
        key: &["connection", "queue", "worker"],
        order: " ORDER BY connection, queue, worker LIMIT ",
        tuple: " AND (connection, queue, worker)",
        only: "",
    },
    Table {
        name: "queues",
        select: "SELECT * FROM queues",
        key: &["connection", "queue"],
        order: " ORDER BY connection, queue LIMIT ",
        tuple: " AND (connection, queue)",
        only: "",
    },
    Table {
        name: "follow_up_items",
        select: "SELECT * FROM follow_up_items",
        key: &["item_key"],
        order: " ORDER BY item_key LIMIT ",
        tuple: " AND (item_key)",
        only: "",
    },
    Table {
        name: "run_counts",
        select: "SELECT * FROM run_counts",
        key: &["environment", "operation", "family", "status", "outcome", "actionability"],
        order: " ORDER BY environment, operation, family, status, outcome, actionability LIMIT ",
        tuple: " AND (environment, operation, family, status, outcome, actionability)",
        only: " AND runs <> 0",
    },
    Table {
        name: "item_counts",
        select: "SELECT * FROM item_counts",
        key: &["environment", "actionability"],
        order: " ORDER BY environment, actionability LIMIT ",
        tuple: " AND (environment, actionability)",
        only: " AND items <> 0",
    },
    Table {
        name: "operation_outcomes",
        select: "SELECT * FROM operation_outcomes",
        key: &["operation", "environment"],
        order: " ORDER BY operation, environment LIMIT ",
        tuple: " AND (operation, environment)",
        only: "",
    },
];

impl Table {
    /// Compares the live rows with the derived ones: first each live row with its counterpart, then
    /// the derived rows that have none. The two databases may order texts differently, so neither
    /// walk relies on the order of the other.
    pub(super) async fn compare(
        &self,
        tx: &mut Tx,
        live: Model,
        scratch: &Store,
        derived: Model,
        compared: &mut (dyn FnMut(u64) + Send),
        found: &mut Verification,
    ) -> Result<(), StoreError> {
        let mut scratch = Tx::read(scratch, derived.workspace).await?;
        let mut after: Option<Cells> = None;
        loop {
            let page = self.page(tx, live, after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            let others = self.same(&mut scratch, derived, &page).await?;
            for row in &page {
                self.compare_row(row, others.get(&self.key_of(row)), found);
            }
            compared(page.len() as u64);
            after = Some(last.clone());
        }
        after = None;
        loop {
            let page = self.page(&mut scratch, derived, after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            let others = self.same(tx, live, &page).await?;
            for row in page.iter().filter(|row| !others.contains_key(&self.key_of(row))) {
                let (table, row) = (self.name, self.name_of(row));
                let derived = Some("a row".to_owned());
                found.add(Difference::Row { table, row, column: None, stored: None, derived });
            }
            after = Some(last.clone());
        }
        Ok(())
    }

    fn compare_row(&self, stored: &Cells, derived: Option<&Cells>, found: &mut Verification) {
        let (table, row) = (self.name, self.name_of(stored));
        let Some(derived) = derived else {
            let stored = Some("a row".to_owned());
            return found.add(Difference::Row { table, row, column: None, stored, derived: None });
        };
        let columns =
            stored.0.keys().chain(derived.0.keys().filter(|key| !stored.0.contains_key(*key)));
        for column in columns {
            let (one, other) = (stored.0.get(column), derived.0.get(column));
            if one.map(Cell::plain) == other.map(Cell::plain) {
                continue;
            }
            let show = |cell: Option<&Cell>| cell.map_or_else(|| "nothing".to_owned(), Cell::show);
            let (stored, derived) = excerpts(&show(one), &show(other));
            found.add(Difference::Row {
                table,
                row: row.clone(),
                column: Some(column.clone()),
                stored: Some(stored),
                derived: Some(derived),
            });
        }
    }

    async fn page(
        &self,
        tx: &mut Tx,
        model: Model,
        after: Option<&Cells>,
    ) -> Result<Vec<Cells>, StoreError> {
        let mut statement = Statement::select(self.select, model);
        statement.push(self.only);
        if let Some(after) = after {
            statement.push(self.tuple).push(" > ");
            self.bind_key(&mut statement, after);
        }
        statement.push(self.order).bind(PAGE);
        statement.fetch(tx).await
    }

    /// The rows with the keys of these, by key.
    async fn same(
        &self,
        tx: &mut Tx,
        model: Model,
        rows: &[Cells],
    ) -> Result<HashMap<Vec<Cell>, Cells>, StoreError> {
        let mut statement = Statement::select(self.select, model);
        statement.push(self.only).push(self.tuple).push(" IN (VALUES ");
        for (place, row) in rows.iter().enumerate() {
            statement.push(if place == 0 { "" } else { ", " });
            self.bind_key(&mut statement, row);
        }
        statement.push(")");
        let found: Vec<Cells> = statement.fetch(tx).await?;
        Ok(found.into_iter().map(|row| (self.key_of(&row), row)).collect())
    }

    fn bind_key(&self, statement: &mut Statement, row: &Cells) {
        for (place, column) in self.key.iter().enumerate() {
            statement.push(if place == 0 { "(" } else { ", " });
            statement.bind(row.0.get(*column).map_or(Value::Integer(0), |cell| cell.bound(column)));
        }
        statement.push(")");
    }

    fn key_of(&self, row: &Cells) -> Vec<Cell> {
        self.key.iter().filter_map(|column| row.0.get(*column)).map(Cell::plain).collect()
    }

    fn name_of(&self, row: &Cells) -> String {
        let part = |column: &&str| {
            let shown = row.0.get(*column).map(|cell| match cell.bound(column) {
                Value::Uuid(id) => id.to_string(),
                _ => cell.show(),
            });
            format!("{column}={}", shown.unwrap_or_default())
        };
        self.key.iter().map(part).collect::<Vec<_>>().join(" ")
    }
}

/// A row: its columns by name, but for workspace and generation.
#[derive(Clone, Debug, PartialEq)]
struct Cells(BTreeMap<String, Cell>);

/// A value of either database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
}

impl Cell {
    /// The value in the form that both databases have: ids are bytes on one of them.
    fn plain(&self) -> Cell {
        match self {
            Cell::Uuid(id) => Cell::Bytes(id.as_bytes().to_vec()),
            other => other.clone(),
        }
    }

    /// The value as it is bound where `column` is compared with it, on either database.
    fn bound(&self, column: &str) -> Value {
        match self {
            Cell::Null => Value::Integer(0),
            Cell::Integer(value) => Value::Integer(*value),
            Cell::Text(value) => Value::Text(value.clone()),
            Cell::Uuid(id) => Value::Uuid(*id),
            Cell::Bytes(value) => match Uuid::from_slice(value) {
                Ok(id) if column == "run_id" => Value::Uuid(id),
                _ => Value::Bytes(value.clone()),
            },
        }
    }

    fn show(&self) -> String {
        match self {
            Cell::Null => "nothing".to_owned(),
            Cell::Integer(value) => value.to_string(),
            Cell::Text(value) => format!("{value:?}"),
            Cell::Bytes(value) => hex::encode(value),
            Cell::Uuid(id) => hex::encode(id.as_bytes()),
        }
    }
}

impl FromRow<'_, PgRow> for Cells {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let mut cells = BTreeMap::new();
        for column in row.columns() {
            let place = column.ordinal();
            let cell = match column.type_info().name() {
                "BOOL" => row
                    .try_get::<Option<bool>, _>(place)?
                    .map(|value| Cell::Integer(i64::from(value))),
                "INT2" => row
                    .try_get::<Option<i16>, _>(place)?
                    .map(|value| Cell::Integer(i64::from(value))),
                "INT8" => row.try_get::<Option<i64>, _>(place)?.map(Cell::Integer),
                "UUID" => row.try_get::<Option<Uuid>, _>(place)?.map(Cell::Uuid),
                "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Cell::Bytes),
                _ => row.try_get::<Option<String>, _>(place)?.map(Cell::Text),
            };
            cells.insert(column.name().to_owned(), cell.unwrap_or(Cell::Null));
        }
        Ok(Cells::without_model(cells))
    }
}

impl FromRow<'_, SqliteRow> for Cells {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let mut cells = BTreeMap::new();
        for column in row.columns() {
            let place = column.ordinal();
            let value = row.try_get_raw(place)?;
            let kind = value.type_info().name().to_owned();
            let cell = match kind.as_str() {
                _ if value.is_null() => Cell::Null,
                "INTEGER" => Cell::Integer(row.try_get_unchecked(place)?),
                "BLOB" => Cell::Bytes(row.try_get_unchecked(place)?),
                _ => Cell::Text(row.try_get_unchecked(place)?),
            };
            cells.insert(column.name().to_owned(), cell);
        }
        Ok(Cells::without_model(cells))
    }
}

impl Cells {
    fn without_model(mut cells: BTreeMap<String, Cell>) -> Cells {
        cells.remove("workspace_id");
        cells.remove("generation");
        Cells(cells)
    }
}

/// Two different values, cut to where they differ if they are long.
fn excerpts(one: &str, other: &str) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(SHOWN / 3);
    let cut = |text: &str| {
        let shown: String = text.chars().skip(from).take(SHOWN).collect();
        let before = if from > 0 { "…" } else { "" };
        let after = if text.chars().count() > from + SHOWN { "…" } else { "" };
        format!("{before}{shown}{after}")
    };
    (cut(one), cut(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shown_where_they_differ() {
        let (one, other) = ("a".repeat(500) + "x" + &"b".repeat(500), "a".repeat(500) + "y");
        let (one, other) = excerpts(&one, &other);
        assert!(one.starts_with("…a") && one.contains('x') && one.ends_with("b…"), "{one}");
        assert!(other.ends_with("ay") && other.len() < 100, "{other}");
        assert_eq!(excerpts("1", "2"), ("1".to_owned(), "2".to_owned()));
    }
}
