//! The program compares itself with the reference implementation: `tests/parity/tiny.safetensors`, and the full-size
//! recording where `MEDSAM3_SHARED` has it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn fixture() -> PathBuf {
    recording("tiny.safetensors")
}

fn recording(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity")).join(name)
}

/// Runs `medsam3 parity` and returns its report; the limit is on every recorded tensor's rms relative error.
fn parity(device: &str, limit: &str) -> serde_json::Value {
    parity_of(&fixture(), device, limit)
}

fn parity_of(recording: &Path, device: &str, limit: &str) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .args(["parity", "--json", "--device", device, "--limit", limit])
        .arg(recording)
        .output()
        .expect("the program starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn every_recorded_tensor_agrees_on_the_cpu() {
    let report = parity("cpu", "1e-5");
    assert!(
        report["rows"].as_array().expect("rows").len() >= 65,
        "few tensors were compared"
    );
    assert!(report["mask_iou"].as_f64().expect("masks") > 0.9995);
}

#[test]
fn every_recorded_tensor_agrees_on_the_gpu() {
    if std::env::var_os("MEDSAM3_WGPU_TESTS").is_none() {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    }
    let report = parity("gpu", "1e-4");
    assert!(
        report["rows"].as_array().expect("rows").len() >= 65,
        "few tensors were compared"
    );
}

/// The tracker over three frames; memories are rounded to bf16 on both sides.
fn tracker(device: &str) {
    let report = parity_of(&recording("tiny_video.safetensors"), device, "1e-5");
    let rows = report["rows"].as_array().expect("rows").len();
    assert!(rows >= 500, "few tensors were compared: {rows}");
    assert!(report["bf16_ulps"].as_u64().expect("memories") <= 1);
}

#[test]
fn the_tracker_agrees_on_the_cpu() {
    tracker("cpu");
}

#[test]
fn the_tracker_agrees_on_the_gpu() {
    if std::env::var_os("MEDSAM3_WGPU_TESTS").is_none() {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    }
    tracker("gpu");
}

/// The comparison itself is known to fail: a model that attends globally in another block is far above the limit.
#[test]
fn a_model_that_differs_is_reported() {
    let config = tempfile::NamedTempFile::with_suffix(".json").expect("a temporary file");
    let mut model = medsam3_model::Sam3Config::tiny_parity();
    model.vit.global_blocks = vec![0, 3];
    std::fs::write(config.path(), serde_json::to_string(&model).expect("JSON")).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .args(["parity", "--json", "--limit", "1e-5", "--config"])
        .arg(config.path())
        .arg(fixture())
        .output()
        .expect("the program starts");
    assert_eq!(
        output.status.code(),
        Some(1),
        "a model with other global blocks passed"
    );
}
