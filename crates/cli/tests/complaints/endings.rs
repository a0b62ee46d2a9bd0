//! However a program ends, nothing panics, what is done is kept, and the exit code is the one that a shell expects.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::shapes::{config, write_corpus};
use crate::tiny_model::Fixture;
use crate::{errors, leftovers};

const INTERRUPTED: i32 = 130;
const TERMINATED: i32 = 143;
const BROKEN_PIPE: i32 = 141;

fn program(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medsam3"));
    command
        .current_dir(fixture.path(""))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// The code of a program that ended by itself, or that of its signal as a shell gives it.
fn code(status: std::process::ExitStatus) -> i32 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(signal) = status.signal() {
            return 128 + signal;
        }
    }
    status.code().unwrap()
}

fn segment_many<'a>() -> Vec<&'a str> {
    let mut arguments = vec![
        "segment",
        "--model",
        "model",
        "--device",
        "cpu",
        "--prompt",
        "left lung",
        "--json",
    ];
    arguments.extend(["--out", "out", "--formats", "png,csv"]);
    arguments.extend(std::iter::repeat_n("phantom.png", 400));
    arguments
}

/// Every command, into a pipe whose reader goes away after the first line.
#[test]
fn a_reader_that_leaves_ends_a_command_quietly() {
    let fixture = Fixture::new();
    let many = segment_many();
    write_corpus(&fixture.path(""));
    let checkpoint = crate::training::checkpoint(&fixture.path(""), &[]);
    let checkpoint = checkpoint.to_str().unwrap();
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/parity/tiny.safetensors"
    );
    let commands: [&[&str]; 8] = [
        &many,
        &[
            "convert",
            checkpoint,
            "--out",
            "converted",
            "--config",
            "default",
            "--no-vocabulary",
            "--json",
        ],
        &[
            "evaluate", "--model", "model", "--device", "cpu", "--corpus", ".", "--split", "train",
            "--json",
        ],
        &[
            "evaluate", "--model", "model", "--device", "cpu", "--corpus", ".", "--split", "train",
        ],
        &["parity", golden, "--device", "cpu"],
        &["inspect", "model"],
        &["inspect", "model", "--json"],
        &["--help"],
    ];
    for arguments in commands {
        let mut child = program(&fixture, arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!first.is_empty());
        assert!(
            errors(&output).is_empty(),
            "{arguments:?}: {}",
            errors(&output)
        );
        let code = code(output.status);
        assert!(
            [0, BROKEN_PIPE].contains(&code),
            "{:?}: {code}",
            arguments[0]
        );
    }
    // What was computed is in the table nevertheless.
    let table = fs::read_to_string(fixture.path("out/measurements.csv")).unwrap();
    assert!(table.lines().count() > 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_an_error_and_no_panic() {
    let fixture = Fixture::new();
    for arguments in [
        &["inspect", "model"][..],
        &[
            "segment",
            "--model",
            "model",
            "--device",
            "cpu",
            "phantom.png",
            "--prompt",
            "left lung",
        ],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = program(&fixture, arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(errors(&output).contains("[STDOUT]"), "{}", errors(&output));
        // Standard error full too: nobody can be told, and the code says it.
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let output = program(&fixture, arguments)
            .stdout(full())
            .stderr(full())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_batch_keeps_what_is_done() {
    for (name, expected) in [("INT", INTERRUPTED), ("TERM", TERMINATED)] {
        let fixture = Fixture::new();
        let mut child = program(&fixture, &segment_many())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            lines.next().unwrap().unwrap();
        }
        signal(&child, name);
        let said = 3 + lines.count();
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(output.status), expected, "{}", errors(&output));
        let table = fs::read_to_string(fixture.path("out/measurements.csv")).unwrap();
        assert_eq!(table.lines().count(), said + 1, "a row for every record");
    }
}

/// Every command, at any moment, also before there is anything to keep.
#[cfg(unix)]
#[test]
fn a_signal_at_any_moment_leaves_no_half_file() {
    const ROUNDS: usize = 50;
    let fixture = Fixture::new();
    let root = fixture.path("");
    write_corpus(&root);
    let train = config(&root, "run", 1000);
    let train = train.to_str().unwrap();
    let short = config(&root, "short", 4);
    let trained = program(&fixture, &["train", short.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(trained.status.success(), "{}", errors(&trained));
    let checkpoint = crate::training::checkpoint(&root, &[]);
    let checkpoint = checkpoint.to_str().unwrap();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");
    let (manifest, pictures) = (
        format!("{fixtures}/import/cells.toml"),
        format!("{fixtures}/import/coco"),
    );
    let golden = format!("{fixtures}/parity/tiny.safetensors");
    let many = segment_many();
    let convert = [
        "convert",
        checkpoint,
        "--out",
        "converted",
        "--config",
        "default",
        "--no-vocabulary",
    ];
    let import = [
        "import",
        &manifest,
        "--from",
        &pictures,
        "--out",
        "imported",
        "--replace",
    ];
    let evaluate = [
        "evaluate", "--model", "model", "--device", "cpu", "--corpus", ".", "--split", "train",
        "--report", "report",
    ];
    let commands: [&[&str]; 8] = [
        &many,
        &convert,
        &import,
        &evaluate,
        &["train", train, "--resume"],
        &["export", "short", "--out", "exported", "--no-table"],
        &["inspect", "model"],
        &["parity", &golden, "--device", "cpu"],
    ];
    for round in 0..ROUNDS {
        let (name, expected) = [("INT", INTERRUPTED), ("TERM", TERMINATED)][round % 2];
        let arguments = commands[round / 2 % commands.len()];
        let child = program(&fixture, arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The same moments each time: 0 to 0.2 s, not in order.
        std::thread::sleep(Duration::from_millis(round as u64 * 37 % 200));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let (code, said) = (code(output.status), errors(&output));
        assert!(
            [expected, 0].contains(&code),
            "{}: {code} {said}",
            arguments[0]
        );
        assert!(!said.contains("panicked"), "{}: {said}", arguments[0]);
        let table = fixture.path("out/measurements.csv");
        if let Ok(text) = fs::read_to_string(table) {
            let rows = csv::Reader::from_reader(text.as_bytes())
                .into_records()
                .map(|row| row.unwrap().len());
            assert!(rows.into_iter().all(|fields| fields == 20));
        }
        // A folder is there as a whole, or not.
        for (folder, last) in [
            ("converted", "manifest.json"),
            ("exported", "manifest.json"),
            ("imported/cells", "dataset.json"),
        ] {
            let folder = fixture.path(folder);
            assert!(
                !folder.exists() || folder.join(last).is_file(),
                "{}",
                folder.display()
            );
        }
    }
    // The next run of each does what it was asked for.
    for arguments in [&convert[..], &import, &evaluate] {
        let output = program(&fixture, arguments)
            .stdout(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", errors(&output));
    }
    let out = fixture.path("out");
    if out.is_dir() {
        assert!(leftovers(&out).is_empty());
    }
}

#[test]
fn training_outlives_its_output() {
    let folder = tempfile::tempdir().unwrap();
    write_corpus(folder.path());
    let file = config(folder.path(), "run", 8);
    let mut child = Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .args(["train", file.to_str().unwrap(), "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(
        folder
            .path()
            .join("run/checkpoint-0000008.safetensors")
            .is_file()
    );
}

#[cfg(unix)]
#[test]
fn a_stopped_training_saves_and_says_so() {
    for (name, expected) in [("INT", INTERRUPTED), ("TERM", TERMINATED)] {
        let folder = tempfile::tempdir().unwrap();
        write_corpus(folder.path());
        let file = config(folder.path(), "run", 1_000_000);
        let mut child = Command::new(env!("CARGO_BIN_EXE_medsam3"))
            .args(["train", file.to_str().unwrap(), "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let begun = lines
            .by_ref()
            .find(|line| line.as_ref().unwrap().contains("progress"));
        assert!(begun.is_some());
        signal(&child, name);
        let since = Instant::now();
        assert!(lines.last().unwrap().unwrap().contains("\"saved\""));
        let output = child.wait_with_output().unwrap();
        assert!(since.elapsed() < Duration::from_secs(60));
        assert_eq!(code(output.status), expected, "{}", errors(&output));
        let saved = crate::names(&folder.path().join("run"));
        assert!(
            saved.iter().any(|name| name.starts_with("checkpoint-")),
            "{saved:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_evaluation_keeps_what_is_done() {
    const TIMES: usize = 500;
    let fixture = Fixture::new();
    write_corpus(&fixture.path(""));
    // The same pictures many times, so that there is time to stop.
    let path = fixture.path("shapes/dataset.json");
    let mut dataset: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let items = dataset["items"].as_array().unwrap().clone();
    let many = (0..TIMES).flat_map(|time| {
        items.iter().map(move |item| {
            let mut item = item.clone();
            item["id"] = format!("{time}-{}", item["id"]).into();
            item
        })
    });
    dataset["items"] = many.collect();
    fs::write(&path, dataset.to_string()).unwrap();
    let arguments = [
        "evaluate", "--model", "model", "--device", "cpu", "--corpus", ".", "--split", "train",
        "--report", "report", "--json",
    ];
    let child = program(&fixture, &arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(output.status), INTERRUPTED, "{}", errors(&output));
    let cases = fs::read_to_string(fixture.path("report/cases.jsonl")).unwrap();
    let cases = cases.lines().count();
    assert!(0 < cases && cases < 8 * TIMES, "{cases} cases");
    let report = fs::read_to_string(fixture.path("report/report.md")).unwrap();
    assert!(report.contains("stopped after"), "{report}");
    assert!(!output.stdout.is_empty());
}
