//! How the requests of a batch are divided into what is written together.

use std::ops::Range;

/// Submissions of one request that are decided and written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The request, by its place in the batch.
    pub(super) request: usize,
    /// Which of its submissions.
    pub(super) range: Range<usize>,
}

/// Rounds of at most `most` submissions, in their order. A request that is atomic is never divided,
/// so a round may be longer.
pub(super) fn rounds(requests: &[(usize, bool)], most: usize) -> Vec<Vec<Part>> {
    let mut rounds: Vec<Vec<Part>> = Vec::new();
    let mut round: Vec<Part> = Vec::new();
    let mut room = most;
    for (request, (length, atomic)) in requests.iter().copied().enumerate() {
        let mut from = 0;
        loop {
            let left = length - from;
            if room == 0 || (atomic && left > room && !round.is_empty()) {
                rounds.push(std::mem::take(&mut round));
                room = most;
            }
            let taken = if atomic { left } else { left.min(room) };
            round.push(Part { request, range: from..from + taken });
            room = room.saturating_sub(taken);
            from += taken;
            if from == length {
                break;
            }
        }
    }
    rounds.push(round);
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(requests: &[(usize, bool)], most: usize) -> Vec<Vec<(usize, Range<usize>)>> {
        let rounds = rounds(requests, most).into_iter();
        rounds
            .map(|round| round.into_iter().map(|part| (part.request, part.range)).collect())
            .collect()
    }

    #[test]
    fn what_may_be_divided_is_and_what_is_atomic_is_not() {
        let requests = [(2, false), (7, false), (1, false), (6, true), (1, true)];
        assert_eq!(
            divided(&requests, 4),
            [
                vec![(0, 0..2), (1, 0..2)],
                vec![(1, 2..6)],
                vec![(1, 6..7), (2, 0..1)],
                vec![(3, 0..6)],
                vec![(4, 0..1)],
            ]
        );
        assert_eq!(divided(&requests, usize::MAX).len(), 1);
    }

    #[test]
    fn every_submission_is_in_one_round_and_in_its_order() {
        for most in 1..9 {
            for lengths in [[1, 5, 3], [8, 8, 1], [3, 1, 9]] {
                let requests = lengths.map(|length| (length, length == 3));
                let parts: Vec<Part> = rounds(&requests, most).into_iter().flatten().collect();
                for (request, length) in lengths.into_iter().enumerate() {
                    let of = parts.iter().filter(|part| part.request == request);
                    let all: Vec<usize> = of.flat_map(|part| part.range.clone()).collect();
                    assert_eq!(all, (0..length).collect::<Vec<_>>());
                }
                assert!(parts.iter().is_sorted_by_key(|part| part.request));
            }
        }
    }
}
