//! The kernels' tests, each in a process of its own: they choose variants and switch kernels off, and a driver that
//! crashes in one must not take the others along.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// A test that takes longer is ended: shaders that never compile must not hide everything behind them.
const PATIENCE: Duration = Duration::from_secs(900);

/// How the tests ended.
#[derive(Debug, Serialize)]
pub struct Tests {
    pub passed: usize,
    /// Names of those that did not pass, with their last line.
    pub failed: Vec<String>,
    /// Names of those that said that the adapter lacks something.
    pub skipped: Vec<String>,
    pub seconds: f64,
}

/// Runs all tests of the program.
pub fn run(program: &Path) -> Result<Tests> {
    let started = Instant::now();
    let listed = Command::new(program)
        .args(["--list", "--format", "terse"])
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    anyhow::ensure!(!names.is_empty(), "{} has no tests", program.display());
    let mut tests = Tests {
        passed: 0,
        failed: Vec::new(),
        skipped: Vec::new(),
        seconds: 0.0,
    };
    for name in names {
        match one(program, name)? {
            Outcome::Passed => tests.passed += 1,
            Outcome::Skipped(why) => tests.skipped.push(format!("{name}: {why}")),
            Outcome::Failed(why) => tests.failed.push(format!("{name}: {why}")),
        }
    }
    tests.seconds = started.elapsed().as_secs_f64();
    Ok(tests)
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

fn one(program: &Path, name: &str) -> Result<Outcome> {
    let mut output = tempfile::tempfile().context("making a temporary file")?;
    let mut child = Command::new(program)
        .args([name, "--exact", "--show-output"])
        .env("MEDSAM3_WGPU_TESTS", "1")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill().ok();
            child.wait().ok();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    use std::io::{Read as _, Seek as _};
    output.rewind()?;
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(status) = status else {
        return Ok(Outcome::Failed(format!(
            "no end after {} s",
            PATIENCE.as_secs()
        )));
    };
    if !status.success() {
        let said = text
            .lines()
            .rfind(|line| line.contains("panicked") || line.contains(" of "));
        let said = said.unwrap_or("no message");
        return Ok(Outcome::Failed(format!("{status}: {said}")));
    }
    let skipped = text.lines().find_map(|line| line.strip_prefix("skipped: "));
    Ok(skipped.map_or(Outcome::Passed, |why| Outcome::Skipped(why.to_owned())))
}
