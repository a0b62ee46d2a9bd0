//! `medsam3 evaluate`: Dice and IoU per prompt and dataset, by the mask that the page shows: the engine's own, with the
//! thresholds of the model's manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use medsam3_engine::{LoadOptions, PromptOptions, Segmenter};
use medsam3_eval::{dice, iou, overlap};
use medsam3_imaging::Mask;
use medsam3_train::corpus::{Dataset, Item, Labelling, Prompt, Split, load_datasets};
use medsam3_weights::DirectorySource;
use serde::Serialize;

use crate::device::{self, DeviceChoice};
use crate::{interrupt, model_folder, progress};

/// Measures a model on a corpus: Dice and IoU per prompt and dataset.
///
/// Every prompt of a dataset is asked of every image that says whether it has it. Dice and IoU are means over the images
/// that have it; the false-positive rate is the share of the others in which a mask was shown all the same.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 evaluate --corpus corpus --dataset dsb2018_nuclei --dataset mni152_brain
  medsam3 evaluate --corpus corpus --dataset sunnybrook_mri --split val --mask semantic --json")]
pub struct Arguments {
    /// The model folder; by default the model that comes with the program
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// The corpus: a folder with index.json
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// Datasets by name; by default all of licence tier A
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// Part of the datasets
    #[arg(long, value_enum, default_value_t = SplitChoice::Test)]
    split: SplitChoice,
    /// The mask to measure; by default what the model suggests
    #[arg(long, value_enum)]
    mask: Option<super::segment::MaskChoice>,
    /// Images per dataset at most; by default all
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
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

/// Sums over the images of one dataset and prompt.
#[derive(Debug, Default)]
struct Sums {
    images: usize,
    dice: f64,
    iou: f64,
    absent: usize,
    shown_though_absent: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    dataset: &'a str,
    prompt: &'a str,
    /// Images that have it.
    images: usize,
    dice: Option<f64>,
    iou: Option<f64>,
    /// Images that do not have it.
    absent: usize,
    false_positive_rate: Option<f64>,
}

/// Measures.
pub fn run(arguments: &Arguments) -> Result<()> {
    let tiers: &[String] = if arguments.datasets.is_empty() {
        &["A".to_owned()]
    } else {
        &[]
    };
    let datasets = load_datasets(&arguments.corpus, tiers, &arguments.datasets)?;
    let folder = model_folder::find(arguments.model.as_deref())?;
    let chosen = device::open(arguments.device)?;
    let control = progress::control(interrupt::cancel_on_interrupt()?);
    let segmenter = Segmenter::load(
        DirectorySource::new(folder),
        chosen.device,
        LoadOptions::default(),
        control,
    );
    let mut segmenter = pollster::block_on(segmenter)?;
    for dataset in &datasets {
        let sums = measure(arguments, &mut segmenter, dataset)?;
        for (prompt, sums) in &sums {
            print(arguments.json, &Row::new(&dataset.name, prompt, sums))?;
        }
    }
    Ok(())
}

fn measure<'a>(
    arguments: &Arguments,
    segmenter: &mut Segmenter,
    dataset: &'a Dataset,
) -> Result<BTreeMap<&'a str, Sums>> {
    let split = match arguments.split {
        SplitChoice::Train => Split::Train,
        SplitChoice::Val => Split::Val,
        SplitChoice::Test => Split::Test,
    };
    let folder = arguments.corpus.join(&dataset.name);
    let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
    let items = dataset.items.iter().filter(|item| item.split == split);
    for item in items.take(arguments.limit.unwrap_or(usize::MAX)) {
        let about = || format!("{}, item {}", dataset.name, item.id);
        let asked = |prompt: &&Prompt| item.labelling(prompt) != Labelling::Unknown;
        let labels = read_labels(&folder, item).with_context(about)?;
        let image = std::fs::read(folder.join(&item.image)).with_context(about)?;
        let image = medsam3_imaging::open(&image)?.render(0, None)?;
        pollster::block_on(segmenter.open(&image))?;
        for prompt in dataset.prompts.iter().filter(asked) {
            let options = PromptOptions {
                mask_rule: arguments.mask.map(Into::into),
                ..PromptOptions::default()
            };
            let answer = pollster::block_on(segmenter.prompt(&prompt.canonical, options))?;
            let bits = labels
                .bits
                .iter()
                .map(|label| u8::from(prompt.indices.contains(label)));
            let truth = Mask {
                bits: bits.collect(),
                ..labels
            };
            let counts = overlap(&answer.mask, &truth);
            let counts = counts
                .context("image and mask differ in size")
                .with_context(about)?;
            let sums = sums.entry(&prompt.canonical).or_default();
            if counts.truth > 0 {
                sums.images += 1;
                sums.dice += dice(counts);
                sums.iou += iou(counts);
            } else {
                sums.absent += 1;
                sums.shown_though_absent += usize::from(counts.found > 0);
            }
        }
    }
    Ok(sums)
}

/// Label indices `[height, width]`, in the clothes of a mask.
fn read_labels(folder: &Path, item: &Item) -> Result<Mask> {
    let map = image::open(folder.join(&item.mask)).context("reading the mask")?;
    let image::DynamicImage::ImageLuma8(map) = map else {
        anyhow::bail!("the mask is not an 8-bit grey image");
    };
    let (width, height) = (map.width() as usize, map.height() as usize);
    Ok(Mask {
        width,
        height,
        bits: map.into_raw(),
    })
}

impl<'a> Row<'a> {
    fn new(dataset: &'a str, prompt: &'a str, sums: &Sums) -> Self {
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        Self {
            dataset,
            prompt,
            images: sums.images,
            dice: mean(sums.dice, sums.images),
            iou: mean(sums.iou, sums.images),
            absent: sums.absent,
            false_positive_rate: mean(sums.shown_though_absent as f64, sums.absent),
        }
    }
}

fn print(json: bool, row: &Row<'_>) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(row)?);
        return Ok(());
    }
    let number =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let Row {
        dataset,
        prompt,
        images,
        dice,
        iou,
        absent,
        false_positive_rate,
    } = row;
    let (dice, iou, rate) = (number(*dice), number(*iou), number(*false_positive_rate));
    println!(
        "{dataset:<20} {prompt:<32} n {images:>4}  Dice {dice:>5}  IoU {iou:>5}  absent {absent:>4}  shown {rate:>5}"
    );
    Ok(())
}
