//! The training loop: draw, differentiate on every worker, update, write down, save.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use serde::Serialize;

use crate::checkpoint;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::learner::{Learner, Stepped};
use crate::metrics::Metrics;
use crate::objective::Terms;
use crate::prepare::prepare;
use crate::sample::Sampler;
use crate::start;
use crate::validate::validate;
use crate::{curves, record};
use medsam3_corpus::{
    CorpusError, Dataset, Sample, Split, keep_prompts, load_datasets, load_samples, training_images,
};

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
    learner: Learner,
    metrics: Metrics,
}

impl Trainer {
    /// Loads everything.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn new(mut config: TrainConfig, resume: bool) -> Result<Self, TrainError> {
        let stated = config.clone();
        let folder = &stated.run.folder;
        let write = |path: &Path, source| TrainError::Write {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(|source| write(folder, source))?;

        // The last two checkpoints are kept by their number, so that a new run's would be removed and the old one's stay.
        if !resume && let Some(path) = checkpoint::latest(folder)? {
            return Err(TrainError::RunExists { path });
        }
        let data = &stated.data;
        let mut datasets = load_datasets(&data.root, &data.tiers, &data.datasets)?;
        keep_prompts(&mut datasets, &data.prompts)?;
        config.settle(training_images(&datasets));
        check_splits(&config, &datasets)?;
        let samples = load_samples(&data.root, &datasets, Split::Train, data.raster_side)?;
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
        let device = Device::flex();
        device.seed(config.run.seed);
        let mut model = config.model.init(&device);
        if let Some(folder) = &config.run.start_from {
            model = start::from_folder(model, folder)?;
            println!("starts from the weights of {}", folder.display());
        }
        let prepared = prepare(&config, &model)?;
        drop(model);
        println!("{prepared}");
        let mut learner = Learner::new(&config, prepared)?;
        if resume && let Some(path) = checkpoint::latest(folder)? {
            learner.resume(checkpoint::load(&path, learner.slots(), config.run.seed)?)?;
            println!("resumed at step {}", learner.state.step);
        }
        // What came after the checkpoint is done again.
        let metrics = Metrics::open(folder, learner.state.step)?;
        record::write(&stated, &datasets, learner.state.step)?;
        Ok(Self {
            config,
            sampler,
            validation: (datasets, held_out),
            learner,
            metrics,
        })
    }

    /// Trains to the last step or until `stop` is set, then saves.
    ///
    /// # Errors
    /// A loss that is not finite, a folder that cannot be written.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), TrainError> {
        let total = self.config.schedule.steps;
        let images = self.config.data.images_per_step * self.config.data.accumulate;
        let (mut reported, mut since) = (Instant::now(), self.learner.state.step);
        let mut recent = Vec::new();
        while self.learner.state.step < total && !stop.load(Ordering::Relaxed) {
            let (sampler, step) = (&self.sampler, self.learner.state.step);
            let draw = |stream, images| sampler.draw(step, stream, images);
            let Stepped {
                learning_rate,
                gradient_norm,
                terms,
            } = self.learner.step(&draw)?;
            recent.push(terms);
            let step = self.learner.state.step;
            let line = Step {
                learning_rate,
                gradient_norm,
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
                    "step {step}/{total}  loss {:.3}  semantic dice {:.3} focal {:.4}  presence {:.3}  boxes {:.3}  norm {gradient_norm:.2}  {speed:.1} images/s  {} left",
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
                        learning_rate,
                        gradient_norm,
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

    fn validate(&mut self) -> Result<(), TrainError> {
        let config = &self.config;
        let model = self.learner.model();
        let sizes = [config.model.image_side, config.model.mask_grid()];
        let (datasets, samples) = &self.validation;
        let mut prompts = self.learner.prompts();
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
        self.metrics
            .log("validation", self.learner.state.step, scores)?;
        curves::draw(&config.run.folder)
    }

    fn save(&self) -> Result<PathBuf, TrainError> {
        checkpoint::save(
            &self.config.run.folder,
            self.learner.slots(),
            &self.learner.state,
            self.config.run.seed,
        )
    }
}

/// There is something to train on in every dataset that is named, and something to validate on where that is asked for.
fn check_splits(config: &TrainConfig, datasets: &[Dataset]) -> Result<(), TrainError> {
    let data = &config.data;
    let has = |set: &Dataset, split| set.items.iter().any(|item| item.split == split);
    let has_train = |set: &Dataset| has(set, Split::Train);
    let empty = |path: PathBuf, split| Err(CorpusError::EmptySplit { path, split }.into());
    if datasets.is_empty() {
        return Err(TrainError::EmptyCorpus);
    }
    let named = |set: &&Dataset| data.datasets.contains(&set.name) && !has_train(set);
    if let Some(set) = datasets.iter().find(named) {
        return empty(data.root.join(&set.name).join("dataset.json"), "train");
    }
    let index = data.root.join("index.json");
    if !datasets.iter().any(has_train) {
        return empty(index, "train");
    }
    let held_out = datasets.iter().any(|set| has(set, Split::Val));
    if !held_out && config.run.validate_every <= config.schedule.steps {
        return empty(index, "val");
    }
    Ok(())
}

fn clock(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    format!("{}:{:02} h", minutes / 60, minutes % 60)
}
