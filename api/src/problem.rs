//! What goes wrong, said in one shape: `application/problem+json` (RFC 9457) with a stable `code`.
//!
//! An [`ApiError`] tells its caller what happened, to what, and what to do next. What lies behind
//! a failure of the server itself is for the log: the boundary writes it there, once, under an
//! opaque id that the caller is given.

mod from;
mod parameter;

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use from::unknown_workspace;
pub(crate) use parameter::{Parameter, Takes};

use crate::ingest::BodyError;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// The member of a problem that says which methods a path takes.
const ALLOW: &str = "allow";
/// The member of a problem that says after how many seconds to try again.
const AFTER: &str = "retry_after";
/// Seconds after which an overloaded server is worth another try.
const RETRY_AFTER: &str = "1";

/// A problem as it is sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI of the kind of problem: the `code` as a URN.
    #[serde(rename = "type")]
    #[schema(example = "urn:runledger:problem:unknown_run")]
    pub kind: String,
    /// The kind of problem in words.
    #[schema(example = "Unknown run")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What happened this time, and what to do.
    pub detail: String,
    /// The id under which the server's log tells more, where the failure is the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The kind of problem as a stable word for programs.
    #[schema(value_type = String, example = "unknown_run")]
    pub code: &'static str,
    /// The problems one by one, where there can be several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Flaw>,
    /// What else there is to say, by kind of problem.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub more: Map<String, Value>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Flaw {
    /// What is wrong, and what to do.
    pub detail: String,
    /// Where in the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// On which line of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// Why a request was not answered as asked.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<Flaw>,
    more: Map<String, Value>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    parameter: Option<Box<Parameter>>,
}

/// What a handler answers.
pub type ApiResult<T> = Result<T, ApiError>;

/// Stands beside a response whose problem is the server's, for the boundary to log.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) cause: Arc<dyn Error + Send + Sync>,
    problem: Problem,
}

/// Stands beside every refusal, for whoever says it in another way than as a problem.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The kind of problem.
    pub(crate) code: &'static str,
    /// What happened this time.
    pub(crate) detail: String,
    /// The parameter that it is about, if it is about one.
    pub(crate) parameter: Option<Box<Parameter>>,
}

impl ApiError {
    /// A problem of the kind `code`.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (detail, more) = (detail.into(), Map::new());
        ApiError { status, code, detail, errors: Vec::new(), more, cause: None, parameter: None }
    }

    /// The same of a parameter that goes by another name here.
    #[must_use]
    pub(crate) fn said_of(mut self, name: &str, here: &str) -> Self {
        self.detail = self.detail.replace(name, here).into();
        self
    }

    /// There is nothing of that name, or nothing that the caller may know of: the same answer.
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// The server is at fault; `cause` is for its log alone.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = "the server failed; its log says why, under the id in `instance`";
        let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        error.caused_by(cause)
    }

    /// The answer of last resort, for a status that something else than a handler gave.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => (
                "no_such_route",
                "there is nothing at this path; GET /openapi.json lists all paths",
            ),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "this path takes other methods; `Allow` lists them")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_encoding", "send the body as it is, or compressed with gzip")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                return BodyError::TooLarge.into();
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                ("timeout", "the request took too long, and its fate is not known; send it again")
            }
            status if status.is_server_error() => ("internal", "the server failed"),
            _ => ("bad_request", "the request cannot be understood"),
        };
        ApiError::new(status, code, detail)
    }

    /// The same, with what lies behind it, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// The same of a path that takes these methods.
    #[must_use]
    pub(crate) fn allowing(self, methods: String) -> Self {
        self.with(ALLOW, methods.into())
    }

    /// The same of what may be tried again after so many seconds.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        self.with(AFTER, seconds.into())
    }

    /// The same, with all that is wrong, one by one.
    #[must_use]
    pub fn with_errors(mut self, errors: impl IntoIterator<Item = Flaw>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// The same, with one more member.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: Value) -> Self {
        self.more.insert(member.to_owned(), value);
        self
    }

    /// The same, where it is known which parameter it is about.
    #[must_use]
    pub(crate) fn about(mut self, parameter: Parameter) -> Self {
        self.parameter = Some(Box::new(parameter));
        self
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable word.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What happened, and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn problem(self) -> Problem {
        Problem {
            kind: format!("urn:runledger:problem:{}", self.code),
            title: title(self.code),
            status: self.status.as_u16(),
            detail: self.detail.into_owned(),
            instance: None,
            code: self.code,
            errors: self.errors,
            more: self.more,
        }
    }
}

/// `unknown_run` in words: "Unknown run".
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let cause = self.cause.take();
        let allow = self.more.get(ALLOW).and_then(Value::as_str);
        let allow = allow.and_then(|allow| HeaderValue::from_str(allow).ok());
        let after = self.more.get(AFTER).and_then(Value::as_u64);
        let parameter = self.parameter.take();
        let problem = self.problem();
        let mut response = problem.response();
        let refused = Refused { code: problem.code, detail: problem.detail.clone(), parameter };
        response.extensions_mut().insert(refused);
        if let Some(after) = after {
            response.headers_mut().insert(header::RETRY_AFTER, after.into());
        }
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if let Some(cause) = cause {
            response.extensions_mut().insert(Failure { cause, problem });
        }
        response
    }
}

impl Problem {
    fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        // A problem is made of texts and numbers, which always have a JSON form.
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl Failure {
    /// The response again, with the id that the log knows the failure by and what stands beside it.
    pub(crate) fn response_as(mut self, id: &str, mut response: Response) -> Response {
        self.problem.instance = Some(format!("urn:uuid:{id}"));
        let (parts, body) = self.problem.response().into_parts();
        *response.body_mut() = body;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(parts.headers);
        response
    }
}

/// The problems that any route may answer with, for `/openapi.json`.
pub struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses()
    -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder, ResponsesBuilder};
        let statuses = [
            ("400", "The request cannot be read."),
            ("401", "There is no bearer token, or none that is taken."),
            ("403", "The role of whoever asks is not enough."),
            ("404", "There is no such thing, or none that the token may see."),
            ("409", "It contradicts what is recorded."),
            (
                "410",
                "It needs bodies that are in an archive which the server cannot read; the problem says where it was put.",
            ),
            ("413", "The body, or an event in it, is too large."),
            ("415", "The body is in a form that is not taken."),
            ("422", "The request was read, and something in it is wrong."),
            ("429", "Too much at once; try again after `Retry-After`. Nothing was looked at."),
            ("500", "The server failed; its log says why."),
            ("503", "Too busy, or the database cannot be reached; try again after `Retry-After`."),
        ];
        let content =
            || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        statuses
            .into_iter()
            .fold(ResponsesBuilder::new(), |all, (status, description)| {
                let response = ResponseBuilder::new().description(description);
                all.response(status, response.content(MEDIA_TYPE, content()))
            })
            .build()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_every_member_of_the_standard() {
        let error = ApiError::not_found("unknown_run", "no run 7 is known here")
            .with("results", Value::from(vec![1]));
        let json = serde_json::to_value(error.problem()).unwrap();
        let expected = serde_json::json!({
            "type": "urn:runledger:problem:unknown_run",
            "title": "Unknown run",
            "status": 404,
            "detail": "no run 7 is known here",
            "code": "unknown_run",
            "results": [1],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_lies_behind_a_failure_is_not_sent() {
        let error = ApiError::internal("password=hunter2");
        assert!(!serde_json::to_string(&error.problem()).unwrap().contains("hunter2"));
    }
}
