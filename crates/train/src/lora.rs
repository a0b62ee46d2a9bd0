//! Low-rank adapters beside frozen linear weights (LoRA, Hu et al. 2021): the model sees `W + alpha / rank * B A`.
//!
//! The sum is formed on the host when a step's model is put together, and the gradient of the sum is led on to the adapters
//! by the chain rule: for `s = alpha / rank`, `dA = s B^T dW` and `dB = s dW A^T`. That is exact, asks nothing of the model,
//! and what is exported has the weights' own names and shapes. `A` is `[rank, inputs]`, `B` is `[outputs, rank]`, zero at the
//! start; the model keeps W as `[inputs, outputs]`.

use std::borrow::Cow;

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::config::{LoraConfig, ScheduleConfig};
use crate::error::TrainError;
use crate::parameters::Slot;

/// Endings of the names of `A` and `B`, behind that of the weight.
const PARTS: [&str; 2] = ["lora_A", "lora_B"];

/// Whether a slot belongs to an adapter.
pub fn is_adapter(slot: &Slot) -> bool {
    let part = slot.name.rsplit_once('.').map(|(_, part)| part);
    part.is_some_and(|part| PARTS.contains(&part))
}

/// Where one adapter and the weight that it is for lie among the slots.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Adapter {
    base: usize,
    a: usize,
    b: usize,
    inputs: usize,
    outputs: usize,
}

/// The adapters of a run; none where the configuration has no `[schedule.lora]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adapters {
    all: Vec<Adapter>,
    rank: usize,
    scale: f32,
    /// Slots of the model itself; those of the adapters come after them.
    own: usize,
}

impl Adapters {
    /// Adds the slots and first values of the adapters that `schedule` asks for behind those of the model and freezes the
    /// weights that they are for. `A` is uniform within `1 / sqrt(inputs)`, as PEFT has it; `B` is zero.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a rank of zero, rates that are not positive, or a choice that no linear weight meets.
    pub fn attach(
        schedule: &ScheduleConfig,
        seed: u64,
        slots: &mut Vec<Slot>,
        weights: &mut Vec<Vec<f32>>,
    ) -> Result<Self, TrainError> {
        let own = slots.len();
        let Some(config) = &schedule.lora else {
            return Ok(Self {
                own,
                ..Self::default()
            });
        };
        check(config)?;
        let rank = config.rank;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut all = Vec::new();
        for base in 0..own {
            let Some(slot) = slots.get_mut(base).filter(|slot| chosen(config, slot)) else {
                continue;
            };
            let &[inputs, outputs] = slot.shape.as_slice() else {
                continue;
            };
            (slot.rate, slot.adapted) = (0.0, true);
            let name = slot.name.clone();
            let mut add = |part: &str, shape: [usize; 2], values: Vec<f32>| {
                slots.push(Slot {
                    name: format!("{name}.{part}"),
                    shape: shape.to_vec(),
                    linear: false,
                    decay: true,
                    constant: false,
                    adapted: false,
                    rate: config.learning_rate / schedule.learning_rate,
                });
                weights.push(values);
                slots.len() - 1
            };
            let bound = 1.0 / (inputs as f32).sqrt();
            let values = (0..rank * inputs).map(|_| random.random_range(-bound..=bound));
            let a = add(PARTS[0], [rank, inputs], values.collect());
            let b = add(PARTS[1], [outputs, rank], vec![0.0; outputs * rank]);
            all.push(Adapter {
                base,
                a,
                b,
                inputs,
                outputs,
            });
        }
        if all.is_empty() {
            return Err(TrainError::Config {
                reason: "schedule.lora has no linear weight of these prefixes and targets".into(),
            });
        }
        Ok(Self {
            all,
            rank,
            scale: config.alpha / rank as f32,
            own,
        })
    }

