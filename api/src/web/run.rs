//! A run: both truths side by side, the why of each verdict, its life to scale, and what a person
//! may do.

use askama::Template;
use axum::extract::{Form, FromRequestParts, Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_ledger::event::Stream;
use runledger_ledger::run::{FollowUpAction, FollowUpCommand, RunCommand};
use runledger_ledger::store::{Kept, StoreError};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::{Name, Note, RunId, WorkspaceId};
use runledger_projections::rules::actionability::Proof;
use runledger_projections::rules::actions::ActionKey;
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{PageRequest, ProjectionError, RunFilter, Timeline as Told, ViewError};
use serde::Deserialize;

use super::door;
use super::fault::{Fault, Page, html};
use super::log::EventView;
use super::preferences::Preferences;
use super::session::Viewer;
use super::shell::{Asked, Shell};
use super::sign_in::own_path;
use super::timeline::{Timeline, Truth};
use super::words;
use crate::access::Access;
use crate::app::App;
use crate::policy::Action;
use crate::problem::{ApiError, ApiResult};
use crate::question::NameOrNone;
use crate::reconciler::Preview;
use crate::unseen::without_unseen;
use crate::when;

/// Most events that the page shows; the API has the rest.
const EVENTS: u32 = 500;
/// Most runs of the same scope that it shows.
const SCOPE: u16 = 24;

/// The environment goes along to other pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RunQuery {
    #[serde(rename = "environment")]
    _environment: Option<NameOrNone>,
}

/// The run that the path names.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RunPath {
    workspace: String,
    run: RunId,
}

/// A person's word, as the form gives it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    form_token: String,
    action: FollowUpAction,
    reason: String,
    note: String,
    next: String,
}

/// A question to the adapter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    form_token: String,
    /// Show what would be decided, and record nothing.
    dry_run: bool,
}

#[derive(Template)]
#[template(path = "run.html")]
pub(super) struct RunPage {
    pub(super) shell: Shell,
    pub(super) run: Standing,
    pub(super) progress: Option<String>,
    pub(super) timeline: Timeline,
    pub(super) events: Vec<EventView>,
    /// Whether something of it is in an archive that cannot be read.
    pub(super) archived: bool,
    /// Runs of the same operation on the same subject in the same environment.
    pub(super) scope: Vec<Standing>,
    pub(super) preview: Option<Preview>,
}

pub(super) async fn page(
    State(app): State<App>,
    Path(RunPath { run, .. }): Path<RunPath>,
    asked: Asked<RunQuery>,
) -> Page<Html<String>> {
    let language = asked.shell.preferences.language;
    let page = run_page(&app, asked, run).await;
    html(&page.map_err(|fault| fault.in_language(language))?)
}

async fn run_page(app: &App, asked: Asked<RunQuery>, id: RunId) -> Page<RunPage> {
    let Asked { mut shell, view, workspace, .. } = asked;
    let unknown = || ApiError::not_found("unknown_run", format!("no run {id} is known here"));
    let run = view.run(id).await?.ok_or_else(unknown)?;
    let store = app.ledger().store();
    let stored = match shell.may(Action::ReadEvents) {
        true => {
            let all = store.stream_as_kept(workspace, Stream::run(id), 0, EVENTS).await;
            let told = store.told(workspace, all.map_err(ApiError::from)?).await;
            let told = told.map_err(ApiError::from)?.into_iter();
            let (all, archived): (Vec<_>, Vec<_>) =
                told.map(|Kept { event, archived }| (event, archived)).unzip();
            let seen = without_unseen(&view, all).await?.into_iter().zip(archived);
            seen.map(|(event, archived)| Kept { event, archived }).collect()
        }
        false => Vec::new(),
    };
    let events = stored.iter().filter(|kept| kept.event.position < view.position());
    let events = events.map(EventView::of).collect::<ApiResult<Vec<_>>>()?;
    let recorded = &run.recorded;
    let filter = RunFilter {
        operation: Some(recorded.operation.clone()),
        environment: Some(recorded.environment.as_ref().map_or(String::new(), ToString::to_string)),
        subject: recorded.subject.clone(),
        ..RunFilter::default()
    };
    let scope = view.runs(&filter, &PageRequest::first(SCOPE)).await?.items;
    shell.relate(&view, scope.iter().chain([&run])).await?;
    let told = app.projections().timeline(workspace, id, view.position(), view.at()).await;
    let (told, archived) = match told {
        // What is derived stands in the read models; only its life cannot be told.
        Err(ViewError::Projection(ProjectionError::Store(StoreError::Archived(_)))) => {
            (Some(untold(id)), true)
        }
        told => (told?, false),
    };
    let told = view.sight().of_timeline(told.ok_or_else(unknown)?);
    shell.known.extend(Truth::runs(&told));
    let timeline = Timeline::of(&told, &run, &shell);
    shell
        .relate_things(&view, timeline.truths.iter().filter_map(|one| one.related.as_ref()))
        .await?;
    let progress = shell.texts().progress(&run.now.progress);
    Ok(RunPage { shell, run, progress, timeline, events, archived, scope, preview: None })
}

