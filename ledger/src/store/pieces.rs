//! Many values in few statements.

/// `items` in pieces of at most `most`, whose lengths are powers of two, so that a few prepared
/// statements serve every number of items.
pub fn pieces<T>(mut items: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = 1 << items.len().min(most).checked_ilog2()?;
        let (piece, rest) = items.split_at(length);
        items = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_everything_in_order_in_few_lengths() {
        for count in [0, 1, 3, 511, 512, 513, 1_300] {
            let items: Vec<usize> = (0..count).collect();
            let pieces: Vec<&[usize]> = pieces(&items, 512).collect();
            assert_eq!(pieces.concat(), items);
            assert!(pieces.iter().all(|piece| piece.len().is_power_of_two()));
        }
    }
}
