//! IoU-aware binary cross entropy of the queries (reference 5.1, `IABCEMdetr`).

use burn::tensor::{Tensor, TensorData, activation};

use super::elementwise::binary_cross_entropy;

const ALPHA: f32 = 0.25;
const POSITIVE_WEIGHT: f32 = 10.0;
const SMALLEST_TARGET: f32 = 0.01;

/// A query that was given an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Row of the batch.
    pub row: usize,
    /// Query of that row.
    pub query: usize,
    /// Object of that row.
    pub object: usize,
    /// IoU of the query's box with the object's.
    pub iou: f32,
}

/// Matched queries learn `max(0.01, p^α IoU^(1-α))`, the others 0 with weight `p^2`; rows without an object do not
/// count but are part of the mean. `logits` `[rows, queries]`, `has_objects` one per row; scalar.
pub fn classification_loss(
    logits: Tensor<2>,
    matches: &[Match],
    has_objects: &[bool],
) -> Tensor<1> {
    let [rows, queries] = logits.dims();
    let device = logits.device();
    let host: Vec<f32> = logits.clone().detach().into_data().iter::<f32>().collect();

    let mut target = vec![0.0; rows * queries];
    let mut positive = vec![0.0; rows * queries];
    let mut negative: Vec<f32> = has_objects
        .iter()
        .flat_map(|&has| std::iter::repeat_n(if has { 1.0 } else { 0.0 }, queries))
        .collect();
    for found in matches {
        let at = found.row * queries + found.query;
        let p = 1.0 / (1.0 + (-host[at]).exp());
        // A query that serves several objects learns the best of them.
        let wanted = (p.powf(ALPHA) * found.iou.powf(1.0 - ALPHA)).max(SMALLEST_TARGET);
        target[at] = wanted.max(target[at]);
        positive[at] = POSITIVE_WEIGHT;
        negative[at] = 0.0;
    }
    let tensor = |values: Vec<f32>| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, queries]), &device)
    };

    let p = activation::sigmoid(logits.clone());
    let on = binary_cross_entropy(logits.clone(), tensor(target)) * tensor(positive);
    let off = binary_cross_entropy(logits.clone(), logits.zeros_like())
        * p.clone()
        * p
        * tensor(negative);
    (on + off).mean()
}
