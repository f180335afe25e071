//! Timestamps by somebody else (RFC 3161): the request for one over some bytes, and what a token says.
//!
//! What is read here is which bytes a token is of, and when it says that they were there. Whether an
//! authority has signed it is not looked at: that takes certificates, and `openssl ts -verify` does it.

use sha2::{Digest, Sha256};

use crate::merkle::Hash;
use crate::text;

/// Most bytes of an answer of an authority. They are some 2 to 8 kB with its certificates.
pub const MOST_BYTES: usize = 32 * 1024;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BYTES: u8 = 0x04;
const OBJECT: u8 = 0x06;
const TIME: u8 = 0x18;
const SET: u8 = 0x31;
/// What is explicitly tagged `[0]`.
const INSIDE: u8 = 0xa0;
/// 2.16.840.1.101.3.4.2.1, SHA-256.
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 1.2.840.113549.1.7.2, signed data.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4, what a timestamp is about.
const TIMESTAMP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The SHA-256 of the bytes that it is of.
    pub imprint: Hash,
    /// When they were there by its authority's clock, in microseconds since 1970.
    pub at: i64,
}

/// An answer that holds no token that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It is none, or not in DER, or too long.
    #[error("it is no answer of a timestamp authority (RFC 3161, in DER)")]
    Form,
    /// The authority gave no token.
    #[error("the authority has refused it (status {0})")]
    Refused(u8),
    /// Its imprint is by another hash function.
    #[error("its imprint is not by SHA-256")]
    Hash,
    /// It tells no time.
    #[error("the time that it tells cannot be read")]
    Time,
}

/// The request for a token over `data`, as `openssl ts -query -data FILE -sha256 -cert -no_nonce`
/// writes it: the same bytes each time.
pub fn request(data: &[u8]) -> Vec<u8> {
    let algorithm = [element(OBJECT, SHA_256), vec![0x05, 0x00]].concat();
    let hash = element(BYTES, &Sha256::digest(data));
    let imprint = [element(SEQUENCE, &algorithm), hash].concat();
    let certificates_too = vec![0x01, 0x01, 0xff];
    let parts = [element(INTEGER, &[1]), element(SEQUENCE, &imprint), certificates_too];
    element(SEQUENCE, &parts.concat())
}

/// Reads an answer of an authority (`TimeStampResp`).
///
/// # Errors
/// If there is no token in it, or none over a SHA-256.
pub fn read(answer: &[u8]) -> Result<Stamped, TimestampError> {
    if answer.len() > MOST_BYTES {
        return Err(TimestampError::Form);
    }
    let mut answer = Reader(answer).whole(SEQUENCE).ok_or(TimestampError::Form)?;
    let status = answer.inside(SEQUENCE).and_then(|mut status| status.take(INTEGER));
    match status {
        // Granted, also with other words than were asked for: what counts is in the token.
        Some([0 | 1]) => {}
        Some([other]) => return Err(TimestampError::Refused(*other)),
        _ => return Err(TimestampError::Form),
    }
    let mut about = about(answer).ok_or(TimestampError::Form)?;
    let (hash, imprint) = about.imprint().ok_or(TimestampError::Form)?;
    if hash != SHA_256 {
        return Err(TimestampError::Hash);
    }
    let imprint = Hash::try_from(imprint).map_err(|_| TimestampError::Form)?;
    about.take(INTEGER).ok_or(TimestampError::Form)?;
    let time = about.take(TIME).ok_or(TimestampError::Time)?;
    let at = moment(time).ok_or(TimestampError::Time)?;
    Ok(Stamped { imprint, at })
}

/// What stands in the token behind the version and the policy of its authority.
fn about(mut answer: Reader<'_>) -> Option<Reader<'_>> {
    let mut token = answer.inside(SEQUENCE).filter(|_| answer.0.is_empty())?;
    (token.take(OBJECT)? == SIGNED_DATA).then_some(())?;
    let mut signed = token.inside(INSIDE)?.whole(SEQUENCE)?;
    signed.take(INTEGER)?;
    signed.take(SET)?;
    let mut content = signed.inside(SEQUENCE)?;
    (content.take(OBJECT)? == TIMESTAMP).then_some(())?;
    let mut bytes = content.inside(INSIDE)?;
    let mut about = Reader(bytes.take(BYTES)?).whole(SEQUENCE)?;
    (about.take(INTEGER)? == [1]).then_some(())?;
    about.take(OBJECT)?;
    Some(about)
}

/// `20260131120000Z`, or with a fraction of a second, in microseconds since 1970.
fn moment(time: &[u8]) -> Option<i64> {
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then_some(());
    digits(whole)?;
    digits(fraction)?;
    if whole.len() != 14 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let is_time =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_time || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let micros = format!("{fraction:0<6}").get(..6)?.parse::<i64>().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000_000 + micros)
}

/// Days since 1970-01-01 (Howard Hinnant, `days_from_civil`).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Bytes as they stand in an event.
pub fn to_text(bytes: &[u8]) -> String {
    text::base64(bytes)
}

/// The same back; none if it is not base64.
pub fn from_text(written: &str) -> Option<Vec<u8>> {
    text::bytes(written)
}

/// An element of DER. What is written here is shorter than 128 bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or_default();
    [&[tag, length][..], content].concat()
}

/// Elements of DER, one after the other.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The content of the next element, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        (*found == tag).then_some(())?;
        let (first, mut rest) = rest.split_first()?;
        let length = match *first {
            short @ 0..=0x7f => usize::from(short),
            long @ 0x81..=0x83 => {
                let (bytes, after) = rest.split_at_checked(usize::from(long & 0x7f))?;
                rest = after;
                // In one way only: no zeros before it, and no long form for what is short.
                let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (bytes.first() != Some(&0) && length > 0x7f).then_some(length)?
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    fn inside(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.take(tag).map(Reader)
    }

    /// The same, where nothing may stand behind it.
    fn whole(mut self, tag: u8) -> Option<Reader<'a>> {
        self.inside(tag).filter(|_| self.0.is_empty())
    }

    /// A hash function and what it gave.
    fn imprint(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let mut imprint = self.inside(SEQUENCE)?;
        let hash = imprint.inside(SEQUENCE)?.take(OBJECT)?;
        Some((hash, imprint.take(BYTES)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond_and_what_is_none_is_not() {
        for (time, at) in [
            ("19700101000000Z", Some(0)),
            ("20260131120000Z", Some(1_769_860_800_000_000)),
            ("20240229235959.5Z", Some(1_709_251_199_500_000)),
            ("20240229235959.1234567Z", Some(1_709_251_199_123_456)),
            ("20260131120000", None),
            ("20260131120000.Z", None),
            ("20261331120000Z", None),
            ("2026013112000Z", None),
            ("+2260131120000Z", None),
            ("20260131120000+0100", None),
        ] {
            assert_eq!(moment(time.as_bytes()), at, "{time}");
        }
    }

    #[test]
    fn the_request_names_the_hash_and_asks_for_certificates() {
        let asked = request(b"abc");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = format!("30390201013031300d060960864801650304020105000420{hash}0101ff");
        assert_eq!(text::hex(&asked), expected);
    }
}
