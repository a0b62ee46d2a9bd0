//! Forms of the attention kernel. Which is fastest depends on the adapter, so it is a choice to be measured there.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where keys and values are while a thread computes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// In the buffers: no barrier, no shared memory.
    Registers,
    /// The threads of a workgroup load keys and values together into its memory, with barriers in between, and each
    /// computes its own queries from there.
    Shared,
    /// Queries and scores are in the workgroup's memory too, and its threads compute tiles of both products together.
    Tiled,
}

/// How a thread works. All variants compute the same values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// Where keys and values are.
    pub form: Form,
    /// Queries of a thread: keys and values are loaded once for all of them, and each takes registers.
    pub rows: usize,
    /// Keys between two updates of the running maximum; of a tile always 32, four to a thread.
    pub step: usize,
}

/// 0, or a variant: rows, step in the second byte, one more than the form in the third.
static CHOSEN: AtomicU32 = AtomicU32::new(0);

/// Variants worth measuring.
pub fn candidates() -> [Variant; 5] {
    [
        (Form::Registers, 4),
        (Form::Registers, 2),
        (Form::Shared, 1),
        (Form::Tiled, 4),
        (Form::Tiled, 8),
    ]
    .map(|(form, rows)| Variant {
        form,
        rows,
        step: 4,
    })
}

/// Makes `variant` the one in use from here on.
pub fn choose(variant: Variant) {
    let form = 1 + variant.form as u32;
    let packed = variant.rows as u32 | (variant.step as u32) << 8 | form << 16;
    CHOSEN.store(packed, Ordering::Relaxed);
}

/// The variant in use. Until one is chosen it has no barriers, which no adapter is slow at.
pub fn chosen() -> Variant {
    let packed = CHOSEN.load(Ordering::Relaxed);
    let form = match packed >> 16 {
        1 => Form::Registers,
        2 => Form::Shared,
        3 => Form::Tiled,
        _ => return candidates()[0],
    };
    Variant {
        form,
        rows: (packed & 0xff) as usize,
        step: (packed >> 8 & 0xff) as usize,
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
