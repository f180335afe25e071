//! The life of a run as a picture: what was recorded of it above, what was true of it below, both to
//! the same scale, with what changed each verdict. Long gaps are shortened and marked as such.

mod scale;

use runledger_ledger::run::Related;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Outcome, RunId, Status};
use runledger_projections::rules::actionability::{Actionability, Proof};
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::guidance::{Severity, guidance};
use runledger_projections::rules::progress::ProgressKind;
use runledger_projections::rules::related::of_proof;
use runledger_projections::rules::standing::Standing;
use runledger_projections::{Cause, Period, Timeline as Told, VerdictThen};

use super::log::what;
use super::shell::Shell;
use scale::{Gap, Scale};

/// Most events that are drawn and listed; those of the beginning and of the end are among them.
const MARKS: usize = 30;

/// The picture.
pub(super) struct Timeline {
    /// Historical truth: where the run stood.
    pub(super) phases: Vec<Phase>,
    /// Historical truth: what was recorded.
    pub(super) marks: Vec<Mark>,
    /// How many events are not drawn.
    pub(super) more: u64,
    /// Current truth, as it was at each moment.
    pub(super) truths: Vec<Truth>,
    pub(super) gaps: Vec<Gap>,
    pub(super) from: Moment,
    pub(super) to: Moment,
    pub(super) deadline: Option<Mark>,
}

/// A part of the life of the run, as recorded.
pub(super) struct Phase {
    /// `queued` or `running`, or how it ended.
    pub(super) kind: &'static str,
    /// The same in words.
    pub(super) label: String,
    pub(super) x: i64,
    pub(super) width: i64,
    pub(super) span: Span,
}

/// Something that was recorded.
pub(super) struct Mark {
    pub(super) x: i64,
    pub(super) at: Moment,
    /// The message that says what.
    pub(super) what: &'static str,
    /// The event's type; the classes of its picture.
    pub(super) kind: &'static str,
}

/// A time in which something was true of the run.
pub(super) struct Truth {
    pub(super) x: i64,
    pub(super) width: i64,
    /// How much of it is free for words: a shortened gap is not.
    room: i64,
    pub(super) severity: Severity,
    /// What was true, in words.
    pub(super) label: String,
    pub(super) reason: Option<String>,
    /// What it rested on.
    pub(super) related: Option<Related>,
    pub(super) from: Moment,
    /// None: it is true at the moment of the page.
    pub(super) until: Option<Moment>,
    pub(super) span: Span,
    pub(super) because: Because,
}

/// What made it so.
pub(super) struct Because {
    /// The message that says what.
    pub(super) what: &'static str,
    /// The event's place in the log; none where time alone did it.
    pub(super) position: Option<u64>,
    /// The run that the event is of, if it is another one.
    pub(super) other: Option<RunId>,
}

/// A freshness or a verdict, from when to when.
enum Was<'a> {
    Fresh(Freshness),
    Verdict(&'a VerdictThen),
}

impl Timeline {
    /// Draws what is told of a run, up to the moment of its standing.
    pub(super) fn of(told: &Told, run: &Standing, shell: &Shell) -> Timeline {
        let (recorded, at) = (&run.recorded, run.now.at);
        let active = recorded.completed_at.is_none();
        let entries = told.recorded.iter();
        let marked = entries.map(|one| (one.occurred_at.min(one.recorded_at), one.event_type));
        let marked: Vec<_> = marked.collect();
        let deadline = run.now.deadline.filter(|_| active);
        let mut moments: Vec<Moment> = marked.iter().map(|(moment, _)| *moment).collect();
        moments.extend([Some(recorded.dispatched_at), recorded.started_at].iter().flatten());
        moments.extend(recorded.completed_at.iter().chain(&deadline));
        moments.extend(told.freshness.iter().map(|period| period.from));
        moments.extend(told.actionability.iter().map(|period| period.from));
        // What is true goes on until the moment of the page.
        moments.push(at.max(moments.iter().max().copied().unwrap_or(at)));
        moments.sort();
        moments.dedup();
        let (scale, gaps) = Scale::of(&moments);
        let left_out = marked.len().saturating_sub(MARKS);
        let marks = marked
            .iter()
            .enumerate()
            .filter(|(place, _)| *place < MARKS / 2 || *place >= MARKS / 2 + left_out);
        let marks = marks.map(|(_, (at, kind))| Mark {
            x: scale.place(*at),
            at: *at,
            what: what(kind.as_str()),
            kind: kind.as_str(),
        });
        let due = deadline.map(|at| Mark {
            x: scale.place(at),
            at,
            what: "timeline-deadline",
            kind: "due",
        });
        let to = moments.last().copied().unwrap_or(at);
        Timeline {
            phases: phases(run, to, &scale, shell),
            marks: marks.collect(),
            more: told.more_recorded + u64::try_from(left_out).unwrap_or_default(),
            truths: truths(told, to, (&scale, &gaps), shell),
            gaps,
            from: moments.first().copied().unwrap_or(recorded.dispatched_at),
            to,
            deadline: due,
        }
    }
}

