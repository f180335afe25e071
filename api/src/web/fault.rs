//! Why there is no page, as a page.

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_projections::ViewError;
use runledger_projections::texts::Language;

use super::assets;
use super::preferences::Preferences;
use super::shell::encode;
use super::words::Words;
use crate::problem::{ApiError, Failure};

/// What a page answers.
pub(super) type Page<T> = Result<T, Fault>;

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody is signed in.
    SignIn {
        /// Where to go on afterwards; none if a page asked by itself.
        next: Option<String>,
    },
    /// Another site caused the request, or the form is of another session.
    Foreign(Language),
    /// What the API would say.
    Api(ApiError, Language),
}

impl Fault {
    /// Nobody is signed in who sends these headers.
    pub(super) fn sign_in(headers: &HeaderMap, next: &str) -> Self {
        let by_itself = headers.contains_key("hx-request");
        Fault::SignIn { next: (!by_itself).then(|| next.to_owned()) }
    }

    /// Another site caused the request.
    pub(super) fn foreign(headers: &HeaderMap) -> Self {
        Fault::Foreign(Preferences::of(headers).language)
    }

    /// The same, said in this language.
    #[must_use]
    pub(super) fn in_language(self, language: Language) -> Self {
        match self {
            Fault::Api(error, _) => Fault::Api(error, language),
            other => other,
        }
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Fault::Api(error, Language::En)
    }
}

impl From<ViewError> for Fault {
    fn from(error: ViewError) -> Self {
        Fault::from(ApiError::from(error))
    }
}

#[derive(Template)]
#[template(path = "fault.html")]
pub(super) struct FaultPage {
    pub(super) w: &'static Words,
    pub(super) status: u16,
    pub(super) title: String,
    pub(super) detail: String,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Fault::SignIn { next: Some(next) } => {
                Redirect::to(&format!("/sign-in?next={}", encode(&next))).into_response()
            }
            Fault::SignIn { next: None } => said(
                StatusCode::UNAUTHORIZED,
                Words::of(Language::En),
                "fault-signed-out",
                String::new(),
            ),
            Fault::Foreign(language) => {
                let w = Words::of(language);
                said(StatusCode::FORBIDDEN, w, "fault-foreign", w.say("fault-foreign-detail"))
            }
            Fault::Api(error, language) => of_api(error, Words::of(language)),
        }
    }
}

/// The problem as a page. A failure of the server goes on to the boundary, which logs it.
fn of_api(error: ApiError, w: &'static Words) -> Response {
    let (status, detail) = (error.status(), error.detail().to_owned());
    let title = match status {
        StatusCode::NOT_FOUND => "fault-not-found",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "fault-busy",
        status if status.is_server_error() => "fault-internal",
        _ => "fault-request",
    };
    let mut answer = error.into_response();
    let failure = answer.extensions_mut().remove::<Failure>();
    let later = answer.headers_mut().remove(header::RETRY_AFTER);
    let mut response = said(status, w, title, detail);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(later) = later {
        response.headers_mut().insert(header::RETRY_AFTER, later);
    }
    if let Some(failure) = failure {
        response.extensions_mut().insert(failure);
    }
    response
}

fn said(status: StatusCode, w: &'static Words, title: &str, detail: String) -> Response {
    let title = w.say(title);
    let page = FaultPage { w, status: status.as_u16(), title, detail };
    // A page of texts alone always renders.
    (status, Html(page.render().unwrap_or_default())).into_response()
}

/// The page of a template.
pub(super) fn html(template: &impl Template) -> Page<Html<String>> {
    let rendered = template.render().map_err(ApiError::internal)?;
    Ok(Html(rendered))
}
