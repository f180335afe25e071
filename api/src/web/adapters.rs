//! Adapters: what proves from elsewhere how runs ended, and how its sources answer.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_adapters::adapter::Operations;
use runledger_adapters::seam::SeamError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::texts::Phrase;

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::words;
use crate::app::App;
use crate::problem::ApiResult;
use crate::reconciler::ReconcileError;
use crate::routes::overview::PartQuery;

/// An adapter as people see it.
#[derive(Clone, Debug)]
pub(super) struct AdapterView {
    pub(super) name: String,
    pub(super) version: u32,
    /// What it judges; none is every operation type.
    pub(super) operations: Option<BTreeSet<String>>,
    pub(super) reads: Option<String>,
    /// Why it judges nothing.
    pub(super) idle: Option<String>,
    pub(super) last_success: Option<Moment>,
    pub(super) last_error: Option<(String, Moment)>,
    pub(super) failures: u64,
    pub(super) backlog: u64,
}

impl AdapterView {
    /// Takes out what is known of now alone.
    fn past(&mut self) {
        (self.idle, self.last_success, self.last_error) = (None, None, None);
        (self.failures, self.backlog) = (0, 0);
    }

    /// How loud its state is.
    pub(super) fn severity(&self) -> Severity {
        match self {
            AdapterView { idle: Some(_), .. } => Severity::Notice,
            AdapterView { failures: 1.., .. } => Severity::Warning,
            AdapterView { .. } => Severity::Calm,
        }
    }

    /// What names its state.
    pub(super) fn state(&self) -> Phrase {
        match self {
            AdapterView { idle: Some(_), .. } => Phrase::AdapterIdle,
            AdapterView { failures: 1.., last_error, .. } => unheard(last_error.as_ref()),
            AdapterView { last_success: None, .. } => Phrase::AdapterNotAsked,
            AdapterView { .. } => Phrase::AdapterAnswers,
        }
    }
}

impl Shell {
    /// Why an adapter gave no answer, by its stable word.
    pub(super) fn adapter_error(&self, code: impl AsRef<str>) -> String {
        self.say(match code.as_ref() {
            "unavailable" => "adapter-error-unavailable",
            "timeout" => "adapter-error-timeout",
            "refused" => "adapter-error-refused",
            "malformed" => "adapter-error-malformed",
            "broken" => "adapter-error-broken",
            "no_subject" => "adapter-error-subject",
            "unknown_run" => "adapter-error-run",
            "idle" => "adapter-error-idle",
            "remote" => "adapter-error-remote",
            code if SeamError::is_code(code) => "adapter-error-decision",
            _ => "adapter-error-other",
        })
    }

    /// Why an adapter of the product decided as it did; of others the code alone is known.
    pub(super) fn adapter_code(&self, code: impl std::fmt::Display) -> String {
        decided(&code.to_string()).map(|key| self.say(key)).unwrap_or_default()
    }

    /// Why a run ended as it did, in words where they are known; a source's own word stays what it
    /// is, without the signs of a program.
    pub(super) fn reason_code(&self, code: impl std::fmt::Display) -> String {
        let code = code.to_string();
        match decided(&code).or_else(|| ended(&code)) {
            Some(key) => self.say(key),
            None => code.replace('_', " "),
        }
    }

    /// What the adapters of the product say of themselves, in the reader's language. What somebody
    /// else wrote of an adapter of theirs stays as it is.
    pub(super) fn of_adapter(&self, text: &str) -> String {
        of_adapter(text).map_or_else(|| text.to_owned(), |key| self.say(key))
    }
}

fn of_adapter(text: &str) -> Option<&'static str> {
    Some(match text {
        "no domain database is configured; name one to have these runs judged" => {
            "adapter-no-domain"
        }
        "restore_runs of the domain database" => "adapter-reads-restores",
        "environment_reviews of the domain database" => "adapter-reads-reviews",
        "a query of the domain database" => "adapter-reads-query",
        "a service over HTTP" => "adapter-reads-http",
        "what a program of its own reads" => "adapter-reads-own",
        _ => return None,
    })
}

/// The message of a reason that the adapters of the product give.
fn decided(code: &str) -> Option<&'static str> {
    Some(match code {
        "abandoned" => "adapter-code-abandoned",
        "not_due" => "adapter-code-not-due",
        "nothing_found" => "adapter-code-nothing-found",
        "several_found" => "adapter-code-several-found",
        "source_did_not_answer" => "adapter-code-source-did-not-answer",
        "value_without_a_meaning" => "adapter-code-value-without-a-meaning",
        "ambiguous_restore" => "adapter-code-ambiguous-restore",
        "no_restore_found" => "adapter-code-no-restore-found",
        "restore_aborted" => "adapter-code-restore-aborted",
        "restore_completed" => "adapter-code-restore-completed",
        "restore_completed_with_errors" => "adapter-code-restore-completed-with-errors",
        "restore_failed" => "adapter-code-restore-failed",
        "restore_is_executing" => "adapter-code-restore-is-executing",
        "restore_is_previewed" => "adapter-code-restore-is-previewed",
        "unknown_restore_status" => "adapter-code-unknown-restore-status",
        "ambiguous_lineage" => "adapter-code-ambiguous-lineage",
        "archived" => "adapter-code-archived",
        "no_ready_successor" => "adapter-code-no-ready-successor",
        "no_review_found" => "adapter-code-no-review-found",
        "review_failed" => "adapter-code-review-failed",
        "review_is_a_draft" => "adapter-code-review-is-a-draft",
        "review_ready" => "adapter-code-review-ready",
        "superseded_by_ready_review" => "adapter-code-superseded-by-ready-review",
        "unknown_review_status" => "adapter-code-unknown-review-status",
        _ => return None,
    })
}

