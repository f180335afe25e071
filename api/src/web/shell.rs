//! What every page has: who looks, at which workspace and environment, as of when, and the frame
//! that says so.

use std::collections::BTreeSet;

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

use super::assets;
use super::door;
use super::fault::{Fault, Page};
use super::preferences::Preferences;
use super::session::Viewer;
use super::words::{self, Words};
use crate::access::Access;
use crate::app::App;
use crate::extract::{self, Query};
use crate::policy::Action;
use crate::problem::{ApiError, ApiResult};
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
    /// The runs of which it is known that they are there: what relates to them becomes a link.
    pub(super) known: BTreeSet<RunId>,
    /// What forms carry.
    pub(super) form_token: String,
    /// Who looks, and what they may do.
    pub(super) access: Access,
    /// Path and query of this page.
    pub(super) here: String,
    path: String,
    query: Vec<(String, String)>,
}

/// The parameters that every page takes.
const OF_ALL: [&str; 2] = ["as_of", "environment"];

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Page<Self> {
        let language = Preferences::of(&parts.headers).language;
        asked(parts, app).await.map_err(|fault| fault.in_language(language))
    }
}

async fn asked<T: DeserializeOwned + Send>(parts: &mut Parts, app: &App) -> Page<Asked<T>> {
    let (viewer, access) = (door::viewer(parts)?, door::access(parts)?);
    let preferences = Preferences::of(&parts.headers);
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let (path, here) = (uri.path().to_owned(), uri.to_string());
    let filled = filled(uri.query().unwrap_or_default());
    let query: Vec<(String, String)> = Query::read_part(&filled, &[])?;
    let one =
        |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let rest: Vec<&str> = filled.split('&').filter(|pair| name(pair) != "as_of").collect();
    let asked: T = Query::read_part(&rest.join("&"), &OF_ALL)?;
    let (as_of, environment) = (one("as_of"), one("environment"));
    let (workspace, id) = workspace(parts, app).await?;
    let view = when::view(app, id, as_of.as_deref(), None).await?;
    let view = view.in_language(preferences.language).seen_with(access.sight().clone());
    let workspaces = app.ledger().store().workspaces().await.map_err(ApiError::from)?;
    let workspaces = access.principal().among(workspaces);
    let shell = Shell {
        w: Words::of(preferences.language),
        preferences,
        at: view.at(),
        as_of,
        workspace,
        workspaces: workspaces.into_iter().map(|(_, name)| name).collect(),
        environment,
        environments: view.environments().await?,
        position: view.position(),
        known: BTreeSet::new(),
        form_token: viewer.form_token,
        access,
        here,
        path,
        query,
    };
    Ok(Asked { shell, view, asked, workspace: id })
}

/// The workspace that the path names.
pub(super) async fn workspace(parts: &mut Parts, app: &App) -> ApiResult<(String, WorkspaceId)> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(ApiError::internal)?;
    let name = params.iter().find(|(name, _)| *name == "workspace").map(|(_, value)| value);
    let name = name.unwrap_or_default().to_owned();
    let id = extract::workspace(app, &name).await?;
    Ok((name, id))
}

/// A query without what a form left empty. An empty environment is one: the workspace's own runs.
fn filled(query: &str) -> String {
    let filled = query.split('&').filter(|pair| match pair.split_once('=') {
        Some(("environment", _)) => true,
        Some((_, value)) => !value.is_empty(),
        None => false,
    });
    filled.collect::<Vec<_>>().join("&")
}

