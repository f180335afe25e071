//! The life of a run as a picture: time to scale, long gaps shortened and marked as such.

use runledger_ledger::time::{Moment, Span};

use super::log::EventView;

/// Its width in units of the drawing.
const WIDTH: i64 = 1_000;
/// How much of it a shortened gap takes.
const GAP: i64 = 90;
/// A gap that takes more than this many hundredths is shortened, if there is anything else.
const LONG: i64 = 60;

/// The picture.
pub(super) struct Timeline {
    pub(super) phases: Vec<Phase>,
    pub(super) marks: Vec<Mark>,
    pub(super) gaps: Vec<Gap>,
    pub(super) from: Moment,
    pub(super) to: Moment,
    pub(super) deadline: Option<Mark>,
}

/// A part of the life of the run.
pub(super) struct Phase {
    /// `waiting`, `running` or `silent`.
    pub(super) kind: &'static str,
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

/// A stretch of time that is shortened.
pub(super) struct Gap {
    pub(super) x: i64,
    pub(super) span: Span,
}

/// What is known of the run, all at one moment.
pub(super) struct Life<'a> {
    pub(super) events: &'a [EventView],
    pub(super) dispatched_at: Moment,
    pub(super) started_at: Option<Moment>,
    pub(super) completed_at: Option<Moment>,
    pub(super) last_sign_of_life: Option<Moment>,
    pub(super) deadline: Option<Moment>,
    pub(super) at: Moment,
}

/// Where each moment stands.
struct Scale {
    /// Moments, in their order, and where they stand.
    places: Vec<(Moment, i64)>,
}

impl Phase {
    /// The message that names it.
    pub(super) fn message(&self) -> &'static str {
        match self.kind {
            "waiting" => "phase-waiting",
            "silent" => "phase-silent",
            _ => "phase-running",
        }
    }
}

impl Timeline {
    /// Draws a life.
    pub(super) fn of(life: &Life<'_>) -> Timeline {
        let effective = |event: &EventView| event.occurred_at.min(event.recorded_at);
        let active = life.completed_at.is_none();
        let mut moments: Vec<Moment> = life.events.iter().map(effective).collect();
        moments.extend(
            [Some(life.dispatched_at), life.started_at, life.completed_at].iter().flatten(),
        );
        // What is active goes on until now; a deadline of what has ended says nothing.
        moments.extend(active.then_some(life.at));
        moments.extend(life.deadline);
        moments.sort();
        moments.dedup();
        let (scale, gaps) = Scale::of(&moments);
        let mark = |event: &EventView| Mark {
            x: scale.place(effective(event)),
            at: effective(event),
            what: event.what(),
            kind: event.kind,
        };
        let deadline = life.deadline.map(|deadline| Mark {
            x: scale.place(deadline),
            at: deadline,
            what: "timeline-deadline",
            kind: "due",
        });
        Timeline {
            phases: phases(life, &scale),
            marks: life.events.iter().map(mark).collect(),
            gaps,
            from: moments.first().copied().unwrap_or(life.dispatched_at),
            to: moments.last().copied().unwrap_or(life.at),
            deadline,
        }
    }
}

fn phases(life: &Life<'_>, scale: &Scale) -> Vec<Phase> {
    let end = life.completed_at.unwrap_or(life.at);
    let started = life.started_at.unwrap_or(end).min(end);
    let mut phases = Vec::new();
    let mut phase = |kind, from: Moment, to: Moment| {
        if to > from {
            let x = scale.place(from);
            let width = (scale.place(to) - x).max(2);
            phases.push(Phase { kind, x, width, span: to.since(from) });
        }
    };
    phase("waiting", life.dispatched_at, started);
    let silent_since = life.last_sign_of_life.filter(|_| life.completed_at.is_none());
    let heard = silent_since.unwrap_or(end).clamp(started, end);
    phase("running", started, heard);
    if life.started_at.is_some() {
        phase("silent", heard, end);
    }
    phases
}

impl Scale {
    fn of(moments: &[Moment]) -> (Scale, Vec<Gap>) {
        let spans: Vec<i64> =
            moments.windows(2).map(|pair| pair[1].since(pair[0]).micros()).collect();
        let whole: i64 = spans.iter().sum();
        let is_long = |span: i64| spans.len() > 2 && span.saturating_mul(100) / whole.max(1) > LONG;
        let long = i64::try_from(spans.iter().filter(|span| is_long(**span)).count()).unwrap_or(0);
        let rest: i64 = spans.iter().filter(|span| !is_long(**span)).sum();
        let room = WIDTH - long * GAP;
        let (mut places, mut gaps, mut shown, mut x) = (Vec::new(), Vec::new(), 0_i64, 0_i64);
        let mut shortened = 0_i64;
        for (place, moment) in moments.iter().enumerate() {
            if let Some(span) = place.checked_sub(1).and_then(|before| spans.get(before)) {
                if is_long(*span) {
                    gaps.push(Gap { x: x + GAP / 2, span: Span::from_micros(*span) });
                    shortened += GAP;
                } else {
                    shown += *span;
                }
                // In 128 bits nothing that is a time overflows.
                let scaled = i128::from(shown) * i128::from(room) / i128::from(rest.max(1));
                x = i64::try_from(scaled).unwrap_or(WIDTH) + shortened;
            }
            places.push((*moment, x));
        }
        (Scale { places }, gaps)
    }

    fn place(&self, moment: Moment) -> i64 {
        let after = self.places.partition_point(|(at, _)| *at < moment);
        match (after.checked_sub(1).and_then(|at| self.places.get(at)), self.places.get(after)) {
            (_, Some((at, x))) if *at == moment => *x,
            (Some((from, left)), Some((to, right))) => {
                let (done, of) = (moment.since(*from).micros(), to.since(*from).micros().max(1));
                let part = i128::from(done) * i128::from(right - left) / i128::from(of);
                left + i64::try_from(part).unwrap_or_default()
            }
            (Some((_, x)), None) | (None, Some((_, x))) => *x,
            (None, None) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Moment {
        Moment::from_micros(1_767_225_600_000_000 + minute * 60_000_000)
    }

    #[test]
    fn time_is_to_scale_and_a_long_gap_is_shortened_and_marked() {
        let even: Vec<Moment> = [0, 10, 24, 40].map(minute).into();
        let (scale, gaps) = Scale::of(&even);
        assert!(gaps.is_empty(), "none of them takes half of the time");
        assert_eq!([0, 10, 24, 40].map(|at| scale.place(minute(at))), [0, 250, 600, 1_000]);
        assert_eq!(scale.place(minute(5)), 125);
        let (scale, gaps) = Scale::of(&[0, 10, 20, 500].map(minute));
        assert_eq!((gaps.len(), gaps[0].span), (1, Span::from_secs(480 * 60)));
        assert_eq!([0, 10, 20, 500].map(|at| scale.place(minute(at))), [0, 455, 910, 1_000]);
    }

    #[test]
    fn a_run_that_fell_silent_is_not_drawn_as_running() {
        let life = Life {
            events: &[],
            dispatched_at: minute(0),
            started_at: Some(minute(2)),
            completed_at: None,
            last_sign_of_life: Some(minute(5)),
            deadline: Some(minute(10)),
            at: minute(60),
        };
        let timeline = Timeline::of(&life);
        let kinds: Vec<(&str, i64)> = timeline
            .phases
            .iter()
            .map(|phase| (phase.kind, phase.span.micros() / 60_000_000))
            .collect();
        assert_eq!(kinds, [("waiting", 2), ("running", 3), ("silent", 55)]);
    }
}
