//! What is done by the forms of a run: a person's word, and a question to its adapter.

use axum::extract::{Form, FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use runledger_ledger::run::{FollowUpAction, FollowUpCommand};
use runledger_ledger::words::{Name, Note, RunId, WorkspaceId};
use runledger_projections::Sight;
use serde::Deserialize;

use super::door;
use super::fault::{Fault, Page, html};
use super::run::{RunPage, RunPath, RunQuery, run_page, unknown};
use super::shell::Asked;
use super::sign_in::own_path;
use crate::access::Access;
use crate::app::App;
use crate::following_up::{self, Said};
use crate::problem::{ApiError, ApiResult, Parameter, Takes};
use crate::when;

/// What every form of a run carries.
trait Carries {
    /// Which session it was made for.
    fn form_token(&self) -> &str;
}

/// A person's word, as the form gives it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    #[serde(default)]
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
    #[serde(default)]
    form_token: String,
    /// Show what would be decided, and record nothing.
    dry_run: bool,
}

impl Carries for Question {
    fn form_token(&self) -> &str {
        &self.form_token
    }
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
    /// What is wrong; nothing, if it was written before somebody had to sign in again.
    pub(super) wrong: Option<Wrong>,
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
    let Form(form) = form.map_err(|error| unfit(&error.body_text()))?;
    match viewer.made(form.form_token()) {
        true => Ok((asked, form)),
        false => Err(Fault::foreign()),
    }
}

/// A form that is none of this page, as the reader of forms says it: which field is wrong.
fn unfit(said: &str) -> ApiError {
    let mut quoted = said.split('`').skip(1).step_by(2).map(str::to_owned);
    let refuse =
        |detail: String| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
    let Some(name) = quoted.next() else {
        return refuse("the form has a field that it should not have, or one twice".to_owned());
    };
    let others: Vec<String> = quoted.collect();
    let (detail, parameter) = if said.contains("missing field") {
        let detail = format!("the form lacks the field `{name}`");
        (detail, Parameter { name, given: None, takes: Takes::Text })
    } else if said.contains("unknown field") {
        let detail = format!("the form has a field `{name}`, which it should not have");
        (detail, Parameter { name, given: None, takes: Takes::Unknown(others) })
    } else if said.contains("duplicate field") {
        let detail = format!("the form has the field `{name}` twice");
        (detail, Parameter { name, given: None, takes: Takes::Once })
    } else {
        // The first word is what was given, of a field that takes one of the others.
        let field = said.split(": ").nth(1).unwrap_or_default().to_owned();
        let detail = format!("the field `{field}` of the form cannot be `{name}`");
        (detail, Parameter { name: field, given: Some(name), takes: Takes::Words(others) })
    };
    refuse(detail).about(parameter)
}

async fn speak(app: &App, asked: Asked<RunQuery>, run: RunId, word: Word) -> Page<Response> {
    let access = asked.shell.access.clone();
    let command = match said(&access, word.action, &word.reason, &word.note) {
        Ok(command) => command,
        Err(wrong) => {
            let page = run_page(app, asked, run).await?;
            let (action, reason, note) = (word.action.as_str().to_owned(), word.reason, word.note);
            let word = Some(Mistaken { action, reason, note, wrong: Some(wrong) });
            let page = html(&RunPage { word, ..page })?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    match following_up::say(app, &access, asked.workspace, run, command).await? {
        Said::NotOffered(reason) => {
            // The run as it is now, which says who has done what.
            let page = run_page(app, asked, run).await?;
            let page = html(&RunPage { not_offered: Some(reason), ..page })?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
        Said::Decided(result) => {
            if let Some(problem) = result.problem {
                return Err(ApiError::new(problem.status, problem.code, problem.detail).into());
            }
            there(app, asked.workspace, result.position).await?;
            Ok(Redirect::to(own_path(&word.next)).into_response())
        }
    }
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
    let by = access.actor().id.clone();
    Ok(FollowUpCommand { action, by, note, reason, unless_resolved: true })
}

/// Waits until the read models hold what was recorded, so that the next page shows it.
pub(super) async fn there(
    app: &App,
    workspace: WorkspaceId,
    position: Option<u64>,
) -> ApiResult<()> {
    match position {
        Some(position) => {
            let all = Sight::default();
            when::view(app, workspace, &all, None, Some(position)).await.map(|_| ())
        }
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
