//! A part of a model that is computed again in the backward pass, so that of all it computes only its inputs are kept.
//!
//! Burn 0.22 recomputes single operations that memory limits (its balanced strategy), and nothing larger. Here a whole part
//! is one operation to autodiff: its forward pass records nothing, its gradient runs it once more, recorded, and
//! differentiates that. It costs one more forward pass of the part.

use crate::gradient;
use burn::backend::DispatchTensor;
use core::fmt::Debug;

/// A part of a model as a function of tensors, parameters among them: what is not an input has no gradient.
pub trait Part<const N: usize>: Clone + Send + Debug + 'static {
    /// The result. The same inputs must give the same result, to the last bit.
    fn forward(&self, inputs: [DispatchTensor; N]) -> DispatchTensor;
}

/// What `part` makes of floats on one device. Where autodiff follows any of them, only they are kept for the backward pass;
/// elsewhere this is [`Part::forward`].
pub fn recomputed<const N: usize, P: Part<N>>(
    part: P,
    inputs: [DispatchTensor; N],
) -> DispatchTensor {
    match gradient::recomputed(&part, &inputs) {
        Some(result) => result,
        None => part.forward(inputs),
    }
}
