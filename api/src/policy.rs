//! Who may do what: one function, and the one list of every route (specs/0018).
//!
//! Nothing is allowed that does not stand here. A route that is not on the list is refused, whoever
//! asks, and a test fails that says so.

use runledger_ledger::access::Role;
use runledger_ledger::words::Name;
use runledger_projections::Sight;

use crate::access::Principal;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ask what concerns nobody but whoever asks: which workspaces, which routes.
    AskOfSelf,
    /// Read what the server counts of itself.
    ReadServer,
    /// Make a workspace, or change who there is on this server.
    RunServer,
    /// Read what is derived: runs, things to do, counts, queues.
    ReadVerdicts,
    /// Read what was recorded of a run.
    ReadEvents,
    /// Read the log of the workspace, and what proves it.
    ReadLog,
    /// Read what is of the whole workspace: its catalog, how its adapters are, which views are saved.
    ReadAdapters,
    /// Save a view for everybody in the workspace, or forget one.
    KeepViews,
    /// Take evidence along, or have history replayed for it: packs, exports, simulations.
    Export,
    /// Report events.
    Report,
    /// Say that nothing is left to do about a run, or take that back.
    FollowUp,
    /// Ask an adapter about a run.
    AskAdapter,
    /// Judge runs as a remote adapter.
    Judge,
    /// Put a catalog into force.
    PublishCatalog,
    /// Read who may do what here.
    ReadAccess,
    /// Change who may do what here.
    ManageAccess,
    /// Have something forgotten, together with somebody else.
    Erase,
}

/// How far a role must reach for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// No role is needed; what is answered is the asker's own.
    Anybody,
    /// The administrator of the server alone.
    Server,
    /// A role in the workspace, also one for some environments: these alone are seen.
    Environments,
    /// A role for the whole workspace.
    Workspace,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 17] = [
        Action::AskOfSelf,
        Action::ReadServer,
        Action::RunServer,
        Action::ReadVerdicts,
        Action::ReadEvents,
        Action::ReadLog,
        Action::ReadAdapters,
        Action::KeepViews,
        Action::Export,
        Action::Report,
        Action::FollowUp,
        Action::AskAdapter,
        Action::Judge,
        Action::PublishCatalog,
        Action::ReadAccess,
        Action::ManageAccess,
        Action::Erase,
    ];

    const fn reach(self) -> Reach {
        match self {
            Action::AskOfSelf => Reach::Anybody,
            Action::ReadServer | Action::RunServer => Reach::Server,
            Action::ReadVerdicts
            | Action::ReadEvents
            | Action::Report
            | Action::FollowUp
            | Action::AskAdapter => Reach::Environments,
            Action::ReadLog
            | Action::ReadAdapters
            | Action::KeepViews
            | Action::Export
            | Action::Judge
            | Action::PublishCatalog
            | Action::ReadAccess
            | Action::ManageAccess
            | Action::Erase => Reach::Workspace,
        }
    }

    /// Whether a role is enough for it.
    pub const fn is_for(self, role: Role) -> bool {
        match role {
            Role::Owner | Role::Admin => !matches!(self.reach(), Reach::Server),
            Role::Operator => matches!(
                self,
                Action::ReadVerdicts
                    | Action::ReadEvents
                    | Action::ReadLog
                    | Action::ReadAdapters
                    | Action::KeepViews
                    | Action::Report
                    | Action::FollowUp
                    | Action::AskAdapter
            ),
            Role::Auditor => matches!(
                self,
                Action::ReadVerdicts
                    | Action::ReadEvents
                    | Action::ReadLog
                    | Action::ReadAdapters
                    | Action::Export
                    | Action::ReadAccess
            ),
            Role::Viewer => matches!(self, Action::ReadVerdicts | Action::ReadAdapters),
            Role::Reporter => matches!(self, Action::Report),
            Role::Adapter => matches!(self, Action::Judge),
        }
    }
}

