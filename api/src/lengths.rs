//! Lengths of time as people read them, by one rule for pages and the command line: the largest unit
//! that is filled and those below it that are told, rounded to the smallest of them, half up.

use runledger_ledger::time::Span;

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    Hour,
    Minute,
    Second,
}

const SECOND: i64 = 1_000_000;
const UNITS: [(Unit, i64); 4] = [
    (Unit::Day, 86_400 * SECOND),
    (Unit::Hour, 3_600 * SECOND),
    (Unit::Minute, 60 * SECOND),
    (Unit::Second, SECOND),
];

/// The length in at most `most` units, the largest first; those that are zero are left out. Of less
/// than nothing it is nothing.
pub(crate) fn parts(span: Span, most: usize) -> Vec<(i64, Unit)> {
    let mut micros = span.micros().max(0);
    let largest = |micros: i64| UNITS.iter().position(|(_, unit)| micros >= *unit);
    // Rounding may fill a larger unit, which is then whole: the second time changes nothing more.
    for _ in 0..2 {
        let first = largest(micros).unwrap_or(UNITS.len() - 1);
        let (_, smallest) = UNITS[(first + most.max(1) - 1).min(UNITS.len() - 1)];
        micros = micros.saturating_add(smallest / 2) / smallest * smallest;
    }
    let first = largest(micros).unwrap_or(UNITS.len() - 1);
    let mut parts = Vec::new();
    for (unit, length) in UNITS.iter().skip(first).take(most.max(1)) {
        if micros >= *length || parts.is_empty() {
            parts.push((micros / length, *unit));
        }
        micros %= length;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(millis: i64, most: usize) -> String {
        let parts = parts(Span::from_micros(millis * 1_000), most).into_iter();
        let parts = parts.map(|(count, unit)| format!("{count}{unit:?}"));
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_length_is_rounded_to_the_smallest_unit_that_is_told() {
        for (millis, two, one) in [
            (0, "0Second", "0Second"),
            (-7_000, "0Second", "0Second"),
            (499, "0Second", "0Second"),
            (500, "1Second", "1Second"),
            (59_600, "1Minute", "1Minute"),
            (119_000, "1Minute 59Second", "2Minute"),
            (119_600, "2Minute", "2Minute"),
            (3_599_600, "1Hour", "1Hour"),
            (5_340_000, "1Hour 29Minute", "1Hour"),
            (86_399_000, "1Day", "1Day"),
            (97_205_000, "1Day 3Hour", "1Day"),
            (172_800_000 + 1_000, "2Day", "2Day"),
        ] {
            assert_eq!(told(millis, 2), two, "{millis}");
            assert_eq!(told(millis, 1), one, "{millis}");
        }
    }
}
