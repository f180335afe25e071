//! Follow-ups: what needs a person as things to do, what left the list and the proof of it, and a
//! person's word on several of them at once.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Form, FromRequestParts, Request, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_ledger::run::{FollowUpAction, RunCommand};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::words::{Name, RunId};
use runledger_projections::rules::actionability::{Actionability, Proof};
use runledger_projections::rules::actions::ActionKey;
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{
    FollowUpFilter, FollowUpItem, Page as Listed, PageRequest, RunFilter, View,
};
use serde::Deserialize;

use super::fault::{Fault, Page, html};
use super::run::{form_of_session, said, there};
use super::shell::{Asked, Shell};
use super::words;
use crate::app::App;
use crate::problem::ApiError;
use crate::question::{self, Limit, NameOrNone};

/// Most things that one word is said on.
const MOST: usize = 10_000;
/// Most commands that are handed in at a time.
const BATCH: usize = 500;

/// Which of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FollowUpsQuery {
    environment: Option<NameOrNone>,
    operation: Option<Name>,
    family: Option<Name>,
    actionability: Option<Actionability>,
    limit: Option<Limit<500>>,
    cursor: Option<String>,
    /// How many runs a word was just said on.
    done: Option<u64>,
}

#[derive(Template)]
#[template(path = "follow_ups.html")]
pub(super) struct FollowUpsPage {
    pub(super) shell: Shell,
    pub(super) tabs: Vec<Tab>,
    /// What needs a person.
    pub(super) items: Listed<FollowUpItem>,
    /// What left the list, if that is asked for.
    pub(super) left: Option<Listed<Standing>>,
    pub(super) done: Option<u64>,
}

/// A verdict to look at.
pub(super) struct Tab {
    pub(super) label: String,
    pub(super) count: u64,
    pub(super) chosen: bool,
    pub(super) href: String,
}

/// The ways in which a run leaves the list.
const LEFT: [Actionability; 3] = [
    Actionability::SupersededByLaterSuccess,
    Actionability::ResolvedByCurrentState,
    Actionability::ResolvedByOperator,
];

impl FollowUpsQuery {
    fn items(&self) -> FollowUpFilter {
        FollowUpFilter {
            environment: self.environment.as_ref().map(|name| name.0.clone()),
            operation: self.operation.as_ref().map(ToString::to_string),
            family: self.family.as_ref().map(ToString::to_string),
            actionability: self.actionability,
        }
    }

    fn runs(&self) -> RunFilter {
        let FollowUpFilter { environment, operation, family, actionability } = self.items();
        RunFilter { environment, operation, family, actionability, ..RunFilter::default() }
    }

    fn has_left(&self) -> bool {
        self.actionability.is_some_and(|status| LEFT.contains(&status))
    }
}

pub(super) async fn page(
    Asked { mut shell, view, asked, .. }: Asked<FollowUpsQuery>,
) -> Page<Html<String>> {
    let request = question::page(asked.limit, asked.cursor.clone());
    let nothing = Listed { items: Vec::new(), next: None, scanned_to: None };
    let (items, left) = match asked.has_left() {
        true => (nothing, Some(view.runs(&asked.runs(), &request).await?)),
        false => (view.follow_ups(&asked.items(), &request).await?, None),
    };
    let latest = items.items.iter().flat_map(|item| &item.latest);
    shell.relate(&view, latest.chain(left.iter().flat_map(|left| &left.items))).await?;
    let tabs = tabs(&shell, asked.actionability);
    html(&FollowUpsPage { shell, tabs, items, left, done: asked.done })
}

fn tabs(shell: &Shell, chosen: Option<Actionability>) -> Vec<Tab> {
    let counts = shell.counts();
    let open = counts.follow_ups().map(|(status, counts)| (status, counts.items));
    let left = LEFT
        .map(|status| (status, counts.by_actionability.get(&status).copied().unwrap_or_default()));
    let all = Tab {
        label: shell.say("follow-ups-open"),
        count: counts.follow_up_items,
        chosen: chosen.is_none(),
        href: shell.to("follow-ups"),
    };
    let tab = |(status, count): (Actionability, u64)| Tab {
        label: shell.texts().actionability(status),
        count,
        chosen: chosen == Some(status),
        href: shell.to_with("follow-ups", "actionability", status),
    };
    std::iter::once(all).chain(open.into_iter().chain(left).map(tab)).collect()
}

