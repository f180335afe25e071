//! The runs of the last day over time, as a picture: how they ended in ink, and above them the mark
//! of those that need a person now.

use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::Outcome;
use runledger_projections::RecentRuns;
use runledger_projections::rules::actionability::is_follow_up;

/// How many bars there are: those of 24 hours, and the one that is not over yet.
const BARS: usize = 49;
/// How wide each of them is in units of the drawing.
const WIDTH: usize = 20;
/// How long each of them is.
pub(super) const BAR: Span = Span::from_secs(30 * 60);
/// Its height in units of the drawing.
const HEIGHT: u64 = 150;

/// The picture.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    /// When its first bar begins, in milliseconds since 1970.
    pub(super) since_millis: i64,
    /// The runs of the highest bar: the top of the scale.
    pub(super) highest: u64,
    /// All runs in it.
    pub(super) runs: u64,
    /// What was dispatched before this was not looked at.
    pub(super) scanned_to: Option<Moment>,
    /// Whether its bars lead to lists.
    pub(super) leads: bool,
}

/// The runs that were dispatched in one half hour.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) from: Moment,
    pub(super) until: Moment,
    pub(super) parts: Vec<Part>,
    pub(super) runs: u64,
    /// Those that need a person now.
    pub(super) follow_ups: u64,
    /// Where the mark of those stands.
    pub(super) mark_y: u64,
    /// Whether the scale has a label here.
    pub(super) labelled: bool,
    /// Whether that label has room on a narrow page.
    pub(super) always: bool,
}

/// Those of them that ended one way.
pub(super) struct Part {
    pub(super) outcome: Outcome,
    pub(super) y: u64,
    pub(super) height: u64,
    pub(super) runs: u64,
}

/// From when on runs are in the picture of this moment.
pub(super) fn since(at: Moment) -> Moment {
    let bars = i64::try_from(BARS).unwrap_or_default();
    let bar = BAR.micros();
    let last = at.micros().div_euclid(bar);
    Moment::from_micros((last + 1 - bars) * bar)
}

impl Chart {
    /// How wide it is in units of the drawing.
    pub(super) fn width(&self) -> usize {
        self.bars.len() * WIDTH
    }

    /// Draws runs, counted by bars that begin at `since`.
    pub(super) fn of(recent: &RecentRuns, since: Moment) -> Chart {
        let mut counts = vec![([0_u64; Outcome::ALL.len()], 0_u64); BARS];
        for kind in &recent.runs {
            let place = usize::try_from(kind.piece).unwrap_or_default().min(BARS - 1);
            let ended = Outcome::ALL.iter().position(|outcome| *outcome == kind.outcome);
            let (outcomes, follow_ups) = &mut counts[place];
            outcomes[ended.unwrap_or_default()] += kind.runs;
            *follow_ups += if is_follow_up(kind.actionability) { kind.runs } else { 0 };
        }
        let highest = counts.iter().map(|(outcomes, _)| outcomes.iter().sum()).max().unwrap_or(0);
        let bars = counts.iter().enumerate().map(|(place, (outcomes, follow_ups))| {
            bar(place, since, outcomes, *follow_ups, highest)
        });
        Chart {
            bars: bars.collect(),
            since_millis: since.micros() / 1_000,
            highest,
            runs: recent.runs.iter().map(|kind| kind.runs).sum(),
            scanned_to: recent.scanned_to,
            leads: true,
        }
    }

    /// How runs end, from the bottom of a bar to its top: what went well lies at the bottom, and what
    /// has not ended on top.
    pub(super) fn order(&self) -> impl Iterator<Item = Outcome> {
        Outcome::ALL.iter().skip(1).chain(Outcome::ALL.iter().take(1)).copied()
    }

    /// What tells parts of a bar apart without their colours: lines or dots in them.
    pub(super) fn textures(&self) -> impl Iterator<Item = (Outcome, &'static str)> {
        self.order().filter_map(|outcome| Some((outcome, texture(outcome)?)))
    }
}

