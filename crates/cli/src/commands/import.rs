//! `medsam3 import`: adds a published dataset to a corpus by its manifest.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use medsam3_corpus::CorpusError;
use medsam3_corpus::import::{self, Options, Watch, manifest::Manifest};
use medsam3_engine::CancelToken;

use crate::signals;

/// Adds a published dataset to a corpus, so that train and evaluate read it.
///
/// The manifest says how the files are laid out and what their values mean; no code is needed for a new dataset
/// (docs/datasets.md). Nothing of the corpus changes until the whole dataset is written.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 import configs/datasets/kvasir_seg.toml --from downloads/Kvasir-SEG --out corpus
  medsam3 import configs/datasets/urocell.toml --from downloads/UroCell --out corpus --max-side 512
  medsam3 evaluate --corpus corpus --dataset kvasir_seg")]
pub struct Arguments {
    /// The dataset's manifest, e.g. configs/datasets/kvasir_seg.toml
    manifest: PathBuf,
    /// The published files, unpacked
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The corpus: a folder with index.json, made if missing
    #[arg(long, value_name = "CORPUS")]
    out: PathBuf,
    /// Longest side of the images in pixels, in place of the manifest's
    #[arg(long, value_name = "PX")]
    max_side: Option<u32>,
    /// Write a dataset anew that is already there
    #[arg(long)]
    replace: bool,
    /// The counts as one JSON object
    #[arg(long)]
    json: bool,
}

struct Terminal {
    bar: ProgressBar,
    cancel: CancelToken,
}

impl Watch for Terminal {
    fn progress(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// Imports.
pub fn run(arguments: &Arguments) -> Result<()> {
    let manifest = Manifest::read(&arguments.manifest).map_err(CorpusError::from)?;
    let bar = ProgressBar::new(0);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:30} {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(manifest.name.clone());
    let watch = Terminal {
        bar,
        cancel: signals::cancel_on_signal()?,
    };
    let options = Options {
        max_side: arguments.max_side,
        replace: arguments.replace,
    };
    let summary = import::import(&manifest, &arguments.from, &arguments.out, &options, &watch)
        .context("importing")?;
    watch.bar.finish_and_clear();
    if arguments.json {
        crate::terminal::json(&summary)?;
        return Ok(());
    }
    say!(
        "{} images of {} subjects: {:?}",
        summary.images,
        summary.subjects,
        summary.counts
    )?;
    for (prompt, counts) in &summary.positives_per_prompt {
        say!("  {prompt:40} {counts:?}")?;
    }
    if summary.overlapped_object_pixels > 0 {
        say!(
            "  {} pixels of objects were taken by later objects that lie on them",
            summary.overlapped_object_pixels
        )?;
    }
    for note in &summary.notes {
        say!("  {note}")?;
    }
    say!("wrote {}", summary.folder.display())?;
    Ok(())
}
