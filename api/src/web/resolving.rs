//! A person's word on several runs at once: shown with their number before it is said.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Form, FromRequestParts, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_ledger::run::{FollowUpAction, FollowUpCommand, RunCommand};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use runledger_projections::rules::actionability::{Actionability, is_follow_up};
use runledger_projections::rules::actions::ActionKey;
use runledger_projections::rules::standing::Standing;
use runledger_projections::{FollowUpItem, PageRequest, RunFilter, View};

use super::acting::{Wrong, said, there};
use super::along::Along;
use super::door;
use super::fault::{Fault, Page, html};
use super::follow_ups::FollowUpsQuery;
use super::links::encode;
use super::shell::{Asked, Shell};
use super::sign_in::own_path;
use super::words;
use crate::access::Access;
use crate::app::App;
use crate::problem::{ApiError, ApiResult, Parameter, Takes};
use crate::question::NameOrNone;
use crate::routes::overview::PartQuery;

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
    /// What of the list is meant.
    pub(super) meant: Meant,
    /// The same choice, of everything that fits: where the list has no filter but those of this page.
    pub(super) whole: Option<String>,
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
    /// The list that it was made on.
    pub(super) back: String,
    /// How many runs it was when it was shown before.
    pub(super) before: Option<u64>,
    /// On how many runs the word was said before these.
    pub(super) done: Option<u64>,
    pub(super) reason: String,
    pub(super) note: String,
    /// What is wrong with them, if they were given before.
    pub(super) wrong: Option<Wrong>,
}

impl ResolvePage {
    /// What is done.
    pub(super) fn key(&self) -> ActionKey {
        match self.action {
            FollowUpAction::Resolve => ActionKey::Resolve,
            FollowUpAction::Reopen => ActionKey::Reopen,
        }
    }
}

/// What of a list a word is said on. All of it is a choice of its own, and never what is left when
/// nothing was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// Nothing was marked.
    Nothing,
    /// What was marked.
    Marked,
    /// Everything that fits the filter, on every page of the list.
    All,
}

impl Meant {
    /// The message that says so.
    pub(super) fn message(self) -> &'static str {
        match self {
            Meant::Nothing => "word-none-marked",
            Meant::Marked => "word-of-marked",
            Meant::All => "word-of-all",
        }
    }
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
    /// Whether it is said that everything that fits is meant.
    all: bool,
    query: FollowUpsQuery,
    items: BTreeSet<String>,
    runs: BTreeSet<RunId>,
    /// The list that it was made on.
    back: Option<String>,
    carried: Vec<(String, String)>,
}

/// What a choice is made of.
const OWN: [&str; 9] =
    ["action", "environment", "operation", "family", "actionability", "all", "item", "run", "back"];
/// Of those, what may come several times.
const SEVERAL: [&str; 2] = ["item", "run"];

impl Choice {
    /// Reads it; `beside` are the other fields of a form.
    fn of(pairs: &[(String, String)], beside: &[&str]) -> ApiResult<Choice> {
        known(pairs, beside)?;
        let all = |name: &str| {
            let named = pairs.iter().filter(move |(key, _)| key == name);
            named.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let one = |name: &str| all(name).into_iter().next().filter(|text| !text.is_empty());
        let name = |name: &'static str| match one(name) {
            None => Ok(None),
            Some(text) => Name::new(&text).map(Some).map_err(|_| wrong(name, text, Takes::Text)),
        };
        let action = action(one("action"))?;
        let fits = |status: &Actionability| match action {
            FollowUpAction::Resolve => is_follow_up(*status),
            FollowUpAction::Reopen => *status == Actionability::ResolvedByOperator,
        };
        let actionability = match one("actionability") {
            None => None,
            Some(text) => match text.parse() {
                Ok(status) if fits(&status) => Some(status),
                _ => {
                    let takes = Actionability::ALL.iter().filter(|status| fits(status));
                    let takes = Takes::Words(takes.map(ToString::to_string).collect());
                    return Err(wrong("actionability", text, takes));
                }
            },
        };
        let whole = one("all");
        if let Some(text) = whole.as_ref().filter(|text| *text != "true") {
            return Err(wrong("all", text.clone(), Takes::Words(vec!["true".to_owned()])));
        }
        let marked = |name: &str| all(name).into_iter().filter(|text| !text.is_empty());
        let run = |text: String| text.parse().map_err(|_| wrong("run", text, Takes::Text));
        let environment = all("environment").into_iter().next().map(NameOrNone);
        Ok(Choice {
            action,
            all: whole.is_some(),
            query: FollowUpsQuery {
                environment,
                operation: name("operation")?,
                family: name("family")?,
                actionability,
                ..FollowUpsQuery::default()
            },
            items: marked("item").collect(),
            runs: marked("run").map(run).collect::<ApiResult<_>>()?,
            back: one("back"),
            carried: pairs.iter().filter(|(key, _)| OWN.contains(&key.as_str())).cloned().collect(),
        })
    }

