//! Lists in the order of an index: page by page, and never through more than a window of rows,
//! whatever the filter.

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use uuid::Uuid;

use super::page::{ListHash, Page, PageRequest, Place};
use super::statement::{Row, Statement, Value};
use crate::db::Tx;
use crate::tables::Model;
use crate::view::{Reading, ViewError};

/// Rows that are looked at for one page when a filter applies that the list's index does not
/// serve: a few, which are enough for a filter that keeps one in twenty, and then the rest of
/// 6,000, which are most: to look through more texts takes longer than a page may (specs/0008).
const WINDOWS: [i64; 2] = [1_000, 5_000];

/// A list: the rows of a table that `driving` names and `residual` keeps, in the order of `index`.
#[derive(Debug)]
pub(crate) struct Scan {
    /// What is selected, up to and with the table.
    pub(crate) select: &'static str,
    /// Time and id of every entry of the list, selected, up to and with the table.
    pub(crate) select_place: &'static str,
    /// The index that serves order and driving conditions. SQLite is told; PostgreSQL finds it.
    pub(crate) index: &'static str,
    /// The columns of the order.
    pub(crate) order: Order,
    /// Conditions that the index serves; the literal ones are those of a partial index.
    pub(crate) driving: Vec<Condition>,
    /// Conditions that it does not.
    pub(crate) residual: Vec<Condition>,
    /// From this time on, microseconds.
    pub(crate) since: Option<i64>,
    /// Before this time, microseconds.
    pub(crate) until: Option<i64>,
}

/// The two columns of an order, in the forms in which statements need them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) time: &'static str,
    pub(crate) pair: &'static str,
    /// Both, each with its direction.
    pub(crate) by: &'static str,
    /// Whether the oldest comes first.
    pub(crate) ascending: bool,
}

/// How many rows a list has, as far as was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// So many were counted.
    pub rows: u64,
    /// Whether there may be more.
    pub more: bool,
}

impl Counted {
    /// Most rows that are counted.
    pub const MOST: u64 = 5_000;

    /// So many, and no more.
    pub const fn exactly(rows: u64) -> Self {
        Counted { rows, more: false }
    }
}

/// Rows that are looked at to count those that a filter keeps which the list's index does not serve.
const COUNTED: i64 = 5_000;

/// `AND` something.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    before: &'static str,
    value: Option<Value>,
    after: &'static str,
}

impl Condition {
    /// A condition without a value.
    pub(crate) const fn literal(sql: &'static str) -> Self {
        Condition { before: sql, value: None, after: "" }
    }

    /// `sql` and then the value.
    pub(crate) fn with(sql: &'static str, value: impl Into<Value>) -> Self {
        Condition { before: sql, value: Some(value.into()), after: "" }
    }

    /// The same, and `sql` behind the value.
    pub(crate) fn then(self, sql: &'static str) -> Self {
        Condition { after: sql, ..self }
    }

    pub(crate) fn push(&self, statement: &mut Statement) {
        statement.push(" AND ").push(self.before);
        if let Some(value) = &self.value {
            statement.bind(value.clone());
        }
        statement.push(self.after);
    }
}

/// The id of a row in a list, 16 bytes in either form.
pub(crate) trait Id: Clone + Into<Value> {
    fn of(bytes: [u8; 16]) -> Self;
    fn bytes(&self) -> Result<[u8; 16], StoreError>;
}

impl Id for Uuid {
    fn of(bytes: [u8; 16]) -> Self {
        Uuid::from_bytes(bytes)
    }

    fn bytes(&self) -> Result<[u8; 16], StoreError> {
        Ok(*self.as_bytes())
    }
}

impl Id for Vec<u8> {
    fn of(bytes: [u8; 16]) -> Self {
        bytes.to_vec()
    }

    fn bytes(&self) -> Result<[u8; 16], StoreError> {
        let wrong = |_| StoreError::Corrupt(format!("a key of {} bytes was stored", self.len()));
        self.as_slice().try_into().map_err(wrong)
    }
}

/// A row with its place in its list.
pub(crate) trait Placed: Row {
    /// Its id.
    type Id: Id;

    /// Its time and its id.
    fn place(&self) -> (i64, Self::Id);
}

