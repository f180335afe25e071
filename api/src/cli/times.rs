//! Times as people say them, seen from the moment that an answer is of.

use runledger_ledger::time::{Moment, Span};

const SECOND: i64 = 1_000_000;
const UNITS: [(&str, i64); 4] =
    [("d", 86_400 * SECOND), ("h", 3_600 * SECOND), ("m", 60 * SECOND), ("s", SECOND)];

/// A length of time in its two largest units: `2d 4h`, `3h 20m`, `12m`, `0s`.
pub(super) fn length(span: Span) -> String {
    let micros = span.micros();
    let largest = UNITS.iter().position(|(_, unit)| micros >= *unit);
    let Some(largest) = largest else { return "0s".to_owned() };
    let (name, unit) = UNITS[largest];
    let whole = format!("{}{name}", micros / unit);
    // Below an hour, and from ten of a unit on, the rest is noise.
    match UNITS.get(largest + 1) {
        Some((rest_name, rest_unit)) if largest < 2 && micros / unit < 10 => {
            match micros % unit / rest_unit {
                0 => whole,
                rest => format!("{whole} {rest}{rest_name}"),
            }
        }
        _ => whole,
    }
}

/// When something was or will be, seen from `at`: `12m ago`, `in 3h 20m`, `now`.
pub(super) fn relative(moment: Moment, at: Moment) -> String {
    let (past, future) = (at.since(moment), moment.since(at));
    if past.micros() >= SECOND {
        format!("{} ago", length(past))
    } else if future.micros() >= SECOND {
        format!("in {}", length(future))
    } else {
        "now".to_owned()
    }
}

/// A moment to the second, in UTC: `2026-11-21 08:53:04Z`.
pub(super) fn absolute(moment: Moment) -> String {
    let whole = Moment::from_micros(moment.micros() - moment.micros().rem_euclid(SECOND));
    whole.to_string().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_in_the_units_that_matter() {
        for (seconds, told) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m"),
            (3_600, "1h"),
            (12_000, "3h 20m"),
            (39_000, "10h"),
            (187_200, "2d 4h"),
            (1_000_000, "11d"),
        ] {
            assert_eq!(length(Span::from_secs(seconds)), told);
        }
    }

    #[test]
    fn a_moment_is_told_from_where_one_stands() {
        let at = Moment::from_micros(1_767_225_600_500_000);
        assert_eq!(relative(at, at), "now");
        assert_eq!(relative(at, at.plus(Span::from_secs(720))), "12m ago");
        assert_eq!(relative(at.plus(Span::from_secs(90)), at), "in 1m");
        assert_eq!(absolute(at), "2026-01-01 00:00:00Z");
    }
}
