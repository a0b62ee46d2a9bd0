//! Rounding to bf16, kept as f32.

use super::threads::for_chunks;
use super::view::change;
use burn::tensor::Tensor;

/// Values that a thread takes at a time.
const CHUNK: usize = 1 << 16;

/// The nearest bf16 of each value, ties to even; gives `x` back where it does not apply.
pub fn round_to_bf16<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, Tensor<D>> {
    change(x, |values| {
        for_chunks(values, CHUNK, |_, part| {
            for value in part {
                *value = rounded(*value);
            }
        });
    })
}

fn rounded(value: f32) -> f32 {
    if value.is_nan() {
        return value;
    }
    let bits = value.to_bits();
    f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000)
}