fn name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
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
            known: BTreeSet::new(),
            form_token: viewer.form_token,
            access,
            here: uri.to_string(),
            path: uri.path().to_owned(),
            query: Vec::new(),
        }
    }

    /// Whether whoever looks may do this here.
    pub(super) fn may(&self, action: Action) -> bool {
        self.access.may(action)
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

    /// A page of the workspace that keeps environment and moment: `queues`, `runs?queue=x`.
    /// A part of it is named at the end: `#stale`.
    pub(super) fn to(&self, page: &str) -> String {
        let (page, part) = page.split_at(page.find('#').unwrap_or(page.len()));
        let (page, query) = page.split_once('?').unwrap_or((page, ""));
        let mut url = format!("/w/{}", self.workspace);
        if !page.is_empty() {
            url = format!("{url}/{page}");
        }
        let kept = [("environment", &self.environment), ("as_of", &self.as_of)];
        let kept =
            kept.iter().filter(|(name, _)| !query.split('&').any(|pair| self::name(pair) == *name));
        let kept =
            kept.filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_ref()?))));
        let pairs: Vec<String> =
            kept.chain(Some(query.to_owned()).filter(|query| !query.is_empty())).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        format!("{url}{query}{part}")
    }

    /// The same with one parameter, whatever is in it.
    pub(super) fn to_with(&self, page: &str, name: &str, value: impl std::fmt::Display) -> String {
        let joint = if page.contains('?') { '&' } else { '?' };
        self.to(&format!("{page}{joint}{name}={}", encode(&value.to_string())))
    }

    /// The page of a run.
    pub(super) fn run(&self, run: impl std::fmt::Display) -> String {
        self.to(&format!("runs/{run}"))
    }

    /// What a form on the page of a run is sent to.
    pub(super) fn run_action(&self, run: impl std::fmt::Display, action: &str) -> String {
        format!("/w/{}/runs/{run}/{action}", self.workspace)
    }

    /// The event at a position, in the log.
    pub(super) fn event(&self, position: &u64) -> String {
        format!("{}#event-{position}", self.to_with("log", "before", position + 1))
    }

    /// The overview of an environment.
    pub(super) fn environment_link(&self, name: &str) -> String {
        self.to(&format!("?environment={}", encode(name)))
    }

    /// A page that asks for what this one does, and for something else.
    pub(super) fn to_query(&self, page: &str, query: &str) -> String {
        let kept = self.carried(&["limit", "done", "as_of"]);
        let kept = kept.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let pairs: Vec<String> = kept.chain([query.to_owned()]).collect();
        self.to(&format!("{page}?{}", pairs.join("&")))
    }

    /// This page with one parameter changed, from its beginning.
    pub(super) fn refine(&self, name: &str, value: impl std::fmt::Display) -> String {
        let value = value.to_string();
        self.here_with(&[(name, Some(value.as_str()))])
    }

    /// This page without one of its parameters, from its beginning.
    pub(super) fn without(&self, name: &str) -> String {
        self.here_with(&[(name, None)])
    }

    /// This page between two moments.
    pub(super) fn between(&self, page: &str, since: &Moment, until: &Moment) -> String {
        let (since, until) = (since.to_string(), until.to_string());
        self.to(&format!("{page}?since={}&until={}", encode(&since), encode(&until)))
    }

    /// This page as of so many seconds before its moment.
    pub(super) fn earlier(&self, seconds: i64) -> String {
        let moment = Moment::from_micros(self.at.micros() - seconds * 1_000_000).to_string();
        let moment = moment.get(..19).map_or(moment.clone(), |text| format!("{text}Z"));
        self.here_with(&[("as_of", Some(&moment))])
    }

    fn here_with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let kept = self.query.iter().filter(|(name, _)| {
            name != "cursor" && !changes.iter().any(|(changed, _)| changed == name)
        });
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let set = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let pairs: Vec<String> =
            kept.chain(set).map(|(name, value)| format!("{name}={}", encode(value))).collect();
        match pairs.as_slice() {
            [] => self.path.clone(),
            pairs => format!("{}?{}", self.path, pairs.join("&")),
        }
    }

    /// What a form that narrows this page further must carry, beside what it asks itself.
    pub(super) fn carried<'a>(&'a self, own: &[&str]) -> Vec<(&'a str, &'a str)> {
        let kept =
            self.query.iter().filter(|(name, _)| name != "cursor" && !own.contains(&name.as_str()));
        kept.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// What this list is narrowed by, as a query.
    pub(super) fn filters(&self) -> String {
        let pairs = self.carried(&["as_of", "cursor", "limit"]).into_iter();
        let pairs: Vec<String> =
            pairs.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        pairs.join("&")
    }

    /// The value of a parameter of this page.
    pub(super) fn chosen(&self, name: &str) -> &str {
        let pair = self.query.iter().find(|(key, _)| key == name);
        pair.map_or("", |(_, value)| value.as_str())
    }

    /// Whether a parameter of this page has this value.
    pub(super) fn is_chosen(&self, name: &str, value: &str) -> bool {
        self.query.iter().any(|(key, chosen)| key == name && chosen == value)
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

/// `text` as a part of a URL's query.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                encoded.push(char::from(byte));
            }
            // Writing to a string does not fail.
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
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
            known: [known.parse().unwrap()].into(),
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
        assert_eq!(encode("a b&c=ä/7"), "a%20b%26c%3D%C3%A4/7");
    }

    #[test]
    fn a_link_to_a_part_of_a_page_keeps_moment_and_environment_before_it() {
        let run = "0195f3c0-0000-7000-8000-000000000001";
        let mut shell = Shell::sample(Language::En, Moment::from_micros(1), run);
        (shell.environment, shell.as_of) = (Some("prod".to_owned()), None);
        assert_eq!(shell.to("#stale"), "/w/main?environment=prod#stale");
        assert_eq!(shell.to("runs?queue=x#top"), "/w/main/runs?environment=prod&queue=x#top");
    }
}
