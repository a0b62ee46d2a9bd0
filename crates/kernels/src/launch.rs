//! What every launch needs: output buffers, the number of workgroups, element types.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Threads of a workgroup for kernels whose threads do not work together.
pub(crate) const UNITS: u32 = 64;

/// A contiguous tensor on the device of `like`, values undefined.
pub(crate) fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(
        like.client.clone(),
        like.device.clone(),
        shape.into(),
        dtype,
    )
}

/// Workgroups of [`UNITS`] for at least `threads` threads; a kernel checks `ABSOLUTE_POS` against its own count.
pub(crate) fn workgroups(like: &CubeTensor, threads: usize) -> CubeCount {
    cubecl::calculate_cube_count_elemwise(&like.client, threads, CubeDim::new_1d(UNITS))
}

/// The kernel's type for the elements of a tensor.
pub(crate) fn element(tensor: &CubeTensor) -> ElemType {
    dtype_to_storage_type(tensor.dtype)
}
