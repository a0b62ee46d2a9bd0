//! Rounding to bf16, kept as f32: how the tracker stores its memories, whichever types the device knows.
//!
//! Any shape in and out; to nearest, ties to even, as `tensor.bfloat16()` of the reference's framework. Gradients pass
//! through unchanged.

use crate::cpu;
use crate::launch::{UNITS, empty, workgroups};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::*;

/// The nearest bf16 of each value.
pub fn round_to_bf16<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let is_gpu = matches!(x.device().as_dispatch(), DispatchDevice::Cube(_));
    if is_gpu && x.dtype() == DType::F32 {
        return Tensor::from_dispatch(Dispatch::round_to_bf16_custom(x.into_dispatch()));
    }
    cpu::round_to_bf16(x).unwrap_or_else(|x| x.cast(DType::BF16).cast(DType::F32))
}

/// The kernel as an operation of a back end.
#[backend_extension(Cube, Fusion)]
pub trait Bf16Ops: Backend {
    /// See [`round_to_bf16`].
    #[fusion(dtype = x, shape = x)]
    fn round_to_bf16_custom(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Bf16Ops for CubeBackend {
    fn round_to_bf16_custom(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        let shape = x.meta.shape().clone();
        let count = shape.num_elements();
        let out = empty(&x, shape, DType::F32);
        // SAFETY: the kernel leaves when its position is not below the count of both buffers.
        unsafe {
            round::launch_unchecked(
                &out.client.clone(),
                workgroups(&x, count),
                CubeDim::new_1d(UNITS),
                x.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                count as u32,
            );
        }
        out
    }
}

#[cube(launch_unchecked)]
fn round(x: &[f32], out: &mut [f32], count: u32) {
    let place = ABSOLUTE_POS;
    if place >= count as usize {
        terminate!();
    }
    let bits = u32::reinterpret(x[place]);
    // Half of the last place that stays, and one more where that place is odd.
    let rounded = bits + 0x7fffu32 + ((bits >> 16u32) & 1u32);
    out[place] = f32::reinterpret(rounded & 0xffff0000u32);
}
