//! What several terms share: cross entropy, focal loss and soft dice of logits against targets in 0..1.

use burn::tensor::{Tensor, activation};

/// `-t ln σ(x) - (1 - t) ln(1 - σ(x))` per element, stable for any logit. Any shape.
///
/// Since `ln(1 - σ(x)) = ln σ(x) - x`, this is `(1 - t) x - ln σ(x)`: unlike the usual form with `max` and `abs`, its
/// gradient is right at a logit of exactly 0 too.
pub fn binary_cross_entropy<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Tensor<D> {
    (-targets + 1.0) * logits.clone() - activation::log_sigmoid(logits)
}

/// Focal loss per element: `α_t (1 - p_t)^2 BCE`, with `α_t = α t + (1 - α)(1 - t)`. The exponent of the reference is 2
/// throughout. Any shape.
pub fn focal<const D: usize>(logits: Tensor<D>, targets: Tensor<D>, alpha: f32) -> Tensor<D> {
    let p = activation::sigmoid(logits.clone());
    // 1 - p_t = p + t - 2 p t
    let miss = p.clone() + targets.clone() - p * targets.clone() * 2.0;
    let weight = targets.clone() * (2.0 * alpha - 1.0) + (1.0 - alpha);
    binary_cross_entropy(logits, targets) * miss.clone() * miss * weight
}

/// Soft dice loss per row, smoothed by one: `1 - (2 Σ p t + 1) / (Σ p + Σ t + 1)`. `[rows, pixels]` to `[rows]`.
pub fn dice(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let p = activation::sigmoid(logits);
    let both = (p.clone() * targets.clone()).sum_dim(1) * 2.0 + 1.0;
    let either = p.sum_dim(1) + targets.sum_dim(1) + 1.0;
    (-(both / either) + 1.0).squeeze_dim(1)
}
