//! What goes wrong with files while a run trains, through the program: the error names the file and carries a code, the
//! checkpoints stay, and the repaired run goes on to the losses of an unbroken one.

#[path = "support/shapes.rs"]
mod shapes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{GrayImage, Luma};
use serde_json::Value;
use shapes::{config, write_corpus};

const PROGRAM: &str = env!("CARGO_BIN_EXE_medsam3");
/// Steps of a whole run; a checkpoint is written after every third.
const STEPS: usize = 9;

fn train(config: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .arg("train")
        .arg(config)
        .args(more)
        .output()
        .expect("the program")
}

fn assert_done(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Exit code 1, with the code and the file.
fn assert_fails(output: &Output, code: &str, file: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("[{code}]")) && text.contains(file),
        "{code} {file}: {text}"
    );
}

/// The lines of every step, in full.
fn steps(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["kind"] == "step").collect()
}

/// Name and content of every checkpoint.
fn checkpoints(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder)
        .expect("the run folder")
        .map(|entry| entry.expect("an entry").path());
    let kept = entries.filter(|path| {
        path.extension()
            .is_some_and(|ending| ending == "safetensors")
    });
    kept.map(|path| (path.clone(), std::fs::read(path).expect("readable")))
        .collect()
}

/// A corpus, the losses of an unbroken run on it, and a run that has come to its second checkpoint.
fn halfway(root: &Path) -> (Vec<Value>, PathBuf, PathBuf) {
    write_corpus(root);
    assert_done(&train(&config(root, "whole", STEPS), &[]));
    let expected = steps(&root.join("whole"));
    assert_eq!(expected.len(), STEPS);
    let half = config(root, "half", STEPS);
    assert_done(&train(&half, &["--set", "schedule.steps=6"]));
    (expected, half, root.join("half"))
}

#[test]
fn a_wrong_file_of_the_corpus_is_named_and_costs_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let (expected, config, run) = halfway(root);
    let kept = checkpoints(&run);
    assert_eq!(kept.len(), 2);
    // A run that begins anew would number its checkpoints below those that are there, and lose them.
    assert_fails(
        &train(&config, &[]),
        "TRAIN-RUN-EXISTS",
        "checkpoint-0000006.safetensors",
    );
    assert!(checkpoints(&run) == kept);
    let shapes = root.join("shapes");
    let breaks = |file: &str, change: &dyn Fn(&Path), code: &str, more: &[&str]| {
        let path = shapes.join(file);
        let good = std::fs::read(&path).expect("readable");
        change(&path);
        assert_fails(&train(&config, &[&["--resume"], more].concat()), code, file);
        assert!(checkpoints(&run) == kept, "{code}: a checkpoint changed");
        std::fs::write(&path, good).expect("repaired");
    };
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).expect("readable");
        std::fs::write(path, &bytes[..bytes.len() / 2]).expect("cut");
    };
    let gray = |width: u32, value: u8| GrayImage::from_pixel(width, 64, Luma([value]));
    breaks("3.jpg", &cut, "CORPUS-DECODE", &[]);
    breaks("3.png", &cut, "CORPUS-DECODE", &[]);
    breaks(
        "9.jpg",
        &|path| std::fs::write(path, b"").expect("empty"),
        "CORPUS-DECODE",
        &[],
    );
    breaks(
        "3.png",
        &|path| gray(63, 0).save(path).expect("saved"),
        "CORPUS-MASK-SIZE",
        &[],
    );
    breaks(
        "3.png",
        &|path| gray(64, 7).save(path).expect("saved"),
        "CORPUS-UNKNOWN-LABEL",
        &[],
    );
    breaks(
        "dataset.json",
        &|path| std::fs::write(path, "{").expect("saved"),
        "CORPUS-JSON",
        &[],
    );
    let without = |split: &'static str| {
        move |path: &Path| {
            let text = std::fs::read_to_string(path).expect("readable");
            let mut set: Value = serde_json::from_str(&text).expect("JSON");
            let items = set["items"].as_array_mut().expect("items");
            items.retain(|item| item["split"] != split);
            std::fs::write(path, set.to_string()).expect("saved");
        }
    };
    breaks(
        "dataset.json",
        &without("train"),
        "CORPUS-EMPTY-SPLIT",
        &["--set", "data.datasets=[\"shapes\"]"],
    );
    let validates = ["--set", "run.validate_every=3"];
    let path = shapes.join("dataset.json");
    let good = std::fs::read(&path).expect("readable");
    without("val")(&path);
    assert_fails(
        &train(&config, &[&["--resume"], validates.as_slice()].concat()),
        "CORPUS-EMPTY-SPLIT",
        "index.json",
    );
    std::fs::write(&path, good).expect("repaired");
    assert!(checkpoints(&run) == kept);
    std::fs::remove_file(shapes.join("5.jpg")).expect("gone");
    assert_fails(&train(&config, &["--resume"]), "CORPUS-READ", "5.jpg");
    write_corpus(root);
    assert_done(&train(&config, &["--resume"]));
    assert_eq!(steps(&run), expected);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (expected, config, run) = halfway(folder.path());
    let (newest, bytes) = checkpoints(&run).pop_last().expect("a checkpoint");
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).expect("cut");
    let name = newest
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert_fails(&train(&config, &["--resume"]), "TRAIN-CHECKPOINT", &name);
    std::fs::remove_file(&newest).expect("removed, as the error says");
    assert_done(&train(&config, &["--resume"]));
    assert_eq!(steps(&run), expected);
}

