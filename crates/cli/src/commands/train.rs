//! `medsam3 train`: training by a configuration file, with checkpoints.

use std::cell::Cell;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use medsam3_engine::CancelToken;
use medsam3_train::{Event, TrainConfig, Watch};

use crate::failure::Stopped;
use crate::signals;
use crate::terminal::{self, StdoutError};

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
    /// With --dry-run: makes one optimiser step too (or N, on the same batch), and says how long it took and what memory
    #[arg(long, requires = "dry_run", value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    step: Option<usize>,
    /// One JSON object per event; with --dry-run one for the report
    #[arg(long)]
    json: bool,
    /// A value in place of the configuration's, as a line of TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    over: Vec<String>,
}

/// Prints what a training says, for as long as somebody reads it: the run goes on without.
struct Terminal {
    json: bool,
    cancel: CancelToken,
    read: Cell<bool>,
    end: Cell<Option<(usize, usize)>>,
}

impl Terminal {
    fn print(&self, event: &Event) -> Result<()> {
        if self.json {
            terminal::json(event)
        } else {
            Ok(say!("{event}")?)
        }
    }
}

impl Watch for Terminal {
    fn event(&self, event: &Event) {
        if let &Event::Saved { step, steps, .. } = event {
            self.end.set(Some((step, steps)));
        }
        if !self.read.get() {
            return;
        }
        if let Err(error) = self.print(event) {
            self.read.set(false);
            let closed = matches!(error.downcast_ref(), Some(StdoutError::Closed));
            if !closed {
                note!("{error}; the training goes on, its figures are in metrics.jsonl");
            }
        }
    }

    fn stop(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// Trains, or looks at what training would take.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = TrainConfig::read_with(&arguments.config, &arguments.over);
    if !arguments.dry_run {
        return train(config.context("training")?, arguments);
    }
    let report = config
        .and_then(|config| medsam3_train::dry_run(&config, arguments.step.unwrap_or(0)))
        .context("dry run")?;
    if arguments.json {
        terminal::json(&report)
    } else {
        Ok(terminal::write(format_args!("{report}"))?)
    }
}

fn train(config: TrainConfig, arguments: &Arguments) -> Result<()> {
    let terminal = Terminal {
        json: arguments.json,
        cancel: signals::cancel_on_signal()?,
        read: Cell::new(true),
        end: Cell::new(None),
    };
    medsam3_train::run(config, arguments.resume, &terminal).context("training")?;
    match terminal.end.get() {
        Some((done, total)) if done < total => Err(Stopped {
            done,
            total,
            unit: "steps",
        }
        .into()),
        _ => Ok(()),
    }
}
