//! What a person or a machine hears of a conversion: progress while it runs, the result at its end.

use std::io::IsTerminal as _;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::job::Converted;
use crate::terminal;

/// One line on a terminal, or one JSON object per percent.
pub struct Progress {
    bar: Option<ProgressBar>,
    json: bool,
    said: Option<(&'static str, u64)>,
}

#[derive(Serialize)]
struct Step {
    stage: &'static str,
    done: u64,
    total: u64,
}

impl Progress {
    pub fn new(json: bool) -> Self {
        let bar = (!json && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{msg:12} {bar:30} {percent:>3}% {eta}");
            let bar = ProgressBar::new(1);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            json,
            said: None,
        }
    }

    /// `done` of `total` in the stage's unit: bytes hashed, tensors written, blocks encoded, files verified.
    pub fn step(&mut self, stage: &'static str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(stage);
            bar.set_length(total.max(1));
            bar.set_position(done);
        }
        let percent = done.saturating_mul(100) / total.max(1);
        if self.json && self.said != Some((stage, percent)) {
            self.said = Some((stage, percent));
            let step = Step { stage, done, total };
            // A conversion goes on without a reader; its result says so at the end.
            let _ = terminal::json(&step);
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    layout: &'static str,
    checkpoint_sha256: &'a str,
    left_out: &'a [String],
    name: &'a str,
    precision: &'static str,
    image_side: Option<u64>,
    tensors: usize,
    files: usize,
    bytes: u64,
    vocabulary_prompts: usize,
    verified: bool,
}

/// The result, as a sentence or as JSON.
pub fn print(converted: &Converted, json: bool) -> Result<()> {
    let manifest = &converted.manifest;
    let result = Summary {
        layout: converted.layout.name(),
        checkpoint_sha256: &converted.checkpoint_sha256,
        left_out: &converted.left_out,
        name: &manifest.name,
        precision: manifest.precision.name(),
        image_side: manifest.config.get("image_side").and_then(|s| s.as_u64()),
        tensors: converted.tensors,
        files: manifest.files.len(),
        bytes: manifest.total_bytes(),
        vocabulary_prompts: converted.prompts,
        verified: true,
    };
    if json {
        terminal::json(&result)?;
        return Ok(());
    }
    say!(
        "{}: {} tensors from the layout of {}, {}, {} files, {} bytes, verified",
        result.name,
        result.tensors,
        result.layout,
        result.precision,
        result.files,
        result.bytes
    )?;
    say!("checkpoint SHA-256 {}", result.checkpoint_sha256)?;
    say!("{} prompts need no text encoder", result.vocabulary_prompts)?;
    if !result.left_out.is_empty() {
        say!("left out: {}", result.left_out.join(", "))?;
    }
    Ok(())
}
