//! Whether the prompt is in the image at all (reference 5.1): focal with α = 0.5 and γ = 0.

use burn::tensor::{Tensor, TensorData};

use super::elementwise::binary_cross_entropy;

/// `mean(0.5 BCE(logit, present))`. `logits` `[rows]`; scalar.
pub fn presence_loss(logits: Tensor<1>, present: &[bool]) -> Tensor<1> {
    let values: Vec<f32> = present
        .iter()
        .map(|&is| if is { 1.0 } else { 0.0 })
        .collect();
    let device = logits.device();
    let target = Tensor::<1>::from_data(TensorData::new(values, [present.len()]), &device);
    binary_cross_entropy(logits, target).mean() * 0.5
}
