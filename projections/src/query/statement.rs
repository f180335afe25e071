//! A statement for both databases, put together from fixed pieces and bound values.

use runledger_ledger::store::StoreError;
use runledger_ledger::words::Name;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::watch;
use crate::db::{Tx, on_tx};
use crate::sight::Sight;
use crate::tables::Model;

/// A statement in the making. Its text is fixed pieces of this program only; everything else is
/// bound. Placeholders are `$1`, `$2`, …, which both databases take.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    sql: String,
    values: Vec<Value>,
}

/// A value that is bound.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Uuid(Uuid),
    Integer(i64),
    Small(i16),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row that either database can give.
pub(crate) trait Row:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{}

impl Statement {
    pub(crate) fn new(sql: &'static str) -> Self {
        Statement { sql: sql.to_owned(), values: Vec::new() }
    }

    /// `SELECT … FROM table`, up to where the rows of one model are meant and nothing else.
    pub(crate) fn select(sql: &'static str, model: Model) -> Self {
        let mut statement = Statement::new(sql);
        statement.scope("", model);
        statement
    }

    /// The rows of one model and nothing else. `alias` ends with a dot if there is one.
    pub(crate) fn scope(&mut self, alias: &'static str, model: Model) -> &mut Self {
        self.push(" WHERE ").push(alias).push("workspace_id = ").bind(model.workspace.0);
        self.push(" AND ").push(alias).push("generation = ").bind(model.generation)
    }

    /// Only what a reader sees. `column` holds the environment.
    pub(crate) fn seen(&mut self, column: &'static str, sight: &Sight) -> &mut Self {
        if let Some(environments) = &sight.environments {
            let names: Vec<&str> = environments.iter().map(Name::as_str).collect();
            self.push(" AND ").push(column).push(" IN ").list(&names);
        }
        self
    }

    pub(crate) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
        self
    }

    /// `(…, …)` of all `values`. The last one is repeated until there are a power of two of them,
    /// so that a few prepared statements serve every length.
    pub(crate) fn list<T: Clone + Into<Value>>(&mut self, values: &[T]) -> &mut Self {
        for (place, value) in padded(values).enumerate() {
            self.push(if place == 0 { "(" } else { ", " }).bind(value.clone());
        }
        self.push(if values.is_empty() { "(NULL)" } else { ")" })
    }

    /// An array of PostgreSQL of all ids, repeated like those of a list.
    pub(crate) fn array(&mut self, ids: &[Uuid]) -> &mut Self {
        self.push("ARRAY[");
        for (place, id) in padded(ids).enumerate() {
            self.push(if place == 0 { "" } else { ", " }).bind(*id);
        }
        self.push("]::uuid[]")
    }

    /// `(VALUES (…, …), …)` of all pairs, repeated like those of a list.
    pub(crate) fn pairs(&mut self, values: &[(String, String)]) -> &mut Self {
        for (place, (first, second)) in padded(values).enumerate() {
            self.push(if place == 0 { "(VALUES (" } else { ", (" });
            self.bind(first.clone()).push(", ").bind(second.clone()).push(")");
        }
        self.push(if values.is_empty() { "(VALUES ('', ''))" } else { ")" })
    }

    /// `(VALUES (…, …), …)` of streams and places in them, repeated like those of a list.
    pub(crate) fn places(&mut self, values: &[(Uuid, i64)]) -> &mut Self {
        for (place, (stream, sequence)) in padded(values).enumerate() {
            self.push(if place == 0 { "(VALUES (" } else { ", (" });
            self.bind(*stream).push(", ").bind(*sequence).push(")");
        }
        self.push(")")
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// All rows.
    pub(crate) async fn fetch<T: Row>(self, tx: &mut Tx) -> Result<Vec<T>, StoreError> {
        let is_watched = watch::note(&self, tx).await?;
        let rows = self.run(tx).await?;
        if is_watched {
            watch::gave(rows.len());
        }
        Ok(rows)
    }

    /// The plan that the database makes for it.
    pub(super) async fn plan(mut self, tx: &mut Tx) -> Result<Vec<String>, StoreError> {
        match tx {
            Tx::Postgres(_) => {
                self.sql.insert_str(0, "EXPLAIN ");
                let lines: Vec<(String,)> = self.run(tx).await?;
                Ok(lines.into_iter().map(|(line,)| line).collect())
            }
            Tx::Sqlite(_) => {
                self.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
                let lines: Vec<(i64, i64, i64, String)> = self.run(tx).await?;
                Ok(lines.into_iter().map(|(_, _, _, line)| line).collect())
            }
        }
    }

    async fn run<T: Row>(self, tx: &mut Tx) -> Result<Vec<T>, StoreError> {
        let Statement { sql, values } = self;
        Ok(on_tx!(tx, |connection| {
            // Only `&'static str`s and placeholders are in it.
            let mut query = sqlx::query_as::<Db, T>(AssertSqlSafe(sql));
            for value in values {
                query = match value {
                    Value::Uuid(value) => query.bind(value),
                    Value::Integer(value) => query.bind(value),
                    Value::Small(value) => query.bind(value),
                    Value::Text(value) => query.bind(value),
                    Value::Bytes(value) => query.bind(value),
                };
            }
            query.fetch_all(connection).await?
        }))
    }
}

fn padded<T>(values: &[T]) -> impl Iterator<Item = &T> {
    let length = if values.is_empty() { 0 } else { values.len().next_power_of_two() };
    values.iter().chain(values.last().into_iter().cycle()).take(length)
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Value {
                Value::$variant(value.into())
            }
        })+
    };
}

value_from! {
    Uuid => Uuid,
    i64 => Integer,
    i16 => Small,
    String => Text,
    &str => Text,
    Vec<u8> => Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_of_few_lengths_and_names_nothing_else() {
        let mut statement = Statement::new("x IN ");
        statement.list(&[1i64, 2, 3]);
        assert_eq!(statement.sql, "x IN ($1, $2, $3, $4)");
        let last = statement.values.last();
        assert!(matches!(last, Some(Value::Integer(3))), "{last:?}");
        let mut empty = Statement::new("x IN ");
        empty.list::<i64>(&[]);
        assert_eq!(empty.sql, "x IN (NULL)");
    }

    #[test]
    fn pairs_are_rows_of_two() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let mut statement = Statement::new("");
        statement.pairs(&[pair("a", "b"), pair("c", "d")]);
        assert_eq!(statement.sql, "(VALUES ($1, $2), ($3, $4))");
    }
}
