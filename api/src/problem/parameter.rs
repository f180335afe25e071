//! A parameter of a page that cannot be taken, in parts, so that a person is told of it in their own
//! language: its name, what was given for it, and what it takes.

use axum::http::StatusCode;
use runledger_ledger::time::Moment;
use serde::de::DeserializeOwned;

use super::{ApiError, ApiResult};
use crate::extract::Query;

/// A parameter that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: String,
    /// What was given; none if nothing was.
    pub(crate) given: Option<String>,
    /// What it takes.
    pub(crate) takes: Takes,
}

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// There is no such parameter; there are these.
    Unknown(Vec<String>),
    /// One of these words.
    Words(Vec<String>),
    /// A time, of `as_of` also a position of the log.
    Moment,
    /// A whole number, from 1 up to the second, if there is one.
    Number(Option<u64>),
    /// A moment after that of the parameter with this name.
    After(&'static str),
    /// A kind of thing and its id, with a slash between them.
    Subject,
    /// A text that is not empty, on one line, and not too long.
    Text,
    /// What it says once.
    Once,
}

impl Parameter {
    /// A refusal that says of what: the API's sentence, and its parts.
    pub(crate) fn refuse(self, detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail.into()).about(self)
    }

    /// Whether there is time between the two: else nothing can ever fit.
    pub(crate) fn in_order(since: Option<Moment>, until: Option<Moment>) -> ApiResult<()> {
        match (since, until) {
            (Some(since), Some(until)) if since >= until => {
                let (name, given) = ("until".to_owned(), Some(until.to_string()));
                let parameter = Parameter { name, given, takes: Takes::After("since") };
                Err(parameter.refuse("`until` must be later than `since`"))
            }
            _ => Ok(()),
        }
    }

    /// The first part of `query` that is no part of a `T`: `others` may stand beside it.
    pub(crate) fn wrong<T: DeserializeOwned>(query: &str, others: &[&str]) -> Option<Parameter> {
        let mut parts = query.split('&').filter(|part| !part.is_empty());
        let (error, part) = parts.find_map(|part| {
            Query::<T>::read_part(part, others).err().map(|error| (error, part))
        })?;
        let pairs: Vec<(String, String)> = Query::read_part(part, &[]).ok()?;
        let (name, given) = pairs.into_iter().next()?;
        let takes = takes(&name, error.detail());
        Some(Parameter { name, given: Some(given), takes })
    }

    /// The same of a query whose parts are fine, but not together: something is said twice.
    pub(crate) fn twice(query: &str) -> Option<Parameter> {
        let pairs: Vec<(String, String)> = Query::read_part(query, &[]).ok()?;
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(Parameter { name: twice[0].to_owned(), given: None, takes: Takes::Once })
    }
}

/// What a parameter takes, by its name and by what was said of it.
fn takes(name: &str, detail: &str) -> Takes {
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    if let Some((_, known)) = detail.split_once("there is no parameter") {
        let known = known.split_once(" here;").map_or("", |(_, known)| known);
        return Takes::Unknown(quoted(known));
    }
    if let Some((_, words)) = detail.split_once("expected") {
        let words: Vec<String> = quoted(words);
        if !words.is_empty() {
            return Takes::Words(words);
        }
    }
    let most = detail.split_once(" to ").and_then(|(_, most)| most.parse().ok());
    match name {
        "as_of" | "since" | "until" | "left_since" => Takes::Moment,
        "overdue" | "follow_up" => Takes::Words(vec!["true".to_owned(), "false".to_owned()]),
        "subject" => Takes::Subject,
        "limit" | "before" => Takes::Number(most),
        _ => Takes::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::runs::RunQuery;

    #[test]
    fn what_cannot_be_read_is_named_with_what_was_given_and_what_is_taken() {
        let wrong = |query| Parameter::wrong::<RunQuery>(query, &["as_of"]).unwrap();
        let of = wrong("text=a&status=sleeping");
        assert_eq!((of.name.as_str(), of.given.as_deref()), ("status", Some("sleeping")));
        let Takes::Words(words) = of.takes else { panic!("{of:?}") };
        assert_eq!(words, ["queued", "running", "completed"]);
        let of = wrong("colour=dark%20red&text=a");
        assert_eq!((of.name.as_str(), of.given.as_deref()), ("colour", Some("dark red")));
        let Takes::Unknown(known) = of.takes else { panic!("{of:?}") };
        assert!(known.contains(&"status".to_owned()) && known.contains(&"as_of".to_owned()));
        assert_eq!(wrong("since=soon").takes, Takes::Moment);
        assert_eq!(wrong("limit=0").takes, Takes::Number(Some(500)));
        assert_eq!(wrong("subject=tenant").takes, Takes::Subject);
        assert!(matches!(wrong("overdue=perhaps").takes, Takes::Words(words) if words.len() == 2));
        assert_eq!(Parameter::wrong::<RunQuery>("status=queued&status=running", &[]), None);
        assert_eq!(Parameter::twice("status=queued&status=running").unwrap().name, "status");
    }
}
