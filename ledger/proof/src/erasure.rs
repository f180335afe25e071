//! Entries that were erased: whether what stands in their place is what two people have ordered.
//!
//! The hash of an erased entry stays in the tree; its bytes gave way to a tombstone, which says so:
//! it has a member `erased` with the erasure and its part. The log itself says the rest, in entries
//! of the aggregate `erasure`: who asked, who approved, and for each position the SHA-256 of the
//! tombstone. An entry whose bytes are not those of its hash is erased if all of that fits, and
//! changed if it does not. Nothing is believed of an erasure but what stands in intact entries.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::merkle::Hash;

/// What every entry of an erasure holds.
const OF_ERASURE: &str = "\"aggregate_type\":\"erasure\"";
/// What every tombstone holds.
const ERASED: &str = "\"erased\":{";

/// What a tombstone says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Mark {
    /// The erasure.
    pub erasure: String,
    /// Its part, from 1.
    pub part: u64,
}

/// What a log says of its erasures, gathered entry by entry.
#[derive(Clone, Debug, Default)]
pub struct Erasures {
    requested: HashMap<String, String>,
    approved: HashSet<String>,
    /// The position and the hash of each tombstone that was ordered.
    ordered: HashSet<(Mark, u64, Hash)>,
    tombstones: Vec<(u64, Mark, Hash)>,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The erased positions, each with its erasure.
    pub erased: BTreeMap<u64, String>,
    /// Positions whose tombstones nobody has ordered.
    pub unexplained: Vec<u64>,
}

#[derive(Deserialize)]
struct Entry {
    actor: Option<Actor>,
    aggregate_id: String,
    data: serde_json::Value,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Actor {
    id: String,
}

#[derive(Deserialize)]
struct Part {
    bodies: Vec<Body>,
    part: u64,
}

#[derive(Deserialize)]
struct Body {
    position: u64,
    tombstone: String,
}

/// What a tombstone says of itself; none if the entry is none.
pub fn mark(entry: &[u8]) -> Option<Mark> {
    #[derive(Deserialize)]
    struct Tombstone {
        erased: Mark,
    }
    if !holds(entry, ERASED) {
        return None;
    }
    serde_json::from_slice::<Tombstone>(entry).ok().map(|tombstone| tombstone.erased)
}

/// What an order names a tombstone by.
pub fn digest(tombstone: &[u8]) -> Hash {
    Sha256::digest(tombstone).into()
}

impl Erasures {
    /// Takes an entry whose bytes are those of its hash.
    pub fn intact(&mut self, entry: &[u8]) {
        if !holds(entry, OF_ERASURE) {
            return;
        }
        let Ok(Entry { actor, aggregate_id: id, data, kind }) = serde_json::from_slice(entry)
        else {
            return;
        };
        match (kind.as_str(), actor) {
            ("erasure.requested", Some(actor)) => {
                self.requested.entry(id).or_insert(actor.id);
            }
            // Nobody approves what they have asked for.
            ("erasure.approved", Some(actor))
                if self.requested.get(&id).is_some_and(|asked| *asked != actor.id) =>
            {
                self.approved.insert(id);
            }
            ("erasure.executed", _) if self.approved.contains(&id) => {
                let Ok(Part { bodies, part }) = serde_json::from_value(data) else { return };
                let mark = Mark { erasure: id, part };
                self.ordered.extend(bodies.iter().filter_map(|body| {
                    let hash = crate::text::unhex(&body.tombstone)?;
                    Some((mark.clone(), body.position, hash))
                }));
            }
            _ => {}
        }
    }

    /// Takes an entry whose bytes are not those of its hash. False if it says nothing of an
    /// erasure; what it says is judged at the end, because an erasure comes after what it erases.
    pub fn changed(&mut self, position: u64, entry: &[u8]) -> bool {
        let Some(mark) = mark(entry) else { return false };
        self.tombstones.push((position, mark, digest(entry)));
        true
    }

