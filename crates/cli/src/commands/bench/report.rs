//! `medsam3 bench --report DIR`: everything that can be said of the GPU at hand, as `report.json` and `report.md`: the
//! adapter, the kernels' tests, the self-test, shares of its own peak, the full model, the default model, training, and
//! PyTorch beside it. The program that `cargo xtask gpu` runs, and packs for a machine that has no toolchain.
//!
//! A part that fails says why in its place and the others go on: the next owner of such a card wants the rest too.

mod adapter;
mod full_model;
mod kernel_tests;
mod kernels;
mod markdown;
mod peer;
mod training;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use medsam3_model::burn::tensor::Device;
use medsam3_model::kernels::pieces::largest_dispatch;
use serde::Serialize;

pub use kernels::shares;

use super::{Report as StageReport, Rounds};
use crate::device::{self, DeviceChoice};

/// Sides of the full model: its own, a quick look's, and the 3-D checkpoint's.
const SIDES: [usize; 3] = [1008, 672, 504];

/// What is measured beside the program itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The kernels' tests as a program.
    pub kernel_tests: Option<PathBuf>,
    /// A Python with PyTorch and `transformers`, and the script for it.
    pub python: Option<(PathBuf, PathBuf)>,
    /// The configuration whose steps are timed.
    pub training: Option<PathBuf>,
    /// The default model's folder.
    pub model: Option<PathBuf>,
    /// The preset to time in every precision; the full model where absent, a tiny one on a software adapter.
    pub preset: Option<String>,
    /// Its image sides; [`SIDES`] of the full model, else the preset's own, where there are none.
    pub sides: Vec<usize>,
    /// Rounds behind the first.
    pub rounds: u16,
}

impl Options {
    /// With the preset and the sides that suit the adapter.
    fn settled(&self, is_software: bool) -> Self {
        let mut options = self.clone();
        let preset = options
            .preset
            .get_or_insert_with(|| if is_software { "tiny-parity" } else { "sam3" }.to_owned());
        if options.sides.is_empty() && preset == "sam3" {
            options.sides = SIDES.to_vec();
        }
        options
    }

    fn preset(&self) -> &str {
        self.preset.as_deref().unwrap_or("sam3")
    }
}

/// A part of the report, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part<T> {
    Done(T),
    Failed { failed: String },
    Skipped { skipped: &'static str },
}

impl<T> Part<T> {
    const NOT_YET: Self = Self::Skipped {
        skipped: "not measured yet",
    };

    fn of(name: &str, started: Instant, work: impl FnOnce() -> Result<T>) -> Self {
        note!("{:>5.0} s  {name}", started.elapsed().as_secs_f64());
        match work() {
            Ok(value) => Self::Done(value),
            Err(error) => {
                note!("         {error:#}");
                Self::Failed {
                    failed: format!("{error:#}"),
                }
            }
        }
    }

    /// `work` on what may be absent.
    fn of_option<I>(
        name: &str,
        started: Instant,
        input: Option<I>,
        absent: &'static str,
        work: impl FnOnce(I) -> Result<T>,
    ) -> Self {
        match input {
            Some(input) => Self::of(name, started, || work(input)),
            None => Self::Skipped { skipped: absent },
        }
    }

    fn done(&self) -> Option<&T> {
        match self {
            Self::Done(value) => Some(value),
            _ => None,
        }
    }

    /// Why there is nothing.
    fn reason(&self) -> Option<&str> {
        match self {
            Self::Done(_) => None,
            Self::Failed { failed } => Some(failed),
            Self::Skipped { skipped } => Some(skipped),
        }
    }
}

/// The whole report.
#[derive(Debug, Serialize)]
pub struct AdapterReport {
    program: &'static str,
    adapter: adapter::Adapter,
    kernel_tests: Part<kernel_tests::Tests>,
    self_test: Vec<kernels::Checked>,
    kernels: Part<kernels::Kernels>,
    full_model: Vec<Part<full_model::Run>>,
    /// Floating-point operations of the largest dispatch of products and attention in all of it.
    largest_dispatch: u64,
    default_model: Part<StageReport>,
    training: Part<training::Training>,
    pytorch: Vec<Part<peer::Peer>>,
    seconds: f64,
}

/// Measures, writes both files into `folder` and says where they are.
pub fn run(folder: &Path, device: DeviceChoice, options: &Options) -> Result<()> {
    let started = Instant::now();
    // Tests are programs of their own, and this one must not hold the card's memory while they run.
    let kernel_tests = Part::of_option(
        "kernel tests",
        started,
        options.kernel_tests.as_deref(),
        "no program of tests was named (--kernel-tests)",
        kernel_tests::run,
    );
    let chosen = device::open(device)?;
    let device = &chosen.device;
    let adapter = adapter::describe(&chosen)?;
    let is_software = adapter.is_software;
    let options = &options.settled(is_software);
    let mut report = AdapterReport {
        program: concat!("medsam3 ", env!("CARGO_PKG_VERSION")),
        adapter,
        kernel_tests,
        self_test: kernels::self_test(device),
        kernels: Part::of("kernels", started, || shares(device)),
        full_model: Vec::new(),
        largest_dispatch: 0,
        default_model: Part::NOT_YET,
        training: Part::NOT_YET,
        pytorch: Vec::new(),
        seconds: 0.0,
    };
    // Written after every part: a lent machine may be gone before the last one.
    report.write(folder, started)?;
    for step in full_model::steps(options)? {
        report
            .full_model
            .push(full_model::run(started, options, device, &step));
        report.largest_dispatch = largest_dispatch();
        report.write(folder, started)?;
    }
    report.default_model = Part::of("default model", started, || {
        default_model(options, device, &chosen.name)
    });
    report.write(folder, started)?;
    report.pytorch = peer::all(started, options);
    report.write(folder, started)?;
    report.training = Part::of_option(
        "training",
        started,
        options.training.as_deref(),
        "no configuration was named (--training)",
        |config| training::run(config, is_software),
    );
    let text = report.write(folder, started)?;
    crate::terminal::write(format_args!("{text}"))?;
    Ok(())
}

impl AdapterReport {
    /// Writes both files as far as the report has come; gives the text.
    fn write(&mut self, folder: &Path, started: Instant) -> Result<String> {
        self.seconds = started.elapsed().as_secs_f64();
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let text = markdown::render(self);
        let json = serde_json::to_string_pretty(self)?;
        for (name, content) in [("report.json", &json), ("report.md", &text)] {
            let path = folder.join(name);
            std::fs::write(&path, content)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(text)
    }
}

fn default_model(options: &Options, device: &Device, name: &str) -> Result<StageReport> {
    let rounds = Rounds {
        model: options.model.as_deref(),
        size: None,
        image: None,
        prompt: "lungs",
        rounds: options.rounds,
    };
    rounds.run(
        device,
        name.to_owned(),
        medsam3_engine::Hold::stored_on(device),
    )
}
