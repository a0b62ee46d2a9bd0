//! AdamW with clipping by the norm of the whole gradient and an average of the weights, on flat vectors.
//!
//! Burn's optimisers clip tensor by tensor and keep their state behind parameter ids; the reference clips the whole
//! gradient, and an exact resume wants a state that can be written by name. One pass updates everything.

use rayon::prelude::*;

use crate::parameters::Slot;

/// Numbers of one update.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Learning rate of this step, before the factors of the slots.
    pub learning_rate: f32,
    /// In its place for slots whose rate is constant.
    pub peak: f32,
    /// Decoupled weight decay of the slots that have it.
    pub weight_decay: f32,
    /// Decay rates of the moments.
    pub betas: [f32; 2],
    /// Largest L2 norm of the whole gradient.
    pub clip_norm: f32,
    /// Decay rate of the averaged weights; early steps use `(1 + t) / (10 + t)` where that is smaller.
    pub ema: f32,
}

/// Weights, moments and average.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Updates made so far.
    pub step: usize,
    /// Current weights.
    pub weights: Vec<Vec<f32>>,
    /// First moments; empty for what is frozen, as are the next two.
    pub first: Vec<Vec<f32>>,
    /// Second moments.
    pub second: Vec<Vec<f32>>,
    /// Averaged weights; empty too where none is kept.
    pub average: Vec<Vec<f32>>,
}

const EPS: f32 = 1e-8;

impl State {
    /// Starts from initial weights, one for each slot.
    pub fn new(weights: Vec<Vec<f32>>, slots: &[Slot]) -> Self {
        let copy = |(w, slot): (&Vec<f32>, &Slot)| w[..slot.state_len(w.len())].to_vec();
        let average = weights.iter().zip(slots).map(copy).collect();
        Self {
            average,
            ..Self::without_average(weights, slots)
        }
    }

    /// As [`State::new`], without an average: a quarter less memory.
    pub fn without_average(weights: Vec<Vec<f32>>, slots: &[Slot]) -> Self {
        // Zeros that are asked for, not copied, take no memory until they are written to.
        let zeros = |(w, slot): (&Vec<f32>, &Slot)| vec![0.0; slot.state_len(w.len())];
        Self {
            step: 0,
            first: weights.iter().zip(slots).map(zeros).collect(),
            second: weights.iter().zip(slots).map(zeros).collect(),
            average: vec![Vec::new(); weights.len()],
            weights,
        }
    }

    /// What is validated and exported: the averaged weights, and the frozen ones as they are.
    pub fn inference(&self) -> Vec<&[f32]> {
        let pairs = self.weights.iter().zip(&self.average);
        pairs
            .map(|(weights, average)| {
                let frozen = average.is_empty();
                if frozen { weights } else { average }.as_slice()
            })
            .collect()
    }

    /// Makes one update and returns the norm of the gradient before clipping. An empty gradient counts as zero; frozen slots
    /// stay as they are and have no part in the norm. A norm that is not finite is returned, and nothing changes.
    pub fn update(&mut self, slots: &[Slot], gradients: &[Vec<f32>], update: &Update) -> f32 {
        let norm = gradients
            .par_iter()
            .zip(slots)
            .filter(|(_, slot)| slot.rate > 0.0)
            .map(|(g, _)| g.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>())
            .sum::<f64>()
            .sqrt();
        let norm = norm as f32;
        if !norm.is_finite() {
            return norm;
        }
        self.step += 1;
        let t = self.step as f32;
        // The same small number as torch.nn.utils.clip_grad_norm_.
        let scale = (update.clip_norm / (norm + 1e-6)).min(1.0);
        let [beta1, beta2] = update.betas;
        let (bias1, bias2) = (1.0 - beta1.powf(t), (1.0 - beta2.powf(t)).sqrt());
        let ema = update.ema.min((1.0 + t) / (10.0 + t));

        let Self {
            weights,
            first,
            second,
            average,
            ..
        } = self;
        weights
            .par_iter_mut()
            .zip(first)
            .zip(second)
            .zip(average)
            .zip(slots)
            .zip(gradients)
            .for_each(
                |(((((weights, first), second), average), slot), gradient)| {
                    // As in PyTorch, what the loss does not depend on is not decayed either.
                    if slot.rate == 0.0 || gradient.is_empty() {
                        return;
                    }
                    let lr = slot.rate
                        * if slot.constant {
                            update.peak
                        } else {
                            update.learning_rate
                        };
                    let shrink = if slot.decay {
                        1.0 - lr * update.weight_decay
                    } else {
                        1.0
                    };
                    for i in 0..weights.len() {
                        let g = gradient.get(i).copied().unwrap_or(0.0) * scale;
                        first[i] = beta1 * first[i] + (1.0 - beta1) * g;
                        second[i] = beta2 * second[i] + (1.0 - beta2) * g * g;
                        let step = lr / bias1 * first[i] / (second[i].sqrt() / bias2 + EPS);
                        weights[i] = weights[i] * shrink - step;
                    }
                    for (average, weight) in average.iter_mut().zip(weights) {
                        *average = ema * *average + (1.0 - ema) * *weight;
                    }
                },
            );
        norm
    }
}
