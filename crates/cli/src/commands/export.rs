//! `medsam3 export`: a trained run as a model folder.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use medsam3_train::TrainConfig;
use medsam3_train::export::export;
use medsam3_train::record::CONFIG_FILE;

use crate::terminal;

/// Makes a model folder of a run's newest checkpoint, for segment, evaluate and the page.
///
/// The averaged weights are written in half precision, adapters merged into them, with the tokenizer, the thresholds of every
/// prompt (chosen on the validation splits) and a model card with the table of the test splits.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 export runs/finetune --out models/mine
  medsam3 export configs/default.toml --out weights/default
  medsam3 segment image.png --prompt 'retinal vessels' --model models/mine")]
pub struct Arguments {
    /// The run folder, or the configuration that it was trained by
    run: PathBuf,
    /// The model folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave out the table of the test splits, which takes longest
    #[arg(long)]
    no_table: bool,
    /// The table as one JSON object per prompt and dataset
    #[arg(long)]
    json: bool,
}

/// Exports.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = if arguments.run.is_dir() {
        // The folder that is named, wherever it was when it was trained.
        TrainConfig::read(&arguments.run.join(CONFIG_FILE)).map(|mut config| {
            config.run.folder.clone_from(&arguments.run);
            config
        })
    } else {
        TrainConfig::read(&arguments.run)
    };
    let report = config
        .and_then(|config| export(&config, &arguments.out, !arguments.no_table))
        .context("exporting")?;
    if arguments.json {
        for row in &report.rows {
            terminal::json(&row)?;
        }
    } else if !arguments.no_table {
        terminal::write(format_args!("{}", report.markdown()))?;
    }
    note!("wrote {}", arguments.out.display());
    Ok(())
}
