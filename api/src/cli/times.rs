//! Times as people say them, seen from the moment that an answer is of.

use runledger_ledger::time::{Moment, Span};

use crate::lengths::{self, Unit};

const SECOND: i64 = 1_000_000;

/// A length of time in its two largest units: `2d 4h`, `3h 20m`, `12m`, `0s`.
pub(super) fn length(span: Span) -> String {
    // Below an hour, and from ten of a unit on, the rest is noise.
    let whole = lengths::parts(span, 1);
    let both = matches!(whole.as_slice(), [(0..10, Unit::Day | Unit::Hour)]);
    let parts = if both { lengths::parts(span, 2) } else { whole };
    let part = |(count, unit): (i64, Unit)| match unit {
        Unit::Day => format!("{count}d"),
        Unit::Hour => format!("{count}h"),
        Unit::Minute => format!("{count}m"),
        Unit::Second => format!("{count}s"),
    };
    parts.into_iter().map(part).collect::<Vec<_>>().join(" ")
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
            (39_000, "11h"),
            (187_200, "2d 4h"),
            (1_000_000, "12d"),
        ] {
            assert_eq!(length(Span::from_secs(seconds)), told);
        }
    }

    #[test]
    fn a_moment_is_told_from_where_one_stands() {
        let at = Moment::from_micros(1_767_225_600_500_000);
        assert_eq!(relative(at, at), "now");
        assert_eq!(relative(at, at.plus(Span::from_secs(720))), "12m ago");
        assert_eq!(relative(at.plus(Span::from_secs(80)), at), "in 1m");
        assert_eq!(absolute(at), "2026-01-01 00:00:00Z");
    }
}
