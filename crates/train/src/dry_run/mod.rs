//! A run before it is one: the model, the groups and one batch of a configuration, and what a step of it takes. Nothing is
//! written and no value of the model is drawn, so that the full size is looked at in seconds; datasets that are not here are
//! named, and a picture that is made up stands for them.

mod activations;
mod batch;
mod groups;
mod memory;
mod operations;
mod text;

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use serde::Serialize;

pub use activations::Activations;
pub use batch::{BatchReport, RowReport};
pub use groups::{GroupRow, LayerRow, ModuleRow};
pub use memory::Memory;
pub use operations::Operations;

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::learner::Learner;
use crate::objective::Terms;
use crate::prepare::{outline, prepare};
use crate::resident::peak_bytes;
use crate::sample::Batch;
use crate::schedule::learning_rate;
use crate::start;
use crate::tokens::PromptEncoder;
use medsam3_corpus::{Split, survey, training_images};

/// All that a dry run finds.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The configuration.
    pub config: PathBuf,
    /// Pixels.
    pub image_side: usize,
    /// Parameters of the model, adapters included.
    pub parameters: usize,
    /// Those that are trained.
    pub trained: usize,
    /// Weights that have an adapter.
    pub adapters: usize,
    /// By part of the model.
    pub modules: Vec<ModuleRow>,
    /// By group of the configuration.
    pub groups: Vec<GroupRow>,
    /// How long the run is.
    pub schedule: ScheduleReport,
    /// What the first step would be shown.
    pub batch: BatchReport,
    /// What a step holds.
    pub memory: Memory,
    /// What a step computes.
    pub operations: Operations,
    /// The corpus folder.
    pub corpus: PathBuf,
    /// Whether it has an `index.json`; without one nothing of it is seen.
    pub corpus_found: bool,
    /// What there is to train on.
    pub datasets: Vec<DatasetReport>,
    /// Datasets of the configuration that have no folder in the corpus.
    pub missing: Vec<String>,
    /// The weights that the run starts from.
    pub start: Option<StartReport>,
    /// Optimiser steps, where they were asked for.
    pub step: Option<StepReport>,
}

/// How long a run is.
#[derive(Debug, Serialize)]
pub struct ScheduleReport {
    /// Passes over the training images, where the configuration counts in them.
    pub epochs: Option<usize>,
    /// Training images: of the corpus, or as published while datasets are missing.
    pub images: usize,
    /// Whether they are counted, not taken from `data.expected_images`.
    pub counted: bool,
    /// Over all workers.
    pub images_per_step: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// At a few steps, counted from 1, before the factors of the groups.
    pub rates: Vec<RateReport>,
}

/// The learning rate at a step.
#[derive(Debug, Serialize)]
pub struct RateReport {
    /// From 1.
    pub step: usize,
    /// Before the factors of the groups.
    pub learning_rate: f32,
}

/// A dataset that is here.
#[derive(Debug, Serialize)]
pub struct DatasetReport {
    /// Folder.
    pub name: String,
    /// Training images.
    pub train: usize,
    /// Validation images.
    pub val: usize,
    /// What is asked of it.
    pub prompts: Vec<String>,
}

/// Start weights.
#[derive(Debug, Serialize)]
pub struct StartReport {
    /// Model folder or run folder.
    pub folder: PathBuf,
    /// Whether it is here.
    pub found: bool,
}

/// What optimiser steps did.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Of the first step alone: forward, backward, update. On a GPU its kernels are compiled in it.
    pub seconds: f64,
    /// Of each step behind the first.
    pub later_seconds: Vec<f64>,
    /// Resident memory of the process at its peak, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// L2 norm before clipping.
    pub gradient_norm: f32,
    /// The loss by its terms.
    pub loss: Terms,
}

