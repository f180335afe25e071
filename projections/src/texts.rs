//! What people read, in English and German. This and the two files under `i18n/` are the only
//! texts about a standing; lists, details, answers and the command line all take them from here.
//!
//! Every message is checked when this file is compiled: a word without a text does not build.

mod reasons;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use i18n_embed::LanguageLoader;
use i18n_embed::fluent::{FluentLanguageLoader, fluent_language_loader};
use i18n_embed_fl::fl;
use runledger_ledger::catalog::{CurrentState, Family, Review, Supersession, Title};
use runledger_ledger::words;
use runledger_ledger::words::{Outcome, Status};
use rust_embed::RustEmbed;

use crate::rules::actionability::{Actionability, Reason, Verdict};
use crate::rules::actions::{ActionKey, ActionReason};
use crate::rules::activity::{Activity, ActivityKey};
use crate::rules::freshness::Freshness;
use crate::rules::guidance::{Guidance, GuidanceKey, Severity};
use crate::rules::progress::{ProgressKind, ProgressView};
use crate::rules::queue::{QueueReason, QueueVerdict};

words! {
    /// A language of the product.
    Language {
        /// English.
        En = "en",
        /// German.
        De = "de",
    }
}

words! {
    /// What several runs or things have in common, for a heading or beside a number; and the short
    /// phrases beside a fact.
    Phrase {
        /// What needs a person.
        NeedsPerson = "group_needs_person",
        /// What is active.
        ActiveRuns = "group_active_runs",
        /// Problems that are over.
        MadeGood = "group_made_good",
        /// Where runs wait.
        Queues = "group_queues",
        /// Active runs inside their window.
        InTime = "active_in_time",
        /// Active runs past their window.
        Overdue = "active_overdue",
        /// Active runs without a window.
        NoTimeLimit = "active_no_time_limit",
        /// A dispatch that a signal stands for.
        Inferred = "recorded_inferred",
        /// A late signal that says the same.
        Agrees = "late_agrees",
        /// A late signal that contradicts.
        Disagrees = "late_disagrees",
        /// A deadline that has not come.
        Deadline = "deadline_to_come",
        /// A deadline that has passed.
        DeadlinePassed = "deadline_passed",
        /// Proof by the run's own word.
        LateSignal = "proof_late_signal",
        /// All is done.
        NothingToDo = "nothing_to_do",
        /// No follow-up is there.
        NobodyNeeded = "nobody_needed",
        /// A run is no follow-up.
        NeedsNobody = "needs_nobody",
        /// No active run is past its window.
        NoneOverdue = "none_overdue",
        /// Problems that nothing has made good.
        StillOpen = "still_open",
        /// Proof by a later run.
        ProofRun = "proof_run",
        /// Proof by an observation.
        ProofObservation = "proof_observation",
        /// Proof by an adapter, which is named.
        ProofAdapter = "proof_adapter",
        /// Proof by a person, who is named.
        ProofOperator = "proof_operator",
        /// An adapter that judges nothing.
        AdapterIdle = "adapter_idle",
        /// An adapter whose source fails.
        AdapterFailing = "adapter_failing",
        /// An adapter whose decisions are refused.
        AdapterRefused = "adapter_refused",
        /// An adapter that nobody asked.
        AdapterNotAsked = "adapter_not_asked",
        /// An adapter that answers.
        AdapterAnswers = "adapter_answers",
        /// What becomes of a run that is waited for no more.
        GivenUp = "becomes_given_up",
        /// A decision that leaves it to a person.
        DecisionNeedsAttention = "decision_needs_attention",
        /// A decision that there is nothing to say.
        DecisionNoChange = "decision_no_change",
        /// A log that is what was signed.
        LogSigned = "log_signed",
        /// A log that nobody signed.
        LogUnsigned = "log_unsigned",
        /// A log whose last events wait for a signature.
        LogBehind = "log_behind",
        /// A log that was changed.
        LogHalted = "log_halted",
    }
}

/// The texts of one language. Reads the embedded messages once, when it is made: keep it.
#[derive(Debug)]
pub struct Texts {
    language: Language,
    loader: FluentLanguageLoader,
}

#[derive(RustEmbed)]
#[folder = "i18n/"]
struct Messages;

