//! `medsam3 bench`: how long each stage of a model takes on a device, and what loading it costs in host memory. The
//! native half of `cargo xtask bench`, which sets it against other programs.

mod report;
mod synthetic;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use medsam3_engine::{Control, Hold, LoadOptions, Progress, PromptOptions, Segmenter, Stage};
use medsam3_imaging::Rgb8;
use medsam3_model::Sam3Config;
use medsam3_model::burn::tensor::Device;
use medsam3_weights::DirectorySource;
use serde::Serialize;

use crate::device::{self, DeviceChoice};
use crate::failure::UsageError;
use crate::terminal::StdoutError;
use crate::{memory, model_folder};

/// Times the stages of a model.
///
/// The image is opened anew and prompted in every round; the first round, in which shaders are compiled and texts read,
/// is told apart, and of the others the medians are given.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 bench --device cpu
  medsam3 bench --model weights/default --image public/samples/chest-xray.jpg --prompt lungs --rounds 9 --json
  medsam3 bench --report gpu-report --device gpu")]
pub struct Arguments {
    /// The model folder; by default the model that comes with the program
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Which device runs the model
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Side in pixels of the square that the model sees; by default the model's own
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// The picture; by default waves of the model's own size
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// What to find
    #[arg(long, value_name = "P", default_value = "lungs")]
    prompt: String,
    /// Times a preset (sam3, tiny-parity, default) on made weights instead of a model folder: one JSON line per image,
    /// with two prompts each
    #[arg(long, value_name = "PRESET", conflicts_with_all = ["model", "image", "prompt"])]
    synthetic: Option<String>,
    /// Only counts the preset's floating-point operations per stage, needed and issued, as one JSON line
    #[arg(long, requires = "synthetic")]
    count: bool,
    /// Rounds behind the first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Times the kernels alone at the full model's shapes, as one JSON object
    #[arg(long, conflicts_with_all = ["report", "synthetic", "image", "model"])]
    kernels: bool,
    /// Measures everything of the GPU at hand into DIR/report.json and DIR/report.md (see `cargo xtask gpu`)
    #[arg(long, value_name = "DIR", conflicts_with_all = ["count", "image", "json"])]
    report: Option<PathBuf>,
    /// With --report: the kernels' tests as a program
    #[arg(long, value_name = "FILE", requires = "report")]
    kernel_tests: Option<PathBuf>,
    /// With --report: the configuration of which training steps are timed
    #[arg(long, value_name = "CONFIG", requires = "report")]
    training: Option<PathBuf>,
    /// With --report: a Python with PyTorch and transformers, and tests/benchmarks/torch_stages.py
    #[arg(long, num_args = 2, value_names = ["PYTHON", "SCRIPT"], requires = "report")]
    peer: Vec<PathBuf>,
    /// With --report: sides of the full model, by commas; the preset's own where absent
    #[arg(long, value_name = "N,N", value_delimiter = ',', requires = "report")]
    sides: Vec<usize>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Seconds per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Seconds {
    /// Trunk.
    trunk: f64,
    /// Neck.
    neck: f64,
    /// Text encoder; 0 where the text was known.
    text: f64,
    /// Boxes, scores and mask logits.
    prompt: f64,
    /// Masks at the picture's own size.
    masks: f64,
}

/// What a run gives.
#[derive(Debug, Serialize)]
struct Report {
    device: String,
    model: String,
    image_side: usize,
    threads: usize,
    rounds: u16,
    load_seconds: f64,
    /// Resident memory of the process at its peak while loading, above what it had before; Linux alone.
    load_peak_bytes: Option<u64>,
    /// The same at the end of all rounds.
    run_peak_bytes: Option<u64>,
    first: Seconds,
    median: Seconds,
    /// What the model answered, so that two programs can be seen to compute the same.
    presence: f32,
    best_score: f32,
    area_px: usize,
}

/// Loads, runs the rounds, prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.report {
        return run_report(folder, arguments);
    }
    if arguments.kernels {
        let chosen = device::open(arguments.device)?;
        return crate::terminal::json(&report::shares(&chosen.device)?);
    }
    if let Some(preset) = &arguments.synthetic {
        return run_synthetic(preset, arguments);
    }
    let chosen = device::open(arguments.device)?;
    let rounds = Rounds {
        model: arguments.model.as_deref(),
        size: arguments.size,
        image: arguments.image.as_deref(),
        prompt: &arguments.prompt,
        rounds: arguments.rounds,
    };
    let report = rounds.run(&chosen.device, chosen.name, Hold::Single)?;
    if arguments.json {
        crate::terminal::json(&report)?;
    } else {
        report.print()?;
    }
    Ok(())
}

