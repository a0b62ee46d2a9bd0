//! In which order the slices of a run are done: what a person looks at first, then its neighbours.

/// The numbers from `first` to `last`, both included: the one nearest to `at`, then outwards, the later of two
/// neighbours first.
#[must_use]
pub fn outward(at: usize, first: usize, last: usize) -> Vec<usize> {
    if first > last {
        return Vec::new();
    }
    let start = at.clamp(first, last);
    let mut order = vec![start];
    for step in 1..=last - first {
        let (after, before) = (start.checked_add(step), start.checked_sub(step));
        order.extend(after.filter(|&slice| slice <= last));
        order.extend(before.filter(|&slice| slice >= first));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::outward;

    #[test]
    fn the_slice_in_view_comes_first() {
        assert_eq!(outward(3, 0, 5), [3, 4, 2, 5, 1, 0]);
        assert_eq!(outward(0, 0, 2), [0, 1, 2]);
        assert_eq!(outward(9, 2, 4), [4, 3, 2], "a view outside of the range");
        assert_eq!(outward(0, 2, 4), [2, 3, 4]);
        assert_eq!(outward(7, 7, 7), [7]);
        assert!(outward(0, 2, 1).is_empty());
    }
}
