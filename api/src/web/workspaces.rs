//! All workspaces of whoever looks, side by side: what needs a person in each, and how each log is.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Html;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Outcome, WorkspaceId};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::activity::Activity;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::queue::QueueVerdict;
use runledger_projections::texts::Phrase;
use runledger_projections::{
    AsOf, Counts, Left, OldestItem, RecentRuns, Sight, StaleRun, View, ViewError, WorkspaceStanding,
};

use super::chart::{self, Chart};
use super::door;
use super::fault::{Page, html};
use super::follow_ups::LEFT;
use super::preferences::Preferences;
use super::shell::{self, Shell};
use super::words;
use crate::access::Access;
use crate::app::App;
use crate::extract::Query;
use crate::problem::{ApiError, ApiResult, Parameter, Takes};
use crate::when::{self, Said};

/// Most workspaces whose past is looked at together: each may cost a replay of its log, and no more
/// are kept for the next question.
const MOST_PAST: usize = 6;
/// Most workspaces of which somebody sees some environments that are looked at together: each is asked by
/// itself, because what is kept of whole workspaces is not what they may know.
pub(super) const MOST_NARROWED: usize = 20;

/// A workspace among others.
#[derive(Default)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) standing: WorkspaceStanding,
    /// Events in its log, and how many of them the read models do not hold yet.
    pub(super) events: Option<(u64, u64)>,
    /// Whether its read models do not go on.
    pub(super) parked: bool,
    /// Why its log takes no more events.
    pub(super) halted: Option<String>,
    /// What left the list of late, by what closed it.
    pub(super) left: Left,
    /// How many runs were dispatched of late, and whether there may be more.
    pub(super) dispatched: (u64, bool),
    /// Its queues by verdict, the loudest first.
    pub(super) queues: Vec<(QueueVerdict, u64)>,
    /// The message that says why nothing is told of it.
    pub(super) untold: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "workspaces.html")]
pub(super) struct WorkspacesPage {
    pub(super) shell: Shell,
    pub(super) lines: Vec<Line>,
    /// All of them together.
    pub(super) sum: Counts,
    /// From when on it is told what happened of late.
    pub(super) since: Moment,
    pub(super) chart: Chart,
    /// The oldest things to do, each with its workspace; of now alone.
    pub(super) oldest: Vec<(String, OldestItem)>,
    /// The runs that have been overdue for longest, each with its workspace; of now alone.
    pub(super) stale: Vec<(String, StaleRun)>,
}

impl Line {
    /// Since when the oldest thing to do waits.
    pub(super) fn oldest(&self) -> Option<Moment> {
        let waiting = self.standing.counts.follow_ups();
        waiting.into_iter().filter_map(|(_, counts)| counts.oldest).min()
    }

    /// Takes in what `view` shows of it.
    async fn read(&mut self, view: &View, since: Moment, late: &mut Late) -> Result<(), ViewError> {
        let environments = view.environments().await?;
        self.standing.counts = Counts::sum(environments.iter().map(|one| &one.counts));
        self.left = view.left_since(None, since).await?;
        let mut queues = BTreeMap::new();
        for queue in view.queues().await? {
            *queues.entry(queue.truth.verdict).or_insert(0) += 1;
        }
        self.queues = loudest(queues);
        let recent = view.recent_runs(None, since, chart::BAR).await?;
        let dispatched = recent.runs.iter().map(|kind| kind.runs).sum();
        self.dispatched = (dispatched, recent.scanned_to.is_some());
        late.recent.runs.extend(recent.runs);
        late.recent.scanned_to = late.recent.scanned_to.max(recent.scanned_to);
        Ok(())
    }

    /// How many runs left the list of late.
    pub(super) fn left(&self) -> u64 {
        self.left.runs.values().sum()
    }
}

impl WorkspacesPage {
    /// How many runs left the list of late, in all of them.
    pub(super) fn left_in_all(&self) -> u64 {
        self.lines.iter().map(Line::left).sum()
    }

    /// What left the list of late in all of them, by what closed it, and whether there is more.
    pub(super) fn left(&self) -> ([(Actionability, u64); 3], bool) {
        let of = |status| {
            let of = |line: &Line| line.left.runs.get(&status).copied().unwrap_or_default();
            (status, self.lines.iter().map(of).sum())
        };
        (LEFT.map(of), self.lines.iter().any(|line| line.left.more))
    }

