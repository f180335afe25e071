//! A token of an authority, made with `openssl ts`, read and altered.

use runledger_proof::timestamp::{self, Stamped, TimestampError};
use sha2::{Digest, Sha256};

const ANSWER: &[u8] = include_bytes!("timestamp/answer.tsr");
const DATA: &[u8] = include_bytes!("timestamp/data.txt");

#[test]
fn a_token_says_of_what_it_is_and_when() {
    let Stamped { imprint, at } = timestamp::read(ANSWER).expect("a token");
    assert_eq!(imprint[..], Sha256::digest(DATA)[..]);
    assert_eq!(at, AT);
    let text = timestamp::to_text(ANSWER);
    assert_eq!(timestamp::from_text(&text).as_deref(), Some(ANSWER));
}

const AT: i64 = 1_795_336_277_000_000;

#[test]
fn what_is_cut_or_altered_is_refused_or_says_what_it_says_and_nothing_panics() {
    for length in 0..ANSWER.len() {
        assert_eq!(timestamp::read(&ANSWER[..length]), Err(TimestampError::Form), "{length}");
    }
    let whole = timestamp::read(ANSWER).expect("a token");
    let mut told = 0;
    for place in 0..ANSWER.len() {
        for bit in 0..8 {
            let mut other = ANSWER.to_vec();
            other[place] ^= 1 << bit;
            if timestamp::read(&other) == Ok(whole) {
                // The signature and the certificates, which are for others to verify.
                told += 1;
            }
        }
    }
    assert!(told < ANSWER.len() * 8, "no altered bit was seen");
    let longer = [ANSWER, &[0]].concat();
    assert_eq!(timestamp::read(&longer), Err(TimestampError::Form));
    assert_eq!(timestamp::read(&[0x30; timestamp::MOST_BYTES + 1]), Err(TimestampError::Form));
    // PKIStatusInfo { status: rejection }, and no token.
    let refused = [0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02];
    assert_eq!(timestamp::read(&refused), Err(TimestampError::Refused(2)));
}
