//! What every page has: who looks, at which workspace and environment, as of when, and the frame
//! that says so.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
#[cfg(test)]
use axum::http::HeaderValue;
use axum::http::Uri;
#[cfg(test)]
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use runledger_ledger::access::Role;
use runledger_ledger::store::Person;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use runledger_projections::rules::activity::Activity;
#[cfg(test)]
use runledger_projections::texts::Language;
use runledger_projections::texts::Texts;
use runledger_projections::{Counts, EnvironmentStanding, View};
use serde::de::DeserializeOwned;

use super::along::Along;
use super::assets;
use super::door;
use super::fault::{Fault, Page};
use super::links::name;
use super::preferences::Preferences;
use super::session::Viewer;
use super::words::{self, Words};
use crate::access::Access;
use crate::app::App;
use crate::extract::{self, Query};
use crate::policy::Action;
use crate::problem::{ApiError, ApiResult, Parameter, Takes};
use crate::when;

/// A page of a workspace: what is asked for, and the view that answers.
pub(super) struct Asked<T> {
    /// The frame.
    pub(super) shell: Shell,
    /// The read models as of the moment that is asked about.
    pub(super) view: View,
    /// What else is asked.
    pub(super) asked: T,
    /// The workspace.
    pub(super) workspace: WorkspaceId,
}

/// The frame of a page.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) w: &'static Words,
    pub(super) preferences: Preferences,
    /// The moment that the page is of.
    pub(super) at: Moment,
    /// The moment that was asked for, as it was asked for; none is now.
    pub(super) as_of: Option<String>,
    pub(super) workspace: String,
    pub(super) workspaces: Vec<String>,
    /// The environment that is meant; none is all of them.
    pub(super) environment: Option<String>,
    pub(super) environments: Vec<EnvironmentStanding>,
    /// Events that the page is derived from.
    pub(super) position: u64,
    /// The runs of which it is known that they are there, and when each settled, as far as that was
    /// asked: what relates to them becomes a link.
    pub(super) known: BTreeMap<RunId, Option<Moment>>,
    /// When runs on this page left the list of what needs a person.
    pub(super) left: BTreeMap<RunId, Moment>,
    /// What forms carry.
    pub(super) form_token: String,
    /// Who looks, and what they may do.
    pub(super) access: Access,
    /// Path and query of this page.
    pub(super) here: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    /// What came along with the request beside its address.
    pub(super) along: Option<Along>,
    /// What is active in all workspaces of whoever looks, where the page is of none of them.
    pub(super) everywhere: Option<Activity>,
}

/// The parameters that every page takes.
const OF_ALL: [&str; 2] = ["as_of", "environment"];

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Page<Self> {
        asked(parts, app).await
    }
}

async fn asked<T: DeserializeOwned + Send>(parts: &mut Parts, app: &App) -> Page<Asked<T>> {
    let (viewer, access) = (door::viewer(parts)?, door::access(parts)?);
    let preferences = Preferences::of(&parts.headers);
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let (path, here) = (uri.path().to_owned(), uri.to_string());
    let filled = filled(uri.query().unwrap_or_default());
    let query: Vec<(String, String)> = Query::read_part(&filled, &[])?;
    let along = Along::of(parts);
    let one =
        |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let rest: Vec<&str> = filled.split('&').filter(|pair| name(pair) != "as_of").collect();
    let asked: T = read(&rest.join("&"))?;
    let (as_of, environment) = (one("as_of"), one("environment"));
    let (workspace, id) = workspace(parts, app).await?;
    let view = when::view(app, id, access.sight(), as_of.as_deref(), None).await;
    let view = view.map_err(|error| of_moment(error, as_of.as_deref()))?;
    let view = view.in_language(preferences.language);
    let workspaces = app.ledger().store().workspaces().await.map_err(ApiError::from)?;
    let workspaces = access.principal().among(workspaces);
    let environments = view.environments().await?;
    // Of the past it may be asked before the first run of an environment.
    if as_of.is_none() {
        known(environment.as_deref(), &environments)?;
    }
    let shell = Shell {
        w: Words::of(preferences.language),
        preferences,
        at: view.at(),
        as_of,
        workspace,
        workspaces: workspaces.into_iter().map(|(_, name)| name).collect(),
        environment,
        environments,
        position: view.position(),
        known: BTreeMap::new(),
        left: BTreeMap::new(),
        form_token: viewer.form_token,
        access,
        here,
        path,
        query,
        along,
        everywhere: None,
    };
    Ok(Asked { shell, view, asked, workspace: id })
}

