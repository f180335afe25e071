//! A run: both truths side by side, the why of each verdict, its life to scale, and what a person
//! may do.

use askama::Template;
use axum::extract::{Form, FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_ledger::event::Stream;
use runledger_ledger::run::{FollowUpAction, FollowUpCommand, RunCommand};
use runledger_ledger::store::{Kept, StoreError};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Note, RunId, WorkspaceId};
use runledger_projections::rules::actionability::Proof;
use runledger_projections::rules::actions::ActionKey;
use runledger_projections::rules::standing::Standing;
use runledger_projections::rules::why::{self, Becomes};
use runledger_projections::texts::Phrase;
use runledger_projections::{
    PageRequest, ProjectionError, RunFilter, Timeline as Told, ViewError, Why,
};
use serde::Deserialize;

use super::door;
use super::fault::{Fault, Page, html};
use super::log::EventView;
use super::said::Given;
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
    run: String,
}

impl RunPath {
    /// Its id. What is none names no run.
    fn id(&self) -> ApiResult<RunId> {
        self.run.parse().map_err(|_| unknown(&self.run))
    }
}

fn unknown(run: impl std::fmt::Display) -> ApiError {
    ApiError::not_found("unknown_run", format!("no run {run} is known here"))
}

/// What every form of this page carries.
trait Carries {
    /// Which session it was made for.
    fn form_token(&self) -> &str;
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

impl Carries for Word {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

/// A question to the adapter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    form_token: String,
    /// Show what would be decided, and record nothing.
    dry_run: bool,
}

impl Carries for Question {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

#[derive(Template)]
#[template(path = "run.html")]
pub(super) struct RunPage {
    pub(super) shell: Shell,
    pub(super) run: Standing,
    /// What decides on it.
    pub(super) why: Option<Why>,
    pub(super) progress: Option<String>,
    pub(super) timeline: Timeline,
    pub(super) events: Vec<EventView>,
    /// Whether something of it is in an archive that cannot be read.
    pub(super) archived: bool,
    /// Runs of the same operation on the same subject in the same environment.
    pub(super) scope: Vec<Standing>,
    pub(super) preview: Option<Preview>,
    /// A person's word that was not taken, to be mended.
    pub(super) word: Option<Mistaken>,
}

/// A person's word that was not taken: as it was given, and what is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Mistaken {
    /// What was to be done.
    pub(super) action: String,
    /// Why, as it was given.
    pub(super) reason: String,
    /// The note, as it was given.
    pub(super) note: String,
    /// What is wrong.
    pub(super) wrong: Wrong,
}

/// What is wrong with a person's word: one of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The reason is none, or too long.
    Reason,
    /// The note is too long.
    Note,
}

impl Wrong {
    /// The message that says what a person can do.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Wrong::Reason => "word-reason-wrong",
            Wrong::Note => "word-note-wrong",
        }
    }
}

impl RunPage {
    /// The row of the table of follow-ups that decided, and its stable word.
    pub(super) fn row(&self) -> &'static str {
        why::row(&self.run.now.actionability)
    }

    /// Since when what is true now is true.
    pub(super) fn since(&self) -> Option<Moment> {
        self.timeline.truths.last().map(|truth| truth.from)
    }

    /// The event that made it true, if one did.
    pub(super) fn made_by(&self) -> Option<u64> {
        self.timeline.truths.last()?.because.position
    }

    /// What time alone makes of it next.
    pub(super) fn becomes(&self, becomes: &Becomes) -> String {
        match becomes {
            Becomes::Stale(freshness) => self.shell.freshness(freshness),
            Becomes::GivenUp => self.shell.phrase(Phrase::GivenUp),
        }
    }

    /// A word on this run that was given before and not taken, for the form of this action.
    pub(super) fn given(&self, action: impl Given<ActionKey>) -> Option<&Mistaken> {
        self.word.as_ref().filter(|word| word.action == action.given().as_str())
    }
}

pub(super) async fn page(
    State(app): State<App>,
    Path(path): Path<RunPath>,
    asked: Asked<RunQuery>,
) -> Page<Html<String>> {
    html(&run_page(&app, asked, path.id()?).await?)
}

