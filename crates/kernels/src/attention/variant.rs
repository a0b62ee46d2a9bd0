//! Forms of the attention kernel. Which is fastest depends on the adapter, so it is a choice to be measured there.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};

/// How a thread works. All variants compute the same values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// Queries of a thread: keys and values are loaded once for all of them, and each takes registers.
    pub rows: usize,
    /// Keys between two updates of the running maximum.
    pub step: usize,
    /// Whether the threads of a workgroup load keys and values together into its memory, with barriers in between.
    pub shared: bool,
}

/// Set in [`CHOSEN`] when the variant is shared.
const SHARED: u32 = 1 << 16;

/// 0, or a variant: rows, step in the second byte, [`SHARED`].
static CHOSEN: AtomicU32 = AtomicU32::new(0);

/// Variants worth measuring.
pub fn candidates() -> [Variant; 4] {
    [(4, 4, false), (2, 4, false), (1, 4, true), (2, 4, true)].map(|(rows, step, shared)| Variant {
        rows,
        step,
        shared,
    })
}

/// Makes `variant` the one in use from here on.
pub fn choose(variant: Variant) {
    let shared = if variant.shared { SHARED } else { 0 };
    let packed = variant.rows as u32 | (variant.step as u32) << 8 | shared;
    CHOSEN.store(packed, Ordering::Relaxed);
}

/// The variant in use. Until one is chosen it has no barriers, which no adapter is slow at.
pub fn chosen() -> Variant {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => candidates()[0],
        packed => Variant {
            rows: (packed & 0xff) as usize,
            step: (packed >> 8 & 0xff) as usize,
            shared: packed & SHARED != 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_in_use() {
        let before = chosen();
        for variant in candidates() {
            choose(variant);
            assert_eq!(chosen(), variant);
        }
        choose(before);
    }
}
