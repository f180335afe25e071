//! `runledger overview`.

use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::texts::{Phrase, Texts};
use runledger_projections::{FollowUpCounts, Overview};

use super::reading::{Query, Reading, push};
use super::runs::counted as runs;
use super::table::Cell;
use super::times::{absolute, length};
use super::{Answer, block_on, output};

/// Show a workspace at a glance: what needs a person, what is active, what was made good.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 shown; 1 failed; 2 the command line or a setting cannot be used; 3 the server cannot
be reached, or refused")]
pub(super) struct OverviewOf {
    /// One environment; '' is the workspace's own runs
    #[arg(long, short, value_name = "NAME")]
    environment: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(overview: &OverviewOf) -> anyhow::Result<Answer> {
    block_on(async {
        let reader = overview.reading.begin().await?;
        let mut query = Query::new();
        push(&mut query, "environment", overview.environment.as_ref());
        let Some(found) = reader.ask::<Overview>(&["overview"], query).await? else {
            return Ok(Answer::Yes);
        };
        let of = match overview.environment.as_deref() {
            None => reader.connected.workspace.clone(),
            Some("") => format!("{}, its own runs", reader.connected.workspace),
            Some(name) => format!("{}, environment {name}", reader.connected.workspace),
        };
        output::line(format!("{}  {}", Cell::new(of).bold(), Cell::new(absolute(found.at)).dim()));
        print(&found, reader.texts);
        Ok(Answer::Yes)
    })
}

fn print(found: &Overview, texts: &Texts) {
    let Overview { counts, at, .. } = found;
    let person = |counts: &FollowUpCounts| {
        let oldest = counts.oldest.map(|oldest| length(at.since(oldest)));
        let oldest = oldest.map(|oldest| format!(", the oldest for {oldest}")).unwrap_or_default();
        format!("in {}{oldest}", runs(counts.runs))
    };
    section(&texts.phrase(Phrase::NeedsPerson));
    for (status, counts) in
        [("actionable", &counts.actionable), ("requires_manual_review", &counts.manual_review)]
    {
        count(&name(status, texts), counts.items, &person(counts), Severity::Attention);
    }
    section(&texts.phrase(Phrase::ActiveRuns));
    for (phrase, runs, severity) in [
        (Phrase::InTime, counts.active_fresh, Severity::Calm),
        (Phrase::Overdue, counts.active_stale, Severity::Attention),
        (Phrase::NoTimeLimit, counts.active_unknown, Severity::Notice),
    ] {
        count(&texts.phrase(phrase), runs, "", severity);
    }
    section(&texts.phrase(Phrase::MadeGood));
    for (status, runs) in [
        ("superseded_by_later_success", counts.superseded),
        ("resolved_by_current_state", counts.resolved_by_state),
        ("resolved_by_operator", counts.resolved_by_operator),
    ] {
        count(&name(status, texts), runs, "", Severity::Done);
    }
    if !found.queues.is_empty() {
        section(&texts.phrase(Phrase::Queues));
    }
    for (verdict, queues) in &found.queues {
        count(&texts.queue(*verdict), *queues, "", super::queues::severity(*verdict));
    }
    output::line("");
    output::line(Cell::new(format!("{} in all", runs(counts.runs))).dim());
    if let Some(parked) = &found.health.parked {
        output::note(format!("the read models stand still: {parked}"));
    } else if let Some(lag) = found.health.lag.filter(|lag| *lag > 0) {
        output::note(format!("{lag} recorded events do not count here yet"));
    }
}

/// What people call a verdict.
fn name(status: &str, texts: &Texts) -> String {
    let known = status.parse::<Actionability>();
    known.map_or_else(|_| status.to_owned(), |status| texts.actionability(status))
}

fn section(name: &str) {
    output::line("");
    output::line(Cell::new(name.to_uppercase()).bold());
}

/// One number; it is as loud as it means if there is anything at all.
fn count(what: &str, number: u64, more: &str, severity: Severity) {
    let severity = if number == 0 { Severity::Done } else { severity };
    let more = if number == 0 { "" } else { more };
    let number = Cell::new(format!("{number:>6}")).loud(severity);
    output::line(format!("{number}  {what}  {}", Cell::new(more).dim()).trim_end());
}