/// What else is asked. What cannot be read is named, with what was given and what may be.
fn read<T: DeserializeOwned>(rest: &str) -> ApiResult<T> {
    Query::read_part(rest, &OF_ALL).map_err(|error| {
        let parameter = Parameter::wrong::<T>(rest, &OF_ALL).or_else(|| Parameter::twice(rest));
        match parameter {
            Some(parameter) => error.about(parameter),
            None => error,
        }
    })
}

/// The same of a moment that is none.
pub(super) fn of_moment(error: ApiError, as_of: Option<&str>) -> ApiError {
    match error.code() {
        "invalid_query" => {
            let given = as_of.map(str::to_owned);
            error.about(Parameter { name: "as_of".to_owned(), given, takes: Takes::Moment })
        }
        _ => error,
    }
}

/// An environment is one that something ran in. The workspace's own runs are always meant by the
/// empty name.
pub(super) fn known(asked: Option<&str>, all: &[EnvironmentStanding]) -> ApiResult<()> {
    let Some(asked) = asked.filter(|name| !name.is_empty()) else { return Ok(()) };
    if all.iter().any(|one| one.environment.as_deref() == Some(asked)) {
        return Ok(());
    }
    let detail = format!("nothing has run in an environment called {asked:?} here");
    Err(ApiError::not_found("unknown_environment", detail))
}

/// The workspace that the path names.
pub(super) async fn workspace(parts: &mut Parts, app: &App) -> ApiResult<(String, WorkspaceId)> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(ApiError::internal)?;
    let name = params.iter().find(|(name, _)| *name == "workspace").map(|(_, value)| value);
    let name = name.unwrap_or_default().to_owned();
    let id = extract::workspace(app, &name).await?;
    Ok((name, id))
}

/// What a form of fields says of itself: what is empty in it asks for nothing.
const FORM: &str = "form=fields";

/// A query without what a form left empty. An empty environment is one: the workspace's own runs. An
/// empty connection is one too where a link names it.
pub(super) fn filled(query: &str) -> String {
    let by_form = query.split('&').any(|pair| pair == FORM);
    let filled = query.split('&').filter_map(|pair| match pair.split_once('=') {
        _ if pair == FORM => None,
        Some(("environment", _)) => Some(pair.to_owned()),
        Some(("connection", "")) if !by_form => Some(pair.to_owned()),
        Some((_, "")) | None => None,
        Some((name @ ("as_of" | "since" | "until" | "left_since"), value)) => {
            Some(format!("{name}={}", moment(value)))
        }
        Some(_) => Some(pair.to_owned()),
    });
    filled.collect::<Vec<_>>().join("&")
}

/// A moment as a person or a field for one writes it, made whole: without a zone it is in UTC.
fn moment(value: &str) -> String {
    let text = value.replace("%3A", ":").replace("%3a", ":").replace("%20", "T").replace('+', "T");
    let digits = |place: &[usize]| {
        text.bytes().enumerate().all(|(at, byte)| place.contains(&at) || byte.is_ascii_digit())
    };
    match text.len() {
        10 if digits(&[4, 7]) && text.contains('-') => format!("{text}T00:00:00Z"),
        16 if digits(&[4, 7, 10, 13]) => format!("{text}:00Z"),
        19 if digits(&[4, 7, 10, 13, 16]) => format!("{text}Z"),
        _ => value.to_owned(),
    }
}

impl Shell {
    /// The frame of a page that is of no workspace.
    pub(super) fn of_all(
        preferences: Preferences,
        at: Moment,
        (viewer, access): (Viewer, Access),
        uri: &Uri,
    ) -> Shell {
        Shell {
            w: Words::of(preferences.language),
            preferences,
            at,
            as_of: None,
            workspace: String::new(),
            workspaces: Vec::new(),
            environment: None,
            environments: Vec::new(),
            position: 0,
            known: BTreeMap::new(),
            left: BTreeMap::new(),
            form_token: viewer.form_token,
            access,
            here: uri.to_string(),
            path: uri.path().to_owned(),
            query: Vec::new(),
            along: None,
            everywhere: None,
        }
    }

