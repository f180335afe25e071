//! Why there is no page, as a page: in the reader's words, with a way on.
//!
//! A handler says only what is wrong. The page is written at the boundary, where it is known who
//! reads it: a person with a browser is told in their language, a program gets the problem as it is.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_projections::ViewError;
use runledger_projections::texts::Language;

use super::links::encode;
use super::preferences::Preferences;
use super::shell::Shell;
use super::words::{self, Words};
use super::{assets, framing, refused, security};
use crate::app::App;
use crate::problem::{ApiError, Refused};

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
    /// What the API would say.
    Api(ApiError),
}

impl Fault {
    /// Nobody is signed in who sends these headers.
    pub(super) fn sign_in(headers: &HeaderMap, next: &str) -> Self {
        let by_itself = headers.contains_key("hx-request");
        Fault::SignIn { next: (!by_itself).then(|| next.to_owned()) }
    }

    /// Another site caused the request, or the form is of another session.
    pub(super) fn foreign() -> Self {
        let detail = "the form is of another session, or another site sent it";
        Fault::Api(ApiError::new(StatusCode::FORBIDDEN, "foreign_form", detail))
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Fault::Api(error)
    }
}

impl From<ViewError> for Fault {
    fn from(error: ViewError) -> Self {
        Fault::from(ApiError::from(error))
    }
}

/// Stands beside the answer of a page: it is a person who reads it.
#[derive(Clone, Copy)]
struct OfPage;

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = match self {
            Fault::SignIn { next: Some(next) } => {
                return Redirect::to(&format!("/sign-in?next={}", encode(&next))).into_response();
            }
            Fault::SignIn { next: None } => {
                ApiError::new(StatusCode::UNAUTHORIZED, "signed_out", "sign in").into_response()
            }
            Fault::Api(error) => error.into_response(),
        };
        response.extensions_mut().insert(OfPage);
        response
    }
}

/// Who reads an answer, as far as the request tells.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    preferences: Preferences,
    path: String,
    loopback: bool,
    /// Whether it asks for pages, at an address that is not the API's.
    asks_for_pages: bool,
}

/// What programs ask for, whatever they say that they take.
const OF_PROGRAMS: [&str; 7] =
    ["/v1/", "/api/", "/openapi.json", "/metrics", "/healthz", "/readyz", "/assets/"];

impl Reader {
    /// Whoever sends this request.
    pub(crate) fn of(request: &Request) -> Reader {
        let (path, headers) = (request.uri().path().to_owned(), request.headers());
        let takes = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let takes_pages = takes.flat_map(|text| text.split(',')).any(|one| {
            one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html")
        });
        let of_programs = OF_PROGRAMS.iter().any(|start| path.starts_with(start));
        Reader {
            preferences: Preferences::of(headers),
            loopback: security::is_loopback(headers),
            asks_for_pages: takes_pages && !of_programs,
            path,
        }
    }

    /// The answer for this reader: what refuses a person is a page.
    pub(crate) fn answer(&self, mut response: Response) -> Response {
        let refused = response.extensions_mut().remove::<Refused>();
        let of_page = response.extensions_mut().remove::<OfPage>().is_some();
        let (Some(refused), true) = (refused, of_page || self.asks_for_pages) else {
            return response;
        };
        let fault = Told::of(self, response.status(), &refused);
        let page = match response.extensions_mut().remove::<Framed>().as_ref() {
            None => FaultPage { fault }.render(),
            Some(Framed(shell)) if shell.workspace.is_empty() => {
                FaultOnServer { shell, fault }.render()
            }
            Some(Framed(shell)) => FaultInWorkspace { shell, fault }.render(),
        };
        // A page of texts alone always renders.
        let (parts, body) = Html(page.unwrap_or_default()).into_response().into_parts();
        *response.body_mut() = body;
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.extend(parts.headers);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        security::carry(headers, self.loopback);
        response
    }
}

/// Stands beside the refusal of a page: the frame that it is shown in.
#[derive(Clone)]
pub(super) struct Framed(pub(super) Arc<Shell>);

/// The answer where there is nothing. What only ends in a slash too many is led to what is meant.
pub(crate) async fn nothing_there(State(app): State<App>, request: Request) -> Response {
    let uri = request.uri();
    let meant = uri.path().trim_end_matches('/');
    if *request.method() == Method::GET && meant.starts_with("/w/") && meant != uri.path() {
        let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
        return Redirect::permanent(&format!("{meant}{query}")).into_response();
    }
    let for_a_person = Reader::of(&request).asks_for_pages;
    let (parts, _) = request.into_parts();
    let response = ApiError::of_status(StatusCode::NOT_FOUND).into_response();
    if for_a_person { framing::framed(&app, &parts, response).await } else { response }
}

/// Why there is no page, by itself.
#[derive(Template)]
#[template(path = "fault.html")]
pub(super) struct FaultPage {
    pub(super) fault: Told,
}

