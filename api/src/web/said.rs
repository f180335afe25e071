//! What templates ask of the texts and words: the same functions, for values and for references,
//! since a template hands on now the one and now the other.

use runledger_ledger::run::AdapterDecision;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::Counted;
use runledger_projections::rules::actionability::{Actionability, Verdict};
use runledger_projections::rules::actions::{ActionKey, ActionReason};
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::rules::queue::{QueueReason, QueueVerdict};
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;

use super::shell::Shell;
use super::words;

/// A count of any width.
pub(super) trait Count {
    /// It as the widest one.
    fn count(&self) -> u64;
}

macro_rules! counts {
    ($($count:ty),+) => {
        $(impl Count for $count {
            fn count(&self) -> u64 {
                u64::try_from(*self).unwrap_or(u64::MAX)
            }
        })+
    };
}
counts!(u64, u32, usize);

impl<C: Count> Count for &C {
    fn count(&self) -> u64 {
        (*self).count()
    }
}

/// A value, or a reference to one.
pub(super) trait Given<T> {
    /// The value.
    fn given(&self) -> &T;
}

macro_rules! given {
    ($($given:ty),+ $(,)?) => {
        $(impl Given<$given> for $given {
            fn given(&self) -> &$given {
                self
            }
        }

        impl<G: Given<$given>> Given<$given> for &G {
            fn given(&self) -> &$given {
                (*self).given()
            }
        })+
    };
}
given!(
    AdapterDecision,
    Moment,
    Span,
    Outcome,
    Status,
    Freshness,
    Actionability,
    Severity,
    QueueVerdict,
    QueueReason,
    ActionKey,
    ActionReason,
    Verdict,
    Phrase,
);

macro_rules! texts {
    ($($name:ident: $word:ty),+ $(,)?) => {
        impl Shell {
            $(pub(super) fn $name(&self, word: impl Given<$word>) -> String {
                self.w.texts().$name(*word.given())
            })+
        }
    };
}
texts! {
    outcome: Outcome,
    status: Status,
    freshness: Freshness,
    actionability: Actionability,
    queue: QueueVerdict,
    queue_reason: QueueReason,
    action: ActionKey,
    action_reason: ActionReason,
    phrase: Phrase,
}

impl Shell {
    /// A message of the frame.
    pub(super) fn say(&self, key: &str) -> String {
        self.w.say(key)
    }

    /// A message of the frame about one thing.
    pub(super) fn say_of(&self, key: &str, thing: impl std::fmt::Display) -> String {
        self.w.say_of(key, thing)
    }

    /// That so many of all are shown, with the noun for all.
    pub(super) fn shown_of(&self, shown: impl Count, all: impl Count, noun: &str) -> String {
        let all = self.counted(all, noun);
        self.w.say_among("list-shown", self.number(shown), all)
    }

    /// The noun for so many.
    pub(super) fn noun(&self, count: impl Count, noun: &str) -> String {
        self.w.noun(count.count(), noun)
    }

    /// The end of an id or the beginning of a hash: enough for people to tell two apart.
    pub(super) fn short(&self, id: impl std::fmt::Display) -> String {
        let id = id.to_string();
        match id.rsplit_once('-') {
            Some((_, end)) => end.to_owned(),
            None => id.get(..12).map_or(id.clone(), str::to_owned),
        }
    }

    /// A recorded value, as it is written.
    pub(super) fn json(&self, value: impl serde::Serialize) -> String {
        let text = serde_json::to_string(&value).unwrap_or_default();
        text.trim_matches('"').to_owned()
    }

    /// How a run stands now, in a few words: while it is active whether it is in time, then whether
    /// it needs a person.
    pub(super) fn now(&self, run: &Standing) -> String {
        match run.now.actionability.status {
            Actionability::NotTerminal => self.freshness(run.now.freshness),
            status => self.actionability(status),
        }
    }