/// The message of a reason that sources of all kinds give.
fn ended(code: &str) -> Option<&'static str> {
    Some(match code {
        "timeout" | "timed_out" => "reason-timeout",
        "cancelled" | "canceled" => "reason-cancelled",
        "connection_refused" | "unreachable" => "reason-unreachable",
        "rate_limited" | "too_many_requests" => "reason-rate-limited",
        "permission_denied" | "forbidden" | "unauthorized" => "reason-permission",
        "not_found" => "reason-not-found",
        "out_of_memory" => "reason-memory",
        "disk_full" | "no_space" => "reason-disk",
        "validation_failed" | "invalid_input" => "reason-input",
        "internal_error" | "exception" | "error" => "reason-error",
        "conflict" => "reason-conflict",
        _ => return None,
    })
}

/// Why an adapter is not heard: it gave no answer, or one that was refused.
fn unheard(last_error: Option<&(String, Moment)>) -> Phrase {
    match last_error {
        Some((class, _)) if SeamError::is_code(class) => Phrase::AdapterRefused,
        _ => Phrase::AdapterFailing,
    }
}

#[derive(Template)]
#[template(path = "adapters.html")]
pub(super) struct AdaptersPage {
    pub(super) shell: Shell,
    pub(super) adapters: Vec<AdapterView>,
}

pub(super) async fn page(
    State(app): State<App>,
    Asked { shell, workspace, .. }: Asked<PartQuery>,
) -> Page<Html<String>> {
    let mut adapters = adapters(&app, workspace).await?;
    if shell.as_of.is_some() {
        // How they answered is kept as it is now, and not as it was.
        for adapter in &mut adapters {
            adapter.past();
        }
    }
    html(&AdaptersPage { shell, adapters })
}

/// Every adapter of the server, and how it answers in a workspace now. Two statements.
pub(super) async fn adapters(app: &App, workspace: WorkspaceId) -> ApiResult<Vec<AdapterView>> {
    let health = app.projections().adapter_health(workspace, app.ledger().now()).await;
    let mut health = health.map_err(ReconcileError::from)?;
    let adapters = app.reconciler().registry().adapters().iter().map(|adapter| {
        let manifest = &adapter.manifest;
        let health = health.remove(&manifest.name).unwrap_or_default();
        AdapterView {
            name: manifest.name.clone(),
            version: manifest.version,
            operations: match &manifest.operations {
                Operations::Named(names) => Some(names.clone()),
                Operations::Every => None,
            },
            reads: manifest.reads.clone(),
            idle: adapter.idle().map(str::to_owned),
            last_success: health.last_success,
            last_error: health.last_error,
            failures: health.failures,
            backlog: health.backlog,
        }
    });
    Ok(adapters.collect())
}

#[cfg(test)]
mod tests {
    use runledger_ledger::catalog::Catalog;

    use super::*;

    #[test]
    fn what_the_adapters_of_the_product_decide_has_words_in_every_language() {
        const SOURCES: [&str; 4] = [
            include_str!("../../../adapters/src/restore.rs"),
            include_str!("../../../adapters/src/review.rs"),
            include_str!("../../../adapters/src/lifecycle.rs"),
            include_str!("../../../adapters/src/probe/meaning.rs"),
        ];
        // Every text in quotes that is written like a reason.
        let texts = SOURCES.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
        let starts = ["restore_", "review_", "no_", "ambiguous_", "unknown_", "superseded_"];
        let beside = ["restore_id", "restore_status", "restore_run", "review_id", "review_status"];
        let reasons: Vec<&str> = texts
            .filter(|text| starts.iter().any(|start| text.starts_with(start)))
            .filter(|text| text.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .filter(|text| !beside.contains(text) && *text != "restore_runs")
            .collect();
        assert!(reasons.len() > 12, "{reasons:?}");
        for reason in reasons {
            assert!(decided(reason).is_some(), "{reason}");
        }
    }

    #[test]
    fn what_the_adapters_of_the_product_say_of_themselves_is_in_the_catalog_of_messages() {
        let built_in = runledger_adapters::built_in(None).build(&Catalog::built_in()).unwrap();
        let mut said = 0;
        for adapter in built_in.adapters() {
            for text in adapter.manifest.reads.as_deref().into_iter().chain(adapter.idle()) {
                assert!(of_adapter(text).is_some(), "{text}");
                said += 1;
            }
        }
        assert!(said > 2, "{said}");
    }
}