    /// On how many runs a word was just said.
    pub(super) fn done(&self) -> Option<u64> {
        self.along.as_ref()?.done
    }

    /// What somebody wrote on this page before they had to sign in again.
    pub(super) fn kept(&self) -> Option<&Along> {
        self.along.as_ref().filter(|along| along.is_written() && along.done.is_none())
    }

    /// Has the page stand at another path than the request: a form may be sent to one below it.
    pub(super) fn stand_at(&mut self, path: String) {
        self.path = path;
        self.here = self.here_with(&[]);
    }

    /// The path that the page stands at.
    pub(super) fn place(&self) -> &str {
        &self.path
    }

    /// The path that shows another time: of a page that has none, all workspaces at that time.
    pub(super) fn time_place(&self) -> &str {
        if self.workspace.is_empty() { "/w" } else { &self.path }
    }

    /// Whether whoever looks may do this here.
    pub(super) fn may(&self, action: Action) -> bool {
        self.access.may(action)
    }

    /// Whether whoever looks may say that nothing is left to do about a run, or take that back.
    pub(super) fn may_follow_up(&self) -> bool {
        self.may(Action::FollowUp)
    }

    /// Whether whoever looks may have an adapter asked about a run.
    pub(super) fn may_ask(&self) -> bool {
        self.may(Action::AskAdapter)
    }

    /// Whether whoever looks may change who there is on this server.
    pub(super) fn may_run_server(&self) -> bool {
        self.may(Action::RunServer)
    }

    /// Whether this is the page at a path, or one below it.
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What a role is called.
    pub(super) fn role(&self, role: &Role) -> String {
        self.w.say(match role {
            Role::Owner => "role-owner",
            Role::Admin => "role-admin",
            Role::Operator => "role-operator",
            Role::Reporter => "role-reporter",
            Role::Adapter => "role-adapter",
            Role::Auditor => "role-auditor",
            Role::Viewer => "role-viewer",
        })
    }

    /// Whether somebody can sign in, in words.
    pub(super) fn person_state(&self, person: &Person) -> String {
        self.w.say(match person.state() {
            "disabled" => "people-disabled",
            "no_password" => "people-no-password",
            _ => "people-active",
        })
    }

    /// How somebody signs in.
    pub(super) fn person_ways(&self, person: &Person) -> String {
        self.w.say(match (person.has_password, person.identity.is_some()) {
            (true, true) => "people-way-both",
            (true, false) => "people-way-password",
            (false, true) => "people-way-provider",
            (false, false) => "people-way-none",
        })
    }

    /// Whether whoever looks may read the log.
    pub(super) fn may_read_log(&self) -> bool {
        self.may(Action::ReadLog)
    }

    /// Whether whoever looks may read what was recorded of a run.
    pub(super) fn may_read_events(&self) -> bool {
        self.may(Action::ReadEvents)
    }

    /// Whether whoever looks may read how the adapters are.
    pub(super) fn may_read_adapters(&self) -> bool {
        self.may(Action::ReadAdapters)
    }

