//! `runledger adapters check --run`: what the adapters, as they are configured here, would decide of
//! one run. The run comes from the database, and nothing is recorded.

use anyhow::Context;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{Fields, Scalar};
use runledger_ledger::store::StoreUrl;
use runledger_ledger::words::{RunId, WorkspaceId};
use runledger_projections::rules::standing::ReconciliationView;
use runledger_projections::{AsOf, PageRequest, Projections, RunFilter};

use super::table::Cell;
use super::{Answer, Unusable, output};
use crate::adapters::Adapters;
use crate::reconciler::{AdapterWord, Preview, Reconciler};
use crate::server;
use crate::settings::Settings;

/// Asks the adapters about the run that `text` names, in `workspace` or wherever it is.
pub(super) async fn run(
    settings: &Settings,
    adapters: &Adapters,
    text: &str,
    workspace: Option<&str>,
) -> anyhow::Result<(Preview, String)> {
    if let StoreUrl::SqliteFile(path) = &settings.database
        && !path.is_file()
    {
        return Err(unusable(format!(
            "there is no ledger in {}, so no run can be looked at; name the server's data directory \
             with --data-dir, or its database with --database-url",
            path.display()
        )));
    }
    let store = server::open(&settings.database).await?;
    let ledger = Ledger::new(store, Clock::system(), Entropy::system());
    let projections = Projections::new(ledger)?;
    let (id, name, run) = find(&projections, text.trim(), workspace).await?;
    let reconciler =
        Reconciler::new(projections.clone(), adapters.registry.clone(), Entropy::system());
    let preview = reconciler.preview(id, &name, run).await?;
    projections.ledger().store().close().await;
    Ok((preview, name))
}

/// Prints what each adapter says. Whether each of them gave an answer.
pub(super) fn print(preview: &Preview, workspace: &str) -> Answer {
    let Preview { run_id, status, outcome, stale, adapters, would_record, .. } = preview;
    let late = if *stale { ", past its window" } else { "" };
    output::line("");
    output::line(
        Cell::new(format!("run {run_id} of {workspace}: {status}, {outcome}{late}")).bold(),
    );
    for word in adapters {
        say(word);
    }
    output::line(match (would_record, adapters.as_slice()) {
        (Some(found), _) => format!("would be recorded: {} by {}", found.decision, found.adapter),
        (None, []) => {
            "no adapter handles runs of its operation type; nothing would be recorded".into()
        }
        (None, _) => "nothing would be recorded".to_owned(),
    });
    let unheard = |word: &AdapterWord| word.error.is_some_and(|code| code != "remote");
    if adapters.iter().any(unheard) { Answer::No } else { Answer::Yes }
}

fn say(AdapterWord { adapter, reconciliation, observation, error, detail }: &AdapterWord) {
    if let Some(error) = error {
        let detail = detail.as_deref().unwrap_or_default();
        output::line(format!("  {adapter} says nothing ({error}): {detail}"));
    }
    if let Some(ReconciliationView { decision, reason_code, related, evidence, .. }) =
        reconciliation
    {
        let related = related.as_ref().map(|it| format!("{it}: ")).unwrap_or_default();
        output::line(format!("  {related}{adapter} says {decision} ({reason_code})"));
        shown(evidence);
    }
    if let Some(seen) = observation {
        output::line(format!(
            "  {adapter} sees its subject {} at {}",
            seen.state, seen.verified_at
        ));
        shown(&seen.evidence);
    }
}

fn shown(evidence: &Fields) {
    for (key, value) in evidence {
        let value = match value {
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text.to_string(),
        };
        output::line(format!("    {key}: {}", Cell::new(value)));
    }
}

/// The run of this id, or of the only id that ends so, and its workspace.
async fn find(
    projections: &Projections,
    text: &str,
    workspace: Option<&str>,
) -> anyhow::Result<(WorkspaceId, String, RunId)> {
    let ends = text.len() >= 4 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if !ends {
        let what = format!("`{text}` is no run id, nor four or more characters of one's end");
        return Err(unusable(what));
    }
    let mut there = projections.ledger().store().workspaces().await?;
    there.retain(|(_, name)| workspace.is_none_or(|wanted| wanted == name));
    if let (Some(wanted), true) = (workspace, there.is_empty()) {
        return Err(unusable(format!("there is no workspace {wanted:?}")));
    }
    let mut found = Vec::new();
    for (id, name) in there {
        for run in ending_in(projections, id, text).await? {
            found.push((id, name.clone(), run));
        }
    }
    match (found.pop(), found.pop()) {
        (Some(only), None) => Ok(only),
        (Some((_, _, one)), Some((_, _, other))) => {
            Err(unusable(format!("several runs end in {text}, such as {one} and {other}")))
        }
        (None, _) => Err(anyhow::anyhow!(
            "no run is or ends in {text}, among those looked at; `runledger runs list` shows them"
        )),
    }
}

async fn ending_in(
    projections: &Projections,
    workspace: WorkspaceId,
    text: &str,
) -> anyhow::Result<Vec<RunId>> {
    let view = projections.view(workspace, AsOf::Now).await.context("the runs cannot be read")?;
    let filter = RunFilter { text: Some(text.to_owned()), ..RunFilter::default() };
    let page = view.runs(&filter, &PageRequest::first(PageRequest::MOST)).await?;
    let ids = page.items.iter().map(|standing| standing.run_id);
    Ok(ids.filter(|id| id.to_string().ends_with(text)).collect())
}

fn unusable(what: String) -> anyhow::Error {
    anyhow::Error::new(Unusable(what))
}
