//! What a configuration makes of a model before the first step: which parameters are trained, at what rates, with what adapters.

use medsam3_model::Sam3;

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::groups;
use crate::lora::Adapters;
use crate::parameters::{self, Slot};

/// A model's parameters as flat vectors, ready to be trained or read back from a checkpoint.
#[derive(Debug)]
pub struct Prepared {
    /// Those of the model, then those of the adapters.
    pub slots: Vec<Slot>,
    /// First values, in the order of the slots.
    pub weights: Vec<Vec<f32>>,
    /// How the adapters' values become part of the model's.
    pub adapters: Adapters,
}

/// Gives every parameter of `model` the rate of the configuration and adds the adapters.
///
/// # Errors
/// Groups or adapters that do not fit the model.
pub fn prepare(config: &TrainConfig, model: &Sam3) -> Result<Prepared, TrainError> {
    let (mut slots, mut weights) = parameters::collect(model);
    groups::apply(&mut slots, &config.schedule, config.model.vit.depth)?;
    let adapters = Adapters::attach(&config.schedule, config.run.seed, &mut slots, &mut weights)?;
    Ok(Prepared {
        slots,
        weights,
        adapters,
    })
}

impl std::fmt::Display for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let trained = self.weights.iter().zip(&self.slots);
        let trained: usize = trained.map(|(w, slot)| slot.state_len(w.len())).sum();
        let all: usize = self.weights.iter().map(Vec::len).sum();
        write!(
            f,
            "{:.2} M parameters in {} tensors, {:.2} M of them trained, {} weights with an adapter",
            all as f64 / 1e6,
            self.slots.len(),
            trained as f64 / 1e6,
            self.adapters.count(),
        )
    }
}