    /// How many weights have an adapter.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The values that the model's own slots have once the adapters are merged into them.
    pub fn merged<'a, V: AsRef<[f32]>>(&self, values: &'a [V]) -> Vec<Cow<'a, [f32]>> {
        let at = |index: usize| values.get(index).map(AsRef::as_ref).unwrap_or_default();
        let mut merged: Vec<_> = (0..self.own).map(|slot| Cow::Borrowed(at(slot))).collect();
        for adapter in &self.all {
            if let Some(weight) = merged.get_mut(adapter.base) {
                *weight = Cow::Owned(self.sum(adapter, values));
            }
        }
        merged
    }

    /// As [`Adapters::merged`], but weights without an adapter are taken out of `values`, not copied, until
    /// [`Adapters::give_back`].
    pub fn lend(&self, values: &mut [Vec<f32>]) -> Vec<Vec<f32>> {
        let mut lent = vec![Vec::new(); self.own];
        for adapter in &self.all {
            if let Some(weight) = lent.get_mut(adapter.base) {
                *weight = self.sum(adapter, values);
            }
        }
        for (lent, value) in lent.iter_mut().zip(values) {
            if lent.is_empty() {
                *lent = std::mem::take(value);
            }
        }
        lent
    }

    /// Ends [`Adapters::lend`].
    pub fn give_back(&self, values: &mut [Vec<f32>], lent: Vec<Vec<f32>>) {
        for (value, lent) in values.iter_mut().zip(lent) {
            if value.is_empty() {
                *value = lent;
            }
        }
    }

    /// A weight with the product of its adapter added.
    fn sum<V: AsRef<[f32]>>(&self, adapter: &Adapter, values: &[V]) -> Vec<f32> {
        let device = Device::flex();
        let at = |index: usize| values.get(index).map(AsRef::as_ref).unwrap_or_default();
        let a = matrix(at(adapter.a), [self.rank, adapter.inputs], &device);
        let b = matrix(at(adapter.b), [adapter.outputs, self.rank], &device);
        let delta = numbers(b.matmul(a).transpose() * self.scale);
        let weight = at(adapter.base).iter();
        weight
            .zip(delta)
            .map(|(value, more)| value + more)
            .collect()
    }

    /// From gradients of the merged weights to those of all slots; a weight that has an adapter has none of its own.
    pub fn gradients(&self, values: &[Vec<f32>], mut merged: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let device = Device::flex();
        let at = |index: usize| values.get(index).map(Vec::as_slice).unwrap_or_default();
        merged.resize(self.own + 2 * self.all.len(), Vec::new());
        for adapter in &self.all {
            let found = merged.get_mut(adapter.base).map(std::mem::take);
            // The loss does not depend on it.
            let Some(found) = found.filter(|found| !found.is_empty()) else {
                continue;
            };
            let a = matrix(at(adapter.a), [self.rank, adapter.inputs], &device);
            let b = matrix(at(adapter.b), [adapter.outputs, self.rank], &device);
            let found = matrix(&found, [adapter.inputs, adapter.outputs], &device);
            let of_b = a.matmul(found.clone()).transpose() * self.scale;
            let of_a = found.matmul(b).transpose() * self.scale;
            for (slot, gradient) in [(adapter.a, of_a), (adapter.b, of_b)] {
                if let Some(place) = merged.get_mut(slot) {
                    *place = numbers(gradient);
                }
            }
        }
        merged
    }
}

fn check(config: &LoraConfig) -> Result<(), TrainError> {
    let positive = |value: f32| value.is_finite() && value > 0.0;
    if config.rank > 0 && positive(config.alpha) && positive(config.learning_rate) {
        return Ok(());
    }
    Err(TrainError::Config {
        reason: "schedule.lora needs a rank, alpha and learning_rate above zero".to_owned(),
    })
}

fn chosen(config: &LoraConfig, slot: &Slot) -> bool {
    let begins = |prefix: &String| slot.name.starts_with(prefix);
    let ends = |target: &String| slot.name.ends_with(target);
    slot.linear
        && (config.prefixes.is_empty() || config.prefixes.iter().any(begins))
        && (config.targets.is_empty() || config.targets.iter().any(ends))
}

fn matrix(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn numbers(matrix: Tensor<2>) -> Vec<f32> {
    matrix.into_data().iter::<f32>().collect()
}
