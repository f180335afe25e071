//! A person's word on several runs at once: shown with their number before it is said.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Form, FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_ledger::run::{FollowUpAction, FollowUpCommand, RunCommand};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::actions::ActionKey;
use runledger_projections::rules::standing::Standing;
use runledger_projections::{FollowUpItem, PageRequest, RunFilter, View};

use super::acting::{Wrong, said, there};
use super::door;
use super::fault::{Fault, Page, html};
use super::follow_ups::FollowUpsQuery;
use super::links::encode;
use super::shell::{Asked, Shell};
use super::words;
use crate::access::Access;
use crate::app::App;
use crate::problem::ApiError;
use crate::question::NameOrNone;

/// Most runs that one word is said on at a time. What is left is shown, and goes on with a button.
const MOST: usize = 10_000;
/// Most commands that are handed in at a time.
const BATCH: usize = 500;
/// Most pages of the list that are counted; beyond them it is said that there are more.
const PAGES: usize = 100;
/// Things that are named before a word is said on them.
const NAMED: usize = 12;

/// A word on several of them, before it is said.
#[derive(Template)]
#[template(path = "resolve.html")]
pub(super) struct ResolvePage {
    pub(super) shell: Shell,
    pub(super) action: FollowUpAction,
    /// Some of what is chosen.
    pub(super) chosen: Vec<Chosen>,
    /// Things that are chosen, and their runs.
    pub(super) items: u64,
    pub(super) runs: u64,
    /// Whether there are more that were not counted.
    pub(super) more: bool,
    /// Most runs at a time.
    pub(super) most: usize,
    /// What goes along with the form: the same choice again.
    pub(super) carried: Vec<(String, String)>,
    /// How many runs it was when it was shown before.
    pub(super) before: Option<u64>,
    /// On how many runs the word was said before these.
    pub(super) done: Option<u64>,
    pub(super) reason: String,
    pub(super) note: String,
    /// What is wrong with them, if they were given before.
    pub(super) wrong: Option<Wrong>,
}

/// A thing to do, or a run, that a word is said on.
pub(super) struct Chosen {
    pub(super) operation: String,
    pub(super) subject: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) runs: u64,
}

/// What a choice comes to.
#[derive(Default)]
struct Found {
    /// The first of them.
    chosen: Vec<Chosen>,
    items: u64,
    runs: u64,
    /// There are more that were not counted.
    more: bool,
    /// The first runs, if they were asked for: at most [`MOST`].
    first: Vec<RunId>,
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
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
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

    /// What is chosen now: all that the filter names, or those of it that were marked. With `runs`
    /// the first of the runs themselves.
    async fn find(&self, view: &View, runs: bool) -> Page<Found> {
        let mut found = Found::default();
        let mut request = PageRequest::first(PageRequest::MOST);
        for _ in 0..PAGES {
            let next = match self.action {
                FollowUpAction::Resolve if self.runs.is_empty() => {
                    let page = view.follow_ups(&self.query.items(), &request).await?;
                    for item in page.items {
                        if self.items.is_empty() || self.items.contains(&item.key.to_string()) {
                            if runs && found.first.len() < MOST {
                                found.first.extend(runs_of(view, &item).await?);
                            }
                            found.add(of_item(item));
                        }
                    }
                    page.next
                }
                FollowUpAction::Resolve | FollowUpAction::Reopen => {
                    let filter = match self.action {
                        FollowUpAction::Resolve => {
                            RunFilter { follow_up: Some(true), ..self.query.runs() }
                        }
                        FollowUpAction::Reopen => {
                            let status = Some(Actionability::ResolvedByOperator);
                            RunFilter { actionability: status, ..self.query.runs() }
                        }
                    };
                    let page = view.runs(&filter, &request).await?;
                    for run in &page.items {
                        if self.runs.is_empty() || self.runs.contains(&run.run_id) {
                            found.first.extend(runs.then_some(run.run_id));
                            found.add(of_run(run));
                        }
                    }
                    page.next
                }
            };
            found.first.truncate(MOST);
            match next {
                Some(next) => request = request.at(next),
                None => return Ok(found),
            }
        }
        found.more = true;
        Ok(found)
    }
}

impl Found {
    fn add(&mut self, chosen: Chosen) {
        self.items += 1;
        self.runs += chosen.runs;
        if self.chosen.len() < NAMED {
            self.chosen.push(chosen);
        }
    }
}

/// The runs of a thing to do, at most [`MOST`].
async fn runs_of(view: &View, item: &FollowUpItem) -> Page<Vec<RunId>> {
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
    Ok(runs)
}

fn of_item(item: FollowUpItem) -> Chosen {
    Chosen {
        operation: item.operation,
        subject: item.subject.map(|subject| subject.to_string()),
        environment: item.environment,
        runs: item.occurrences,
    }
}

