//! Running other programs: quietly, with their output passed on, or with it read along the way and a time limit.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What a program printed and how it ended.
pub struct Finished {
    /// Whether it ended by itself with exit code 0.
    pub success: bool,
    /// Whether it was stopped because its time was up.
    pub timed_out: bool,
    /// Its standard output, which was also passed on.
    pub lines: Vec<String>,
}

/// Says what is being done.
pub fn say(text: &str) {
    println!("==> {text}");
}

/// Runs a program with its output passed on; an error if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Standard output of a short program; an error if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!(
            "`{shown}` failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program, passes its standard output on and keeps it. After `limit` the program and all it started are ended.
pub fn run_reading(command: &mut Command, limit: Duration) -> Result<Finished> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let stdout = child.stdout.take().context("no standard output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\r')
                .to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });

    let deadline = Instant::now() + limit;
    let mut lines = Vec::new();
    let timed_out = loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                println!("{line}");
                lines.push(line);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break false,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                println!(
                    "xtask: `{shown}` took longer than {} s and was stopped",
                    limit.as_secs()
                );
                break true;
            }
        }
    };
    if timed_out {
        end_with_descendants(&mut child);
    }
    let status = child.wait()?;
    Ok(Finished {
        success: status.success() && !timed_out,
        timed_out,
        lines,
    })
}

/// Ends a program and everything it started, where the system tells what that is (Linux's /proc).
fn end_with_descendants(child: &mut Child) {
    let mut pids = vec![child.id()];
    let mut next = 0;
    while let Some(&parent) = pids.get(next) {
        pids.extend(children_of(parent));
        next += 1;
    }
    // A failure means that the process has ended in the meantime.
    let _ = child.kill();
    for pid in pids.iter().skip(1) {
        let _ = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .stderr(Stdio::null())
            .status();
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            // "pid (name) state ppid ..."; the name may hold spaces and brackets.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            after_name.split_whitespace().nth(1) == Some(parent.to_string().as_str())
        })
        .collect()
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_and_the_exit_code_seen() {
        let finished = run_reading(
            Command::new("sh").args(["-c", "echo one; echo two; exit 3"]),
            Duration::from_secs(20),
        )
        .unwrap();
        assert_eq!(finished.lines, ["one", "two"]);
        assert!(!finished.success);
        assert!(!finished.timed_out);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_over_its_time_is_ended_with_its_children() {
        let started = Instant::now();
        let script = "echo first; sleep 300 & echo $!; wait";
        let finished = run_reading(
            Command::new("sh").args(["-c", script]),
            Duration::from_millis(700),
        )
        .unwrap();
        assert!(finished.timed_out && !finished.success);
        assert!(started.elapsed() < Duration::from_secs(20));
        assert_eq!(finished.lines.first().map(String::as_str), Some("first"));
        let grandchild = &finished.lines[1];
        thread::sleep(Duration::from_millis(200));
        let stat = fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        let state = stat
            .rsplit_once(')')
            .map_or("gone", |(_, rest)| rest.trim());
        assert!(
            state == "gone" || state.starts_with('Z'),
            "still running: {state}"
        );
    }
}