/// A limit on the size of files, as shells and batch systems set it: the write fails in the middle of the checkpoint.
#[test]
#[cfg(unix)]
fn a_file_size_limit_costs_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let (expected, config, run) = halfway(folder.path());
    let kept = checkpoints(&run);
    let smallest = kept.values().map(Vec::len).min().expect("a checkpoint");
    let limited = Command::new("bash")
        .args(["-c", "ulimit -f \"$1\"; shift; exec \"$@\"", "-"])
        .arg((smallest / 2048).to_string())
        .args([PROGRAM, "train"])
        .arg(&config)
        .arg("--resume")
        .output()
        .expect("bash");
    assert_fails(&limited, "TRAIN-WRITE", "checkpoint-0000009.safetensors");
    assert!(checkpoints(&run) == kept);
    let left = std::fs::read_dir(&run)
        .expect("the run folder")
        .filter_map(Result::ok);
    let left: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().contains("tmp"))
        .collect();
    assert!(
        left.is_empty(),
        "half a checkpoint would keep the disk full: {left:?}"
    );
    assert_done(&train(&config, &["--resume"]));
    assert_eq!(steps(&run), expected);
}

/// Writes that find the disk full: to the metrics and to the curves.
#[test]
#[cfg(target_os = "linux")]
fn full_metrics_and_curves_are_named_and_cost_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let (expected, config, run) = halfway(folder.path());
    let kept = checkpoints(&run);
    let metrics = run.join("metrics.jsonl");
    let lines = std::fs::read(&metrics).expect("metrics");
    std::fs::remove_file(&metrics).expect("moved away");
    std::os::unix::fs::symlink("/dev/full", &metrics).expect("a full disk");
    assert_fails(
        &train(&config, &["--resume"]),
        "TRAIN-WRITE",
        "metrics.jsonl",
    );
    assert!(checkpoints(&run) == kept);
    std::fs::remove_file(&metrics).expect("room again");
    std::fs::write(&metrics, lines).expect("as it was");
    let curves = run.join("curves.svg");
    std::fs::remove_file(&curves).ok();
    std::os::unix::fs::symlink("/dev/full", &curves).expect("a full disk");
    assert_fails(&train(&config, &["--resume"]), "TRAIN-WRITE", "curves.svg");
    std::fs::remove_file(&curves).expect("room again");
    // The last checkpoint was written before the drawing: nothing is left to do but the drawing itself.
    assert_done(&train(&config, &["--resume"]));
    assert!(run.join("curves.svg").is_file());
    assert_eq!(steps(&run), expected);
}

/// A file system of its own that is full when the second checkpoint comes, and then grows.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_costs_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write_corpus(root);
    assert_done(&train(&config(root, "whole", STEPS), &[]));
    let size = checkpoints(&root.join("whole"))
        .values()
        .map(Vec::len)
        .max()
        .expect("a checkpoint");
    let small = config(root, "small", STEPS);
    let run = root.join("small");
    std::fs::create_dir(&run).expect("the mount point");
    // Mounts in a name space of its own, which ends with the shell.
    let script = r#"
        mount -t tmpfs -o size="$2" medsam3 "$1" || exit 77
        "$3" train "$4" 2> "$5/first"; echo $? > "$5/code"
        ls "$1" > "$5/kept"
        mount -o remount,size=1g "$1" || exit 77
        "$3" train "$4" --resume 2> "$5/second" && cp "$1/metrics.jsonl" "$5/"
    "#;
    let seen = root.join("seen");
    std::fs::create_dir(&seen).expect("folder");
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "bash",
            "-c",
            script,
            "-",
        ])
        .arg(&run)
        // One checkpoint and half of another.
        .arg((size + size / 2).to_string())
        .arg(PROGRAM)
        .args([&small, &seen])
        .output();
    let Some(output) = output
        .ok()
        .filter(|output| seen.join("code").is_file() || output.status.success())
    else {
        println!("skipped: no permission to mount a tmpfs");
        return;
    };
    let text = |name: &str| std::fs::read_to_string(seen.join(name)).unwrap_or_default();
    assert_eq!(text("code").trim(), "1", "{}", text("first"));
    assert!(
        text("first").contains("[TRAIN-WRITE]")
            && text("first").contains("checkpoint-0000006.safetensors"),
        "{}",
        text("first")
    );
    assert!(
        text("kept").contains("checkpoint-0000003.safetensors") && !text("kept").contains("tmp"),
        "{}",
        text("kept")
    );
    assert!(output.status.success(), "{}", text("second"));
    assert_eq!(steps(&seen), steps(&root.join("whole")));
}
