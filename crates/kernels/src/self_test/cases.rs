//! Inputs of the self-test, one or more per kernel, each at odd sizes.

use super::{Case, known};
use crate::attention::{WindowGrid, attention, window_attention};
use crate::group_norm::group_norm;
use crate::layer_norm::{add_layer_norm, layer_norm};
use crate::product::{Activation, conv3x3, linear};
use crate::q8::Q8;
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
    Case {
        kernel: Kernel::Matmul,
        name: "linear",
        run: linear_layer,
        expected: include_bytes!("linear.f32"),
    },
    Case {
        kernel: Kernel::Matmul,
        name: "odd_linear",
        run: odd_linear_layer,
        expected: include_bytes!("odd_linear.f32"),
    },
    Case {
        kernel: Kernel::LinearQ8,
        name: "linear_q8",
        run: int8_layer,
        expected: include_bytes!("linear_q8.f32"),
    },
    Case {
        kernel: Kernel::LinearQ8,
        name: "linear_q8_tall",
        run: tall_int8_layer,
        expected: include_bytes!("linear_q8_tall.f32"),
    },
    Case {
        kernel: Kernel::Conv3x3,
        name: "conv3x3",
        run: convolution,
        expected: include_bytes!("conv3x3.f32"),
    },
    Case {
        kernel: Kernel::LayerNorm,
        name: "layer_norm",
        run: norms,
        expected: include_bytes!("layer_norm.f32"),
    },
    Case {
        kernel: Kernel::GroupNorm,
        name: "group_norm",
        run: groups,
        expected: include_bytes!("group_norm.f32"),
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

/// 11 rows of 20 values to 12, with GELU.
fn linear_layer(device: &Device) -> Tensor<1> {
    let (x, weight) = (
        known::<2>(20, [11, 20], device),
        known(21, [20, 12], device),
    );
    let bias = Some(known(22, [12], device));
    linear(x, weight, bias, Activation::Gelu).reshape([11 * 12])
}

/// Extents that no vector divides, with ReLU.
fn odd_linear_layer(device: &Device) -> Tensor<1> {
    let (x, weight) = (known::<2>(23, [5, 7], device), known(24, [7, 3], device));
    let bias = Some(known(25, [3], device));
    linear(x, weight, bias, Activation::Relu).reshape([5 * 3])
}

/// Few rows: dequantised in the tile.
fn int8_layer(device: &Device) -> Tensor<1> {
    int8(9, device).reshape([9 * 12])
}

/// Many rows: dequantised beforehand.
fn tall_int8_layer(device: &Device) -> Tensor<1> {
    int8(66, device).reshape([66 * 12])
}

fn int8(rows: usize, device: &Device) -> Tensor<2> {
    // Every integer from -127 to 127, and scales that differ.
    let values = (0..12 * 64).map(|i| (i * 7 % 255 - 127) as i8).collect();
    let scales = (1..=24).map(|i| i as f32 / 1024.0).collect();
    let bias = known(27, [12], device);
    let x = known(26, [rows, 64], device);
    match Q8::new(values, scales, [12, 64]) {
        Ok(weight) => linear(x, weight.into_tensor(device), Some(bias), Activation::None),
        // Not the stored result: found wrong.
        Err(_) => x,
    }
}

/// 5 x 7 cells, 4 channels to 8.
fn convolution(device: &Device) -> Tensor<1> {
    let (x, weight) = (known(28, [1, 5, 7, 4], device), known(29, [36, 8], device));
    conv3x3(x, weight, known(30, [8], device)).reshape([5 * 7 * 8])
}

/// 7 rows of 20, a sum in front: the sum and its norm; then 3 rows of 5 without.
fn norms(device: &Device) -> Tensor<1> {
    let (x, y) = (known::<2>(31, [7, 20], device), known(32, [7, 20], device));
    let (gamma, beta) = (known(33, [20], device), known(34, [20], device));
    let (sum, normed) = add_layer_norm(x, y, gamma, beta, 1e-5);
    let odd = known::<2>(35, [3, 5], device);
    let odd = layer_norm(odd, known(36, [5], device), known(37, [5], device), 1e-5);
    let parts = vec![sum.reshape([140]), normed.reshape([140]), odd.reshape([15])];
    Tensor::cat(parts, 0)
}

/// 5 x 7 cells, 12 channels in 4 groups, with ReLU.
fn groups(device: &Device) -> Tensor<1> {
    let (gamma, beta) = (known(39, [12], device), known(40, [12], device));
    group_norm(known(38, [1, 5, 7, 12], device), gamma, beta, 4, true).reshape([5 * 7 * 12])
}
