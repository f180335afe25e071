//! Watching questions: which statements they ran, and how the database answers each. For tests
//! that hold the cost of a question down, and for finding out why one is slow.

use std::cell::RefCell;

use runledger_ledger::store::StoreError;

use super::statement::Statement;
use crate::db::Tx;

tokio::task_local! {
    static WATCHED: RefCell<Vec<Watched>>;
}

/// A statement that a question ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its text.
    pub sql: String,
    /// The plan that the database made for it, line by line.
    pub plan: Vec<String>,
    /// How many rows it gave.
    pub rows: usize,
}

/// Does `questions`, and says which statements they ran. The one that finds the checkpoint of a
/// view, the same for every question, is not among them.
pub async fn watch<F: Future>(questions: F) -> (F::Output, Vec<Watched>) {
    let watched = async {
        let answer = questions.await;
        (answer, WATCHED.with(RefCell::take))
    };
    WATCHED.scope(RefCell::default(), watched).await
}

/// Notes a statement with its plan, if somebody watches. Says whether somebody does.
pub(super) async fn note(statement: &Statement, tx: &mut Tx) -> Result<bool, StoreError> {
    if WATCHED.try_with(|_| ()).is_err() {
        return Ok(false);
    }
    let plan = statement.clone().plan(tx).await?;
    let watched = Watched { sql: statement.sql().to_owned(), plan, rows: 0 };
    // Nobody watches any more: then nobody is told.
    Ok(WATCHED.try_with(|all| all.borrow_mut().push(watched)).is_ok())
}

/// Notes how many rows the last statement gave.
pub(super) fn gave(rows: usize) {
    let _ = WATCHED.try_with(|all| {
        if let Some(last) = all.borrow_mut().last_mut() {
            last.rows = rows;
        }
    });
}