    /// What of the list is meant: where something is marked, no more than that.
    fn meant(&self) -> Meant {
        match (self.items.is_empty() && self.runs.is_empty(), self.all) {
            (false, _) => Meant::Marked,
            (true, true) => Meant::All,
            (true, false) => Meant::Nothing,
        }
    }

    /// Where it was made, if that is a list of this workspace; else the list of follow-ups.
    fn back(&self, shell: &Shell) -> String {
        let lists = ["follow-ups", "runs"].map(|list| format!("/w/{}/{list}", shell.workspace));
        let back =
            self.back.as_deref().map(own_path).filter(|back| {
                lists.iter().any(|list| back.split('?').next() == Some(list.as_str()))
            });
        back.map_or_else(|| shell.to("follow-ups"), str::to_owned)
    }

    /// What is chosen now: all that the filter names, or those of it that were marked. With `runs`
    /// the first of the runs themselves.
    async fn find(&self, view: &View, runs: bool) -> Page<Found> {
        let mut found = Found::default();
        if self.meant() == Meant::Nothing {
            return Ok(found);
        }
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
                        // The filter names no other verdict.
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

/// What is asked for and not done must not look done: nothing else is taken, and nothing twice.
fn known(pairs: &[(String, String)], beside: &[&str]) -> ApiResult<()> {
    let mut seen = BTreeSet::new();
    for (name, given) in pairs {
        let known = OWN.contains(&name.as_str()) || beside.contains(&name.as_str());
        let takes = match seen.insert(name.as_str()) || SEVERAL.contains(&name.as_str()) {
            _ if !known => Takes::Unknown(OWN.map(str::to_owned).to_vec()),
            true => continue,
            false => Takes::Once,
        };
        let detail = format!("`{name}` is no parameter of this page, or is there twice");
        let parameter = Parameter { name: name.clone(), given: Some(given.clone()), takes };
        return Err(parameter.refuse(detail));
    }
    Ok(())
}

/// What is to be done is said, and never guessed.
fn action(given: Option<String>) -> ApiResult<FollowUpAction> {
    if let Some(action) = given.as_deref().and_then(|text| text.parse().ok()) {
        return Ok(action);
    }
    let takes = Takes::Words(FollowUpAction::ALL.iter().map(ToString::to_string).collect());
    let detail = "`action` must say what is to be done: `resolve` or `reopen`";
    Err(Parameter { name: "action".to_owned(), given, takes }.refuse(detail))
}

fn wrong(name: &'static str, given: String, takes: Takes) -> ApiError {
    let detail = format!("`{name}` is none that this page takes; go back and choose again");
    Parameter { name: name.to_owned(), given: Some(given), takes }.refuse(detail)
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
    let choice = Choice::of(&asked, &[])?;
    let found = choice.find(&view, false).await?;
    let given = shell.along.clone().map(|along| (along.reason, along.note)).unwrap_or_default();
    html(&shown(shell, choice, found, None, given))
}

fn shown(
    mut shell: Shell,
    choice: Choice,
    found: Found,
    before: Option<u64>,
    (reason, note): (String, String),
) -> ResolvePage {
    let (back, meant) = (choice.back(&shell), choice.meant());
    let Choice { action, carried, .. } = choice;
    let Found { chosen, items, runs, more, .. } = found;
    let (most, done) = (MOST, shell.done());
    // The address of an answer to a form names nothing of the choice.
    shell.query = carried.clone();
    shell.query.extend(shell.as_of.clone().map(|as_of| ("as_of".to_owned(), as_of)));
    shell.stand_at(shell.path.clone());
    let wrong = None;
    let list = format!("/w/{}/follow-ups", shell.workspace);
    let whole = back.split('?').next() == Some(list.as_str());
    let whole = whole.then(|| shell.refine("all", "true"));
    ResolvePage {
        shell,
        action,
        meant,
        whole,
        chosen,
        items,
        runs,
        more,
        most,
        carried,
        back,
        before,
        done,
        reason,
        note,
        wrong,
    }
}

/// Says the word, if it is on as many runs as was shown; otherwise shows the choice again.
pub(super) async fn resolve(State(app): State<App>, request: Request) -> Page<Response> {
    use axum::extract::FromRequest;
    let (mut parts, body) = request.into_parts();
    let asked = Asked::<PartQuery>::from_request_parts(&mut parts, &app).await?;
    let (viewer, headers) = (door::viewer(&parts)?, parts.headers.clone());
    let request = Request::from_parts(parts, body);
    let form = Form::<Vec<(String, String)>>::from_request(request, &app).await;
    let Form(given) = form.map_err(|_| Fault::foreign())?;
    let form_token = given.iter().find(|(key, _)| key == "form_token");
    if !form_token.is_some_and(|(_, token)| viewer.made(token)) {
        return Err(Fault::foreign());
    }
    say(&app, &headers, asked, &given).await
}

async fn say(
    app: &App,
    headers: &HeaderMap,
    asked: Asked<PartQuery>,
    given: &[(String, String)],
) -> Page<Response> {
    let text = |name: &str| {
        let pair = given.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let Asked { shell, view, workspace, .. } = asked;
    if shell.as_of.is_some() {
        let name = "as_of".to_owned();
        let parameter = Parameter { name, given: shell.as_of, takes: Takes::Unknown(Vec::new()) };
        return Err(parameter.refuse("`as_of`: nothing can be said in the past").into());
    }
    let choice = Choice::of(given, &["form_token", "runs", "reason", "note"])?;
    let found = choice.find(&view, true).await?;
    if choice.meant() == Meant::Nothing {
        let page = html(&shown(shell, choice, found, None, Default::default()))?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let (reason, note) = (text("reason"), text("note"));
    let again = || (reason.to_owned(), note.to_owned());
    if text("runs").parse() != Ok(found.runs) {
        let before = text("runs").parse().ok();
        return Ok(html(&shown(shell, choice, found, before, again()))?.into_response());
    }
    let word = match said(&shell.access, choice.action, reason, note) {
        Ok(word) => word,
        Err(wrong) => {
            let page = shown(shell, choice, found, None, again());
            let page = html(&ResolvePage { wrong: Some(wrong), ..page })?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let (done, last) = submit(app, &shell.access, workspace, &found.first, &word).await?;
    there(app, workspace, last).await?;
    let said = u64::try_from(found.first.len()).unwrap_or_default();
    let to = match found.runs > said || found.more || done.stopped {
        // It goes on with a button: the same choice, as far as it is left, and the same word.
        true => {
            let pairs = choice.carried.iter();
            let pairs = pairs.map(|(name, value)| format!("{name}={}", encode(value)));
            let query = pairs.collect::<Vec<_>>().join("&");
            shell.to(&format!("follow-ups/resolve?{query}"))
        }
        false => choice.back(&shell),
    };
    let along = Along::to(&to).after(done.runs);
    let along = if found.runs > said { along.written("", reason, note) } else { along };
    let mut response = Redirect::to(&to).into_response();
    if let Some(cookie) = along.set_cookie(headers) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
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
