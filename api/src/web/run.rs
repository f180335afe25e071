//! A run: both truths side by side, the why of each verdict, its life to scale, and what a person
//! may do. What is done with its forms is in `acting`.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::event::Stream;
use runledger_ledger::store::{Kept, StoreError};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, Status};
use runledger_projections::rules::actionability::Proof;
use runledger_projections::rules::actions::{ActionKey, ActionReason};
use runledger_projections::rules::progress::ProgressView;
use runledger_projections::rules::standing::Standing;
use runledger_projections::rules::why::{self, Becomes};
use runledger_projections::texts::Phrase;
use runledger_projections::{
    PageRequest, ProjectionError, RunFilter, Timeline as Told, ViewError, Why,
};
use serde::Deserialize;

use super::acting::{Mistaken, Wrong};
use super::fault::{Page, html};
use super::log::EventView;
use super::said::Given;
use super::shell::{Asked, Shell};
use super::timeline::{Timeline, Truth};
use super::words;
use crate::app::App;
use crate::policy::Action;
use crate::problem::{ApiError, ApiResult};
use crate::question::NameOrNone;
use crate::reconciler::Preview;
use crate::unseen::without_unseen;
use crate::when;

/// Most events that the page shows, the last ones; the log has the rest.
const EVENTS: u32 = 16;
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
    pub(super) fn id(&self) -> ApiResult<RunId> {
        self.run.parse().map_err(|_| unknown(&self.run))
    }
}

pub(super) fn unknown(run: impl std::fmt::Display) -> ApiError {
    ApiError::not_found("unknown_run", format!("no run {run} is known here"))
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
    /// Why a person's word was not taken as it is.
    pub(super) not_offered: Option<ActionReason>,
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
) -> Page<Response> {
    let id = path.id()?;
    if asked.shell.as_of.is_some() && asked.view.run(id).await?.is_none() {
        return not_yet(&app, asked, id).await;
    }
    let mut page = run_page(&app, asked, id).await?;
    page.word = page.shell.kept().map(|kept| Mistaken {
        action: kept.action.clone(),
        reason: kept.reason.clone(),
        note: kept.note.clone(),
        wrong: None,
    });
    Ok(html(&page)?.into_response())
}

/// A run of which nothing had been recorded at the moment that is asked about.
#[derive(Template)]
#[template(path = "not_yet.html")]
pub(super) struct NotYetPage {
    pub(super) shell: Shell,
    /// As it is now.
    pub(super) run: Standing,
}

/// Says that a run was not there yet, if it is there now.
async fn not_yet(app: &App, asked: Asked<RunQuery>, id: RunId) -> Page<Response> {
    let Asked { shell, view, workspace, .. } = asked;
    let now = when::view(app, workspace, view.sight(), None, None).await?;
    let run = now.run(id).await?.ok_or_else(|| unknown(id))?;
    let page = html(&NotYetPage { shell, run })?;
    Ok((StatusCode::NOT_FOUND, page).into_response())
}

pub(super) async fn run_page(app: &App, asked: Asked<RunQuery>, id: RunId) -> Page<RunPage> {
    let Asked { mut shell, view, workspace, .. } = asked;
    // A form may have been sent to a place below it.
    shell.stand_at(format!("/w/{}/runs/{id}", shell.workspace));
    let unknown = || unknown(id);
    let run = view.run(id).await?.ok_or_else(unknown)?;
    let store = app.ledger().store();
    let stored = match shell.may(Action::ReadEvents) {
        true => {
            let before = u64::from(run.recorded.events.saturating_sub(EVENTS));
            let all = store.stream_as_kept(workspace, Stream::run(id), before, EVENTS).await;
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
    // What has ended goes on no more, and is said to be the last as well.
    let ended = run.recorded.completed_at.is_some();
    let progress = run.now.progress.clone();
    let last_reported = progress.last_reported || ended;
    let progress = shell.texts().progress(&ProgressView { last_reported, ..progress });
    let why = view.why(id).await?;
    Ok(RunPage {
        shell,
        run,
        why,
        progress,
        timeline,
        events,
        archived,
        scope,
        preview: None,
        word: None,
        not_offered: None,
    })
}

/// The life of a run of which nothing can be told.
const fn untold(run_id: RunId) -> Told {
    Told {
        run_id,
        recorded: Vec::new(),
        more_recorded: 0,
        freshness: Vec::new(),
        actionability: Vec::new(),
        queue: None,
    }
}