    /// The runs that have not ended, in all of them.
    pub(super) fn activity(&self) -> Activity {
        let each = self.lines.iter().map(|line| line.standing.activity());
        each.fold(Activity::default(), |sum, one| Activity {
            fresh: sum.fresh + one.fresh,
            stale: sum.stale + one.stale,
            unknown: sum.unknown + one.unknown,
        })
    }

    /// Whether something is told of each that was there, and one was.
    pub(super) fn is_told(&self) -> bool {
        self.untold() == 0 && self.lines.iter().any(|line| line.untold.is_none())
    }

    /// Whether nothing at all is told: of a moment before every one of them.
    pub(super) fn is_before_all(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.untold == Some(NOT_THERE))
    }

    /// How many of them nothing is told of, though they may have been there.
    pub(super) fn untold(&self) -> usize {
        let untold = |line: &&Line| line.untold.is_some_and(|why| why != NOT_THERE);
        self.lines.iter().filter(untold).count()
    }
}

/// What is said of a workspace that was made later.
const NOT_THERE: &str = "workspaces-not-there";

pub(super) async fn page(State(app): State<App>, request: Request) -> Page<Html<String>> {
    let (parts, _) = request.into_parts();
    let who = (door::viewer(&parts)?, door::access(&parts)?);
    let preferences = Preferences::of(&parts.headers);
    let query: Vec<(String, String)> =
        Query::read_part(&shell::filled(parts.uri.query().unwrap_or_default()), &[])?;
    let as_of = moment(&query)?;
    let now = app.ledger().now();
    let mut shell = Shell::of_all(preferences, as_of.unwrap_or(now), who, &parts.uri);
    shell.as_of = query.first().map(|(_, as_of)| as_of.clone());
    shell.query = query;
    html(&all(&app, shell, as_of).await?)
}

/// The moment that is asked about. What is asked for and not done must not look done, so there is no
/// other parameter.
fn moment(query: &[(String, String)]) -> ApiResult<Option<Moment>> {
    let refused = |detail| Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail));
    match query {
        [] => Ok(None),
        [(name, as_of)] if name == "as_of" => match when::as_of(Some(as_of))? {
            Said::AsOf(AsOf::Moment(moment)) => Ok(Some(moment)),
            _ => refused(
                "`as_of` must be a time here: each workspace counts the positions of its own log",
            ),
        },
        _ => {
            let other = query.iter().find(|(name, _)| name != "as_of");
            let (name, takes) = match other {
                Some((name, _)) => (name.clone(), Takes::Unknown(vec!["as_of".to_owned()])),
                None => ("as_of".to_owned(), Takes::Once),
            };
            let given = other.map(|(_, given)| given.clone());
            Err(Parameter { name, given, takes }.refuse(
                "all workspaces are shown together, so this page takes a time (`as_of`) and nothing \
                 else; open one of them for a filter",
            ))
        }
    }
}

/// A workspace of which some environments are in sight.
pub(super) type InPart = (WorkspaceId, String, Sight);

/// The workspaces that somebody sees as a whole, and those of which they see some environments.
pub(super) fn in_sight(
    access: &Access,
    workspaces: Vec<(WorkspaceId, String)>,
) -> (Vec<(WorkspaceId, String)>, Vec<InPart>) {
    let (mut whole, mut in_part) = (Vec::new(), Vec::new());
    for (id, name) in workspaces {
        match access.sight_of(&name) {
            Some(sight) if sight.is_narrowed() => in_part.push((id, name, sight)),
            Some(_) => whole.push((id, name)),
            None => {}
        }
    }
    (whole, in_part)
}

async fn all(app: &App, shell: Shell, as_of: Option<Moment>) -> Page<WorkspacesPage> {
    let workspaces = app.ledger().store().workspaces().await.map_err(ApiError::from)?;
    let (whole, narrowed) = in_sight(&shell.access, workspaces);
    let since = chart::since(shell.at);
    let (mut lines, mut late) = match as_of {
        None => now(app, whole, since).await?,
        Some(moment) => then(app, whole, moment, since).await?,
    };
    lines.extend(in_part(app, narrowed, as_of, since, &mut late).await?);
    // What needs a person comes first.
    lines.sort_by_key(|line| {
        let counts = &line.standing.counts;
        (std::cmp::Reverse((counts.follow_up_items, counts.active_stale)), line.name.clone())
    });
    let sum = Counts::sum(lines.iter().map(|line| &line.standing.counts));
    let chart = Chart { leads: false, ..Chart::of(&late.recent, since) };
    let Late { oldest, stale, .. } = late;
    Ok(WorkspacesPage { shell, lines, sum, since, chart, oldest, stale })
}

