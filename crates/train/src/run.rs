//! The training loop: draw, differentiate on every worker, update, write down, save.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use medsam3_model::Sam3;
use serde::Serialize;

use crate::adamw::{State, Update};
use crate::checkpoint;
use crate::config::TrainConfig;
use crate::corpus::{Dataset, Sample, Split, load_datasets, load_samples};
use crate::error::TrainError;
use crate::lora::Adapters;
use crate::metrics::Metrics;
use crate::objective::Terms;
use crate::parameters::{self, Slot};
use crate::prepare::{Prepared, prepare};
use crate::sample::Sampler;
use crate::schedule::learning_rate;
use crate::start;
use crate::step;
use crate::tokens::PromptEncoder;
use crate::validate::validate;
use crate::workers::{Workers, mean_gradients};
use crate::{curves, record};

/// Steps over which progress is averaged.
const REPORT_EVERY: usize = 20;

#[derive(Serialize)]
struct Progress {
    learning_rate: f32,
    gradient_norm: f32,
    images_per_second: f32,
    #[serde(flatten)]
    terms: Terms,
}

/// What a resumed run must repeat exactly.
#[derive(Serialize)]
struct Step {
    learning_rate: f32,
    gradient_norm: f32,
    #[serde(flatten)]
    terms: Terms,
}

/// Trains by the configuration, from the start or from the newest checkpoint of its run folder.
///
/// A first interrupt (Ctrl-C or SIGTERM) ends the run after the current step with a checkpoint.
///
/// # Errors
/// See [`TrainError`]; a run that fails keeps its checkpoints.
pub fn run(config: TrainConfig, resume: bool) -> Result<(), TrainError> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(|error| {
        TrainError::Other {
            context: "installing the interrupt handler",
            reason: error.to_string(),
        }
    })?;
    Trainer::new(config, resume)?.run(&stop)
}

/// A loaded corpus, a model and the state of its optimiser.
pub struct Trainer {
    config: TrainConfig,
    sampler: Sampler,
    validation: (Vec<Dataset>, Vec<Sample>),
    prompts: Mutex<PromptEncoder>,
    /// The module tree; its values are those of `state`.
    model: Sam3,
    slots: Vec<Slot>,
    adapters: Adapters,
    state: State,
    metrics: Metrics,
}

impl Trainer {
    /// Loads everything.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn new(config: TrainConfig, resume: bool) -> Result<Self, TrainError> {
        let folder = &config.run.folder;
        let write = |path: &Path, source| TrainError::Write {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(|source| write(folder, source))?;

        let data = &config.data;
        let datasets = load_datasets(&data.root, &data.tiers, &data.datasets)?;
        let samples = load_samples(&data.root, &datasets, Split::Train, data.raster_side)?;
        if samples.is_empty() {
            return Err(TrainError::EmptyCorpus);
        }
        let held_out = load_samples(&data.root, &datasets, Split::Val, data.raster_side)?;
        println!(
            "{} training and {} validation images of {} datasets",
            samples.len(),
            held_out.len(),
            datasets.len()
        );
        let sizes = [config.model.image_side, config.model.mask_grid()];
        let sampler = Sampler::new(
            datasets.clone(),
            samples,
            data.clone(),
            config.augment.clone(),
            config.run.seed,
            sizes,
        );
        let prompts = Mutex::new(PromptEncoder::read(
            &data.tokenizer,
            config.model.text.context,
        )?);

        let device = Device::flex();
        device.seed(config.run.seed);
        let mut model = config.model.init(&device);
        if let Some(folder) = &config.run.start_from {
            model = start::from_folder(model, folder)?;
            println!("starts from the weights of {}", folder.display());
        }
        let Prepared {
            slots,
            weights,
            adapters,
        } = prepare(&config, &model)?;
        let millions = |all: &mut dyn Iterator<Item = usize>| all.sum::<usize>() as f64 / 1e6;
        println!(
            "{:.2} M parameters in {} tensors, {:.2} M of them trained, {} weights with an adapter",
            millions(&mut weights.iter().map(Vec::len)),
            slots.len(),
            millions(
                &mut weights
                    .iter()
                    .zip(&slots)
                    .map(|(w, s)| s.state_len(w.len()))
            ),
            adapters.count(),
        );
        let mut state = State::new(weights, &slots);
        if resume && let Some(path) = checkpoint::latest(folder)? {
            state = checkpoint::load(&path, &slots, config.run.seed)?;
            println!("resumed at step {}", state.step);
        }
        // What came after the checkpoint is done again.
        let metrics = Metrics::open(folder, state.step)?;
        record::write(&config, &datasets, state.step)?;
        Ok(Self {
            config,
            sampler,
            validation: (datasets, held_out),
            prompts,
            model,
            slots,
            adapters,
            state,
            metrics,
        })
    }

