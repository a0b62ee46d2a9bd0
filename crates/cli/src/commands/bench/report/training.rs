//! Optimiser steps of a configuration on a made-up batch.

use std::path::Path;

use anyhow::Result;
use medsam3_train::TrainConfig;
use serde::Serialize;

use crate::commands::bench::median;

/// Images of a step, smallest first, and steps behind the first, in which kernels are compiled.
const SIZES: &[(usize, usize)] = &[(8, 5), (32, 5)];
/// The same on a software adapter.
const SMALL_SIZES: &[(usize, usize)] = &[(1, 1)];

/// What steps take.
#[derive(Debug, Serialize)]
pub struct Training {
    pub steps: Vec<Step>,
}

/// A number of images per step.
#[derive(Debug, Serialize)]
pub struct Step {
    pub images: usize,
    pub first_seconds: f64,
    /// Median of the later ones.
    pub seconds: f64,
    pub images_per_second: f64,
    pub loss: f32,
}

/// Steps of `config` on the first GPU, one worker, with its start weights where they are here.
pub fn run(config: &Path, is_software: bool) -> Result<Training> {
    let mut steps = Vec::new();
    let sizes = if is_software { SMALL_SIZES } else { SIZES };
    for &(images, later) in sizes {
        let over = [
            "run.workers=1".to_owned(),
            "run.devices=[\"gpu\"]".to_owned(),
            "data.root=\"none\"".to_owned(),
            format!("data.images_per_step={images}"),
        ];
        let config = TrainConfig::read_with(config, &over)?;
        let report = medsam3_train::dry_run(&config, 1 + later)?;
        let Some(step) = report.step else { continue };
        let seconds = median(step.later_seconds);
        steps.push(Step {
            images,
            first_seconds: step.seconds,
            seconds,
            images_per_second: images as f64 / seconds,
            loss: step.loss.total,
        });
    }
    Ok(Training { steps })
}
