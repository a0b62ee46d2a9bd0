//! `medsam3 train`: training by a configuration file, with checkpoints.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// Trains a model by a configuration file.
///
/// Checkpoints and metrics go into the run folder that the configuration names. Ctrl-C ends the run after the current
/// step with a checkpoint; --resume goes on from the newest one.
#[derive(clap::Args)]
#[command(after_help = "Example:
  medsam3 train configs/default.toml
  medsam3 train configs/default.toml --resume")]
pub struct Arguments {
    /// The configuration, e.g. configs/default.toml
    config: PathBuf,
    /// Go on from the newest checkpoint
    #[arg(long)]
    resume: bool,
}

/// Trains.
pub fn run(arguments: &Arguments) -> Result<()> {
    medsam3_train::run(&arguments.config, arguments.resume).context("training")
}
