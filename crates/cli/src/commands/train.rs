//! `medsam3 train`: training by a configuration file, with checkpoints.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use medsam3_train::TrainConfig;

/// Trains a model by a configuration file.
///
/// Into the run folder that the configuration names go checkpoints, metrics.jsonl, curves.svg, and what the run was made from:
/// config.toml and run.json. Ctrl-C ends the run after the current step with a checkpoint; --resume goes on from the newest
/// one. `medsam3 export` makes a model folder of the result.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 train configs/default.toml
  medsam3 train configs/default.toml --resume
  medsam3 train configs/finetune.toml --set run.seed=2 --set 'run.folder=\"runs/second\"'")]
pub struct Arguments {
    /// The configuration, e.g. configs/default.toml
    config: PathBuf,
    /// Go on from the newest checkpoint
    #[arg(long)]
    resume: bool,
    /// A value in place of the configuration's, as a line of TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    over: Vec<String>,
}

/// Trains.
pub fn run(arguments: &Arguments) -> Result<()> {
    TrainConfig::read_with(&arguments.config, &arguments.over)
        .and_then(|config| medsam3_train::run(config, arguments.resume))
        .context("training")
}