/// What was recorded, from when to when.
fn phases(run: &Standing, to: Moment, scale: &Scale, shell: &Shell) -> Vec<Phase> {
    let recorded = &run.recorded;
    let end = recorded.completed_at.unwrap_or(to);
    let started = recorded.started_at.unwrap_or(end).min(end);
    let mut phases = Vec::new();
    let mut phase = |kind, label: String, from: Moment, to: Moment| {
        if to > from {
            let x = scale.place(from);
            let width = (scale.place(to) - x).max(2);
            phases.push(Phase { kind, label, x, width, span: to.since(from) });
        }
    };
    let of = |status: Status| (status.as_str(), shell.status(status));
    let ((queued, waited), (running, ran)) = (of(Status::Queued), of(Status::Running));
    phase(queued, waited, recorded.dispatched_at, started);
    phase(running, ran, started, end);
    phase(recorded.outcome.as_str(), shell.outcome(recorded.outcome), end, to);
    phases
}

/// What was true: whether it was in time while it was active, then whether it needed a person.
fn truths(told: &Told, to: Moment, (scale, gaps): (&Scale, &[Gap]), shell: &Shell) -> Vec<Truth> {
    let truth = |was: Was<'_>, from: Moment, until: Option<Moment>, because: &Cause| {
        let (severity, label, reason, related) = match was {
            Was::Fresh(freshness) => {
                (of_freshness(freshness), shell.freshness(freshness), None, None)
            }
            Was::Verdict(then) => {
                let verdict = &then.verdict;
                let label = shell.actionability(verdict.status);
                let reason = shell.texts().reason(verdict);
                (of_verdict(verdict.status), label, reason, of_proof(verdict.proof.as_ref()))
            }
        };
        let x = scale.place(from);
        let end = until.unwrap_or(to);
        let width = (scale.place(end) - x).max(2);
        let gap = gaps.iter().map(|gap| gap.x - x - 12).find(|room| (0..width).contains(room));
        Truth {
            x,
            width,
            room: gap.unwrap_or(width),
            severity,
            label,
            reason,
            related,
            from,
            until,
            span: end.since(from),
            because: Because::of(because, told.run_id),
        }
    };
    let active = told.freshness.iter().filter(|period| is_active(period.was.freshness));
    let fresh = active.map(|Period { from, until, was, because }| {
        truth(Was::Fresh(was.freshness), *from, *until, because)
    });
    let ended = told.actionability.iter();
    let ended = ended.filter(|period| period.was.verdict.status != Actionability::NotTerminal);
    let verdicts = ended.map(|Period { from, until, was, because }| {
        truth(Was::Verdict(was), *from, *until, because)
    });
    fresh.chain(verdicts).collect()
}

impl Truth {
    /// Whether its words fit into its part of the picture.
    pub(super) fn is_wide(&self) -> bool {
        let letters = i64::try_from(self.label.chars().count()).unwrap_or(i64::MAX);
        self.room > letters.saturating_mul(7) + 18
    }

    /// Whether a superseding run is what it rested on.
    pub(super) fn runs(told: &Told) -> impl Iterator<Item = RunId> {
        let proofs = told.actionability.iter().filter_map(|one| one.was.verdict.proof.as_ref());
        proofs.filter_map(|proof| match proof {
            Proof::Run(run) => Some(*run),
            _ => None,
        })
    }
}

impl Because {
    fn of(cause: &Cause, of: RunId) -> Because {
        match cause {
            Cause::Event { position, event_type, run_id } => Because {
                what: what(event_type.as_str()),
                position: Some(*position),
                other: run_id.filter(|run| *run != of),
            },
            // The queue alone has events elsewhere, and it is not drawn.
            Cause::Deadline | Cause::Elsewhere => {
                Because { what: "timeline-passed", position: None, other: None }
            }
        }
    }
}

fn is_active(freshness: Freshness) -> bool {
    !matches!(freshness, Freshness::Terminal | Freshness::ReconciledTerminal)
}

/// How loud a run is that is active, and of which nothing else is known.
fn of_freshness(freshness: Freshness) -> Severity {
    let (queue, none) = (None, ProgressKind::None);
    guidance(freshness, queue, none, Actionability::NotTerminal, Outcome::Pending, false).severity
}

/// How loud a run is that has ended with this verdict.
fn of_verdict(status: Actionability) -> Severity {
    let (queue, none) = (None, ProgressKind::None);
    guidance(Freshness::Terminal, queue, none, status, Outcome::Cancelled, false).severity
}