    /// What an adapter decided.
    pub(super) fn decision(&self, decision: impl Given<AdapterDecision>) -> String {
        let decision = *decision.given();
        match (decision.outcome(), decision) {
            (Some(outcome), _) => self.outcome(outcome),
            (None, AdapterDecision::NeedsAttention) => self.phrase(Phrase::DecisionNeedsAttention),
            (None, _) => self.phrase(Phrase::DecisionNoChange),
        }
    }

    /// Why a verdict is what it is; nothing while a run is active.
    pub(super) fn reason(&self, verdict: impl Given<Verdict>) -> String {
        self.w.texts().reason(verdict.given()).unwrap_or_default()
    }

    /// The same where it adds something to what a person is told anyway.
    pub(super) fn more_reason(&self, verdict: impl Given<Verdict>) -> String {
        self.w.texts().more_reason(verdict.given()).unwrap_or_default()
    }

    /// How many there are, with their noun, as far as they were counted.
    pub(super) fn counted_rows(&self, counted: &Counted, noun: &str) -> String {
        let told = self.counted(counted.rows, noun);
        if counted.more { self.say_of("runs-at-least", told) } else { told }
    }

    /// The same in few signs: a plus says that there are more.
    pub(super) fn number_of_rows(&self, counted: &Counted) -> String {
        format!("{}{}", self.number(counted.rows), if counted.more { "+" } else { "" })
    }

    /// A number.
    pub(super) fn number(&self, count: impl Count) -> String {
        self.w.number(count.count())
    }

    /// A count with its noun.
    pub(super) fn counted(&self, count: impl Count, noun: &str) -> String {
        self.w.counted(count.count(), noun)
    }

    /// A length of time.
    pub(super) fn span(&self, span: impl Given<Span>) -> String {
        self.w.span(*span.given())
    }

    /// A length of time by its largest unit.
    pub(super) fn brief(&self, span: impl Given<Span>) -> String {
        self.w.brief(*span.given())
    }

    /// How long ago, or how soon, as seen from the page's moment.
    pub(super) fn ago(&self, moment: impl Given<Moment>) -> String {
        self.w.ago(self.at, *moment.given())
    }

    /// How long it is from one moment to another.
    pub(super) fn lasted(&self, from: impl Given<Moment>, to: impl Given<Moment>) -> String {
        self.w.span(to.given().since(*from.given()))
    }

    /// The moment in UTC.
    pub(super) fn utc(&self, moment: impl Given<Moment>) -> String {
        self.w.utc(*moment.given())
    }

    /// The same, shortened to the minute.
    pub(super) fn utc_short(&self, moment: impl Given<Moment>) -> String {
        self.w.utc_short(*moment.given())
    }

    /// The hour and minute of a moment.
    pub(super) fn utc_hour(&self, moment: impl Given<Moment>) -> String {
        words::utc(*moment.given()).get(11..16).unwrap_or_default().to_owned()
    }

    /// The path of the icon of how loud something is.
    pub(super) fn severity_icon(&self, severity: impl Given<Severity>) -> String {
        words::icon(words::severity_icon(*severity.given()))
    }

    /// The path of the icon of a recorded outcome.
    pub(super) fn outcome_icon(&self, outcome: impl Given<Outcome>) -> String {
        words::icon(words::outcome_icon(*outcome.given()))
    }

    /// How the verdict on a queue looks: as loud as it is. Of a queue that nothing is known of it
    /// does not look as if something moved.
    pub(super) fn queue_tone(&self, verdict: impl Given<QueueVerdict>) -> &'static str {
        match verdict.given() {
            QueueVerdict::Unknown => "unsure",
            other => words::queue_severity(*other).as_str(),
        }
    }

    /// The path of the icon of a verdict on a queue.
    pub(super) fn queue_icon(&self, verdict: impl Given<QueueVerdict>) -> String {
        words::icon(words::queue_icon(*verdict.given()))
    }
}
