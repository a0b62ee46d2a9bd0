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
    let (slots, weights) = parameters::collect(model);
    arrange(config, slots, weights)
}

/// As [`prepare`], without values: none is drawn, and `weights` has only those of the adapters.
///
/// # Errors
/// As there.
pub fn outline(config: &TrainConfig, model: &Sam3) -> Result<Prepared, TrainError> {
    let slots = parameters::slots(model);
    let nothing = vec![Vec::new(); slots.len()];
    arrange(config, slots, nothing)
}

fn arrange(
    config: &TrainConfig,
    mut slots: Vec<Slot>,
    mut weights: Vec<Vec<f32>>,
) -> Result<Prepared, TrainError> {
    groups::apply(&mut slots, &config.schedule, config.model.vit.depth)?;
    let adapters = Adapters::attach(&config.schedule, config.run.seed, &mut slots, &mut weights)?;
    Ok(Prepared {
        slots,
        weights,
        adapters,
    })
}

impl Prepared {
    /// Parameters, adapters included.
    pub fn parameters(&self) -> usize {
        self.slots.iter().map(Slot::len).sum()
    }
}

impl std::fmt::Display for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let trained = self.slots.iter().map(|slot| slot.state_len(slot.len()));
        let (trained, all) = (trained.sum::<usize>(), self.parameters());
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
