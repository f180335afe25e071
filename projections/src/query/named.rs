//! Runs that a text names by their id: by the whole of it, or by its end, as pages show it.

use uuid::Uuid;

use super::runs::{RunFilter, conditions};
use super::statement::Statement;
use crate::db::Tx;
use crate::tables::RunRow;
use crate::view::{Reading, ViewError};

/// Most runs that one end of an id names. Where a source numbers its runs so that more of them end alike,
/// the end is a text like any other.
const MOST: usize = 50;
/// Digits of an id that its end is found by: those after its last hyphen.
const DIGITS: usize = 12;

/// What a text says of an id.
enum Named {
    /// It is one.
    Whole(Uuid),
    /// It is the end of one: these digits, of which the last twelve are these bytes.
    End(String, [u8; DIGITS / 2]),
}

impl Named {
    fn of(text: &str) -> Option<Named> {
        let text = text.trim();
        if let Ok(id) = text.parse() {
            return Some(Named::Whole(id));
        }
        let digits = text.replace('-', "").to_lowercase();
        let mut end = [0; DIGITS / 2];
        let last = digits.get(digits.len().checked_sub(DIGITS)?..)?;
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        hex::decode_to_slice(last, &mut end).ok().filter(|()| all)?;
        Some(Named::End(digits, end))
    }
}

/// The runs that the text of a filter names and that fit the rest of it, the newest first; none where it
/// names none, or too many to be names.
pub(super) async fn named_runs(
    reading: &mut Reading,
    filter: &RunFilter,
) -> Result<Vec<RunRow>, ViewError> {
    let Some(named) = filter.text.as_deref().and_then(Named::of) else { return Ok(Vec::new()) };
    let mut statement = by_id(reading, &named);
    statement.seen("environment", &reading.sight);
    let rest = RunFilter { text: None, ..filter.clone() };
    for condition in conditions(reading, &rest) {
        condition.push(&mut statement);
    }
    // They are few, so they need no order in the database.
    statement.push(" LIMIT ").bind(i64::try_from(MOST + 1).unwrap_or(i64::MAX));
    let mut runs: Vec<RunRow> = statement.fetch(&mut reading.tx).await?;
    let looked = runs.len();
    if let Named::End(digits, _) = &named {
        runs.retain(|run| run.run_id.as_simple().to_string().ends_with(digits.as_str()));
    }
    runs.sort_by_key(|run| std::cmp::Reverse((run.dispatched_at, run.run_id)));
    Ok(if looked > MOST { Vec::new() } else { runs })
}

/// Each is one look into an index, in the words of its migration.
fn by_id(reading: &Reading, named: &Named) -> Statement {
    let (select, end) = match reading.tx {
        Tx::Postgres(_) => ("SELECT * FROM runs", " AND substr(uuid_send(run_id), 11) = "),
        Tx::Sqlite(_) => {
            ("SELECT * FROM runs INDEXED BY runs_by_id_end", " AND substr(run_id, 11) = ")
        }
    };
    match named {
        Named::Whole(id) => {
            let mut statement = Statement::select("SELECT * FROM runs", reading.model());
            statement.push(" AND run_id = ").bind(*id);
            statement
        }
        Named::End(_, bytes) => {
            let mut statement = Statement::select(select, reading.model());
            statement.push(end).bind(bytes.to_vec());
            statement
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_a_run_by_its_id_or_by_twelve_digits_of_its_end() {
        let end = |text| match Named::of(text) {
            Some(Named::End(digits, bytes)) => Some((digits, hex::encode(bytes))),
            _ => None,
        };
        let pair = |digits: &str, last: &str| Some((digits.to_owned(), last.to_owned()));
        assert_eq!(end(" F6600770249D "), pair("f6600770249d", "f6600770249d"));
        assert_eq!(end("9f2f-f6600770249d"), pair("9f2ff6600770249d", "f6600770249d"));
        for none in ["", "6600770249d", "f6600770249x", "xf6600770249d", "täglich-00000000"] {
            assert!(Named::of(none).is_none(), "{none}");
        }
        let whole = Named::of("01a201f1-2687-7100-9f2f-f6600770249d");
        assert!(matches!(whole, Some(Named::Whole(_))));
    }
}
