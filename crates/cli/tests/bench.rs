//! `medsam3 bench --report` on the software adapter: every part is there, and what cannot be measured says why.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The folder's report.
fn read(folder: &Path) -> Value {
    let json = std::fs::read_to_string(folder.join("report.json")).expect("report.json");
    serde_json::from_str(&json).expect("JSON")
}

#[test]
fn a_report_has_every_part_or_says_why_not() {
    if std::env::var_os("MEDSAM3_WGPU_TESTS").is_none() {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    // A program of tests of which one passes, one is skipped and one fails.
    let tests = folder.path().join("tests.sh");
    std::fs::write(
        &tests,
        "#!/bin/sh
case $1 in
  --list) printf 'good: test\\nlacking: test\\nbad: test\\n' ;;
  good) echo fine ;;
  lacking) echo 'skipped: no shader-f16 on this adapter' ;;
  bad) echo \"thread 'bad' panicked at tests.rs:1:1\"; exit 101 ;;
esac
",
    )
    .expect("written");
    let made = Command::new("chmod").arg("+x").arg(&tests).status();
    assert!(made.expect("chmod").success());

    let out = folder.path().join("report");
    let output = Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .args(["bench", "--device", "gpu", "--rounds", "1"])
        .args(["--synthetic", "tiny-parity", "--report"])
        .arg(&out)
        .arg("--kernel-tests")
        .arg(&tests)
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let report = read(&out);
    assert!(report["adapter"]["name"].is_string());
    assert_eq!(report["kernel_tests"]["passed"], 1);
    assert_eq!(
        report["kernel_tests"]["skipped"],
        serde_json::json!(["lacking: no shader-f16 on this adapter"])
    );
    let failed = report["kernel_tests"]["failed"][0].as_str();
    assert!(failed.is_some_and(|said| said.contains("tests.rs:1:1")));
    let cases = report["self_test"].as_array().expect("cases");
    assert!(cases.iter().all(|case| case["is_right"] == true));
    // f32, f16 where the adapter has it, int8.
    let runs = report["full_model"].as_array().expect("runs");
    assert_eq!(runs.len(), 3);
    for run in [&runs[0], &runs[2]] {
        assert_eq!(run["side"], 168, "{run}");
        assert!(run["image_seconds"].as_f64().is_some_and(|s| s > 0.0));
    }
    let largest = report["largest_dispatch"].as_u64().expect("operations");
    assert!((1..90_000_000_000).contains(&largest));
    let presence = report["default_model"]["presence"].as_f64();
    assert!(presence.is_some_and(|p| (0.0..=1.0).contains(&p)));
    for absent in [&report["training"], &report["pytorch"][0]] {
        assert!(absent["skipped"].is_string(), "{absent}");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let written = std::fs::read_to_string(out.join("report.md")).expect("report.md");
    assert_eq!(text.trim(), written.trim());
    assert!(written.contains("1 passed, 1 failed, 1 skipped"));
}
