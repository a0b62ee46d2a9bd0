//! One worker's share of a step: forward, loss, backward.
//!
//! A batch of images and rows goes in, gradients in the order of the slots and the terms' values come out.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::dropout::PromptTraining;
use medsam3_model::vitdet::TrunkTraining;
use medsam3_model::{Grounding, ImageFeatures, Sam3, TextFeatures};

use crate::config::LossWeights;
use crate::error::TrainError;
use crate::objective::{Terms, loss};
use crate::parameters;
use crate::sample::Batch;

/// Token ids and their validity, one row per prompt.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// `[rows, context]`
    pub ids: Vec<i32>,
    /// `[rows, context]`
    pub valid: Vec<bool>,
    /// Tokens per row.
    pub context: usize,
}

impl Tokens {
    /// Ids and validity as the model takes them, `[rows, context]`.
    pub fn tensors(self, device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
        let shape = [self.ids.len() / self.context.max(1), self.context];
        let ids = Tensor::from_data(TensorData::new(self.ids, shape), device);
        (
            ids,
            Tensor::from_data(TensorData::new(self.valid, shape), device),
        )
    }
}

/// Runs the model on a batch: one row of the answer per row of the batch.
pub fn forward(
    model: &Sam3,
    batch: &Batch,
    tokens: Tokens,
    side: usize,
    device: &Device,
) -> Grounding {
    let (features, texts) = encode(model, batch, tokens, side, TrunkTraining::default(), device);
    model.ground(&features, &texts)
}

fn encode(
    model: &Sam3,
    batch: &Batch,
    tokens: Tokens,
    side: usize,
    trunk: TrunkTraining,
    device: &Device,
) -> (ImageFeatures, TextFeatures) {
    let images = Tensor::<4>::from_data(
        TensorData::new(batch.pixels.clone(), [batch.images, 3, side, side]),
        device,
    );
    let (ids, valid) = tokens.tensors(device);
    let of_image: Vec<usize> = batch.rows.iter().map(|row| row.image).collect();
    let features = model.encode_image_trained(images, trunk).select(&of_image);
    (features, model.encode_text(ids, valid))
}

/// Forward, loss and backward: gradients in the order of the slots. The factors of `trunk` are those of [`crate::drop_path`].
///
/// # Errors
/// Outputs that are not finite.
pub fn gradients(
    model: &Sam3,
    batch: &Batch,
    tokens: Tokens,
    side: usize,
    weights: &LossWeights,
    trunk: TrunkTraining,
    prompt: &PromptTraining,
    device: &Device,
) -> Result<(Vec<Vec<f32>>, Terms), TrainError> {
    let (features, texts) = encode(model, batch, tokens, side, trunk, device);
    let answer = model.ground_trained(&features, &texts, prompt);
    let (total, terms) = loss(model, &answer, &batch.rows, weights)?;
    Ok((parameters::gradients(model, total.backward()), terms))
}