/// The message of each word of an enumeration.
macro_rules! message_of {
    ($texts:ident, $word:expr, $words:ident { $($variant:ident: $message:tt),+ $(,)? }) => {
        match $word { $($words::$variant => fl!($texts.loader, $message)),+ }
    };
}

impl Texts {
    /// The texts of this language.
    pub fn new(language: Language) -> Texts {
        let loader = fluent_language_loader!();
        let wanted = language.as_str().parse().map(|id| [id]);
        // The messages are part of the build and a test loads them, so neither can be met.
        let Ok(wanted) = wanted else { unreachable!("{language} is not a language tag") };
        if let Err(error) = loader.load_languages(&Messages, &wanted) {
            unreachable!("the texts of {language} do not load: {error}");
        }
        // Texts go to terminals and attributes too, where marks of direction would be noise.
        loader.set_use_isolating(false);
        Texts { language, loader }
    }

    /// The texts of this language, read once in a process.
    pub fn of(language: Language) -> &'static Texts {
        static ENGLISH: LazyLock<Texts> = LazyLock::new(|| Texts::new(Language::En));
        static GERMAN: LazyLock<Texts> = LazyLock::new(|| Texts::new(Language::De));
        match language {
            Language::En => &ENGLISH,
            Language::De => &GERMAN,
        }
    }

    /// Which language it is.
    pub fn language(&self) -> Language {
        self.language
    }

    /// What a catalog calls a family or an operation.
    pub fn title<'a>(&self, title: &'a Title) -> &'a str {
        match self.language {
            Language::En => &title.en,
            Language::De => &title.de,
        }
    }

    /// What a family says of the problems of its runs.
    pub fn policy(&self, family: &Family) -> String {
        if family.informational {
            return fl!(self.loader, "policy-informational");
        }
        if family.review == Review::Manual {
            return fl!(self.loader, "policy-manual");
        }
        let success = message_of!(
            self,
            family.supersession,
            Supersession {
                None: "policy-no-success",
                Scope: "policy-success-of-scope",
                Subject: "policy-success-of-subject",
                Fingerprint: "policy-success-of-fingerprint",
            }
        );
        match family.current_state {
            CurrentState::None => success,
            CurrentState::Subject => {
                format!("{success} {}", fl!(self.loader, "policy-healthy-subject"))
            }
        }
    }

    /// The sentence of a guidance.
    pub fn guidance(&self, guidance: &Guidance) -> String {
        message_of!(
            self,
            guidance.key,
            GuidanceKey {
                WaitingForWorker: "guidance-waiting-for-worker",
                WaitingUnverified: "guidance-waiting-unverified",
                WaitingBehindBacklog: "guidance-waiting-behind-backlog",
                QueueStalled: "guidance-queue-stalled",
                NoWorkerSeen: "guidance-no-worker-seen",
                QueuedPastWindow: "guidance-queued-past-window",
                Running: "guidance-running",
                RunningNoProgressYet: "guidance-running-no-progress-yet",
                RunningPastWindow: "guidance-running-past-window",
                ActiveUnverified: "guidance-active-unverified",
                NeedsAction: "guidance-needs-action",
                NeedsReview: "guidance-needs-review",
                Superseded: "guidance-superseded",
                ResolvedByState: "guidance-resolved-by-state",
                ResolvedByOperator: "guidance-resolved-by-operator",
                Succeeded: "guidance-succeeded",
                ReconciledSucceeded: "guidance-reconciled-succeeded",
                Cancelled: "guidance-cancelled",
                ForInformation: "guidance-for-information",
            }
        )
    }

    /// A severity, for a legend or a badge.
    pub fn severity(&self, severity: Severity) -> String {
        message_of!(
            self,
            severity,
            Severity {
                Calm: "severity-calm",
                Notice: "severity-notice",
                Warning: "severity-warning",
                Attention: "severity-attention",
                Done: "severity-done",
            }
        )
    }

    /// A recorded status.
    pub fn status(&self, status: Status) -> String {
        message_of!(
            self,
            status,
            Status {
                Queued: "status-queued",
                Running: "status-running",
                Completed: "status-completed",
            }
        )
    }

    /// A recorded outcome.
    pub fn outcome(&self, outcome: Outcome) -> String {
        message_of!(
            self,
            outcome,
            Outcome {
                Pending: "outcome-pending",
                Succeeded: "outcome-succeeded",
                PartiallySucceeded: "outcome-partially-succeeded",
                Blocked: "outcome-blocked",
                Failed: "outcome-failed",
                Cancelled: "outcome-cancelled",
                Unknown: "outcome-unknown",
            }
        )
    }

    /// A freshness.
    pub fn freshness(&self, freshness: Freshness) -> String {
        message_of!(
            self,
            freshness,
            Freshness {
                Unknown: "freshness-unknown",
                FreshQueued: "freshness-fresh-queued",
                StaleQueued: "freshness-stale-queued",
                FreshRunning: "freshness-fresh-running",
                StaleRunning: "freshness-stale-running",
                ReconciledTerminal: "freshness-reconciled-terminal",
                Terminal: "freshness-terminal",
            }
        )
    }

    /// The verdict on a queue.
    pub fn queue(&self, verdict: QueueVerdict) -> String {
        message_of!(
            self,
            verdict,
            QueueVerdict {
                Empty: "queue-empty",
                NoWorker: "queue-no-worker",
                Stalled: "queue-stalled",
                Slow: "queue-slow",
                Moving: "queue-moving",
                Unknown: "queue-unknown",
            }
        )
    }

    /// Whether anything will be picked up from a queue, and why.
    pub fn queue_reason(&self, reason: QueueReason) -> String {
        message_of!(
            self,
            reason,
            QueueReason {
                NothingWaits: "queue-reason-nothing-waits",
                NoLiveWorker: "queue-reason-no-live-worker",
                NoStartSinceDeadline: "queue-reason-no-start-since-deadline",
                PastDeadline: "queue-reason-past-deadline",
                LiveWorker: "queue-reason-live-worker",
                RecentStart: "queue-reason-recent-start",
                NothingKnown: "queue-reason-nothing-known",
            }
        )
    }

    /// The hint of active work.
    pub fn activity(&self, activity: &Activity) -> String {
        let (active, stale, unknown) = (activity.active(), activity.stale, activity.unknown);
        match activity.key() {
            ActivityKey::Nothing => fl!(self.loader, "activity-nothing"),
            ActivityKey::InTime => fl!(self.loader, "activity-in-time", active = active),
            ActivityKey::Unverified => {
                fl!(self.loader, "activity-unverified", active = active, unknown = unknown)
            }
            ActivityKey::Overdue => {
                fl!(self.loader, "activity-overdue", active = active, stale = stale)
            }
        }
    }

    /// An actionability.
    pub fn actionability(&self, status: Actionability) -> String {
        message_of!(
            self,
            status,
            Actionability {
                NotTerminal: "actionability-not-terminal",
                InformationalOnly: "actionability-informational-only",
                ResolvedByOperator: "actionability-resolved-by-operator",
                RequiresManualReview: "actionability-requires-manual-review",
                ResolvedByCurrentState: "actionability-resolved-by-current-state",
                SupersededByLaterSuccess: "actionability-superseded-by-later-success",
                Actionable: "actionability-actionable",
            }
        )
    }

    /// A phrase.
    pub fn phrase(&self, phrase: Phrase) -> String {
        message_of!(
            self,
            phrase,
            Phrase {
                NeedsPerson: "group-needs-person",
                ActiveRuns: "group-active-runs",
                MadeGood: "group-made-good",
                Queues: "group-queues",
                InTime: "active-in-time",
                Overdue: "active-overdue",
                NoTimeLimit: "active-no-time-limit",
                Inferred: "recorded-inferred",
                Agrees: "late-agrees",
                Disagrees: "late-disagrees",
                Deadline: "deadline-to-come",
                DeadlinePassed: "deadline-passed",
                LateSignal: "proof-late-signal",
                NothingToDo: "nothing-to-do",
                NobodyNeeded: "nobody-needed",
                NeedsNobody: "group-needs-nobody",
                NoneOverdue: "none-overdue",
                StillOpen: "still-open",
                ProofRun: "proof-run",
                ProofObservation: "proof-observation",
                ProofAdapter: "proof-adapter",
                ProofOperator: "proof-operator",
                AdapterIdle: "adapter-idle",
                AdapterFailing: "adapter-failing",
                AdapterRefused: "adapter-refused",
                AdapterNotAsked: "adapter-not-asked",
                AdapterAnswers: "adapter-answers",
                GivenUp: "becomes-given-up",
                DecisionNeedsAttention: "decision-needs-attention",
                DecisionNoChange: "decision-no-change",
                LogSigned: "log-signed",
                LogUnsigned: "log-unsigned",
                LogBehind: "log-behind",
                LogHalted: "log-halted",
            }
        )
    }

    /// Why a verdict is what it is; none while the run is active. An operator's reason is shown as
    /// it was given, even if it is the same word as one of the fixed reasons.
    pub fn reason(&self, verdict: &Verdict) -> Option<String> {
        let given = verdict.reason.as_ref()?;
        let fixed = match verdict.status {
            Actionability::ResolvedByOperator => None,
            _ => given.parse().ok(),
        };
        Some(fixed.map_or_else(|| given.clone(), |reason| self.fixed_reason(reason)))
    }

    /// One of the fixed reasons.
    pub fn fixed_reason(&self, reason: Reason) -> String {
        message_of!(
            self,
            reason,
            Reason {
                NoProblem: "reason-no-problem",
                InformationalFamily: "reason-informational-family",
                HighRisk: "reason-high-risk",
                LateSuccess: "reason-late-success",
                LateCancellation: "reason-late-cancellation",
                ReconciliationProof: "reason-reconciliation-proof",
                LaterSuccess: "reason-later-success",
                HealthySubject: "reason-healthy-subject",
                Contradicted: "reason-contradicted",
                InsufficientCorrelation: "reason-insufficient-correlation",
                UnclassifiedOperation: "reason-unclassified-operation",
                Problem: "reason-problem",
            }
        )
    }

    /// How far a run is; none where it never told. Names of phases and parts are the source's own.
    pub fn progress(&self, progress: &ProgressView) -> Option<String> {
        let text = match progress.kind {
            ProgressKind::None => return None,
            ProgressKind::Phase => progress.phase.as_ref()?.to_string(),
            ProgressKind::Determinate => self.counted(progress.done, progress.total?),
            ProgressKind::Composite => self.parts(progress),
        };
        if progress.last_reported {
            return Some(fl!(self.loader, "progress-last-reported", progress = text));
        }
        Some(text)
    }

    fn counted(&self, done: Option<u64>, total: u64) -> String {
        match done {
            Some(done) => fl!(self.loader, "progress-determinate", done = done, total = total),
            None => fl!(self.loader, "progress-total", total = total),
        }
    }

    fn parts(&self, progress: &ProgressView) -> String {
        let part = |(part, counts): (&words::Name, &(u64, u64))| {
            let (part, (done, total)) = (part.as_str(), *counts);
            fl!(self.loader, "progress-part", part = part, done = done, total = total)
        };
        progress.parts.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// What an action is called.
    pub fn action(&self, key: ActionKey) -> String {
        message_of!(
            self,
            key,
            ActionKey {
                Resolve: "action-resolve",
                Reopen: "action-reopen",
                AskAdapter: "action-ask-adapter",
                RetryElsewhere: "action-retry-elsewhere",
            }
        )
    }

    /// Why an action is offered, or is not.
    pub fn action_reason(&self, reason: ActionReason) -> String {
        message_of!(
            self,
            reason,
            ActionReason {
                NeedsPerson: "action-reason-needs-person",
                ResolvedByPerson: "action-reason-resolved-by-person",
                MayProveEnd: "action-reason-may-prove-end",
                MayProveSuccess: "action-reason-may-prove-success",
                MaySucceed: "action-reason-may-succeed",
                NotTerminal: "action-reason-not-terminal",
                NothingToDo: "action-reason-nothing-to-do",
                MadeGood: "action-reason-made-good",
                AlreadyResolved: "action-reason-already-resolved",
                NotResolved: "action-reason-not-resolved",
                NoAdapter: "action-reason-no-adapter",
                NothingToProve: "action-reason-nothing-to-prove",
                ReviewFirst: "action-reason-review-first",
                NotRetryable: "action-reason-not-retryable",
            }
        )
    }
}