    /// Trains to the last step or until `stop` is set, then saves.
    ///
    /// # Errors
    /// A loss that is not finite, a folder that cannot be written.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), TrainError> {
        let total = self.config.schedule.steps;
        let workers = Workers::new(self.config.run.workers)?;
        let images = self.config.data.images_per_step * self.config.data.accumulate;
        let (mut reported, mut since) = (Instant::now(), self.state.step);
        let mut recent = Vec::new();
        while self.state.step < total && !stop.load(Ordering::Relaxed) {
            let rate = learning_rate(&self.config.schedule, self.state.step);
            let (terms, norm) = self.step(&workers, rate)?;
            recent.push(terms);
            let step = self.state.step;
            let line = Step {
                learning_rate: rate,
                gradient_norm: norm,
                terms,
            };
            self.metrics.log("step", step, line)?;
            if step.is_multiple_of(REPORT_EVERY) || step == total {
                let speed = ((step - since) * images) as f32 / reported.elapsed().as_secs_f32();
                let terms = Terms::mean(&recent);
                recent.clear();
                let left =
                    Duration::from_secs_f32(((total - step) * images) as f32 / speed.max(1e-6));
                println!(
                    "step {step}/{total}  loss {:.3}  semantic dice {:.3} focal {:.4}  presence {:.3}  boxes {:.3}  norm {norm:.2}  {speed:.1} images/s  {} left",
                    terms.total,
                    terms.semantic_dice,
                    terms.semantic_focal,
                    terms.presence,
                    terms.box_l1,
                    clock(left)
                );
                self.metrics.log(
                    "train",
                    step,
                    Progress {
                        learning_rate: rate,
                        gradient_norm: norm,
                        images_per_second: speed,
                        terms,
                    },
                )?;
                (reported, since) = (Instant::now(), step);
            }
            if step.is_multiple_of(self.config.run.checkpoint_every) {
                self.save()?;
            }
            if step.is_multiple_of(self.config.run.validate_every) {
                let started = Instant::now();
                self.validate()?;
                reported += started.elapsed();
            }
        }
        let path = self.save()?;
        curves::draw(&self.config.run.folder)?;
        println!("saved {}", path.display());
        Ok(())
    }

    /// One optimiser step; returns the loss terms and the norm of the gradient.
    fn step(&mut self, workers: &Workers, rate: f32) -> Result<(Terms, f32), TrainError> {
        let values = self.adapters.merged(&self.state.weights);
        let results = workers.map(|worker| self.differentiate(worker, &values));
        drop(values);
        let results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (gradients, terms): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        let terms = Terms::mean(&terms);
        if !terms.total.is_finite() {
            return Err(TrainError::Diverged {
                step: self.state.step,
            });
        }
        let schedule = &self.config.schedule;
        let update = Update {
            learning_rate: rate,
            weight_decay: schedule.weight_decay,
            betas: schedule.betas,
            clip_norm: schedule.clip_norm,
            ema: schedule.ema,
        };
        let gradients = mean_gradients(gradients);
        let gradients = self.adapters.gradients(&self.state.weights, gradients);
        let norm = self.state.update(&self.slots, &gradients, &update);
        Ok((terms, norm))
    }

    /// One worker's share: its own batches, its own copy of the model.
    fn differentiate(
        &self,
        worker: usize,
        values: &[Cow<'_, [f32]>],
    ) -> Result<(Vec<Vec<f32>>, Terms), TrainError> {
        let config = &self.config;
        let images = config.data.images_per_step / config.run.workers;
        let device = Device::flex().autodiff();
        let model = config.model.init(&device);
        let model = parameters::assign_trained(model, values, &self.slots);
        let (mut gradients, mut terms) = (Vec::new(), Vec::new());
        for part in 0..config.data.accumulate {
            let stream = part * config.run.workers + worker;
            let batch = self.sampler.draw(self.state.step, stream, images);
            let texts = batch.rows.iter().map(|row| row.text.as_str());
            let mut prompts = self.prompts.lock().unwrap_or_else(PoisonError::into_inner);
            let tokens = prompts.batch(texts)?;
            drop(prompts);
            let side = config.model.image_side;
            let (found, values) =
                step::gradients(&model, &batch, tokens, side, &config.loss, &device)?;
            gradients.push(found);
            terms.push(values);
        }
        Ok((mean_gradients(gradients), Terms::mean(&terms)))
    }

    fn validate(&mut self) -> Result<(), TrainError> {
        let config = &self.config;
        let values = self.state.inference();
        let values = self.adapters.merged(&values);
        let model = parameters::assign(self.model.clone(), &values, false);
        let sizes = [config.model.image_side, config.model.mask_grid()];
        let (datasets, samples) = &self.validation;
        let mut prompts = self.prompts.lock().unwrap_or_else(PoisonError::into_inner);
        let device = Device::flex();
        let most = config.run.validate_images;
        let scores = validate(
            &model,
            datasets,
            samples,
            most,
            &mut prompts,
            sizes,
            &device,
        )?;
        drop(prompts);
        for (name, score) in &scores {
            println!(
                "  {name:48} Dice {:.3} (ungated {:.3}) n {}  false positives {:.2} of {}",
                score.dice, score.dice_ungated, score.images, score.false_positive, score.absent
            );
        }
        let scores = serde_json::json!({ "scores": scores });
        self.metrics.log("validation", self.state.step, scores)?;
        curves::draw(&config.run.folder)
    }

    fn save(&self) -> Result<PathBuf, TrainError> {
        checkpoint::save(
            &self.config.run.folder,
            &self.slots,
            &self.state,
            self.config.run.seed,
        )
    }
}

fn clock(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    format!("{}:{:02} h", minutes / 60, minutes % 60)
}
