//! `runledger runs show`: both truths of a run, why each verdict is what it is, and its events.

use anyhow::Context;
use runledger_ledger::words::RunId;
use runledger_projections::rules::actionability::Proof;
use runledger_projections::rules::standing::{Now, Recorded, Standing};
use runledger_projections::texts::{Phrase, Texts};
use runledger_projections::{Page, Timeline};
use serde::Deserialize;

use super::super::events::{self, Line};
use super::super::reading::{Query, Reader, Reading};
use super::super::table::{Cell, Table, wrap};
use super::super::times::{absolute, relative};
use super::super::{Answer, Unusable, output};
use super::timeline;

/// Show one run: what is recorded of it, what is true of it now and why, and its events.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger runs show 0192a0f4-7bde-7c3a-8f51-0d6c9e41b7aa
  runledger runs show 9e41b7aa                  the end of an id, as lists show it
  runledger runs show 9e41b7aa --as-of 2h       as it was two hours ago
  runledger runs show 9e41b7aa --timeline       was there a worker while it waited?

Exit codes: 0 shown; 1 there is no such run, or it failed; 2 the command line or a setting cannot
be used; 3 the server cannot be reached, or refused")]
pub(in crate::cli) struct Show {
    /// The run's id, or its end
    #[arg(value_name = "RUN")]
    run: String,
    /// What was true of it from when to when instead, with what changed it: its freshness, the queue that it
    /// waited in, and whether it needed a person
    #[arg(long)]
    timeline: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Deserialize)]
struct RunEvents {
    items: Vec<Line>,
    #[serde(default)]
    next: Option<String>,
}

impl Show {
    pub(super) async fn print(&self) -> anyhow::Result<Answer> {
        let reader = self.reading.begin().await?;
        let id = self.id(&reader).await?;
        if self.timeline {
            let told = reader.ask::<Timeline>(&["runs", &id, "timeline"], Query::new()).await?;
            told.iter().for_each(timeline::print);
            return Ok(Answer::Yes);
        }
        let Some(standing) = reader.ask::<Standing>(&["runs", &id], Query::new()).await? else {
            return Ok(Answer::Yes);
        };
        let of_events = vec![("limit", "1000".to_owned())];
        let events: RunEvents = reader.look(&["runs", &id, "events"], of_events).await?;
        heading(&standing);
        recorded(&standing.recorded, &standing.now, reader.texts);
        now(&standing, reader.texts);
        print_events(&events);
        Ok(Answer::Yes)
    }

    /// The whole id of the run that is meant.
    async fn id(&self, reader: &Reader) -> anyhow::Result<String> {
        let text = self.run.trim();
        if text.parse::<RunId>().is_ok() {
            return Ok(text.to_owned());
        }
        if text.len() < 4 || !text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            let what = format!("`{text}` is no run id, nor four or more characters of one's end");
            return Err(anyhow::Error::new(Unusable(what)));
        }
        let query = vec![("text", text.to_owned()), ("limit", "500".to_owned())];
        let page: Page<Standing> = reader.look(&["runs"], query).await?;
        let ids = page.items.iter().map(|run| run.run_id.to_string());
        let mut ids: Vec<String> = ids.filter(|id| id.ends_with(text)).collect();
        match (ids.pop(), ids.is_empty()) {
            (Some(id), true) => Ok(id),
            (Some(id), false) => {
                let others = ids.join(", ");
                let what = format!("several runs end in {text}: {id}, {others}; give a whole id");
                Err(anyhow::Error::new(Unusable(what)))
            }
            (None, _) => {
                let workspace = &reader.connected.workspace;
                Err(anyhow::anyhow!(
                    "no run of the workspace {workspace} ends in {text}, among those looked at; \
                     give its whole id, or find it with `runledger runs list`"
                ))
            }
        }
        .context("the run was not found")
    }
}

fn heading(standing: &Standing) {
    let Recorded { operation, subject, environment, family, .. } = &standing.recorded;
    let mut title = Cell::new(operation).bold().to_string();
    for part in
        [subject.as_ref().map(ToString::to_string), environment.as_ref().map(ToString::to_string)]
            .into_iter()
            .flatten()
    {
        title.push_str("  ");
        title.push_str(&Cell::new(part).to_string());
    }
    output::line(title);
    output::line(Cell::new(format!("run {}  family {family}", standing.run_id)).dim());
}

/// Historical truth.
fn recorded(recorded: &Recorded, now: &Now, texts: &Texts) {
    section("RECORDED", "what the ledger was told; nothing rewrites it");
    let ended = recorded.completed_at.is_some();
    let truth = if ended { texts.outcome(recorded.outcome) } else { texts.status(recorded.status) };
    let reason = recorded.reason_code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    field("", Cell::new(format!("{truth}{reason}")).bold());
    if let Some(message) = &recorded.message {
        sentence(&message.to_string());
    }
    let who = recorded.initiator.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    let inferred = match recorded.inferred {
        true => format!(", {}", texts.phrase(Phrase::Inferred)),
        false => String::new(),
    };
    time("asked for", Some(recorded.dispatched_at), now, &format!("{who}{inferred}"));
    let worker = recorded.worker.as_ref().map(|who| format!(" on {who}")).unwrap_or_default();
    time("started", recorded.started_at, now, &worker);
    time("ended", recorded.completed_at, now, "");
    if recorded.settled_at != recorded.completed_at {
        time("settled", recorded.settled_at, now, "");
    }
    if !ended {
        time("last sign of life", recorded.last_sign_of_life, now, "");
    }
    if recorded.attempt > 1 || recorded.retry_of.is_some() {
        let of = recorded.retry_of.map(|run| format!(" of {run}")).unwrap_or_default();
        field("attempt", Cell::new(format!("{}{of}", recorded.attempt)));
    }
    optional("part of", recorded.parent_run_id.map(|run| run.to_string()));
    let queue = queue_name(recorded.connection.as_ref(), recorded.queue.as_ref());
    optional("queue", queue);
    optional("fingerprint", recorded.fingerprint.as_ref().map(ToString::to_string));
    optional("related", recorded.related.as_ref().map(ToString::to_string));
    for late in &recorded.late_signals {
        let agrees = if late.agrees { Phrase::Agrees } else { Phrase::Disagrees };
        let agrees = texts.phrase(agrees);
        let told = texts.outcome(late.outcome);
        time("late signal", Some(late.effective_at), now, &format!(": {told}, {agrees}"));
    }
    if let Some(found) = &recorded.reconciliation {
        let related = found.related.as_ref().map(|it| format!("{it}: ")).unwrap_or_default();
        let text = format!(
            "{related}{} {} found {} ({})",
            found.adapter, found.adapter_version, found.decision, found.reason_code
        );
        field("reconciled", Cell::new(text));
    }
}