/// What happened of late in all of them together.
#[derive(Default)]
struct Late {
    recent: RecentRuns,
    oldest: Vec<(String, OldestItem)>,
    stale: Vec<(String, StaleRun)>,
}

/// Queues by verdict, the loudest first.
fn loudest(queues: BTreeMap<QueueVerdict, u64>) -> Vec<(QueueVerdict, u64)> {
    let mut queues: Vec<(QueueVerdict, u64)> = queues.into_iter().collect();
    queues.sort_by_key(|(verdict, _)| std::cmp::Reverse(words::queue_severity(*verdict)));
    queues
}

/// All of them as they are now: as many statements for many as for one.
async fn now(
    app: &App,
    workspaces: Vec<(WorkspaceId, String)>,
    since: Moment,
) -> Page<(Vec<Line>, Late)> {
    let ids: Vec<_> = workspaces.iter().map(|(id, _)| *id).collect();
    let mut standings = app.projections().at_a_glance(&ids).await.map_err(ApiError::from)?;
    let of_late = app.projections().of_late(&ids, since, chart::BAR).await;
    let mut of_late = of_late.map_err(ApiError::from)?;
    let names: HashMap<_, _> = workspaces.iter().cloned().collect();
    let name = |id: &WorkspaceId| names.get(id).cloned().unwrap_or_default();
    let late = Late {
        recent: std::mem::take(&mut of_late.recent),
        oldest: of_late.oldest.drain(..).map(|one| (name(&one.workspace), one)).collect(),
        stale: of_late.stale.drain(..).map(|one| (name(&one.workspace), one)).collect(),
    };
    let lags = app.projections().lags().await.map_err(ApiError::from)?;
    let mut lags: HashMap<_, _> = lags.into_iter().map(|lag| (lag.workspace, lag)).collect();
    let lines = workspaces.into_iter().map(|(id, name)| {
        let lag = lags.remove(&id);
        Line {
            name,
            standing: standings.remove(&id).unwrap_or_default(),
            events: lag.as_ref().map(|lag| (lag.size, lag.size.saturating_sub(lag.position))),
            parked: lag.is_some_and(|lag| lag.failure.is_some()),
            halted: app.ledger().halted(id).map(|why| why.to_string()),
            left: of_late.left.remove(&id).unwrap_or_default(),
            dispatched: of_late.dispatched.remove(&id).unwrap_or_default(),
            queues: loudest(of_late.queues.remove(&id).unwrap_or_default()),
            untold: None,
        }
    });
    Ok((lines.collect(), late))
}

/// Those of which some environments are in sight, by what is. Of the past each is asked where it is opened.
async fn in_part(
    app: &App,
    workspaces: Vec<InPart>,
    as_of: Option<Moment>,
    since: Moment,
    late: &mut Late,
) -> Page<Vec<Line>> {
    let mut lines = Vec::new();
    for (place, (id, name, sight)) in workspaces.into_iter().enumerate() {
        let mut line = Line { name, ..Line::default() };
        match as_of {
            Some(_) => line.untold = Some("workspaces-not-asked"),
            None if place >= MOST_NARROWED => line.untold = Some("workspaces-too-many"),
            None => {
                let view = when::view(app, id, &sight, None, None).await?;
                line.read(&view, since, late).await?;
            }
        }
        lines.push(line);
    }
    Ok(lines)
}

/// The first of them as they were then, one after the other: the past of each is put together from
/// its own log. One that takes long goes on by itself, and those after it wait for the next look.
async fn then(
    app: &App,
    workspaces: Vec<(WorkspaceId, String)>,
    moment: Moment,
    since: Moment,
) -> Page<(Vec<Line>, Late)> {
    let (mut lines, mut preparing) = (Vec::new(), false);
    let mut late = Late::default();
    for (place, (id, name)) in workspaces.into_iter().enumerate() {
        let mut line = Line { name, ..Line::default() };
        if place >= MOST_PAST {
            line.untold = Some("workspaces-not-asked");
        } else if preparing {
            line.untold = Some("workspaces-preparing");
        } else {
            match app.projections().view(id, AsOf::Moment(moment)).await {
                Ok(view) if view.position() == 0 => line.untold = Some(NOT_THERE),
                Ok(view) => {
                    line.read(&view, since, &mut late).await?;
                    line.events = Some((view.position(), 0));
                }
                Err(ViewError::Preparing { .. }) => {
                    preparing = true;
                    line.untold = Some("workspaces-preparing");
                }
                Err(error) => return Err(error.into()),
            }
        }
        lines.push(line);
    }
    Ok((lines, late))
}
