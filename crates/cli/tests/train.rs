//! `medsam3 train` as a program: a run that is killed and resumed gives the losses of an unbroken one, to the last bit.

#[path = "support/shapes.rs"]
mod shapes;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use shapes::{config, write_corpus};

const STEPS: usize = 24;

fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medsam3"));
    command.arg("train").arg(config).stdout(Stdio::null());
    command
}

/// The lines of every step, in full.
fn steps(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["kind"] == "step").collect()
}

#[test]
fn a_killed_run_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_corpus(root);
    let whole = config(root, "whole", STEPS);
    assert!(command(&whole).status().unwrap().success());
    let expected = steps(&root.join("whole"));
    assert_eq!(expected.len(), STEPS);

    let parts = config(root, "parts", STEPS);
    // Another moment in every run of this test.
    let mut random = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos() as usize;
    let mut kills = 0;
    for attempt in 0.. {
        let mut running = command(&parts)
            .args((attempt > 0).then_some("--resume"))
            .spawn()
            .unwrap();
        random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let until = steps(&root.join("parts")).len() + 2 + (random >> 16) % 7;
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = running.try_wait().unwrap() {
                break Some(status);
            }
            if kills < 3 && steps(&root.join("parts")).len() >= until {
                running.kill().unwrap();
                running.wait().unwrap();
                break None;
            }
            assert!(begun.elapsed() < Duration::from_secs(300), "the run hangs");
            std::thread::sleep(Duration::from_millis(5));
        };
        match ended {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => kills += 1,
        }
    }
    assert!(kills >= 2, "killed {kills} times");
    let found = steps(&root.join("parts"));
    assert_eq!(found.len(), STEPS, "every step once");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}
