//! Where moments stand in a picture of time.

use runledger_ledger::time::{Moment, Span};

/// Its width in units of the drawing.
const WIDTH: i64 = 1_000;
/// How much of it a shortened gap takes.
const GAP: i64 = 90;
/// A gap that takes more than this many hundredths is shortened, if there is anything else.
const LONG: i64 = 60;

/// A stretch of time that is shortened.
pub(in super::super) struct Gap {
    pub(in super::super) x: i64,
    pub(in super::super) span: Span,
}

/// Where each moment stands.
pub(super) struct Scale {
    /// Moments, in their order, and where they stand.
    places: Vec<(Moment, i64)>,
}

impl Scale {
    pub(super) fn of(moments: &[Moment]) -> (Scale, Vec<Gap>) {
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

    pub(super) fn place(&self, moment: Moment) -> i64 {
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
}