impl Part {
    /// Whether it has lines or dots in it.
    pub(super) fn textured(&self) -> bool {
        texture(self.outcome).is_some()
    }
}

/// The lines or dots of one way to end, in a square of six units. Success has none.
fn texture(outcome: Outcome) -> Option<&'static str> {
    match outcome.as_str() {
        "partially_succeeded" => Some("M1.5 1.5h1M4.5 4.5h1"),
        "blocked" => Some("M0 1.5h6M0 4.5h6"),
        "failed" => Some("M-1 1l2-2M0 6l6-6M5 7l2-2"),
        "cancelled" => Some("M3 0v6"),
        "unknown" => Some("M-1 5l2 2M0 0l6 6M5-1l2 2M0 6l6-6"),
        "pending" => Some("M2 3h2"),
        _ => None,
    }
}

fn bar(
    place: usize,
    since: Moment,
    outcomes: &[u64; Outcome::ALL.len()],
    follow_ups: u64,
    highest: u64,
) -> Bar {
    let after = |bars: usize| {
        let bars = i64::try_from(bars).unwrap_or_default();
        since.plus(Span::from_micros(BAR.micros() * bars))
    };
    let runs: u64 = outcomes.iter().sum();
    let scaled = |runs: u64| (runs * (HEIGHT - 14)).checked_div(highest).unwrap_or(0);
    let (mut parts, mut below) = (Vec::new(), 0);
    let order =
        Outcome::ALL.iter().enumerate().skip(1).chain(Outcome::ALL.iter().enumerate().take(1));
    for (number, outcome) in order {
        let runs = outcomes[number];
        if runs == 0 {
            continue;
        }
        let (from, to) = (scaled(below), scaled(below + runs));
        let height = (to - from).max(2);
        parts.push(Part { outcome: *outcome, y: HEIGHT - from - height, height, runs });
        below += runs;
    }
    let from = after(place);
    let hour = from.micros().div_euclid(3_600_000_000);
    let whole = from.micros().rem_euclid(3_600_000_000) == 0;
    Bar {
        x: place * WIDTH,
        from,
        until: after(place + 1),
        parts,
        runs,
        follow_ups,
        mark_y: (HEIGHT - scaled(runs)).saturating_sub(8),
        // Behind the last of these there is no room for one.
        labelled: whole && hour.rem_euclid(4) == 0 && place + 4 < BARS,
        always: hour.rem_euclid(8) == 0,
    }
}

#[cfg(test)]
mod tests {
    use runledger_projections::RecentCount;
    use runledger_projections::rules::actionability::Actionability;

    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_runs_and_marks_what_needs_a_person_by_nothing_else() {
        let at = Moment::from_micros(1_767_225_600_000_000);
        let kind = |piece, actionability, runs| RecentCount {
            piece,
            outcome: Outcome::Failed,
            actionability,
            runs,
        };
        let superseded = Actionability::SupersededByLaterSuccess;
        let runs = vec![
            kind(47, superseded, 1),
            kind(47, Actionability::Actionable, 1),
            kind(46, superseded, 3),
        ];
        let chart = Chart::of(&RecentRuns { runs, scanned_to: None }, since(at));
        assert_eq!((chart.bars.len(), chart.highest, chart.runs), (49, 3, 5));
        assert_eq!(chart.width(), 980);
        let of: Vec<(u64, u64)> =
            chart.bars.iter().rev().take(3).map(|bar| (bar.runs, bar.follow_ups)).collect();
        assert_eq!(of, [(0, 0), (2, 1), (3, 0)]);
        assert!(chart.bars.iter().all(|bar| bar.until.since(bar.from) == BAR));
    }

    #[test]
    fn the_last_24_hours_are_whole_at_every_moment() {
        for second in [0, 1, 1_799, 1_800, 1_801] {
            let at = Moment::from_micros(1_767_225_600_000_000 + second * 1_000_000);
            let span = at.since(since(at));
            let day = 24 * 3_600;
            assert!(
                (day..day + 1_800).contains(&(span.micros() / 1_000_000)),
                "{second}: {span:?}"
            );
        }
    }
}
