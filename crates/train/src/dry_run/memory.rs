//! What a step holds, in bytes: exact for weights, gradients and the optimiser's state, estimated for what the forward pass
//! keeps.

use serde::Serialize;

use super::activations::Activations;
use crate::config::TrainConfig;
use crate::lora::is_adapter;
use crate::prepare::Prepared;

const BYTES: u64 = size_of::<f32>() as u64;

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All weights once, on the host; every GPU has a copy besides.
    pub weights: u64,
    /// One set of gradients; every worker has one, and one more where gradients are accumulated.
    pub gradients: u64,
    /// Sets of gradients on the host at once.
    pub gradient_sets: u64,
    /// Both moments of AdamW, on the host.
    pub moments: u64,
    /// The average, on the host; 0 where none is kept.
    pub average: u64,
    /// What one worker keeps from the forward pass; an estimate.
    pub activations: Activations,
    /// All pictures and label maps of the corpus at `data.raster_side`, in colour: what the host holds at most.
    pub corpus: u64,
    /// Weights, gradients, moments and average on the host.
    pub host: u64,
    /// Weights, gradients and activations of one worker without recomputation, attention's weights as well: on every GPU.
    pub device: u64,
    /// The same where trunk blocks and layers of the fusion encoder are computed again.
    pub device_recomputed: u64,
}

impl Memory {
    pub(super) fn new(config: &TrainConfig, outlined: &Prepared, images: usize) -> Self {
        let of = |values: usize| values as u64 * BYTES;
        let slots = &outlined.slots;
        let own = slots.iter().filter(|slot| !is_adapter(slot));
        let sought = own.clone().filter(|slot| slot.needs_gradient());
        let trained: usize = slots.iter().map(|slot| slot.state_len(slot.len())).sum();
        let accumulated = usize::from(config.data.accumulate > 1);
        let per_worker = config.data.images_per_step / config.run.workers;
        let rows = per_worker * config.data.prompts_per_image;
        let copies = 1 + usize::from(config.loss.one_to_many.is_some());
        let activations = Activations::new(
            &config.model,
            per_worker,
            rows,
            copies,
            config.schedule.dropout > 0.0,
        );

        let weights = of(own.map(|slot| slot.len()).sum());
        let gradients = of(sought.map(|slot| slot.len()).sum());
        let gradient_sets = (config.run.workers * (1 + accumulated)) as u64;
        let moments = 2 * of(trained);
        let average = if config.schedule.ema > 0.0 {
            of(trained)
        } else {
            0
        };
        Self {
            weights,
            gradients,
            gradient_sets,
            moments,
            average,
            activations,
            corpus: (images * config.data.raster_side.pow(2) * 4) as u64,
            host: weights + gradient_sets * gradients + moments + average,
            device: weights + gradients + activations.total(false) + activations.attention_weights,
            device_recomputed: weights
                + gradients
                + activations.total(true)
                + activations.attention_weights_recomputed,
        }
    }
}
