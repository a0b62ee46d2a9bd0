//! What one optimiser step does: weights are lent to a model, every worker differentiates its share of the batch, the mean of
//! the gradients moves the weights.
//!
//! Memory at the peak, in copies of the weights: the weights themselves, two moments, the average if there is one, and one set
//! of gradients per worker (one more where gradients are accumulated).

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use medsam3_model::Sam3;
use medsam3_model::dropout::{Dropout, PromptTraining};
use medsam3_model::vitdet::TrunkTraining;

use crate::adamw::{State, Update};
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::lora::Adapters;
use crate::objective::Terms;
use crate::parameters::{self, Slot};
use crate::prepare::Prepared;
use crate::sample::Batch;
use crate::schedule::learning_rate;
use crate::tokens::PromptEncoder;
use crate::workers::{self, Workers};
use crate::{devices, drop_path, step};

/// What a step did.
#[derive(Debug, Clone, Copy)]
pub struct Stepped {
    /// Learning rate before the factors of the groups.
    pub learning_rate: f32,
    /// L2 norm of the whole gradient before clipping.
    pub gradient_norm: f32,
    /// The loss, as a mean over the batch.
    pub terms: Terms,
}

/// A model that is trained, and the state of its optimiser.
pub struct Learner {
    config: TrainConfig,
    slots: Vec<Slot>,
    adapters: Adapters,
    prompts: Mutex<PromptEncoder>,
    workers: Workers,
    devices: Vec<Device>,
    /// Weights, moments and average.
    pub state: State,
}

impl Learner {
    /// A learner before its first step.
    ///
    /// # Errors
    /// A tokenizer that cannot be read, threads that cannot be started.
    pub fn new(config: &TrainConfig, prepared: Prepared) -> Result<Self, TrainError> {
        let Prepared {
            slots,
            weights,
            adapters,
        } = prepared;
        let state = if config.schedule.ema > 0.0 {
            State::new(weights, &slots)
        } else {
            State::without_average(weights, &slots)
        };
        let context = config.model.text.context;
        let run = &config.run;
        let devices = run.devices.iter();
        let devices = devices.map(|name| devices::open(name, run.gradient_checkpointing));
        Ok(Self {
            devices: devices.collect::<Result<_, _>>()?,
            prompts: Mutex::new(PromptEncoder::read(&config.data.tokenizer, context)?),
            workers: Workers::new(config.run.workers)?,
            config: config.clone(),
            slots,
            adapters,
            state,
        })
    }

    /// Goes on from a state of the same parameters.
    ///
    /// # Errors
    /// [`TrainError::Config`] where one has an average and the other does not.
    pub fn resume(&mut self, state: State) -> Result<(), TrainError> {
        let averaged = |state: &State| state.average.iter().any(|values| !values.is_empty());
        let trained = self.slots.iter().any(|slot| slot.rate > 0.0);
        if trained && averaged(&state) != averaged(&self.state) {
            return Err(TrainError::Config {
                reason: "schedule.ema: the run has an average of its weights and this configuration none, or the other way round".to_owned(),
            });
        }
        self.state = state;
        Ok(())
    }

    /// Every parameter, in the order of the state.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What turns prompts into tokens.
    pub fn prompts(&self) -> std::sync::MutexGuard<'_, PromptEncoder> {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one optimiser step. `draw` gives the images of a stream (a worker's part of the step) and is told how many.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite; the state is then as it was.
    pub fn step(
        &mut self,
        draw: &(dyn Fn(usize, usize) -> Batch + Sync),
    ) -> Result<Stepped, TrainError> {
        let lent = self.adapters.lend(&mut self.state.weights);
        let model = parameters::hold(self.blank(), lent);
        let results = self
            .workers
            .map(|worker| self.differentiate(worker, &model, draw));
        let lent = parameters::release(model);
        self.adapters.give_back(&mut self.state.weights, lent);

        let diverged = TrainError::Diverged {
            step: self.state.step,
        };
        let (mut gradients, mut terms) = (Vec::new(), Vec::new());
        for result in results {
            let (found, values) = match result {
                Err(TrainError::NotFinite) => return Err(diverged),
                other => other?,
            };
            workers::add(&mut gradients, found);
            terms.push(values);
        }
        let terms = Terms::mean(&terms);
        if !terms.total.is_finite() {
            return Err(diverged);
        }
        workers::divide(&mut gradients, self.config.run.workers);
        let schedule = &self.config.schedule;
        let update = Update {
            learning_rate: learning_rate(schedule, self.state.step),
            peak: schedule.learning_rate,
            weight_decay: schedule.weight_decay,
            betas: schedule.betas,
            clip_norm: schedule.clip_norm,
            ema: schedule.ema,
        };
        let gradients = self.adapters.gradients(&self.state.weights, gradients);
        let gradient_norm = self.state.update(&self.slots, &gradients, &update);
        if !gradient_norm.is_finite() {
            return Err(diverged);
        }
        Ok(Stepped {
            learning_rate: update.learning_rate,
            gradient_norm,
            terms,
        })
    }

    /// One worker's share: its own batches, its own graph.
    fn differentiate(
        &self,
        worker: usize,
        model: &Sam3,
        draw: &(dyn Fn(usize, usize) -> Batch + Sync),
    ) -> Result<(Vec<Vec<f32>>, Terms), TrainError> {
        let config = &self.config;
        let images = config.data.images_per_step / config.run.workers;
        let device = &self.devices[worker % self.devices.len()];
        let (mut gradients, mut terms) = (Vec::new(), Vec::new());
        for part in 0..config.data.accumulate {
            let stream = part * config.run.workers + worker;
            let batch = draw(stream, images);
            let factors = drop_path::draw(
                config.schedule.drop_path,
                config.model.vit.depth,
                batch.images,
                config.run.seed,
                [self.state.step, stream],
            );
            let trunk = TrunkTraining {
                factors,
                recompute: config.run.recompute_blocks,
            };
            let place = ((self.state.step as u64) << 8) | stream as u64;
            let prompt = PromptTraining {
                duplicate: config.loss.one_to_many.is_some(),
                recompute: config.run.recompute_blocks,
                dropout: Dropout::new(config.schedule.dropout, [config.run.seed, place]),
            };
            let texts = batch.rows.iter().map(|row| row.text.as_str());
            let tokens = self.prompts().batch(texts)?;
            let model = parameters::tracked(model, &self.slots, device);
            let side = config.model.image_side;
            let (found, values) = step::gradients(
                &model,
                &batch,
                tokens,
                side,
                &config.loss,
                trunk,
                &prompt,
                device,
            )?;
            workers::add(&mut gradients, found);
            terms.push(values);
        }
        workers::divide(&mut gradients, config.data.accumulate);
        Ok((gradients, Terms::mean(&terms)))
    }

    /// The model as it is validated and exported.
    pub fn model(&self) -> Sam3 {
        let values = self.state.inference();
        parameters::assign(self.blank(), &self.adapters.merged(&values), false)
    }

    /// The module tree on the host, whose values nobody has drawn.
    fn blank(&self) -> Sam3 {
        self.config.model.init(&Device::flex())
    }
}
