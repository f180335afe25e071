//! Rows on their way into a table, and lists of keys to look for: in the form in which each of the
//! databases takes many at a time.
//!
//! PostgreSQL takes a list as one value, so any number of rows is one statement that is prepared
//! once. SQLite takes values one by one, in statements of few lengths.

use runledger_ledger::store::{StoreError, pieces};
use sqlx::postgres::{PgHasArrayType, Postgres};
use sqlx::sqlite::Sqlite;
use sqlx::{AssertSqlSafe, Encode, QueryBuilder, Type};
use uuid::Uuid;

use super::{LIST, ROWS, Tx};
use crate::tables::Model;

/// Rows of one model that go into one table, column by column.
pub(crate) struct Rows<'a> {
    table: &'static str,
    model: Model,
    columns: Vec<(&'static str, Column<'a>)>,
}

/// The values of one column.
pub(crate) enum Column<'a> {
    Uuid(Vec<Option<Uuid>>),
    Text(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
    Integer(Vec<Option<i64>>),
    Small(Vec<Option<i16>>),
    Flag(Vec<Option<bool>>),
}

/// A value that a column may hold.
pub(crate) trait Cell<'a>: Sized {
    /// A column of them.
    fn column(cells: impl Iterator<Item = Self>) -> Column<'a>;
}

macro_rules! cells {
    ($($cell:ty => $variant:ident),+ $(,)?) => {
        $(impl<'a> Cell<'a> for $cell {
            fn column(cells: impl Iterator<Item = Self>) -> Column<'a> {
                Column::$variant(cells.map(Some).collect())
            }
        }
        impl<'a> Cell<'a> for Option<$cell> {
            fn column(cells: impl Iterator<Item = Self>) -> Column<'a> {
                Column::$variant(cells.collect())
            }
        })+
    };
}
cells!(Uuid => Uuid, &'a str => Text, &'a [u8] => Bytes, i64 => Integer, i16 => Small, bool => Flag);

/// Does the same with the values of a column, whatever they are.
macro_rules! on_column {
    ($column:expr, |$values:ident| $body:expr) => {
        match $column {
            Column::Uuid($values) => $body,
            Column::Text($values) => $body,
            Column::Bytes($values) => $body,
            Column::Integer($values) => $body,
            Column::Small($values) => $body,
            Column::Flag($values) => $body,
        }
    };
}

impl Column<'_> {
    fn len(&self) -> usize {
        on_column!(self, |values| values.len())
    }

    const fn postgres_type(&self) -> &'static str {
        match self {
            Column::Uuid(_) => "::uuid[]",
            Column::Text(_) => "::text[]",
            Column::Bytes(_) => "::bytea[]",
            Column::Integer(_) => "::bigint[]",
            Column::Small(_) => "::smallint[]",
            Column::Flag(_) => "::boolean[]",
        }
    }
}

impl<'a> Rows<'a> {
    /// Rows of `model` for `table`.
    pub(crate) const fn of(table: &'static str, model: Model) -> Self {
        Rows { table, model, columns: Vec::new() }
    }

    /// One more column. Every column has a value for every row.
    pub(crate) fn with<C: Cell<'a>>(
        mut self,
        name: &'static str,
        cells: impl Iterator<Item = C>,
    ) -> Self {
        self.columns.push((name, C::column(cells)));
        self
    }

    /// Writes them; `conflict` says what becomes of rows that are there already.
    pub(crate) async fn write(self, tx: &mut Tx, conflict: &'static str) -> Result<(), StoreError> {
        let count = self.columns.first().map_or(0, |(_, column)| column.len());
        if count == 0 {
            return Ok(());
        }
        match tx {
            Tx::Postgres(tx) => self.write_lists(tx, conflict).await,
            Tx::Sqlite(tx) => self.write_values(tx, conflict, count).await,
        }
    }

    fn head(&self) -> String {
        let mut sql = format!("INSERT INTO {} (workspace_id, generation", self.table);
        for (name, _) in &self.columns {
            sql.push_str(", ");
            sql.push_str(name);
        }
        sql.push_str(") ");
        sql
    }

    async fn write_lists(
        self,
        tx: &mut sqlx::Transaction<'static, Postgres>,
        conflict: &'static str,
    ) -> Result<(), StoreError> {
        let mut sql = self.head();
        sql.push_str("SELECT $1::uuid, $2::bigint, cells.* FROM UNNEST(");
        for (place, (_, column)) in self.columns.iter().enumerate() {
            let separator = if place == 0 { "$" } else { ", $" };
            sql.push_str(separator);
            sql.push_str(&(place + 3).to_string());
            sql.push_str(column.postgres_type());
        }
        sql.push_str(") AS cells");
        sql.push_str(conflict);
        // Only names of tables and columns, `&'static str`s of this program, are in it.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        query = query.bind(self.model.workspace.0).bind(self.model.generation);
        for (_, column) in self.columns {
            query = on_column!(column, |values| query.bind(values));
        }
        query.execute(&mut **tx).await?;
        Ok(())
    }

    async fn write_values(
        self,
        tx: &mut sqlx::Transaction<'static, Sqlite>,
        conflict: &'static str,
        count: usize,
    ) -> Result<(), StoreError> {
        let head = self.head();
        let places: Vec<usize> = (0..count).collect();
        for piece in pieces(&places, ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(head.as_str());
            query.push_values(piece, |mut row, place| {
                row.push_bind(self.model.workspace.0).push_bind(self.model.generation);
                for (_, column) in &self.columns {
                    on_column!(column, |values| row
                        .push_bind(values.get(*place).copied().flatten()));
                }
            });
            query.push(conflict);
            query.build().execute(&mut **tx).await?;
        }
        Ok(())
    }
}