/// A word on several of them, before it is said.
#[derive(Template)]
#[template(path = "resolve.html")]
pub(super) struct ResolvePage {
    pub(super) shell: Shell,
    pub(super) action: FollowUpAction,
    pub(super) chosen: Vec<Chosen>,
    pub(super) runs: usize,
    /// What goes along with the form: the same choice again.
    pub(super) carried: Vec<(String, String)>,
    /// How many runs it was when it was shown before.
    pub(super) before: Option<usize>,
    pub(super) reason: String,
    pub(super) note: String,
}

/// A thing to do, or a run, that a word is said on.
pub(super) struct Chosen {
    pub(super) operation: String,
    pub(super) subject: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) runs: Vec<RunId>,
}

/// A choice, from a query or a form: pairs, of which `item` and `run` come several times.
struct Choice {
    action: FollowUpAction,
    query: FollowUpsQuery,
    items: BTreeSet<String>,
    runs: BTreeSet<RunId>,
    carried: Vec<(String, String)>,
}

impl Choice {
    fn of(pairs: &[(String, String)]) -> Page<Choice> {
        let all = |name: &str| {
            let named = pairs.iter().filter(move |(key, _)| key == name);
            named.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let one = |name: &str| all(name).into_iter().next().filter(|text| !text.is_empty());
        let wrong = |what: &str| {
            let detail = format!("`{what}` is none that this page takes; go back and choose again");
            ApiError::new(axum::http::StatusCode::BAD_REQUEST, "invalid_query", detail)
        };
        let name = |text: Option<String>, what: &str| {
            text.map(Name::new).transpose().map_err(|_| wrong(what))
        };
        let action = one("action").map(|text| text.parse()).transpose();
        let status = one("actionability").map(|text| text.parse()).transpose();
        let runs = all("run").iter().map(|text| text.parse()).collect::<Result<_, _>>();
        let environment = all("environment").into_iter().next().map(NameOrNone);
        let own = ["action", "environment", "operation", "family", "actionability", "item", "run"];
        Ok(Choice {
            action: action.map_err(|_| wrong("action"))?.unwrap_or(FollowUpAction::Resolve),
            query: FollowUpsQuery {
                environment,
                operation: name(one("operation"), "operation")?,
                family: name(one("family"), "family")?,
                actionability: status.map_err(|_| wrong("actionability"))?,
                ..FollowUpsQuery::default()
            },
            items: all("item").into_iter().collect(),
            runs: runs.map_err(|_| wrong("run"))?,
            carried: pairs.iter().filter(|(key, _)| own.contains(&key.as_str())).cloned().collect(),
        })
    }

    /// What is chosen now: all that the filter names, or those of it that were marked.
    async fn find(&self, view: &View) -> Page<Vec<Chosen>> {
        let mut chosen = Vec::new();
        let mut request = PageRequest::first(PageRequest::MOST);
        loop {
            let next = match self.action {
                FollowUpAction::Resolve => {
                    let page = view.follow_ups(&self.query.items(), &request).await?;
                    for item in page.items {
                        if self.items.is_empty() || self.items.contains(&item.key.to_string()) {
                            chosen.push(of_item(view, item).await?);
                        }
                    }
                    page.next
                }
                FollowUpAction::Reopen => {
                    let status = Some(Actionability::ResolvedByOperator);
                    let filter = RunFilter { actionability: status, ..self.query.runs() };
                    let page = view.runs(&filter, &request).await?;
                    let marked =
                        |run: &Standing| self.runs.is_empty() || self.runs.contains(&run.run_id);
                    chosen.extend(page.items.iter().filter(|run| marked(run)).map(of_run));
                    page.next
                }
            };
            match next {
                Some(next) if chosen.len() < MOST => request = request.at(next),
                _ => return Ok(chosen),
            }
        }
    }
}

async fn of_item(view: &View, item: FollowUpItem) -> Page<Chosen> {
    let mut runs: Vec<RunId> = item.latest.iter().map(|run| run.run_id).collect();
    if item.occurrences > u64::try_from(runs.len()).unwrap_or_default() {
        runs.clear();
        let mut request = PageRequest::first(PageRequest::MOST);
        loop {
            let page = view.occurrences(item.key, &request).await?;
            runs.extend(page.items.iter().map(|run| run.run_id));
            match page.next {
                Some(next) if runs.len() < MOST => request = request.at(next),
                _ => break,
            }
        }
    }
    Ok(Chosen {
        operation: item.operation,
        subject: item.subject.map(|subject| subject.to_string()),
        environment: item.environment,
        runs,
    })
}

fn of_run(run: &Standing) -> Chosen {
    Chosen {
        operation: run.recorded.operation.clone(),
        subject: run.recorded.subject.as_ref().map(ToString::to_string),
        environment: run.recorded.environment.as_ref().map(ToString::to_string),
        runs: vec![run.run_id],
    }
}

/// Shows on how many runs a word would be said, and asks for its reason.
pub(super) async fn preview(
    Asked { shell, view, asked, .. }: Asked<Vec<(String, String)>>,
) -> Page<Html<String>> {
    let choice = Choice::of(&asked)?;
    let chosen = choice.find(&view).await?;
    html(&shown(shell, choice, chosen, None, &asked))
}

fn shown(
    shell: Shell,
    choice: Choice,
    chosen: Vec<Chosen>,
    before: Option<usize>,
    given: &[(String, String)],
) -> ResolvePage {
    let text = |name: &str| {
        let pair = given.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let Choice { action, carried, .. } = choice;
    let runs = chosen.iter().map(|one| one.runs.len()).sum();
    let (reason, note) = (text("reason"), text("note"));
    ResolvePage { shell, action, chosen, runs, carried, before, reason, note }
}

/// Says the word, if it is on as many runs as was shown; otherwise shows the choice again.
pub(super) async fn resolve(State(app): State<App>, request: Request) -> Page<Response> {
    use axum::extract::FromRequest;
    let (mut parts, body) = request.into_parts();
    let asked = Asked::<Vec<(String, String)>>::from_request_parts(&mut parts, &app).await?;
    let headers = parts.headers.clone();
    let request = Request::from_parts(parts, body);
    let form = Form::<Vec<(String, String)>>::from_request(request, &app).await;
    let Form(given) = form.map_err(|_| Fault::foreign(&headers))?;
    let language = asked.shell.preferences.language;
    let done = say(&app, asked, &given, &headers).await;
    done.map_err(|fault| fault.in_language(language))
}

async fn say(
    app: &App,
    asked: Asked<Vec<(String, String)>>,
    given: &[(String, String)],
    headers: &axum::http::HeaderMap,
) -> Page<Response> {
    let text = |name: &str| {
        let pair = given.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    form_of_session(app, headers, text("form_token"))?;
    let Asked { shell, view, workspace, .. } = asked;
    let choice = Choice::of(given)?;
    let chosen = choice.find(&view).await?;
    let runs: Vec<RunId> = chosen.iter().flat_map(|one| one.runs.iter().copied()).collect();
    if text("runs").parse() != Ok(runs.len()) {
        let before = text("runs").parse().ok();
        return Ok(html(&shown(shell, choice, chosen, before, given))?.into_response());
    }
    let word = said(app, choice.action, text("reason"), text("note"))?;
    let (mut done, mut last) = (0_u64, None);
    for batch in runs.chunks(BATCH) {
        let submission = |run: &RunId| {
            let command = Command::Run(*run, RunCommand::FollowUp(word.clone()));
            Submission::new(command).by(app.actor().clone())
        };
        let submissions = batch.iter().map(submission).collect();
        let answers = app.ledger().submit(workspace, submissions, false).await;
        for answer in answers.map_err(ApiError::from)? {
            // What another person closed meanwhile is refused or said before; nothing is lost.
            if let Answer::Recorded(receipt) = answer {
                done += 1;
                last = last.max(Some(receipt.position));
            }
        }
    }
    there(app, workspace, last).await?;
    Ok(Redirect::to(&shell.to_with("follow-ups", "done", done)).into_response())
}
