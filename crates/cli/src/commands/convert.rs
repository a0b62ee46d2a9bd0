//! `medsam3 convert`: a published checkpoint into a model folder, tensor by tensor; verified before it is put in its
//! place, so that a stop at any moment leaves the old folder or none.

mod job;
mod report;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use medsam3_model::Sam3Config;
use medsam3_weights::Precision;

use crate::failure::UsageError;
use crate::signals;
use job::Job;

/// Converts a published checkpoint into a model folder.
///
/// Reads `.pt` files of PyTorch (never executing what is in them) and safetensors, in the layouts of sam3.pt, of
/// Hugging Face's model.safetensors and of the 2-D and 3-D checkpoints of Medical SAM3. An optimizer's state is left
/// out, as are tensors that the text-prompted image model does not use. Every tensor that is missing, unknown or of
/// another shape is named and nothing is written. Text features of about 1,100 medical prompts are computed once and
/// stored with the model, so that the text encoder is only fetched for other words.
#[derive(clap::Args)]
#[command(after_help = "Example:
  medsam3 convert checkpoint_2D.pt --out models/medical-sam3 --precision f16
  medsam3 inspect models/medical-sam3

Precisions: f32 is exact (3.4 GB), f16 halves it, q8 (weights as bytes in blocks of 32) is the small download.")]
pub struct Arguments {
    /// The checkpoint (.pt or .safetensors)
    checkpoint: PathBuf,
    /// The model folder to write; replaced as a whole if it is a model folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How weights are stored
    #[arg(long, value_enum, default_value_t = PrecisionChoice::F16)]
    precision: PrecisionChoice,
    /// The model's name in the manifest; by default that of the folder
    #[arg(long)]
    name: Option<String>,
    /// Licence of the weights, as their publisher states it
    #[arg(
        long,
        default_value = "SAM License, see the publisher of the checkpoint"
    )]
    licence: String,
    /// The checkpoint's configuration: a preset (sam3, tiny-parity, default) or a JSON file
    #[arg(long, default_value = "sam3")]
    config: String,
    /// Leave the vocabulary pack out; every prompt then needs the text encoder
    #[arg(long)]
    no_vocabulary: bool,
    /// One JSON object per line on standard output: progress, then the result
    #[arg(long)]
    json: bool,
}

/// As `--precision` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionChoice {
    F32,
    F16,
    Q8,
}

impl From<PrecisionChoice> for Precision {
    fn from(choice: PrecisionChoice) -> Self {
        match choice {
            PrecisionChoice::F32 => Self::F32,
            PrecisionChoice::F16 => Self::F16,
            PrecisionChoice::Q8 => Self::Q8,
        }
    }
}

/// Converts.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = read_config(&arguments.config)?;
    let of_folder = arguments.out.file_name().map(|n| n.to_string_lossy());
    let name = arguments.name.clone();
    let job = Job {
        checkpoint: &arguments.checkpoint,
        out: &arguments.out,
        precision: arguments.precision.into(),
        name: name.unwrap_or_else(|| of_folder.unwrap_or_default().into_owned()),
        licence: &arguments.licence,
        config,
        vocabulary: !arguments.no_vocabulary,
    };
    let cancel = signals::cancel_on_signal()?;
    let mut progress = report::Progress::new(arguments.json);
    let converted = job.run(&cancel, &mut progress)?;
    progress.finish();
    report::print(&converted, arguments.json)
}

fn read_config(name: &str) -> Result<Sam3Config> {
    if let Some(config) = Sam3Config::preset(name) {
        return Ok(config);
    }
    if !Path::new(name).is_file() {
        let message = format!("\"{name}\" is neither a preset nor a file");
        return Err(UsageError(message).into());
    }
    let json = std::fs::read(name).context("reading the configuration")?;
    let config: Sam3Config = serde_json::from_slice(&json).context("reading the configuration")?;
    config.validate()?;
    Ok(config)
}