    /// Judges every tombstone.
    pub fn settle(self) -> Settled {
        let mut settled = Settled::default();
        for (position, mark, hash) in self.tombstones {
            let Mark { erasure, .. } = mark.clone();
            if self.ordered.contains(&(mark, position, hash)) {
                settled.erased.insert(position, erasure);
            } else {
                settled.unexplained.push(position);
            }
        }
        settled
    }
}

impl Settled {
    /// The erased positions in a few words, as in `3 to 5, 9`; none if there are none.
    pub fn in_words(&self) -> Option<String> {
        /// Most that are told one by one.
        const MOST: usize = 20;
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for position in self.erased.keys() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *position => *last = *position,
                _ => ranges.push((*position, *position)),
            }
        }
        let more = ranges.len().saturating_sub(MOST);
        let words: Vec<String> = ranges
            .iter()
            .take(MOST)
            .map(|(from, to)| if from == to { from.to_string() } else { format!("{from} to {to}") })
            .collect();
        let end = if more > 0 { format!(" and {more} more places") } else { String::new() };
        (!words.is_empty()).then(|| format!("{}{end}", words.join(", ")))
    }
}

/// Whether `words` stand in an entry. Entries are many, and few are read as JSON.
fn holds(entry: &[u8], words: &str) -> bool {
    std::str::from_utf8(entry).is_ok_and(|text| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "018f0000-0000-7000-8000-000000000001";

    fn entry(kind: &str, actor: &str, data: &str) -> Vec<u8> {
        format!(
            r#"{{"actor":{{"id":"{actor}","kind":"user"}},"aggregate_id":"{ID}","aggregate_type":"erasure","data":{data},"type":"{kind}"}}"#
        )
        .into_bytes()
    }

    fn tombstone() -> Vec<u8> {
        format!(r#"{{"data":{{}},"erased":{{"erasure":"{ID}","part":1}},"position":7}}"#)
            .into_bytes()
    }

    fn order() -> String {
        let hash = crate::text::hex(&digest(&tombstone()));
        format!(r#"{{"bodies":[{{"position":7,"tombstone":"{hash}"}}],"last":true,"part":1}}"#)
    }

    fn settled(entries: &[Vec<u8>], position: u64, instead: &[u8]) -> Settled {
        let mut erasures = Erasures::default();
        assert!(erasures.changed(position, instead));
        entries.iter().for_each(|entry| erasures.intact(entry));
        erasures.settle()
    }

    #[test]
    fn what_two_people_have_ordered_is_erased_and_nothing_else_is() {
        let asked = entry("erasure.requested", "anna", "{}");
        let approved = entry("erasure.approved", "bert", "{}");
        let part = entry("erasure.executed", "anna", &order());
        let all = [asked.clone(), approved.clone(), part.clone()];
        assert_eq!(settled(&all, 7, &tombstone()).in_words().as_deref(), Some("7"));
        let himself = entry("erasure.approved", "anna", "{}");
        let other = String::from_utf8(tombstone()).unwrap().replace("{}", r#"{"a":1}"#);
        for (entries, position, instead) in [
            (vec![], 7, tombstone()),
            (vec![asked.clone(), part.clone()], 7, tombstone()),
            (vec![asked.clone(), himself, part.clone()], 7, tombstone()),
            (vec![approved.clone(), asked.clone(), part.clone()], 7, tombstone()),
            (vec![asked, part, approved], 7, tombstone()),
            (all.to_vec(), 8, tombstone()),
            (all.to_vec(), 7, other.into_bytes()),
        ] {
            let settled = settled(&entries, position, &instead);
            assert_eq!(settled.unexplained, [position]);
            assert_eq!(settled.in_words(), None);
        }
        assert!(!Erasures::default().changed(7, b"{\"erased\":{}}"));
        assert!(!Erasures::default().changed(7, b""));
    }

    #[test]
    fn positions_are_told_in_ranges() {
        let erased = [1, 2, 3, 5, 9, 10].map(|position| (position, ID.to_owned()));
        let settled = Settled { erased: erased.into(), unexplained: Vec::new() };
        assert_eq!(settled.in_words().as_deref(), Some("1 to 3, 5, 9 to 10"));
    }
}