impl Scan {
    /// One page of the list. At most two statements a window, and without a filter that the index
    /// does not serve one statement in all.
    pub(crate) async fn page<T>(
        &self,
        reading: &mut Reading,
        list: &ListHash,
        request: &PageRequest,
    ) -> Result<Page<T>, ViewError>
    where
        T: Placed,
        (i64, T::Id): Row,
    {
        let limit = request.checked_limit()?;
        let mut begin = request.place(list)?.map(|place| (place.time, T::Id::of(place.id)));
        let (model, sight, tx) = (reading.model(), &reading.sight, &mut reading.tx);
        let mut items: Vec<T> = Vec::new();
        let mut end = None;
        for rows in WINDOWS {
            end = match self.residual.as_slice() {
                [] => None,
                // The end of a window may be a row that the reader does not see, and a cursor would
                // tell of it. So there is none, and the list is looked through as far as it must be.
                _ if sight.is_narrowed() => None,
                _ => self.window_end(tx, model, begin.as_ref(), rows).await?,
            };
            let mut statement = self.statement(self.select, tx, model, begin.as_ref());
            self.residual.iter().for_each(|condition| condition.push(&mut statement));
            statement.seen("environment", sight);
            if let Some((time, id)) = end.clone() {
                self.until(&mut statement, time, id);
            }
            statement.push(" ORDER BY ").push(self.order.by).push(" LIMIT ");
            statement.bind(i64::try_from(limit + 1 - items.len()).unwrap_or(i64::MAX));
            items.extend(statement.fetch::<T>(tx).await?);
            if items.len() > limit || end.is_none() {
                break;
            }
            begin.clone_from(&end);
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let last = if more { items.last().map(T::place) } else { end.clone() };
        let next = last.map(|(time, id)| Ok(list.cursor(&Place { time, id: id.bytes()? })));
        let next = next.transpose().map_err(|error: StoreError| ViewError::from(error))?;
        let scanned_to = end.filter(|_| !more).map(|(time, _)| Moment::from_micros(time));
        Ok(Page { items, next, scanned_to })
    }

    /// How many rows the list has: at most [`Counted::MOST`] are counted, and those that a filter
    /// keeps which the index does not serve, in a window. `select` begins a count of the list's table.
    pub(crate) async fn count<I: Id>(
        &self,
        reading: &mut Reading,
        select: &'static str,
    ) -> Result<Counted, StoreError>
    where
        (i64, I): Row,
    {
        let (model, sight, tx) = (reading.model(), &reading.sight, &mut reading.tx);
        let end: Option<(i64, I)> = match self.residual.as_slice() {
            [] => None,
            // As with pages: nobody is told how much there is that they do not see.
            _ if sight.is_narrowed() => None,
            _ => self.window_end(tx, model, None, COUNTED).await?,
        };
        let mut statement = self.statement::<I>(select, tx, model, None);
        self.residual.iter().for_each(|condition| condition.push(&mut statement));
        statement.seen("environment", sight);
        let cut = end.is_some();
        if let Some((time, id)) = end {
            self.until(&mut statement, time, id);
        }
        statement.push(" ORDER BY ").push(self.order.by).push(" LIMIT ");
        statement.bind(i64::try_from(Counted::MOST + 1).unwrap_or(i64::MAX)).push(") AS counted");
        let rows: Vec<(i64,)> = statement.fetch(tx).await?;
        let rows = rows.first().map_or(0, |(rows,)| u64::try_from(*rows).unwrap_or_default());
        Ok(Counted { rows: rows.min(Counted::MOST), more: cut || rows > Counted::MOST })
    }

    /// No further than this place.
    fn until<I: Id>(&self, statement: &mut Statement, time: i64, id: I) {
        let is = if self.order.ascending { " <= (" } else { " >= (" };
        statement.push(" AND ").push(self.order.pair).push(is);
        statement.bind(time).push(", ").bind(id).push(")");
    }

    /// The place of the last row of a window of `rows`; none if the list ends before.
    async fn window_end<I: Id>(
        &self,
        tx: &mut Tx,
        model: Model,
        begin: Option<&(i64, I)>,
        rows: i64,
    ) -> Result<Option<(i64, I)>, StoreError>
    where
        (i64, I): Row,
    {
        let mut statement = self.statement(self.select_place, tx, model, begin);
        statement.push(" ORDER BY ").push(self.order.by).push(" LIMIT 1 OFFSET ");
        statement.bind(rows - 1);
        Ok(statement.fetch(tx).await?.pop())
    }

    fn statement<I: Id>(
        &self,
        select: &'static str,
        tx: &Tx,
        model: Model,
        begin: Option<&(i64, I)>,
    ) -> Statement {
        let mut statement = Statement::new(select);
        if let Tx::Sqlite(_) = tx {
            // Without statistics it might take the index of a condition that keeps most rows.
            statement.push(" INDEXED BY ").push(self.index);
        }
        statement.scope("", model);
        self.driving.iter().for_each(|condition| condition.push(&mut statement));
        if let Some(since) = self.since {
            statement.push(" AND ").push(self.order.time).push(" >= ").bind(since);
        }
        match (begin, self.until) {
            // What comes after a page is older than it, so it is before `until` too. Lists that
            // begin with the oldest have none.
            (Some((time, id)), _) => {
                let is = if self.order.ascending { " > (" } else { " < (" };
                statement.push(" AND ").push(self.order.pair).push(is);
                statement.bind(*time).push(", ").bind(id.clone()).push(")");
            }
            (None, Some(until)) => {
                statement.push(" AND ").push(self.order.time).push(" < ").bind(until);
            }
            (None, None) => {}
        }
        statement
    }
}