fn run_report(folder: &Path, arguments: &Arguments) -> Result<()> {
    let options = report::Options {
        kernel_tests: arguments.kernel_tests.clone(),
        python: match arguments.peer.as_slice() {
            [python, script] => Some((python.clone(), script.clone())),
            _ => None,
        },
        training: arguments.training.clone(),
        model: arguments.model.clone(),
        preset: arguments.synthetic.clone(),
        sides: arguments.sides.clone(),
        rounds: arguments.rounds,
    };
    report::run(folder, arguments.device, &options)
}

/// A model folder, a picture and a prompt that are timed.
struct Rounds<'a> {
    model: Option<&'a Path>,
    size: Option<usize>,
    image: Option<&'a Path>,
    prompt: &'a str,
    rounds: u16,
}

impl Rounds<'_> {
    /// Loads the model onto `device`, called `name` in the report, and times the rounds.
    fn run(&self, device: &Device, name: String, hold: Hold) -> Result<Report> {
        let clock = Clock::default();
        let before = memory::resident_bytes();
        let started = Instant::now();
        let options = LoadOptions {
            image_side: self.size,
            hold,
            ..LoadOptions::default()
        };
        let source = DirectorySource::new(model_folder::find(self.model)?);
        let control = clock.control();
        let load = Segmenter::load(source, device.clone(), options, &control);
        let segmenter = pollster::block_on(load)?;
        let load_seconds = started.elapsed().as_secs_f64();
        let above = |peak: Option<u64>| Some(peak?.saturating_sub(before?));
        let load_peak_bytes = above(memory::peak_bytes());

        let side = segmenter.config().image_side;
        let picture = match self.image {
            Some(path) => {
                let bytes = std::fs::read(path).context("reading the picture")?;
                medsam3_imaging::open(&bytes)?.render(0, None)?
            }
            None => waves(side),
        };
        let mut rounds = Vec::with_capacity(usize::from(self.rounds) + 1);
        let mut answer = None;
        for _ in 0..=self.rounds {
            clock.clear();
            let image = pollster::block_on(segmenter.encode(&picture, &control))?;
            let options = PromptOptions::default();
            let answer_to = segmenter.prompt(&image, self.prompt, options, &control);
            let result = pollster::block_on(answer_to)?;
            rounds.push(Seconds {
                trunk: clock.trunk(),
                neck: clock.neck(),
                text: result.seconds.text,
                prompt: result.seconds.prompt,
                masks: result.seconds.masks,
            });
            answer = Some(result);
        }
        let answer = answer.context("no round was run")?;
        let (first, later) = rounds.split_first().context("no round was run")?;
        Ok(Report {
            device: name,
            model: segmenter.manifest().name.clone(),
            image_side: side,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            rounds: self.rounds,
            load_seconds,
            load_peak_bytes,
            run_peak_bytes: above(memory::peak_bytes()),
            first: *first,
            median: Seconds::median(later),
            presence: answer.presence,
            best_score: answer.best_score,
            area_px: answer.mask.area_px(),
        })
    }
}

fn run_synthetic(preset: &str, arguments: &Arguments) -> Result<()> {
    let config = Sam3Config::preset(preset).ok_or_else(|| {
        UsageError(format!(
            "{preset} is none of the presets sam3, tiny-parity, default"
        ))
    })?;
    let config = match arguments.size {
        Some(side) => config.with_image_side(side)?,
        None => config,
    };
    if arguments.count {
        return synthetic::count(&config);
    }
    let chosen = device::open(arguments.device)?;
    synthetic::run(&config, &chosen.device, arguments.rounds)
}

