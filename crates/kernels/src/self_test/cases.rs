//! Inputs of the self-test, one or more per kernel, each at odd sizes.

use super::{Case, known};
use crate::attention::{WindowGrid, attention, window_attention};
use crate::rope_qkv::{Rope, rope_qkv};
use crate::route::Kernel;
use burn::tensor::{Device, Tensor};

/// All cases. A new kernel adds at least one.
pub(super) const CASES: &[Case] = &[
    Case {
        kernel: Kernel::Attention,
        name: "attention",
        run: masked_attention,
        expected: include_bytes!("attention.f32"),
    },
    Case {
        kernel: Kernel::Attention,
        name: "window_attention",
        run: windowed_attention,
        expected: include_bytes!("window_attention.f32"),
    },
    Case {
        kernel: Kernel::RopeQkv,
        name: "rope_qkv",
        run: split_and_turned,
        expected: include_bytes!("rope_qkv.f32"),
    },
];

/// 7 queries over 21 keys, two heads of 16, with a bias and a mask that leaves out about half of the keys.
fn masked_attention(device: &Device) -> Tensor<1> {
    let masked = known::<4>(5, [1, 1, 7, 21], device).greater_elem(0.0);
    let out = attention(
        known(1, [1, 7, 32], device) * 3.0,
        known(2, [1, 21, 32], device),
        known(3, [1, 21, 32], device),
        2,
        Some(masked),
        Some(known(4, [1, 2, 7, 21], device)),
    );
    out.reshape([7 * 32])
}

/// Four windows of 3 x 2 over 5 x 3 cells, two heads of 32.
fn windowed_attention(device: &Device) -> Tensor<1> {
    let grid = WindowGrid {
        rows: 5,
        columns: 3,
        window_rows: 3,
        window_columns: 2,
    };
    let part = |seed| known::<3>(seed, [4, 6, 64], device);
    window_attention(part(6) * 3.0, part(7), part(8), 2, grid).reshape([5 * 3 * 64])
}

/// The windows of [`windowed_attention`], two heads of 8; q, k and v one after the other.
fn split_and_turned(device: &Device) -> Tensor<1> {
    let mut turn = [[0f32; 8]; 8];
    for u in (0..8).step_by(2) {
        turn[u + 1][u] = -1.0;
        turn[u][u + 1] = 1.0;
    }
    let rope = Rope {
        cos: known(9, [6, 8], device),
        sin: known(10, [6, 8], device),
        turn: Tensor::from_floats(turn, device),
    };
    let qkv = known(11, [1, 5, 3, 48], device);
    let parts = rope_qkv(qkv, known(12, [48], device), &rope, (3, 2));
    Tensor::cat(parts.map(|part| part.reshape([4 * 6 * 16])).to_vec(), 0)
}