/// Looks at a configuration; makes `steps` optimiser steps too, all on the first batch.
///
/// # Errors
/// Those that a training by it would begin with, but for datasets and start weights that are not here: these are reported.
pub fn dry_run(config: &TrainConfig, steps: usize) -> Result<Report, TrainError> {
    let mut config = config.clone();
    let found = survey(config.data.selection())?;
    let here = training_images(&found.found);
    let complete = found.missing.is_empty();
    let expected = config.data.expected_images.filter(|_| !complete);
    let images = expected.unwrap_or(here);
    config.settle(images);
    if config.schedule.steps == 0 {
        return Err(TrainError::Config {
            reason: "schedule.epochs cannot be counted without training images: data.root has none, and data.expected_images is not set".to_owned(),
        });
    }

    let model = config.model.init(&Device::flex());
    let outlined = outline(&config, &model)?;
    let mut encoder = PromptEncoder::read(&config.data.tokenizer, config.model.text.context)?;
    let (batches, made_up) = batch::draw(&config, &found.found)?;
    let batch = BatchReport::new(&batches, made_up, &mut encoder, config.model.image_side)?;
    let start = config.run.start_from.as_ref().map(|folder| StartReport {
        folder: folder.clone(),
        found: folder.is_dir(),
    });
    let count = |items: &[medsam3_corpus::Item], split| {
        items.iter().filter(|item| item.split == split).count()
    };
    let datasets = found.found.iter().map(|set| DatasetReport {
        name: set.name.clone(),
        train: count(&set.items, Split::Train),
        val: count(&set.items, Split::Val),
        prompts: set.prompts.iter().map(|p| p.canonical.clone()).collect(),
    });
    let trained = outlined.slots.iter().map(|slot| slot.state_len(slot.len()));
    let mut report = Report {
        config: config.file.clone(),
        image_side: config.model.image_side,
        parameters: outlined.parameters(),
        trained: trained.sum(),
        adapters: outlined.adapters.count(),
        modules: groups::modules(&outlined.slots),
        groups: groups::groups(&outlined.slots, &config.schedule),
        schedule: ScheduleReport {
            epochs: config.schedule.epochs,
            images,
            counted: expected.is_none(),
            images_per_step: config.images_per_step(),
            steps: config.schedule.steps,
            rates: rates(&config),
        },
        memory: Memory::new(&config, &outlined, images),
        operations: Operations::new(&config, &outlined.slots),
        batch,
        corpus: config.data.root.clone(),
        corpus_found: config.data.root.join("index.json").is_file(),
        datasets: datasets.collect(),
        missing: found.missing,
        start,
        step: None,
    };
    if steps > 0 {
        drop(outlined);
        report.step = Some(take_steps(&config, &batches, steps)?);
    }
    Ok(report)
}

/// The learning rate at the first step, at the end of the warm-up, through the run, and at its end.
fn rates(config: &TrainConfig) -> Vec<RateReport> {
    let schedule = &config.schedule;
    let total = schedule.steps;
    let cooldown = total.saturating_sub(schedule.cooldown_steps);
    let mut steps = vec![
        1,
        schedule.warmup_steps,
        total / 10,
        total / 2,
        cooldown,
        total,
    ];
    steps.retain(|step| (1..=total).contains(step));
    steps.sort_unstable();
    steps.dedup();
    let rate = |step| RateReport {
        step,
        learning_rate: learning_rate(schedule, step - 1),
    };
    steps.into_iter().map(rate).collect()
}

/// Start weights where they are here, else random ones.
fn take_steps(
    config: &TrainConfig,
    batches: &[Batch],
    steps: usize,
) -> Result<StepReport, TrainError> {
    let device = Device::flex();
    device.seed(config.run.seed);
    let mut model = config.model.init(&device);
    let folder = config.run.start_from.as_ref();
    if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
        model = start::from_folder(model, folder)?;
    }
    let prepared = prepare(config, &model)?;
    drop(model);
    let mut learner = Learner::new(config, prepared)?;
    let mut step = || -> Result<_, TrainError> {
        let started = Instant::now();
        let stepped = learner.step(&|stream, _| batches[stream % batches.len()].clone())?;
        Ok((started.elapsed().as_secs_f64(), stepped))
    };
    let (seconds, stepped) = step()?;
    let later = (1..steps).map(|_| step().map(|(seconds, _)| seconds));
    Ok(StepReport {
        seconds,
        later_seconds: later.collect::<Result<_, _>>()?,
        peak_memory_bytes: peak_bytes(),
        gradient_norm: stepped.gradient_norm,
        loss: stepped.terms,
    })
}