fn of_run(run: &Standing) -> Chosen {
    Chosen {
        operation: run.recorded.operation.clone(),
        subject: run.recorded.subject.as_ref().map(ToString::to_string),
        environment: run.recorded.environment.as_ref().map(ToString::to_string),
        runs: 1,
    }
}

/// Shows on how many runs a word would be said, and asks for its reason.
pub(super) async fn preview(
    Asked { shell, view, asked, .. }: Asked<Vec<(String, String)>>,
) -> Page<Html<String>> {
    let choice = Choice::of(&asked)?;
    let found = choice.find(&view, false).await?;
    html(&shown(shell, choice, found, None, &asked))
}

fn shown(
    shell: Shell,
    choice: Choice,
    found: Found,
    before: Option<u64>,
    given: &[(String, String)],
) -> ResolvePage {
    let text = |name: &str| {
        let pair = given.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let Choice { action, carried, .. } = choice;
    let Found { chosen, items, runs, more, .. } = found;
    let (reason, note, done) = (text("reason"), text("note"), text("done").parse().ok());
    let most = MOST;
    ResolvePage {
        shell,
        action,
        chosen,
        items,
        runs,
        more,
        most,
        carried,
        before,
        done,
        reason,
        note,
        wrong: None,
    }
}

/// Says the word, if it is on as many runs as was shown; otherwise shows the choice again.
pub(super) async fn resolve(State(app): State<App>, request: Request) -> Page<Response> {
    use axum::extract::FromRequest;
    let (mut parts, body) = request.into_parts();
    let asked = Asked::<Vec<(String, String)>>::from_request_parts(&mut parts, &app).await?;
    let viewer = door::viewer(&parts)?;
    let request = Request::from_parts(parts, body);
    let form = Form::<Vec<(String, String)>>::from_request(request, &app).await;
    let Form(given) = form.map_err(|_| Fault::foreign())?;
    let form_token = given.iter().find(|(key, _)| key == "form_token");
    if !form_token.is_some_and(|(_, token)| viewer.made(token)) {
        return Err(Fault::foreign());
    }
    say(&app, asked, &given).await
}

async fn say(
    app: &App,
    asked: Asked<Vec<(String, String)>>,
    given: &[(String, String)],
) -> Page<Response> {
    let text = |name: &str| {
        let pair = given.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let Asked { shell, view, workspace, .. } = asked;
    let choice = Choice::of(given)?;
    let found = choice.find(&view, true).await?;
    if text("runs").parse() != Ok(found.runs) {
        let before = text("runs").parse().ok();
        return Ok(html(&shown(shell, choice, found, before, given))?.into_response());
    }
    let word = match said(&shell.access, choice.action, text("reason"), text("note")) {
        Ok(word) => word,
        Err(wrong) => {
            let page = shown(shell, choice, found, None, given);
            let page = html(&ResolvePage { wrong: Some(wrong), ..page })?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let (done, last) = submit(app, &shell.access, workspace, &found.first, &word).await?;
    there(app, workspace, last).await?;
    let said = u64::try_from(found.first.len()).unwrap_or_default();
    if found.runs > said || found.more || done.stopped {
        // It goes on with a button: the same choice, as far as it is left, and the same word.
        let beside = ["reason", "note"].map(|name| (name.to_owned(), text(name).to_owned()));
        let count = ("done".to_owned(), done.runs.to_string());
        let pairs = choice.carried.iter().chain(&beside).chain([&count]);
        let pairs = pairs.map(|(name, value)| format!("{name}={}", encode(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        return Ok(Redirect::to(&shell.to(&format!("follow-ups/resolve?{query}"))).into_response());
    }
    Ok(Redirect::to(&shell.to_with("follow-ups", "done", done.runs)).into_response())
}

/// How far a word came.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    runs: u64,
    /// The ledger took no more; the rest is left.
    stopped: bool,
}

/// Says a word on each of these runs. Once some are recorded, what stops it is no error: they stay
/// recorded, and the rest is shown as left.
async fn submit(
    app: &App,
    access: &Access,
    workspace: WorkspaceId,
    runs: &[RunId],
    word: &FollowUpCommand,
) -> Page<(Done, Option<u64>)> {
    let (mut done, mut last) = (Done::default(), None);
    for batch in runs.chunks(BATCH) {
        let submission = |run: &RunId| {
            let command = Command::Run(*run, RunCommand::FollowUp(word.clone()));
            let submission = Submission::new(command).by(access.actor().clone());
            submission.within(access.within())
        };
        let submissions = batch.iter().map(submission).collect();
        let answers = match app.ledger().submit(workspace, submissions, false).await {
            Ok(answers) => answers,
            Err(_) if done.runs > 0 => {
                done.stopped = true;
                break;
            }
            Err(error) => return Err(ApiError::from(error).into()),
        };
        for answer in answers {
            // What another person closed meanwhile is refused or said before; nothing is lost.
            if let Answer::Recorded(receipt) = answer {
                done.runs += 1;
                last = last.max(Some(receipt.position));
            }
        }
    }
    Ok((done, last))
}
