//! Kernels for the host's own processor, on the plain Flex device: many threads, vector instructions, few passes.
//!
//! Each takes tensors and gives none, or its input back, where it does not apply (another device, autodiff, another
//! type), so that the caller goes on with plain Burn operations.

#![cfg_attr(
    target_arch = "wasm32",
    allow(
        dead_code,
        unused_imports,
        reason = "nothing is trained in the browser, so gradients are computed natively alone"
    )
)]
#![allow(
    clippy::extra_unused_type_parameters,
    reason = "the parameter is the instruction set that a function is compiled for"
)]
#![allow(
    clippy::result_large_err,
    reason = "the error is the tensor that came in, moved as any tensor is"
)]

pub(crate) mod attention;
mod attention_gradient;
mod bf16;
mod conv;
mod conv_gradient;
mod elementwise;
mod gemm;
pub(crate) mod layer_norm;
mod linear;
mod math;
mod norm;
mod rope;
mod threads;
mod transposed;
pub(crate) mod view;

pub use attention::attention;
pub use bf16::round_to_bf16;
pub use conv::{conv3x3, conv3x3_cells};
pub(crate) use conv_gradient::{conv3x3_gradient_of_kernel, conv3x3_gradient_of_map};
pub use elementwise::{axial_sums, gelu, relu, upsample2_add};
pub(crate) use elementwise::{gelu_gradient, relu_gradient, sum_of_blocks};
pub use linear::linear;
pub use norm::group_norm;
pub(crate) use norm::group_norm_gradient;
pub use rope::rope_qkv;
pub(crate) use rope::rope_qkv_gradient;
pub(crate) use transposed::{column_sums, product_of_columns};