/// Where something is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The name of the workspace, as it was asked for; none where none is.
    pub workspace: Option<&'a str>,
    /// The one environment that is meant; none if the answer is narrowed to those in sight.
    pub environment: Option<&'a Name>,
}

impl<'a> Place<'a> {
    /// A workspace, and whatever of it is in sight.
    pub const fn of(workspace: Option<&'a str>) -> Self {
        Place { workspace, environment: None }
    }
}

/// What is decided of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and sees this much.
    Allowed(Sight),
    /// It may not. Only who may know of the workspace is told so.
    Forbidden,
    /// To whoever asks there is no such thing, whether there is one or not.
    Unknown,
}

/// May this principal do this here? The one place where that is decided.
pub fn judge(principal: &Principal, action: Action, place: Place<'_>) -> Verdict {
    if principal.is_administrator() {
        return Verdict::Allowed(Sight::default());
    }
    match (action.reach(), place.workspace) {
        (Reach::Anybody, _) => Verdict::Allowed(Sight::default()),
        (Reach::Server, _) | (_, None) => Verdict::Forbidden,
        (reach, Some(workspace)) => {
            let Some(grant) = principal.grant(workspace) else { return Verdict::Unknown };
            let whole = grant.environments.is_none();
            if !action.is_for(grant.role) || (reach == Reach::Workspace && !whole) {
                return Verdict::Forbidden;
            }
            let evidence = Action::ReadEvents.is_for(grant.role);
            let sight = Sight { environments: principal.environments(workspace), evidence };
            match place.environment {
                Some(environment) if !sight.sees(Some(environment)) => Verdict::Unknown,
                _ => Verdict::Allowed(sight),
            }
        }
    }
}

/// What a route does that may be asked with a token. The path is the router's own.
pub fn of_route(method: &str, path: &str) -> Option<Action> {
    find(ROUTES, method, path)
}

/// What a page does that needs somebody to be signed in.
pub fn of_page(method: &str, path: &str) -> Option<Action> {
    find(PAGES, method, path)
}

/// Whether a page is one that anybody may ask for.
pub fn is_open_page(method: &str, path: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    OPEN_PAGES.contains(&(method, path))
}

