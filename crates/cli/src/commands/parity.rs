//! `medsam3 parity`: the model against recorded tensors of the reference implementation.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use medsam3_model::Sam3Config;

use crate::device::{self, DeviceChoice};
use crate::failure::UsageError;
use crate::parity;

/// Compares this implementation with recorded tensors of the reference.
///
/// Runs the model on the synthetic weights and image that the recording was made with and prints, per recorded tensor,
/// the maximum and rms relative error.
#[derive(clap::Args)]
#[command(after_help = "Example:
  medsam3 parity tests/parity/tiny.safetensors
  medsam3 parity tests/parity/tiny_video.safetensors --limit 1e-5
  medsam3 parity tests/parity/tiny.safetensors --device gpu --json")]
pub struct Arguments {
    /// The recording (safetensors)
    golden: PathBuf,
    /// A preset (sam3, tiny-parity, default) or a JSON file; by default the one that the recording implies
    #[arg(long)]
    config: Option<String>,
    /// Which device runs the model
    #[arg(long, value_enum, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// Fail when an rms relative error is above this
    #[arg(long, value_name = "RMS")]
    limit: Option<f64>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Compares.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = arguments.config.as_deref().map(read_config).transpose()?;
    let chosen = device::open(arguments.device)?;
    let report = parity::run(&arguments.golden, config, &chosen.device)?;
    if arguments.json {
        crate::terminal::json(&report)?;
    } else {
        print_table(&report, &chosen.name)?;
    }
    let worst = report.worst_rms_rel();
    if let Some(limit) = arguments.limit {
        anyhow::ensure!(
            worst <= limit,
            "the largest rms relative error is {worst:.2e}, above {limit:.2e}"
        );
        anyhow::ensure!(
            report.bf16_ulps.is_none_or(|ulps| ulps <= 1),
            "values rounded to bf16 differ by more than one in the last place"
        );
    }
    Ok(())
}

fn print_table(report: &parity::Report, device: &str) -> Result<()> {
    say!(
        "{:<60} {:>9} {:>10} {:>10} {:>10}",
        "tensor",
        "values",
        "max abs",
        "max rel",
        "rms rel"
    )?;
    for row in &report.rows {
        let parity::Row {
            name,
            values,
            max_abs,
            max_rel,
            rms_rel,
        } = row;
        say!("{name:<60} {values:>9} {max_abs:>10.2e} {max_rel:>10.2e} {rms_rel:>10.2e}")?;
    }
    for (name, reason) in &report.left_out {
        say!("{name:<60} left out: {reason}")?;
    }
    if let Some(iou) = report.mask_iou {
        say!("mask IoU {iou:.6}")?;
    }
    if let Some(ulps) = report.bf16_ulps {
        say!("values rounded to bf16 differ by at most {ulps} in the last place")?;
    }
    let worst = report.worst_rms_rel();
    say!(
        "{} tensors, largest rms relative error {worst:.2e}, {:.1} s on {device}",
        report.rows.len(),
        report.seconds
    )?;
    if let Some(bytes) = report.peak_memory_bytes {
        say!("peak memory {:.2} GB", bytes as f64 / 1e9)?;
    }
    Ok(())
}

fn read_config(name: &str) -> Result<Sam3Config> {
    if let Some(preset) = Sam3Config::preset(name) {
        return Ok(preset);
    }
    let json = std::fs::read(name).map_err(|e| {
        UsageError(format!(
            "{name} is neither a preset (sam3, tiny-parity, default) nor a readable file: {e}"
        ))
    })?;
    let config: Sam3Config = serde_json::from_slice(&json).context("reading the configuration")?;
    config.validate()?;
    Ok(config)
}