/// A key that rows are looked for by.
pub(crate) trait Key:
    Clone
    + Type<Postgres>
    + PgHasArrayType
    + for<'q> Encode<'q, Postgres>
    + Type<Sqlite>
    + for<'q> Encode<'q, Sqlite>
{
}

impl Key for Uuid {}
impl Key for Vec<u8> {}
impl Key for String {}

/// The rows of a model that are looked for by a key.
#[derive(Clone, Copy)]
pub(crate) struct Sought {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) model: Model,
    /// `AND` what else is true of them, in the words of the index that finds them.
    pub(crate) only: &'static str,
}

/// How a database is asked for rows by many keys.
pub(crate) trait Keys: sqlx::Database {
    /// Pushes `WHERE` what is `sought` has one of `keys`, and what `more` pushes is true of it.
    fn push_where<K: Key>(
        query: &mut QueryBuilder<Self>,
        sought: Sought,
        keys: &[K],
        more: impl FnOnce(&mut QueryBuilder<Self>),
    );
}

impl Keys for Postgres {
    /// Each key is looked up by itself, in the index that has all of the conditions. Every index
    /// begins with the workspace, and a planner that has not counted the rows, or not those of a
    /// new workspace or generation, thinks that there are none: then it takes one index for as
    /// good as the other, reads the whole workspace, and compares each row with each key.
    fn push_where<K: Key>(
        query: &mut QueryBuilder<Self>,
        sought: Sought,
        keys: &[K],
        more: impl FnOnce(&mut QueryBuilder<Self>),
    ) {
        query.push(" WHERE ctid = ANY(ARRAY(SELECT hit.ctid FROM UNNEST(");
        query.push_bind(keys.to_vec()).push(") AS asked (key), LATERAL (SELECT ctid FROM ");
        query.push(sought.table).push(" WHERE workspace_id = ");
        query.push_bind(sought.model.workspace.0).push(" AND generation = ");
        query.push_bind(sought.model.generation).push(" AND ").push(sought.column);
        query.push(" = asked.key").push(sought.only);
        more(query);
        query.push(" OFFSET 0) AS hit))");
    }
}

impl Keys for Sqlite {
    fn push_where<K: Key>(
        query: &mut QueryBuilder<Self>,
        sought: Sought,
        keys: &[K],
        more: impl FnOnce(&mut QueryBuilder<Self>),
    ) {
        query.push(" WHERE workspace_id = ").push_bind(sought.model.workspace.0);
        query.push(" AND generation = ").push_bind(sought.model.generation);
        query.push(" AND ").push(sought.column).push(" IN (");
        let mut list = query.separated(", ");
        for key in keys {
            list.push_bind(key.clone());
        }
        query.push(")").push(sought.only);
        more(query);
    }
}

/// Keys of one statement on PostgreSQL at most.
const MOST: usize = 10_000;

impl Tx {
    /// `keys` in pieces, each of which is asked for in one statement.
    pub(crate) fn pieces<'k, K>(&self, keys: &'k [K]) -> Vec<&'k [K]> {
        match self {
            Tx::Postgres(_) => keys.chunks(MOST).collect(),
            Tx::Sqlite(_) => pieces(keys, LIST).collect(),
        }
    }
}