/// The life of a run of which nothing can be told.
const fn untold(run_id: RunId) -> Told {
    Told {
        run_id,
        recorded: Vec::new(),
        more_recorded: 0,
        freshness: Vec::new(),
        actionability: Vec::new(),
    }
}

/// Records a person's word, and shows the run when the read models hold it.
pub(super) async fn follow_up(
    State(app): State<App>,
    Path(RunPath { workspace: name, run }): Path<RunPath>,
    viewer: Viewer,
    access: Access,
    headers: HeaderMap,
    Form(word): Form<Word>,
) -> Page<Response> {
    let language = Preferences::of(&headers).language;
    if !viewer.made(&word.form_token) {
        return Err(Fault::foreign(&headers));
    }
    let done = speak(&app, &access, &name, run, word).await;
    done.map_err(|fault| fault.in_language(language))
}

async fn speak(app: &App, access: &Access, name: &str, run: RunId, word: Word) -> Page<Response> {
    let workspace = crate::extract::workspace(app, name).await?;
    let command = said(access, word.action, &word.reason, &word.note)?;
    let command = Command::Run(run, RunCommand::FollowUp(command));
    let submission = Submission::new(command).by(access.actor().clone());
    let submission = submission.within(access.within());
    let result = app.submit_one(workspace, submission).await.map_err(ApiError::from)?;
    if let Some(problem) = result.problem {
        return Err(ApiError::new(problem.status, problem.code, problem.detail).into());
    }
    there(app, workspace, result.position).await?;
    Ok(Redirect::to(own_path(&word.next)).into_response())
}

/// A person's word with its reason.
pub(super) fn said(
    access: &Access,
    action: FollowUpAction,
    reason: &str,
    note: &str,
) -> ApiResult<FollowUpCommand> {
    let wrong = |error: String| {
        ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", error)
    };
    let reason = Name::new(reason.trim()).map_err(|error| wrong(format!("reason: {error}")))?;
    let note = Some(note.trim()).filter(|note| !note.is_empty()).map(Note::new).transpose();
    let note = note.map_err(|error| wrong(format!("note: {error}")))?;
    Ok(FollowUpCommand { action, by: access.actor().id.clone(), note, reason })
}

/// Waits until the read models hold what was recorded, so that the next page shows it.
pub(super) async fn there(
    app: &App,
    workspace: WorkspaceId,
    position: Option<u64>,
) -> ApiResult<()> {
    match position {
        Some(position) => when::view(app, workspace, None, Some(position)).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Asks the run's adapter: what it would decide, or a look at once.
pub(super) async fn ask(
    State(app): State<App>,
    Path(RunPath { run, .. }): Path<RunPath>,
    request: Request,
) -> Page<Response> {
    use axum::extract::FromRequest;
    let (mut parts, body) = request.into_parts();
    let asked = Asked::<RunQuery>::from_request_parts(&mut parts, &app).await?;
    let headers = parts.headers.clone();
    let viewer = door::viewer(&parts)?;
    let form = Form::<Question>::from_request(Request::from_parts(parts, body), &app).await;
    let Form(question) = form.map_err(|_| Fault::foreign(&headers))?;
    if !viewer.made(&question.form_token) {
        return Err(Fault::foreign(&headers));
    }
    let unknown = || ApiError::not_found("unknown_run", format!("no run {run} is known here"));
    if asked.view.run(run).await?.is_none() {
        return Err(unknown().into());
    }
    let language = asked.shell.preferences.language;
    let (workspace, name) = (asked.workspace, asked.shell.workspace.clone());
    let answered = async {
        if question.dry_run {
            let preview = app.reconciler().preview(workspace, &name, run).await;
            let preview = preview.map_err(ApiError::from)?;
            let view = asked.view.clone();
            let mut page = run_page(&app, asked, run).await?;
            let words = preview.adapters.iter().filter_map(|one| one.reconciliation.as_ref());
            let words = words.chain(&preview.would_record);
            let things = words.filter_map(|word| word.related.as_ref());
            page.shell.relate_things(&view, things).await?;
            return Ok(html(&RunPage { preview: Some(preview), ..page })?.into_response());
        }
        app.reconciler().ask(workspace, run).await.map_err(ApiError::from)?;
        Ok(Redirect::to(&asked.shell.run(run)).into_response())
    };
    answered.await.map_err(|fault: Fault| fault.in_language(language))
}
