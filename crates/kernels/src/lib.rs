//! GPU kernels in CubeCL, as extensions of Burn's back ends, each beside the plain tensor operations that it stands for.
//!
//! Every public function takes and gives `burn::Tensor` and picks by the tensor's device ([`route`]): the kernel on wgpu and
//! WebGPU; the CPU's own kernels ([`cpu`]) on Flex, with gradients of their own where autodiff follows (`gradient`); plain operations
//! elsewhere. All ways compute the same values; the tests compare them with an independent reference.
//!
//! A kernel is one file: the plain path, an extension trait (`#[backend_extension(Cube, Fusion)]`), its implementation for
//! `CubeBackend`, and the `#[cube]` code. No kernel needs subgroups, f16 or 8-bit integers, none binds more than eight
//! buffers, and none reads back. Sums are f32 whatever the tensors hold.

#![recursion_limit = "256"]
// Kernels are launched without a bounds check at each access: they check their own position once, and WebGPU's own
// checks stand behind them.
#![allow(unsafe_code)]
// Kernel code is written in what CubeCL translates.
#![allow(clippy::assign_op_pattern, clippy::manual_div_ceil)]

pub mod attention;
pub mod bf16;
pub mod choice;
mod clock;
pub mod cpu;
#[cfg(not(target_arch = "wasm32"))]
mod gradient;
#[cfg(target_arch = "wasm32")]
#[path = "gradient/none.rs"]
mod gradient;
pub mod group_norm;
mod launch;
pub mod layer_norm;
pub mod peak;
pub mod pieces;
pub mod product;
pub mod q8;
pub mod recompute;
pub mod roi_align;
pub mod rope_qkv;
pub mod route;
pub mod self_test;
pub mod shares;

pub use attention::{attention, rope_attention, window_attention};
pub use bf16::round_to_bf16;
pub use choice::{Choice, Measurement};
pub use group_norm::{group_norm, upsample2_add};
pub use layer_norm::{add_layer_norm, layer_norm};
pub use product::{Activation, Tiling, conv3x3, linear, linear_part, matmul};
pub use q8::Q8;
pub use recompute::{Part, recomputed};
pub use rope_qkv::{Rope, rope_qkv};
pub use route::{Kernel, Route, route};
