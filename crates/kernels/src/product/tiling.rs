//! The ways in which a matrix product can be cut over a GPU's threads.
//!
//! No way wins everywhere: shared tiles with barriers suit real GPUs, register tiles without any suit software
//! adapters and some mobile ones. [`crate::choice`] measures which one wins on the adapter at hand.

use crate::cpu;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu};
use serde::{Deserialize, Serialize};

/// How a matrix product is cut over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tiling {
    /// Burn's own product.
    Stock,
    /// Each thread sums 4 rows by 4 columns in registers; no shared memory, no barrier.
    Register4x4,
    /// Each thread sums 8 rows by 8 columns in registers; no shared memory, no barrier.
    Register8x8,
    /// Tiles of 64 x 64 in shared memory, 256 threads with 4 x 4 values each.
    Shared4x4,
    /// Tiles of 64 x 64 in shared memory, 64 threads with 8 x 8 values each.
    Shared8x8,
}

impl Tiling {
    /// All of them, the one that is safe everywhere first.
    pub const ALL: [Self; 5] = [
        Self::Register4x4,
        Self::Register8x8,
        Self::Shared4x4,
        Self::Shared8x8,
        Self::Stock,
    ];

    /// Whether tiles are in shared memory.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::Shared4x4 | Self::Shared8x8)
    }

    /// Rows, and vectors of four columns, that a thread sums.
    pub(crate) fn per_thread(self) -> (usize, usize) {
        match self {
            Self::Stock | Self::Register4x4 | Self::Shared4x4 => (4, 1),
            Self::Register8x8 | Self::Shared8x8 => (8, 2),
        }
    }

    /// Threads along columns and rows of a workgroup.
    pub(crate) fn workgroup(self) -> (usize, usize) {
        match self {
            Self::Stock | Self::Register4x4 | Self::Register8x8 | Self::Shared8x8 => (8, 8),
            Self::Shared4x4 => (16, 16),
        }
    }
}

/// What happens to a sum before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`
    Relu,
    /// `x (1 + erf(x / sqrt 2)) / 2`, the exact form.
    Gelu,
}

impl Activation {
    /// The activation by itself.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::None => x,
            Self::Relu => cpu::relu(x).unwrap_or_else(relu),
            Self::Gelu => cpu::gelu(x).unwrap_or_else(gelu),
        }
    }
}

/// What a product is launched with beside its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plan {
    /// How it is cut.
    pub tiling: Tiling,
    /// Applied behind the bias.
    pub activation: Activation,
}
