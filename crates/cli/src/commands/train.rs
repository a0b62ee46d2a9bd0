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
  medsam3 train configs/medical-sam3.toml --dry-run
  medsam3 train configs/finetune.toml --set run.seed=2 --set 'run.folder=\"runs/second\"'")]
pub struct Arguments {
    /// The configuration, e.g. configs/default.toml
    config: PathBuf,
    /// Go on from the newest checkpoint
    #[arg(long)]
    resume: bool,
    /// Builds the model, the groups and one batch, says what a step takes and which datasets are missing, and trains nothing
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// With --dry-run: makes one optimiser step too, and says how long it took and what memory
    #[arg(long, requires = "dry_run")]
    step: bool,
    /// With --dry-run: one JSON object
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// A value in place of the configuration's, as a line of TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    over: Vec<String>,
}

/// Trains, or looks at what training would take.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = TrainConfig::read_with(&arguments.config, &arguments.over);
    if !arguments.dry_run {
        return config
            .and_then(|config| medsam3_train::run(config, arguments.resume))
            .context("training");
    }
    let report = config
        .and_then(|config| medsam3_train::dry_run(&config, arguments.step))
        .context("dry run")?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
