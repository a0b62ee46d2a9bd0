//! What happens to a sum on its way out of a product: bias, then activation.

use super::tiling::Activation;
use cubecl::prelude::*;

/// `activation(sum + bias[column])`
#[cube]
pub fn finish<N: Size>(
    sum: Vector<f32, N>,
    bias: &ComptimeOption<&[Vector<f32, N>]>,
    column: u32,
    #[comptime] activation: Activation,
) -> Vector<f32, N> {
    let mut x = sum;
    #[comptime]
    if let ComptimeOption::Some(bias) = bias {
        x += bias[column as usize];
    }
    if comptime!(activation == Activation::Relu) {
        x = x.max(Vector::new(0.0f32));
    }
    if comptime!(activation == Activation::Gelu) {
        let half = Vector::new(0.5f32);
        let one = Vector::new(1.0f32);
        let inverse_root_two = Vector::new(core::f32::consts::FRAC_1_SQRT_2);
        x = x * half * (one + (x * inverse_root_two).erf());
    }
    x
}

/// The sum of `parts` matrices of `size` vectors, one behind the other, with what happens on its way out.
#[cube(launch_unchecked)]
pub fn add_parts<N: Size>(
    sums: &[Vector<f32, N>],
    bias: ComptimeOption<&[Vector<f32, N>]>,
    out: &mut [Vector<f32, N>],
    parts: u32,
    size: u32,
    columns: u32,
    #[comptime] activation: Activation,
) {
    let at = ABSOLUTE_POS as u32;
    if at >= size {
        terminate!();
    }
    let mut sum = sums[at as usize];
    for part in 1..parts {
        sum += sums[(part * size + at) as usize];
    }
    out[at as usize] = finish::<N>(sum, &bias, at % columns, activation);
}
