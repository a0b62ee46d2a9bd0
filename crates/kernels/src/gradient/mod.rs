//! Operations with gradients of their own, for training on the CPU.
//!
//! Burn differentiates a product, a norm or an attention through the operations that they are made of, each a pass over
//! memory; here each is one operation that keeps what its gradient needs and computes it in the CPU's own kernels. Every
//! function gives `None` where it does not apply, so that the caller goes on with plain Burn operations.

mod attention;
mod conv;
mod linear;
mod norm;
mod recompute;
mod tape;

pub(crate) use attention::{attention, rope_attention};
pub(crate) use conv::{conv3x3, group_norm, upsample2_add};
pub(crate) use linear::linear;
pub(crate) use norm::layer_norm;
pub(crate) use recompute::recomputed;