/// The methods that a path takes, as `Allow` lists them; none if nothing is said of the path.
pub fn methods(path: &str) -> Option<String> {
    let ruled = ROUTES.iter().chain(PAGES).map(|rule| (rule.0, rule.1));
    let all = ruled.chain(OPEN_PAGES.iter().copied()).filter(|(_, at)| *at == path);
    let all = all.map(|(method, _)| if method == "GET" { "GET,HEAD" } else { method });
    let all: Vec<&str> = all.collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn find(list: &[Rule], method: &str, path: &str) -> Option<Action> {
    let method = if method == "HEAD" { "GET" } else { method };
    let found = list.iter().find(|(of, at, _)| *of == method && *at == path);
    found.map(|(_, _, action)| *action)
}

/// A route and what it does.
pub type Rule = (&'static str, &'static str, Action);

/// Every route of the API that asks for a token.
pub const ROUTES: &[Rule] = &[
    ("GET", "/v1/workspaces", Action::AskOfSelf),
    ("POST", "/v1/workspaces", Action::RunServer),
    ("GET", "/v1/workspaces/{workspace}/catalog", Action::ReadAdapters),
    ("POST", "/v1/workspaces/{workspace}/catalog", Action::PublishCatalog),
    ("POST", "/v1/workspaces/{workspace}/events", Action::Report),
    ("GET", "/v1/workspaces/{workspace}/correlations", Action::ReadEvents),
    ("GET", "/v1/workspaces/{workspace}/runs", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/runs/{run}", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/runs/{run}/events", Action::ReadEvents),
    ("GET", "/v1/workspaces/{workspace}/runs/{run}/timeline", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/runs/{run}/diff", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/diff", Action::ReadVerdicts),
    ("POST", "/v1/workspaces/{workspace}/runs/{run}/follow-up", Action::FollowUp),
    ("POST", "/v1/workspaces/{workspace}/runs/{run}/reconciliations", Action::AskAdapter),
    ("GET", "/v1/workspaces/{workspace}/adapters", Action::ReadAdapters),
    ("POST", "/v1/workspaces/{workspace}/adapters/{adapter}/claims", Action::Judge),
    (
        "POST",
        "/v1/workspaces/{workspace}/adapters/{adapter}/claims/{claim}/decision",
        Action::Judge,
    ),
    (
        "POST",
        "/v1/workspaces/{workspace}/adapters/{adapter}/claims/{claim}/heartbeat",
        Action::Judge,
    ),
    ("GET", "/v1/workspaces/{workspace}/follow-ups", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/follow-ups/{item}", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/overview", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/environments", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/operations", Action::ReadVerdicts),
    ("GET", "/v1/workspaces/{workspace}/queues", Action::ReadVerdicts),
    ("POST", "/v1/workspaces/{workspace}/subjects/{type}/{id}/observations", Action::Report),
    ("GET", "/v1/workspaces/{workspace}/log", Action::ReadLog),
    ("GET", "/v1/workspaces/{workspace}/log/checkpoint", Action::ReadLog),
    ("GET", "/v1/workspaces/{workspace}/log/tile/{level}/{*index}", Action::ReadLog),
    ("GET", "/v1/workspaces/{workspace}/log/events/{position}/proof", Action::ReadLog),
    ("GET", "/v1/workspaces/{workspace}/log/consistency", Action::ReadLog),
    ("GET", "/v1/workspaces/{workspace}/log/status", Action::ReadLog),
    ("GET", "/v1/workspaces/{workspace}/audit-packs", Action::Export),
    ("POST", "/v1/workspaces/{workspace}/audit-packs", Action::Export),
    ("GET", "/v1/workspaces/{workspace}/audit-packs/{pack}", Action::Export),
    ("GET", "/v1/workspaces/{workspace}/audit-packs/{pack}/file", Action::Export),
    ("GET", "/v1/workspaces/{workspace}/simulations", Action::Export),
    ("POST", "/v1/workspaces/{workspace}/simulations", Action::Export),
    ("GET", "/v1/workspaces/{workspace}/simulations/{simulation}", Action::Export),
    ("GET", "/v1/workspaces/{workspace}/tokens", Action::ReadAccess),
    ("POST", "/v1/workspaces/{workspace}/tokens", Action::ManageAccess),
    ("POST", "/v1/workspaces/{workspace}/tokens/{token}/rotate", Action::ManageAccess),
    ("POST", "/v1/workspaces/{workspace}/tokens/{token}/revoke", Action::ManageAccess),
    ("GET", "/v1/workspaces/{workspace}/members", Action::ReadAccess),
    ("POST", "/v1/workspaces/{workspace}/members", Action::ManageAccess),
    ("POST", "/v1/workspaces/{workspace}/members/{member}/remove", Action::ManageAccess),
    ("GET", "/v1/people", Action::RunServer),
    ("POST", "/v1/people", Action::RunServer),
    ("POST", "/v1/people/{person}/password", Action::RunServer),
    ("POST", "/v1/people/{person}/identity", Action::RunServer),
    ("POST", "/v1/people/{person}/identity/remove", Action::RunServer),
    ("POST", "/v1/people/{person}/disable", Action::RunServer),
    ("POST", "/v1/people/{person}/enable", Action::RunServer),
    ("POST", "/v1/people/{person}/remove", Action::RunServer),
    ("GET", "/v1/people/{person}/sessions", Action::RunServer),
    ("POST", "/v1/people/{person}/sessions/end", Action::RunServer),
    ("POST", "/v1/people/{person}/sessions/{session}/end", Action::RunServer),
    ("GET", "/v1/workspaces/{workspace}/erasures", Action::ReadAccess),
    ("POST", "/v1/workspaces/{workspace}/erasures", Action::Erase),
    ("GET", "/v1/workspaces/{workspace}/erasures/{erasure}", Action::ReadAccess),
    ("POST", "/v1/workspaces/{workspace}/erasures/{erasure}/approve", Action::Erase),
    ("POST", "/v1/workspaces/{workspace}/erasures/{erasure}/run", Action::Erase),
    ("POST", "/api/v1/lineage", Action::Report),
    ("POST", "/api/v1/lineage/batch", Action::Report),
    ("GET", "/metrics", Action::ReadServer),
    ("GET", "/openapi.json", Action::AskOfSelf),
];

/// Every page, and every form, that needs somebody to be signed in.
pub const PAGES: &[Rule] = &[
    ("POST", "/preferences", Action::AskOfSelf),
    ("GET", "/account", Action::AskOfSelf),
    ("POST", "/account/password", Action::AskOfSelf),
    ("POST", "/account/identity", Action::AskOfSelf),
    ("POST", "/account/sessions", Action::AskOfSelf),
    ("GET", "/people", Action::RunServer),
    ("GET", "/people/{person}", Action::RunServer),
    ("POST", "/people/{person}/sessions", Action::RunServer),
    ("GET", "/w", Action::AskOfSelf),
    ("GET", "/w/{workspace}", Action::ReadVerdicts),
    ("GET", "/w/{workspace}/follow-ups", Action::ReadVerdicts),
    ("GET", "/w/{workspace}/follow-ups/resolve", Action::FollowUp),
    ("POST", "/w/{workspace}/follow-ups/resolve", Action::FollowUp),
    ("GET", "/w/{workspace}/runs", Action::ReadVerdicts),
    ("GET", "/w/{workspace}/runs/{run}", Action::ReadVerdicts),
    ("POST", "/w/{workspace}/runs/{run}/follow-up", Action::FollowUp),
    ("POST", "/w/{workspace}/runs/{run}/ask", Action::AskAdapter),
    ("POST", "/w/{workspace}/views", Action::KeepViews),
    ("GET", "/w/{workspace}/views/{name}", Action::ReadAdapters),
    ("GET", "/w/{workspace}/queues", Action::ReadVerdicts),
    ("GET", "/w/{workspace}/operations", Action::ReadVerdicts),
    ("GET", "/w/{workspace}/environments", Action::ReadVerdicts),
    ("GET", "/w/{workspace}/adapters", Action::ReadAdapters),
    ("GET", "/w/{workspace}/log", Action::ReadLog),
    ("GET", "/w/{workspace}/live", Action::ReadVerdicts),
];

/// Pages that anybody may ask for: how one comes in and goes out, and what pages are made of.
pub const OPEN_PAGES: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/sign-in/openid"),
    ("GET", "/sign-in/openid/callback"),
    ("POST", "/sign-out"),
    ("GET", "/favicon.ico"),
    ("GET", "/assets/{*file}"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_stands_on_the_list_twice() {
        for list in [ROUTES, PAGES] {
            for (place, (method, path, _)) in list.iter().enumerate() {
                let again =
                    list[place + 1..].iter().any(|rule| (rule.0, rule.1) == (*method, *path));
                assert!(!again, "{method} {path}");
            }
        }
    }

    #[test]
    fn what_reads_changes_nothing_and_what_reports_reads_nothing() {
        for action in [
            Action::Report,
            Action::KeepViews,
            Action::FollowUp,
            Action::AskAdapter,
            Action::Judge,
            Action::PublishCatalog,
            Action::ManageAccess,
            Action::Erase,
        ] {
            assert!(!action.is_for(Role::Auditor) && !action.is_for(Role::Viewer), "{action:?}");
        }
        for action in Action::ALL {
            assert_eq!(action.is_for(Role::Reporter), action == Action::Report, "{action:?}");
            assert_eq!(action.is_for(Role::Adapter), action == Action::Judge, "{action:?}");
        }
    }
}
