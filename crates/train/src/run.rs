//! The training loop: draw, differentiate on every worker, update, write down, save.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use medsam3_files::{Lock, check_output_folder};
use serde::Serialize;

use crate::checkpoint;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::event::{Event, Watch};
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

/// Held by the process that writes into a run folder.
const LOCK_FILE: &str = ".lock";
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
/// # Errors
/// See [`TrainError`]; a run that fails keeps its checkpoints.
pub fn run(config: TrainConfig, resume: bool, watch: &dyn Watch) -> Result<(), TrainError> {
    Trainer::new(config, resume, watch)?.run(watch)
}

/// A loaded corpus, a model and the state of its optimiser.
pub struct Trainer {
    config: TrainConfig,
    sampler: Sampler,
    validation: (Vec<Dataset>, Vec<Sample>),
    learner: Learner,
    metrics: Metrics,
    _lock: Lock,
}

impl Trainer {
    /// Loads everything.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn new(
        mut config: TrainConfig,
        resume: bool,
        watch: &dyn Watch,
    ) -> Result<Self, TrainError> {
        let stated = config.clone();
        let folder = &stated.run.folder;
        let lock = open_folder(folder)?;

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
        watch.event(&Event::Loaded {
            train: samples.len(),
            val: held_out.len(),
            datasets: datasets.len(),
        });
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
            let folder = folder.clone();
            watch.event(&Event::StartsFrom { folder });
        }
        let prepared = prepare(&config, &model)?;
        drop(model);
        // Weights, moments and average: the first checkpoint must not be what finds a full disk.
        let bytes = 4 * size_of::<f32>() * prepared.parameters();
        check_output_folder(folder, bytes as u64).map_err(|source| TrainError::Write {
            path: folder.clone(),
            source,
        })?;
        let outline = prepared.to_string();
        watch.event(&Event::Prepared { model: outline });
        let mut learner = Learner::new(&config, prepared)?;
        if resume && let Some(path) = checkpoint::latest(folder)? {
            learner.resume(checkpoint::load(&path, learner.slots(), config.run.seed)?)?;
            let step = learner.state.step;
            watch.event(&Event::Resumed { step });
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
            _lock: lock,
        })
    }

    /// Trains to the last step or until it is stopped, then saves.
    ///
    /// # Errors
    /// A loss that is not finite, a folder that cannot be written.
    pub fn run(&mut self, watch: &dyn Watch) -> Result<(), TrainError> {
        let total = self.config.schedule.steps;
        let images = self.config.data.images_per_step * self.config.data.accumulate;
        let (mut reported, mut since) = (Instant::now(), self.learner.state.step);
        let mut recent = Vec::new();
        while self.learner.state.step < total && !watch.stop() {
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
                watch.event(&Event::Progress {
                    step,
                    steps: total,
                    terms,
                    gradient_norm,
                    images_per_second: speed,
                    seconds_left: ((total - step) * images) as f32 / speed.max(1e-6),
                });
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
                self.validate(watch)?;
                reported += started.elapsed();
            }
        }
        let path = self.save()?;
        curves::draw(&self.config.run.folder)?;
        watch.event(&Event::Saved {
            checkpoint: path,
            step: self.learner.state.step,
            steps: total,
        });
        Ok(())
    }

    fn validate(&mut self, watch: &dyn Watch) -> Result<(), TrainError> {
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
        let step = self.learner.state.step;
        let line = serde_json::json!({ "scores": scores });
        watch.event(&Event::Validation { step, scores });
        self.metrics.log("validation", step, line)?;
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

/// Makes the run folder, tries it before hours of work, and takes it for this process.
fn open_folder(folder: &Path) -> Result<Lock, TrainError> {
    let failed = |source| TrainError::Write {
        path: folder.to_owned(),
        source,
    };
    check_output_folder(folder, 0).map_err(failed)?;
    let lock = Lock::try_take(&folder.join(LOCK_FILE)).map_err(failed)?;
    lock.ok_or_else(|| TrainError::RunBusy {
        folder: folder.to_owned(),
    })
}
