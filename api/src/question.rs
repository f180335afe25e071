//! What every read can be asked: as of which moment, after which write, in which language; and
//! what every read says of itself in its answer.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, WorkspaceId};
use runledger_projections::texts::Language;
use runledger_projections::{PageRequest, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::IntoParams;

use crate::access::{self, Access};
use crate::app::App;
use crate::extract::{Query, Workspace};
use crate::language;
use crate::problem::{ApiError, ApiResult};
use crate::when;

/// As of which moment, and in which language.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct When {
    /// As of this moment: an RFC 3339 time, a position of the log, or a checkpoint of it, by its size
    /// (`size:1200`) or its root in hexadecimal (`root:…`). Left out, it is now.
    as_of: Option<String>,
    /// Wait, at most 5 seconds, until the event at this position is in the answer.
    after: Option<u64>,
    /// The language of sentences for people, `en` or `de`; left out, `Accept-Language` says it.
    #[param(value_type = Option<String>)]
    lang: Option<Language>,
}

/// The members of [`When`], by the names that they have in a query.
const WHEN: [&str; 3] = ["as_of", "after", "lang"];

/// A read of the workspace that the path names: the view that answers it, and what else it asks.
/// Give `T` `#[serde(deny_unknown_fields)]`, so that nothing is overlooked.
#[derive(Clone, Debug)]
pub struct Question<T> {
    /// The read models as of the moment that is asked about.
    pub view: View,
    /// The rest of the query.
    pub asked: T,
    language: Language,
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Question<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (when, asked) = split(parts.uri.query().unwrap_or_default());
        let asked: T = read(&asked)?;
        let When { as_of, after, lang } = read(&when)?;
        let language = lang.unwrap_or_else(|| language::preferred(&parts.headers));
        let Workspace(workspace) = Workspace::from_request_parts(parts, app).await?;
        let access = access::of(parts)?;
        let view = when::view(app, workspace, access.sight(), as_of.as_deref(), after).await?;
        Ok(Question { view: view.in_language(language), asked, language })
    }
}

/// A read of the log itself, which no read model answers and which is never behind.
#[derive(Clone, Debug)]
pub struct LogQuestion<T> {
    /// The workspace that the path names.
    pub workspace: WorkspaceId,
    /// How many events count at the moment that is asked about.
    pub size: u64,
    /// That moment.
    pub at: Moment,
    /// Who asks.
    pub access: Access,
    /// The rest of the query.
    pub asked: T,
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for LogQuestion<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (when, asked) = split(parts.uri.query().unwrap_or_default());
        let asked: T = read(&asked)?;
        // There are no sentences in a log.
        let When { as_of, after, lang: _ } = read(&when)?;
        let Workspace(workspace) = Workspace::from_request_parts(parts, app).await?;
        let access = access::of(parts)?;
        let sight = access.sight();
        let (size, at) = when::size(app, workspace, sight, as_of.as_deref(), after).await?;
        Ok(LogQuestion { workspace, size, at, asked, access })
    }
}

/// The part of a query that every read takes, and the rest.
fn split(query: &str) -> (String, String) {
    let of_all = |pair: &&str| WHEN.contains(&pair.split('=').next().unwrap_or_default());
    let (when, asked): (Vec<&str>, Vec<&str>) = query.split('&').partition(of_all);
    (when.join("&"), asked.join("&"))
}

fn read<T: DeserializeOwned>(query: &str) -> ApiResult<T> {
    Query::read_part(query, &WHEN)
}

impl<T> Question<T> {
    /// The answer `what`, which the question's view gave.
    pub fn answer<A: Serialize>(&self, what: A) -> Answer<A> {
        self.answer_at(self.view.at(), what)
    }

    /// The same, where it is known which moment it is of.
    pub fn answer_at<A: Serialize>(&self, at: Moment, what: A) -> Answer<A> {
        Answer { at: Some(at.to_string()), ..self.dated_answer(what) }
    }

    /// The same, where the answer has the moment in it.
    pub fn dated_answer<A: Serialize>(&self, what: A) -> Answer<A> {
        // It counts what happened in the whole workspace.
        let position = match self.view.sight().is_narrowed() {
            true => None,
            false => self.view.position().checked_sub(1),
        };
        Answer { at: None, position, what, language: Some(self.language) }
    }
}

impl<T> LogQuestion<T> {
    /// The position of the last event that counts; none of an empty log.
    pub const fn position(&self) -> Option<u64> {
        self.size.checked_sub(1)
    }

    /// The answer `what`. There are no sentences in it.
    pub fn answer<A: Serialize>(&self, what: A) -> Answer<A> {
        let position = self.position().filter(|_| !self.access.sight().is_narrowed());
        Answer { at: Some(self.at.to_string()), position, what, language: None }
    }
}

/// An answer, with the moment that it is of and the last event that is known to be in it.
#[derive(Debug, Serialize)]
pub struct Answer<A> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    #[serde(flatten)]
    what: A,
    #[serde(skip)]
    language: Option<Language>,
}

impl<A: Serialize> IntoResponse for Answer<A> {
    fn into_response(self) -> Response {
        let Some(language) = self.language else { return axum::Json(self).into_response() };
        let headers = [
            (header::CONTENT_LANGUAGE, HeaderValue::from_static(language.as_str())),
            (header::VARY, HeaderValue::from_static("accept-language")),
        ];
        (headers, axum::Json(self)).into_response()
    }
}

/// A whole list.
#[derive(Debug, Serialize)]
pub struct Items<T> {
    /// What is on it.
    pub items: Vec<T>,
}

/// A name, or the empty text that stands for none.
#[derive(Clone, Debug)]
pub struct NameOrNone(pub String);

impl<'de> Deserialize<'de> for NameOrNone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.is_empty() {
            Name::new(&text).map_err(serde::de::Error::custom)?;
        }
        Ok(NameOrNone(text))
    }
}

/// How many at most: a whole number from 1 to `MOST`, as it stands in a query.
#[derive(Clone, Copy, Debug)]
pub struct Limit<const MOST: u64>(u64);

impl<const MOST: u64> Limit<MOST> {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const MOST: u64> Deserialize<'de> for Limit<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = String::deserialize(deserializer)?.parse().ok();
        read.filter(|number| (1..=MOST).contains(number)).map(Limit).ok_or_else(|| {
            let to = if MOST == u64::MAX { "on".to_owned() } else { format!("to {MOST}") };
            serde::de::Error::custom(format!("must be a whole number from 1 {to}"))
        })
    }
}

/// How long a page is that a list is asked for.
pub type PageLimit = Limit<{ PageRequest::MOST as u64 }>;

/// Which page.
pub fn page(limit: Option<PageLimit>, cursor: Option<String>) -> PageRequest {
    let usual = PageRequest::default();
    let limit = limit.and_then(|limit| limit.get().try_into().ok());
    PageRequest { limit: limit.unwrap_or(usual.limit), cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_read_takes_is_told_from_the_rest() {
        let split = |query| split(query);
        assert_eq!(split(""), (String::new(), String::new()));
        let (when, asked) = split("status=queued&as_of=7&text=as_of&after=2&after=3");
        assert_eq!(
            (when.as_str(), asked.as_str()),
            ("as_of=7&after=2&after=3", "status=queued&text=as_of")
        );
    }
}