/// When each step of the work was reached.
#[derive(Clone, Default)]
struct Clock {
    marks: Arc<Mutex<Vec<(Progress, Instant)>>>,
}

impl Clock {
    fn control(&self) -> Control {
        let clock = self.clone();
        Control::new().on_progress(move |progress| {
            clock.marks().push((progress, Instant::now()));
        })
    }

    fn marks(&self) -> MutexGuard<'_, Vec<(Progress, Instant)>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        self.marks().clear();
    }

    /// Seconds from the image being prepared to the end of the trunk's last block, the last step but one.
    fn trunk(&self) -> f64 {
        self.between(|_| 1, |total| total - 1)
    }

    /// Seconds of the last step.
    fn neck(&self) -> f64 {
        self.between(|total| total - 1, |total| total)
    }

    /// Seconds between two steps of encoding an image, chosen by how many there are; 0 if one was not reached.
    fn between(&self, from: fn(u64) -> u64, to: fn(u64) -> u64) -> f64 {
        let marks = self.marks();
        let at = |step: fn(u64) -> u64| {
            let mark = marks.iter().find(|(progress, _)| {
                progress.stage == Stage::EncodingImage && progress.done == step(progress.total)
            });
            mark.map(|(_, at)| *at)
        };
        match (at(from), at(to)) {
            (Some(from), Some(to)) => to.duration_since(from).as_secs_f64(),
            _ => 0.0,
        }
    }
}

impl Seconds {
    fn median(rounds: &[Self]) -> Self {
        let of = |stage: fn(&Self) -> f64| median(rounds.iter().map(stage).collect());
        Self {
            trunk: of(|r| r.trunk),
            neck: of(|r| r.neck),
            text: of(|r| r.text),
            prompt: of(|r| r.prompt),
            masks: of(|r| r.masks),
        }
    }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ if values.is_empty() => 0.0,
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// A picture with something in it everywhere, the same on every machine.
fn waves(side: usize) -> Rgb8 {
    let pixels = (0..side * side)
        .flat_map(|i| [i % side, i / side, i % side + i / side])
        .map(|at| (128.0 + 100.0 * (at as f32 * 0.05).sin()) as u8)
        .collect();
    Rgb8 {
        width: side,
        height: side,
        pixels,
    }
}

impl Report {
    fn print(&self) -> Result<(), StdoutError> {
        let Self {
            device,
            model,
            image_side,
            threads,
            rounds,
            ..
        } = self;
        say!("{model} at {image_side} on {device}, {threads} threads, medians of {rounds}")?;
        say!("{:<8} {:>10} {:>10}", "stage", "seconds", "first")?;
        let (median, first) = (self.median, self.first);
        for (name, median, first) in [
            ("trunk", median.trunk, first.trunk),
            ("neck", median.neck, first.neck),
            ("text", median.text, first.text),
            ("prompt", median.prompt, first.prompt),
            ("masks", median.masks, first.masks),
        ] {
            say!("{name:<8} {median:>10.4} {first:>10.4}")?;
        }
        let memory = |bytes: Option<u64>| {
            bytes.map_or("unknown".to_owned(), |bytes| {
                format!("{:.1} MB", bytes as f64 / 1e6)
            })
        };
        say!(
            "loading {:.2} s, host memory {} at its peak; {} over all rounds",
            self.load_seconds,
            memory(self.load_peak_bytes),
            memory(self.run_peak_bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn trunk_and_neck_are_told_apart_and_a_missing_step_takes_no_time() {
        let clock = Clock::default();
        let start = Instant::now();
        let mark = |done, after_ms| {
            let progress = Progress {
                stage: Stage::EncodingImage,
                done,
                total: 6,
                part: None,
            };
            let at = start + std::time::Duration::from_millis(after_ms);
            clock.marks().push((progress, at));
        };
        mark(0, 0);
        mark(1, 10);
        mark(5, 250);
        assert!((clock.trunk() - 0.24).abs() < 1e-9);
        assert_eq!(clock.neck(), 0.0);
        mark(6, 300);
        assert!((clock.neck() - 0.05).abs() < 1e-9);
    }
}