/// The same in the frame of a workspace.
#[derive(Template)]
#[template(path = "fault_in.html")]
pub(super) struct FaultInWorkspace<'a> {
    pub(super) shell: &'a Shell,
    pub(super) fault: Told,
}

/// The same in the frame of pages that are of no workspace.
#[derive(Template)]
#[template(path = "fault_on.html")]
pub(super) struct FaultOnServer<'a> {
    pub(super) shell: &'a Shell,
    pub(super) fault: Told,
}

/// What is told of it.
pub(super) struct Told {
    pub(super) w: &'static Words,
    pub(super) preferences: Preferences,
    pub(super) status: u16,
    pub(super) title: String,
    /// What happened, and what to do.
    pub(super) text: String,
    /// Which parameter it is about, and what that takes.
    pub(super) parameter: Vec<String>,
    /// What in the request it is about.
    pub(super) about: Option<String>,
    /// The same in the words of the API, for those who read its language.
    pub(super) said: Option<String>,
    /// Where to go on.
    pub(super) ways: Vec<Way>,
}

/// A way on.
pub(super) struct Way {
    pub(super) href: String,
    pub(super) label: String,
}

impl Told {
    fn of(reader: &Reader, status: StatusCode, refused: &Refused) -> Told {
        let w = Words::of(reader.preferences.language);
        let title = match (status, refused.code) {
            (_, "signed_out") => "fault-signed-out",
            (_, "foreign_form") => "fault-foreign",
            (StatusCode::NOT_FOUND, _) => "fault-not-found",
            (StatusCode::FORBIDDEN, _) => "fault-forbidden",
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _) => "fault-busy",
            (status, _) if status.is_server_error() => "fault-internal",
            _ => "fault-request",
        };
        let english = w.language() == Language::En && status.is_client_error();
        let exact = refused.code.starts_with("invalid_")
            || refused.code.starts_with("unknown_")
            || refused.code == "as_of_in_future"
            || status == StatusCode::TOO_MANY_REQUESTS;
        let parameter = refused.parameter.as_deref();
        let said =
            (english && exact && parameter.is_none()).then(|| refused::visible(&refused.detail));
        let exact = exact && parameter.is_none();
        Told {
            w,
            preferences: reader.preferences,
            status: status.as_u16(),
            title: w.say(title),
            text: w.say(text(status, refused.code)),
            parameter: parameter.map_or_else(Vec::new, |parameter| refused::lines(w, parameter)),
            about: about(refused.code, &refused.detail).filter(|_| exact && said.is_none()),
            said,
            ways: ways(w, &reader.path, refused.code),
        }
    }
}

/// What a problem is about: what it names between marks, or the run that it names. What is not known
/// stands between quotes, and what to do about it is a command.
fn about(code: &str, detail: &str) -> Option<String> {
    let marks = if code.starts_with("unknown_") { ['"', '`'] } else { ['`', '"'] };
    let marked = marks.iter().find_map(|mark| detail.split(*mark).nth(1));
    let run = || detail.strip_prefix("no run ")?.split(' ').next();
    marked.or_else(run).map(refused::visible)
}

/// The message that says what happened and what to do.
fn text(status: StatusCode, code: &str) -> &'static str {
    match code {
        "unknown_workspace" => "fault-unknown-workspace",
        "unknown_environment" => "fault-unknown-environment",
        "unknown_queue" => "fault-unknown-queue",
        "unknown_run" => "fault-unknown-run",
        "unknown_view" => "fault-unknown-view",
        "unknown_person" => "fault-unknown-person",
        "run_out_of_reach" => "fault-run-out-of-reach",
        "ambiguous_run" => "fault-ambiguous-run",
        "no_such_route" => "fault-no-such-route",
        "method_not_allowed" | "bad_request" => "fault-no-such-form",
        "foreign_form" => "fault-foreign-detail",
        "signed_out" => "fault-signed-out-detail",
        "forbidden" => "fault-forbidden-detail",
        "invalid_query" | "invalid_path" | "no_checkpoint" => "fault-invalid-query",
        "as_of_in_future" => "fault-future",
        "invalid_cursor" => "fault-invalid-cursor",
        "preparing" | "not_there_yet" => "fault-preparing",
        "too_many_views" => "fault-too-many-views",
        "view_of_another" => "fault-view-of-another",
        "invalid_body" => "fault-invalid-body",
        "no_adapter" => "fault-no-adapter",
        "adapter_idle" => "fault-adapter-idle",
        "log_forked" => "fault-halted",
        _ if status == StatusCode::NOT_FOUND => "fault-no-such-route",
        _ if status == StatusCode::TOO_MANY_REQUESTS => "fault-too-fast",
        _ if status == StatusCode::GONE => "fault-archived",
        _ if status == StatusCode::CONFLICT => "fault-conflict",
        _ if status.is_client_error() => "fault-invalid-body",
        _ if status == StatusCode::SERVICE_UNAVAILABLE => "fault-busy-detail",
        _ => "fault-internal-detail",
    }
}