async fn run_page(app: &App, asked: Asked<RunQuery>, id: RunId) -> Page<RunPage> {
    let Asked { mut shell, view, workspace, .. } = asked;
    // A form may have been sent to a place below it.
    shell.stand_at(format!("/w/{}/runs/{id}", shell.workspace));
    let unknown = || unknown(id);
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
    for run in Truth::runs(&told) {
        shell.known.entry(run).or_default();
    }
    let timeline = Timeline::of(&told, &run, &shell);
    shell
        .relate_things(&view, timeline.truths.iter().filter_map(|one| one.related.as_ref()))
        .await?;
    let progress = shell.texts().progress(&run.now.progress);
    let why = view.why(id).await?;
    let (preview, word) = (None, None);
    Ok(RunPage { shell, run, why, progress, timeline, events, archived, scope, preview, word })
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
    Path(path): Path<RunPath>,
    request: Request,
) -> Page<Response> {
    let (asked, word) = formed::<Word>(&app, request).await?;
    speak(&app, asked, path.id()?, word).await
}

/// The page that a form is on, and the form. One that was made for another session is refused.
async fn formed<F>(app: &App, request: Request) -> Page<(Asked<RunQuery>, F)>
where
    F: serde::de::DeserializeOwned + Carries,
{
    use axum::extract::FromRequest;
    let (mut parts, body) = request.into_parts();
    let asked = Asked::<RunQuery>::from_request_parts(&mut parts, app).await?;
    let viewer = door::viewer(&parts)?;
    let form = Form::<F>::from_request(Request::from_parts(parts, body), app).await;
    let Form(form) = form.map_err(|_| {
        let detail = "the form lacks a field, or has one that it should not have";
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
    })?;
    match viewer.made(form.form_token()) {
        true => Ok((asked, form)),
        false => Err(Fault::foreign()),
    }
}

async fn speak(app: &App, asked: Asked<RunQuery>, run: RunId, word: Word) -> Page<Response> {
    let access = asked.shell.access.clone();
    let command = match said(&access, word.action, &word.reason, &word.note) {
        Ok(command) => command,
        Err(wrong) => {
            let page = run_page(app, asked, run).await?;
            let (action, reason, note) = (word.action.as_str().to_owned(), word.reason, word.note);
            let word = Some(Mistaken { action, reason, note, wrong });
            let page = html(&RunPage { word, ..page })?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let command = Command::Run(run, RunCommand::FollowUp(command));
    let submission = Submission::new(command).by(access.actor().clone());
    let submission = submission.within(access.within());
    let result = app.submit_one(asked.workspace, submission).await.map_err(ApiError::from)?;
    if let Some(problem) = result.problem {
        return Err(ApiError::new(problem.status, problem.code, problem.detail).into());
    }
    there(app, asked.workspace, result.position).await?;
    Ok(Redirect::to(own_path(&word.next)).into_response())
}

/// A person's word with its reason.
pub(super) fn said(
    access: &Access,
    action: FollowUpAction,
    reason: &str,
    note: &str,
) -> Result<FollowUpCommand, Wrong> {
    let reason = Name::new(reason.trim()).map_err(|_| Wrong::Reason)?;
    let note = Some(note.trim()).filter(|note| !note.is_empty()).map(Note::new).transpose();
    let note = note.map_err(|_| Wrong::Note)?;
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
    Path(path): Path<RunPath>,
    request: Request,
) -> Page<Response> {
    let (asked, question) = formed::<Question>(&app, request).await?;
    answer(&app, asked, path.id()?, question.dry_run).await
}

async fn answer(app: &App, asked: Asked<RunQuery>, run: RunId, dry: bool) -> Page<Response> {
    if asked.view.run(run).await?.is_none() {
        return Err(unknown(run).into());
    }
    let (workspace, name) = (asked.workspace, asked.shell.workspace.clone());
    if !dry {
        app.reconciler().ask(workspace, run).await.map_err(ApiError::from)?;
        return Ok(Redirect::to(&asked.shell.run(run)).into_response());
    }
    let preview = app.reconciler().preview(workspace, &name, run).await;
    let preview = preview.map_err(ApiError::from)?;
    let view = asked.view.clone();
    let mut page = run_page(app, asked, run).await?;
    let words = preview.adapters.iter().filter_map(|one| one.reconciliation.as_ref());
    let words = words.chain(&preview.would_record);
    let things = words.filter_map(|word| word.related.as_ref());
    page.shell.relate_things(&view, things).await?;
    Ok(html(&RunPage { preview: Some(preview), ..page })?.into_response())
}
