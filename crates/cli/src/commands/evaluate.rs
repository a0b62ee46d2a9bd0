//! `medsam3 evaluate`: measures a model on a corpus through the engine, the way the page runs it, and writes the report of
//! `medsam3-eval`.

mod measure;
mod output;
mod rule;
mod wordings;

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use medsam3_corpus::{Split, load_to_measure};
use medsam3_engine::{Control, LoadOptions, Segmenter};
use medsam3_eval::{Bootstrap, Evaluation};
use medsam3_weights::DirectorySource;

use crate::device::{self, DeviceChoice};
use crate::failure::Stopped;
use crate::results::check_folder;
use crate::{model_folder, signals};
use rule::RuleChoice;
use wordings::Wordings;

/// Free space that a report needs to begin.
const REPORT_BYTES: u64 = 16 << 20;

/// Measures a model on a corpus: Dice, IoU, NSD, HD95 and false positives per prompt and dataset.
///
/// Every prompt of a dataset is asked of every image that says whether it has it. An image in which nothing is found counts as
/// a miss, an image without the prompt counts as a false positive if anything is shown. Intervals are 95 %, by bootstrap over
/// subjects.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 evaluate --corpus corpus --report report
  medsam3 evaluate --corpus corpus --dataset drive --dataset stare --rule best
  medsam3 evaluate --corpus corpus --dataset dsb2018_nuclei --rule instances --json
  medsam3 evaluate --corpus corpus --wordings configs/wordings/corpus.toml

--rule is which mask is measured:
  best       the single best instance above a score of 0.1, the paper's rule
  union      all instances above the threshold together
  instances  the same, and every instance matched with one object (F1 at IoU 0.5, average precision)
  regions    what the page shows, and every separate region of it matched with one object
  semantic   the semantic head, where the presence is above the threshold
Without it: what the page shows, the model's own rule and thresholds.

Research and teaching only. Not a medical device.")]
pub struct Arguments {
    /// The model folder; by default the model that comes with the program
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// The corpus: a folder with index.json
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// Datasets by name, external ones included; by default all
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// Part of the datasets
    #[arg(long, value_enum, default_value_t = SplitChoice::Test)]
    split: SplitChoice,
    /// Ask the wordings of this TOML file instead of the datasets' own prompts, and compare them with those
    #[arg(long, value_name = "FILE")]
    wordings: Option<PathBuf>,
    /// The mask to measure; by default what the page shows
    #[arg(long, value_enum)]
    rule: Option<RuleChoice>,
    /// Threshold of scores or presence instead of the model's own, 0 to 1
    #[arg(long, value_name = "T", value_parser = super::segment::probability)]
    threshold: Option<f32>,
    /// Tolerance of the normalised surface distance, in pixels of the image
    #[arg(long, value_name = "PX", default_value_t = 2.0)]
    tolerance: f64,
    /// Images per dataset at most, spread evenly over the split; by default all
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Folder for the report: report.md, report.html with pictures, report.json, cases.jsonl
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Which device runs the model
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// One JSON object per prompt and dataset instead of a table
    #[arg(long)]
    json: bool,
}

/// Part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SplitChoice {
    Train,
    Val,
    Test,
}

impl SplitChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    fn split(self) -> Split {
        match self {
            Self::Train => Split::Train,
            Self::Val => Split::Val,
            Self::Test => Split::Test,
        }
    }
}

/// Measures.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut datasets = load_to_measure(&arguments.corpus, &arguments.datasets)?;
    let wordings = arguments
        .wordings
        .as_deref()
        .map(Wordings::read)
        .transpose()?;
    if let Some(wordings) = &wordings {
        wordings.ask_instead(&mut datasets)?;
    }
    let jobs = measure::choose(arguments, &datasets)?;
    if let Some(folder) = &arguments.report {
        // A folder that cannot be written must not cost a whole evaluation.
        check_folder(
            folder,
            REPORT_BYTES,
            "Choose another folder with --report, or check its permissions and the free space.",
        )?;
    }
    let folder = model_folder::find(arguments.model.as_deref())?;
    let chosen = device::open(arguments.device)?;
    let cancel = signals::cancel_on_signal()?;
    let control = Control::new().with_cancel(cancel);
    let segmenter = Segmenter::load(
        DirectorySource::new(folder),
        chosen.device,
        LoadOptions::default(),
        &control,
    );
    let segmenter = pollster::block_on(segmenter)?;
    let measured = measure::measure(arguments, &segmenter, &datasets, &jobs, &control)?;
    let evaluation = Evaluation::new(&measured.cases, Bootstrap::default());
    output::print(arguments.json, &evaluation)?;
    if let Some(wordings) = &wordings {
        output::print_wordings(arguments.json, &wordings.compare(&measured.cases))?;
    }
    if let Some(folder) = &arguments.report {
        let about = output::about(arguments, &segmenter, chosen.name, &datasets, &measured);
        output::report(
            folder,
            arguments,
            &datasets,
            &about,
            &evaluation,
            &measured.cases,
        )?;
    }
    match measured.stopped_of {
        None => Ok(()),
        Some(total) => Err(Stopped {
            done: measured.images,
            total,
            unit: "images",
        }
        .into()),
    }
}
