//! The same model in PyTorch on the same card, where a Python has it: float32 without TF32, and bfloat16.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Options, Part};
use crate::commands::bench::median;

/// Seconds of PyTorch.
#[derive(Debug, Serialize)]
pub struct Peer {
    pub program: String,
    pub dtype: String,
    pub side: usize,
    /// Trunk and neck.
    pub image_seconds: f64,
    pub text_seconds: f64,
    pub prompt_seconds: f64,
    pub device_bytes: Option<u64>,
}

/// A line of `tests/benchmarks/torch_stages.py`.
#[derive(Debug, Deserialize)]
struct Line {
    program: String,
    dtype: String,
    side: usize,
    stages: BTreeMap<String, Vec<Took>>,
    peak_memory_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Took {
    seconds: f64,
}

/// Both precisions at every side.
pub fn all(started: Instant, options: &Options) -> Vec<Part<Peer>> {
    let Some((python, script)) = &options.python else {
        return vec![Part::Skipped {
            skipped: "no Python with PyTorch was named (--python)",
        }];
    };
    let mut peers = Vec::new();
    for dtype in ["float32", "bfloat16"] {
        let sides: Vec<Option<usize>> = match options.sides.as_slice() {
            [] => vec![None],
            sides => sides.iter().copied().map(Some).collect(),
        };
        for side in sides {
            let mut command = Command::new(python);
            command
                .arg(script)
                .args(["--preset", options.preset(), "--device", "cuda"])
                .args(["--dtype", dtype, "--prompts", "2"])
                .args(["--repeats", &(options.rounds + 1).to_string()]);
            if let Some(side) = side {
                command.args(["--side", &side.to_string()]);
            }
            let name = format!("PyTorch, {dtype}");
            peers.push(Part::of(&name, started, || run(&mut command)));
        }
    }
    peers
}

fn run(command: &mut Command) -> Result<Peer> {
    let output = command.output().context("starting Python")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().next_back().unwrap_or("no message");
    anyhow::ensure!(output.status.success(), "Python: {last}");
    let lines: Vec<Line> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("reading the times of PyTorch")?;
    // The first image warms up.
    let later = lines.get(1..).filter(|later| !later.is_empty());
    let later = later.context("PyTorch gave no second image")?;
    let of = |stage: &str| {
        let took = later.iter().filter_map(|line| line.stages.get(stage));
        // Of the prompts of an image, the last one.
        median(took.filter_map(|took| Some(took.last()?.seconds)).collect())
    };
    let last = &later[later.len() - 1];
    Ok(Peer {
        program: last.program.clone(),
        dtype: last.dtype.clone(),
        side: last.side,
        image_seconds: of("trunk") + of("neck"),
        text_seconds: of("text"),
        prompt_seconds: of("prompt"),
        device_bytes: last.peak_memory_bytes,
    })
}