/// The pages of a workspace, and what they are called.
const SECTIONS: [(&str, &str); 8] = [
    ("follow-ups", "nav-follow-ups"),
    ("runs", "nav-runs"),
    ("queues", "nav-queues"),
    ("operations", "nav-operations"),
    ("environments", "nav-environments"),
    ("adapters", "nav-adapters"),
    ("log", "nav-log"),
    ("views", "nav-runs"),
];

/// Where to go on from a path that leads nowhere: the list that it is of, its workspace, and home.
fn ways(w: &Words, path: &str, code: &str) -> Vec<Way> {
    let mut ways = Vec::new();
    let mut way = |href: String, label: String| ways.push(Way { href, label });
    let mut parts = path.split('/').skip(1);
    let workspace = (parts.next() == Some("w")).then(|| parts.next()).flatten();
    let workspace = workspace.filter(|name| !name.is_empty() && code != "unknown_workspace");
    if let Some(workspace) = workspace {
        let section = match code {
            "unknown_environment" => Some("environments"),
            "unknown_queue" => Some("queues"),
            _ => parts.next(),
        };
        let section = SECTIONS.iter().find(|(path, _)| section == Some(*path));
        if let Some((path, label)) = section {
            let path = if *path == "views" { "runs" } else { *path };
            way(format!("/w/{workspace}/{path}"), w.say(label));
        }
        way(format!("/w/{workspace}"), w.say_of("fault-workspace", workspace));
    }
    if path == "/w" || path.starts_with("/w/") {
        way("/w".to_owned(), w.say("workspaces-all"));
    }
    if path.starts_with("/people/") {
        way("/people".to_owned(), w.say("people-title"));
    }
    if workspace.is_none() {
        way("/".to_owned(), w.say("fault-home"));
    }
    ways
}

/// The page of a template.
pub(super) fn html(template: &impl Template) -> Page<Html<String>> {
    let rendered = template.render().map_err(ApiError::internal)?;
    Ok(Html(rendered))
}

#[cfg(test)]
impl FaultPage {
    /// A page to look at without a server.
    pub(super) fn sample(preferences: Preferences, status: u16, code: &'static str) -> FaultPage {
        let path = "/w/main/runs/7".to_owned();
        let reader = Reader { preferences, path, loopback: true, asks_for_pages: true };
        let detail = "`status` is <script>alert(1)</script>".to_owned();
        let refused = Refused { code, detail, parameter: None };
        let parameter = crate::problem::Parameter {
            name: "status".to_owned(),
            given: Some("<i>sleeping</i>".to_owned()),
            takes: crate::problem::Takes::Words(vec!["queued".to_owned()]),
        };
        let refused = match code {
            "invalid_query" => Refused { parameter: Some(Box::new(parameter)), ..refused },
            _ => refused,
        };
        FaultPage { fault: Told::of(&reader, StatusCode::from_u16(status).unwrap(), &refused) }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn reader(path: &str, accept: &str) -> Reader {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty());
        Reader::of(&request.unwrap())
    }

    #[test]
    fn a_browser_is_answered_with_a_page_and_a_program_with_the_problem() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let media_type = |path, accept| {
            let error = ApiError::not_found("unknown_run", "no run 7 is known here");
            let response = reader(path, accept).answer(error.into_response());
            response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned()
        };
        assert!(media_type("/w/main/runs/7", browser).starts_with("text/html"));
        for (path, accept) in [("/w/main/runs/7", "*/*"), ("/v1/workspaces", browser)] {
            assert_eq!(media_type(path, accept), "application/problem+json", "{path} {accept}");
        }
    }

    #[test]
    fn there_is_a_way_on_from_everywhere() {
        let of = |path, code| {
            let ways = ways(Words::of(Language::En), path, code).into_iter();
            ways.map(|way| way.href).collect::<Vec<_>>()
        };
        assert_eq!(of("/w/main/runs/x", "unknown_run"), ["/w/main/runs", "/w/main", "/w"]);
        assert_eq!(of("/w/main", "unknown_environment"), ["/w/main/environments", "/w/main", "/w"]);
        assert_eq!(of("/w/none", "unknown_workspace"), ["/w", "/"]);
        assert_eq!(of("/w", "invalid_query"), ["/w", "/"]);
        assert_eq!(of("/people/nobody", "unknown_person"), ["/people", "/"]);
        assert_eq!(of("/nope", "no_such_route"), ["/"]);
        let detail = "nobody is called \"eve\" here; `runledger users list` shows everybody";
        assert_eq!(about("unknown_person", detail).as_deref(), Some("eve"));
    }
}
