//! Dispatches that no watchdog ends. Windows ends a graphics device that does not answer for two seconds, and browsers
//! discuss half a second: a large kernel is cut into pieces of its workgroups, and work is submitted before more of it
//! has gathered than such a piece.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use cubecl::client::Client;

/// Floating-point operations of one dispatch at most: 0.3 s on an adapter of 0.3 TFLOP/s, the slowest that the full
/// model is meant for.
pub const MOST_OPERATIONS: u64 = 90_000_000_000;
/// The same on an adapter that is slower still: smaller pieces would cost more in submissions than they save.
const FEWEST_OPERATIONS: u64 = 1_000_000_000;
/// Seconds that a dispatch may take.
const SECONDS: f64 = 0.3;

/// In force: what [`limit`] set.
static MOST: AtomicU64 = AtomicU64::new(MOST_OPERATIONS);
/// Of the largest dispatch so far.
static LARGEST: AtomicU64 = AtomicU64::new(0);
/// Launched, and not yet submitted by [`launched`].
static WAITING: AtomicU64 = AtomicU64::new(0);

/// Operations of one dispatch at most on an adapter of this speed.
pub(crate) fn at_speed(operations_per_second: f64) -> u64 {
    // A speed that is no number becomes the fewest operations.
    ((SECONDS * operations_per_second) as u64).clamp(FEWEST_OPERATIONS, MOST_OPERATIONS)
}

/// Cuts dispatches to `operations` from here on.
pub fn limit(operations: u64) {
    MOST.store(operations.max(1), Ordering::Relaxed);
}

/// Floating-point operations of the largest dispatch of this crate's products and attention in the process so far.
pub fn largest_dispatch() -> u64 {
    LARGEST.load(Ordering::Relaxed)
}

/// The workgroups of a kernel of so many operations, in pieces that may each be dispatched.
pub(crate) fn pieces(operations: u64, workgroups: usize) -> impl Iterator<Item = Range<usize>> {
    cut(operations, workgroups, MOST.load(Ordering::Relaxed))
}

fn cut(operations: u64, workgroups: usize, most: u64) -> impl Iterator<Item = Range<usize>> {
    let count = usize::try_from(operations.div_ceil(most)).unwrap_or(usize::MAX);
    let each = workgroups
        .div_ceil(count.clamp(1, workgroups.max(1)))
        .max(1);
    (0..workgroups)
        .step_by(each)
        .map(move |start| start..(start + each).min(workgroups))
}

/// Notes a dispatch, and submits what has gathered when the next one of its size would make it too much.
pub(crate) fn launched(client: &Client, operations: u64) {
    LARGEST.fetch_max(operations, Ordering::Relaxed);
    let waiting = WAITING.fetch_add(operations, Ordering::Relaxed) + operations;
    if waiting + operations > MOST.load(Ordering::Relaxed) {
        WAITING.store(0, Ordering::Relaxed);
        // An error of the device comes back with the next result that is read.
        let _ = client.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_all_workgroups_once_and_stay_below_the_most() {
        let ends = |operations, workgroups| -> Vec<_> {
            cut(operations, workgroups, MOST_OPERATIONS)
                .map(|piece| (piece.start, piece.end))
                .collect()
        };
        assert_eq!(ends(1, 7), [(0, 7)]);
        assert_eq!(ends(MOST_OPERATIONS, 7), [(0, 7)]);
        assert_eq!(ends(MOST_OPERATIONS + 1, 7), [(0, 4), (4, 7)]);
        assert_eq!(ends(u64::MAX, 3), [(0, 1), (1, 2), (2, 3)]);
        assert!(ends(1, 0).is_empty());
    }

    #[test]
    fn a_slower_adapter_gets_smaller_pieces() {
        assert_eq!(at_speed(1e13), MOST_OPERATIONS);
        assert_eq!(at_speed(0.1e12), 30_000_000_000);
        assert_eq!(at_speed(0.0), FEWEST_OPERATIONS);
        assert_eq!(at_speed(f64::NAN), FEWEST_OPERATIONS);
    }
}