/// Current truth, and why.
fn now(standing: &Standing, texts: &Texts) {
    let Standing { recorded, now, .. } = standing;
    section("NOW", &format!("derived for {}", absolute(now.at)));
    optional("look at", now.related.as_ref().map(ToString::to_string));
    let severity = now.guidance.severity;
    for line in wrap(&now.guidance.text, room()) {
        output::line(format!("  {}", Cell::new(line).loud(severity)));
    }
    let deadline = now.deadline.map(|deadline| {
        let passed = now.at >= deadline;
        let phrase = if passed { Phrase::DeadlinePassed } else { Phrase::Deadline };
        format!("; {} {}", texts.phrase(phrase), relative(deadline, now.at))
    });
    let freshness = texts.freshness(now.freshness);
    field("freshness", Cell::new(format!("{freshness}{}", deadline.unwrap_or_default())));
    if let Some(queue) = now.queue.as_ref().filter(|_| recorded.completed_at.is_none()) {
        let verdict = texts.queue(queue.verdict);
        let (waiting, workers) = (queue.waiting, queue.live_workers);
        let text = format!("{verdict}; {waiting} waiting, {workers} live workers");
        field("queue", Cell::new(text));
    }
    optional("progress", texts.progress(&now.progress));
    let status = texts.actionability(now.actionability.status);
    let reason = texts.reason(&now.actionability);
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    field("follow-up", Cell::new(format!("{status}{why}")));
    if let Some(proof) = &now.actionability.proof {
        field("proof", Cell::new(proof_text(proof, recorded, now, texts)));
    }
    let offered = now.actions.iter().filter(|action| action.offered);
    for action in offered {
        let (key, reason) = (texts.action(action.key), texts.action_reason(action.reason));
        field("you may", Cell::new(format!("{key}: {reason}")));
    }
}

fn proof_text(proof: &Proof, recorded: &Recorded, now: &Now, texts: &Texts) -> String {
    match proof {
        Proof::Run(run) => format!("run {run}, {}", texts.phrase(Phrase::ProofRun)),
        Proof::Observation { position, verified_at } => {
            let subject = recorded.subject.as_ref().map(ToString::to_string).unwrap_or_default();
            let seen = relative(*verified_at, now.at);
            format!("{subject} was observed {seen}, at position {position} of the log")
        }
        Proof::Reconciliation { adapter, recorded_at, related } => {
            let related = related.as_ref().map(|it| format!("{it}: ")).unwrap_or_default();
            format!("{related}the adapter {adapter}, {}", relative(*recorded_at, now.at))
        }
        Proof::Operator { by, note, recorded_at } => {
            let note = note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            format!("{by}, {}{note}", relative(*recorded_at, now.at))
        }
        Proof::LateSignal => texts.phrase(Phrase::LateSignal),
    }
}

fn print_events(found: &RunEvents) {
    section("EVENTS", "");
    let mut table = Table::new(["POSITION", "RECORDED", "EVENT"]).with_sentences("WHAT IT SAYS");
    found.items.iter().for_each(|event| table.row(events::row(event)));
    table.indented_lines(2).iter().for_each(output::line);
    if found.next.is_some() {
        output::note("there are more events; the API lists them all");
    }
}

fn section(name: &str, what: &str) {
    output::line("");
    output::line(format!("{}  {}", Cell::new(name).bold(), Cell::new(what).dim()).trim_end());
}

/// A line of a section: what it is about, and what is said of it.
fn field(name: &str, value: Cell) {
    if name.is_empty() {
        return output::line(format!("  {value}"));
    }
    output::line(format!("  {name:<19}{value}"));
}

fn sentence(text: &str) {
    for line in wrap(text, room()) {
        output::line(format!("  {}", Cell::new(line)));
    }
}

fn optional(name: &str, value: Option<String>) {
    if let Some(value) = value {
        field(name, Cell::new(value));
    }
}

fn time(name: &str, moment: Option<runledger_ledger::time::Moment>, now: &Now, more: &str) {
    if let Some(moment) = moment {
        let text = format!("{}  {}{more}", absolute(moment), relative(moment, now.at));
        field(name, Cell::new(text));
    }
}

fn queue_name(connection: Option<&impl ToString>, queue: Option<&impl ToString>) -> Option<String> {
    let queue = queue?.to_string();
    Some(connection.map_or(queue.clone(), |on| format!("{}/{queue}", on.to_string())))
}

fn room() -> usize {
    output::terminal_width().unwrap_or(100).saturating_sub(2)
}