    /// What standings say, in the reader's language.
    pub(super) fn texts(&self) -> &'static Texts {
        self.w.texts()
    }

    /// The last part of the path below the workspace, to mark the place in the navigation.
    pub(super) fn section(&self) -> &str {
        self.path.split('/').nth(3).unwrap_or_default()
    }

    /// The counts of what the page is about, together.
    pub(super) fn counts(&self) -> Counts {
        Counts::sum(self.meant())
    }

    /// The counts of what the page is about: the environment, or all of them.
    fn meant(&self) -> impl Iterator<Item = &Counts> {
        let meant = |one: &&EnvironmentStanding| match self.environment.as_deref() {
            None => true,
            Some(name) => one.environment.as_deref().unwrap_or_default() == name,
        };
        self.environments.iter().filter(meant).map(|one| &one.counts)
    }

    /// Whether the page is of a moment before the workspace was made: nothing can be said of it.
    pub(super) fn is_before_all(&self) -> bool {
        self.as_of.is_some() && self.position == 0 && !self.workspace.is_empty()
    }

    /// Whether nothing has run in the workspace.
    pub(super) fn is_empty(&self) -> bool {
        self.environments.iter().all(|one| one.counts.runs == 0)
    }

    /// How to report a first event to this server.
    pub(super) fn first_event(&self) -> String {
        let event = r#"{"type": "run.dispatched", "data": {"operation": "backup.create"}}"#;
        format!(
            "curl -H \"Authorization: Bearer $TOKEN\" -d '{event}' \\\n     \
             $RUNLEDGER_URL/v1/workspaces/{}/events",
            self.workspace
        )
    }

    /// The runs that have not ended. Finished problems are not among them.
    pub(super) fn activity(&self) -> Activity {
        self.meant().fold(Activity::default(), |sum, one| Activity {
            fresh: sum.fresh + one.active_fresh,
            stale: sum.stale + one.active_stale,
            unknown: sum.unknown + one.active_unknown,
        })
    }

    /// The hint of active work in words.
    pub(super) fn activity_text(&self) -> String {
        self.texts().activity(&self.activity())
    }

    /// How many things need a person.
    pub(super) fn follow_ups(&self) -> u64 {
        self.meant().map(|one| one.follow_up_items).sum()
    }

    /// A moment of this page's address, for a field that takes one.
    pub(super) fn field_moment(&self, name: &str) -> String {
        let moment = self.chosen(name).parse::<Moment>();
        moment.map(|moment| words::utc(moment).replace(' ', "T")).unwrap_or_default()
    }

    /// What the environment is called.
    pub(super) fn environment_name(&self, name: Option<&str>) -> String {
        match name {
            None => self.w.say("environment-all"),
            Some("") => self.w.say("environment-own"),
            Some(name) => name.to_owned(),
        }
    }

    /// The moment for a control that takes one.
    pub(super) fn input_moment(&self) -> String {
        words::utc(self.at).replace(' ', "T")
    }

    /// The path of a file.
    pub(super) fn asset(&self, name: &str) -> &'static str {
        assets::path(name)
    }
}

#[cfg(test)]
impl Shell {
    /// The frame of a page to look at without a server; `known` is a run that is there.
    pub(super) fn sample(language: Language, at: Moment, known: &str) -> Shell {
        let headers = [(
            COOKIE,
            HeaderValue::from_static(match language {
                Language::En => "runledger_view=en.light.utc",
                Language::De => "runledger_view=de.light.utc",
            }),
        )];
        let preferences = Preferences::of(&headers.into_iter().collect());
        let session = uuid::Uuid::nil();
        let viewer = Viewer { form_token: "token".to_owned(), person: None, session };
        let actor = runledger_ledger::event::Actor {
            id: runledger_ledger::words::Name::new("administrator").unwrap(),
            kind: runledger_ledger::words::Name::new("token").unwrap(),
        };
        let principal = crate::access::Principal::administrator(actor);
        let access = Access::decide(principal.into(), Action::AskOfSelf, Some("main")).unwrap();
        let uri = Uri::from_static("/w/main/runs?status=queued");
        let shell = Shell::of_all(preferences, at, (viewer, access), &uri);
        Shell {
            workspace: "main".to_owned(),
            workspaces: vec!["main".to_owned()],
            known: [(known.parse().unwrap(), Some(at))].into(),
            ..shell
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_leaves_empty_asks_for_nothing() {
        assert_eq!(filled("status=&q=a&environment=&as_of=&x"), "q=a&environment=");
        assert_eq!(filled("queue=q&connection="), "queue=q&connection=");
        assert_eq!(filled("form=fields&queue=q&connection="), "queue=q");
    }

    #[test]
    fn a_moment_without_a_zone_is_in_utc() {
        assert_eq!(filled("since=2026-01-01"), "since=2026-01-01T00:00:00Z");
        assert_eq!(filled("until=2026-01-01T10%3A30"), "until=2026-01-01T10:30:00Z");
        assert_eq!(filled("as_of=2026-01-01+10:30:07"), "as_of=2026-01-01T10:30:07Z");
        for whole in ["as_of=1234567890", "as_of=7", "since=2026-01-01T10:30:00Z", "since=soon"] {
            assert_eq!(filled(whole), whole);
        }
    }
}
