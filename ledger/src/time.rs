//! Moments and spans: whole microseconds, the same on both databases.
//!
//! A [`Moment`] is a point on the ledger's or a source's clock, a [`Span`] a length of time.
//! Neither can be taken from the machine here; see [`crate::clock`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds in one second.
const SECOND: i64 = 1_000_000;

/// A point in time: microseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(i64);

impl Moment {
    /// The first moment that the ledger can record: 1970-01-01T00:00:00Z.
    pub const EPOCH: Moment = Moment(0);
    /// The last one, in June 2255: the largest integer that canonical JSON (RFC 8785) keeps exact.
    pub const MAX: Moment = Moment((1 << 53) - 1);

    /// The moment `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Moment(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This moment and `span` more; saturates instead of overflowing.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Moment(self.0.saturating_add(span.0))
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub const fn since(self, earlier: Moment) -> Span {
        let micros = self.0.saturating_sub(earlier.0);
        Span(if micros < 0 { 0 } else { micros })
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC, with microseconds where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct TimeError {
    text: String,
    wanted: &'static str,
}

impl FromStr for Moment {
    type Err = TimeError;

    /// Reads RFC 3339 (`2026-01-01T00:00:00Z`, any offset); cuts what is finer than a microsecond.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError {
            text: text.chars().take(64).collect(),
            wanted: "an RFC 3339 time between 1970 and 2255, such as 2026-01-01T00:00:00Z",
        };
        if !has_sound_offset(text) {
            return Err(error());
        }
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| error())?;
        let moment = Moment(timestamp.as_microsecond());
        if moment < Moment::EPOCH || moment > Moment::MAX {
            return Err(error());
        }
        Ok(moment)
    }
}

/// Whether the offset of a time, if it has one in digits, has at most 23 hours and 59 minutes
/// (RFC 3339, section 5.6).
fn has_sound_offset(text: &str) -> bool {
    // Behind the date, which has hyphens of its own.
    let time = text.get(10..).unwrap_or_default();
    let Some((_, offset)) = time.rsplit_once(['+', '-']) else { return true };
    let digits: String = offset.chars().filter(|c| *c != ':').collect();
    let part = |at: usize| digits.get(at..at + 2).map_or(Ok(0), str::parse::<u8>);
    matches!((part(0), part(2)), (Ok(0..=23), Ok(0..=59)))
}

/// A length of time in microseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// `micros` microseconds; negative counts as none.
    pub const fn from_micros(micros: i64) -> Self {
        Span(if micros < 0 { 0 } else { micros })
    }

    /// `seconds` seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Span::from_micros(seconds.saturating_mul(SECOND))
    }

    /// Microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// A quarter of it, rounded down to a microsecond: how often a heartbeat is recorded.
    #[must_use]
    pub const fn quarter(self) -> Self {
        Span(self.0 / 4)
    }

    /// This length and `other` together.
    #[must_use]
    pub const fn plus(self, other: Span) -> Self {
        Span(self.0.saturating_add(other.0))
    }

    /// This length less `other`, at least zero.
    #[must_use]
    pub const fn minus(self, other: Span) -> Self {
        Span::from_micros(self.0.saturating_sub(other.0))
    }
}

/// The units of a written span, longest first.
const UNITS: [(&str, i64); 4] =
    [("d", 86_400 * SECOND), ("h", 3_600 * SECOND), ("m", 60 * SECOND), ("s", SECOND)];

impl fmt::Display for Span {
    /// One number and the largest unit that divides it: `90s`, `15m`, `6h`, `2d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, length) in UNITS {
            if self.0 % length == 0 && (self.0 != 0 || unit == "s") {
                return write!(f, "{}{unit}", self.0 / length);
            }
        }
        write!(f, "{}us", self.0)
    }
}

impl FromStr for Span {
    type Err = TimeError;

    /// Reads one whole number and one unit (`s`, `m`, `h`, `d`), or `us` as [`Span`] displays it.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError {
            text: text.chars().take(64).collect(),
            wanted: "a duration such as \"90s\", \"15m\", \"6h\" or \"2d\"",
        };
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(split);
        let number: i64 = number.parse().map_err(|_| error())?;
        let length = match unit {
            "us" => 1,
            _ => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?.1,
        };
        let micros = number.checked_mul(length).ok_or_else(error)?;
        // A century is longer than any window and keeps every sum of moments far from overflow.
        if micros > 36_500 * 86_400 * SECOND {
            return Err(error());
        }
        Ok(Span(micros))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_they_are_read() {
        for text in ["0s", "90s", "15m", "6h", "2d", "7us"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("120s".parse::<Span>().unwrap().to_string(), "2m");
        for text in ["", "5", "m", "-1s", "1.5h", "1w", "99999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_cut_at_the_microsecond() {
        let moment: Moment = "2026-01-01T00:00:00.1234567Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-01-01T00:00:00.123456Z");
        assert!("2026-01-01".parse::<Moment>().is_err());
        assert!("1969-12-31T23:59:59Z".parse::<Moment>().is_err());
    }

    #[test]
    fn an_offset_is_less_than_a_day() {
        let at = |offset: &str| format!("2026-01-01T12:00:00{offset}").parse::<Moment>();
        for offset in ["Z", "+00:00", "-11:30", "+23:59"] {
            assert!(at(offset).is_ok(), "{offset}");
        }
        for offset in ["+24:00", "+25:00", "-25:00", "+01:60"] {
            assert!(at(offset).is_err(), "{offset}");
        }
    }

    #[test]
    fn every_moment_fits_the_integers_of_canonical_json() {
        assert!(Moment::MAX.micros() < 1 << 53);
    }
}
