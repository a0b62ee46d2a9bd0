//! Training, export and conversion: the folder that was named, one writer at a time, divergence by its name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use medsam3_files::Lock;

use crate::shapes::{config, write_corpus};
use crate::{errors, succeeded};

fn medsam3(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A copy of the default model's folder without what `convert` needs to make.
fn default_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../weights/default")
}

#[test]
fn export_takes_the_folder_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_corpus(root);
    let file = config(root, "run", 4);
    succeeded(medsam3(&["train", text(&file)]));
    let (run, copy, moved) = (root.join("run"), root.join("copy"), root.join("moved"));
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&run).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    succeeded(medsam3(&[
        "train",
        text(&file),
        "--resume",
        "--set",
        "schedule.steps=6",
    ]));
    fs::rename(&run, &moved).unwrap();
    for (named, steps) in [(&copy, 4), (&moved, 6)] {
        let out = root.join(format!("model-{steps}"));
        succeeded(medsam3(&[
            "export",
            text(named),
            "--out",
            text(&out),
            "--no-table",
        ]));
        let card = fs::read_to_string(out.join("MODEL_CARD.md")).unwrap();
        assert!(card.contains(&format!("{steps} optimiser steps")), "{card}");
    }
}

#[test]
fn a_second_training_in_one_run_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_corpus(folder.path());
    let file = config(folder.path(), "run", 4);
    fs::create_dir(folder.path().join("run")).unwrap();
    let held = Lock::try_take(&folder.path().join("run/.lock")).unwrap();
    assert!(held.is_some());
    let refused = medsam3(&["train", text(&file)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        errors(&refused).contains("[TRAIN-RUN-BUSY]"),
        "{}",
        errors(&refused)
    );
    drop(held);
    succeeded(medsam3(&["train", text(&file)]));
}

#[test]
fn a_loss_that_is_not_finite_is_called_divergence() {
    let folder = tempfile::tempdir().unwrap();
    write_corpus(folder.path());
    let file = config(folder.path(), "run", 40);
    let diverged = medsam3(&[
        "train",
        text(&file),
        "--set",
        "schedule.learning_rate=1e30",
        "--set",
        "schedule.clip_norm=1e30",
        "--set",
        "schedule.warmup_steps=0",
    ]);
    assert_eq!(diverged.status.code(), Some(1));
    let said = errors(&diverged);
    assert!(
        said.contains("[TRAIN-DIVERGED]") && said.contains("learning_rate"),
        "{said}"
    );
}

#[test]
fn convert_refuses_the_folder_it_runs_in_and_follows_links() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let checkpoint = checkpoint(root, &["module.", "_orig_mod."]);
    fs::create_dir(root.join("here")).unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .current_dir(root.join("here"))
        .args([
            "convert",
            text(&checkpoint),
            "--out",
            ".",
            "--config",
            "default",
            "--no-vocabulary",
        ])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        errors(&refused).contains("[WEIGHTS-WRITE]"),
        "{}",
        errors(&refused)
    );
    assert!(root.join("here").is_dir());
    #[cfg(unix)]
    {
        fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        let link = root.join("link");
        succeeded(medsam3(&[
            "convert",
            text(&checkpoint),
            "--out",
            text(&link),
            "--config",
            "default",
            "--no-vocabulary",
        ]));
        assert!(link.is_symlink() && root.join("real/manifest.json").is_file());
    }
}

/// A killed conversion leaves a hidden folder, which the next one removes.
#[cfg(unix)]
#[test]
fn what_a_killed_conversion_left_is_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let checkpoint = checkpoint(root, &[]);
    let ask = [
        "convert",
        text(&checkpoint),
        "--config",
        "default",
        "--no-vocabulary",
        "--out",
    ];
    let out = root.join("model");
    let hidden = || {
        let entries = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut found = entries.filter(|path| text(path).contains("/.medsam3-"));
        found.next()
    };
    let mut left = None;
    for delay in 0..200 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_medsam3"))
            .args(ask)
            .arg(&out)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20 + delay * 5));
        child.kill().unwrap();
        child.wait().unwrap();
        left = hidden();
        if left.is_some() {
            break;
        }
    }
    let left = left.expect("a conversion that was killed at work");
    // It is known to be abandoned once it is a little older than a folder that is just being made.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::open(&left).unwrap().set_modified(old).unwrap();
    succeeded(medsam3(&[ask.as_slice(), &[text(&out)]].concat()));
    assert_eq!(hidden(), None);
    assert!(out.join("manifest.json").is_file());
}

#[test]
fn prefixes_of_wrappers_are_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    for (at, prefixes) in [&["module."][..], &["_orig_mod.", "module."]]
        .into_iter()
        .enumerate()
    {
        let checkpoint = checkpoint(folder.path(), prefixes);
        let out = folder.path().join(at.to_string());
        succeeded(medsam3(&[
            "convert",
            text(&checkpoint),
            "--out",
            text(&out),
            "--config",
            "default",
            "--no-vocabulary",
        ]));
    }
}

#[test]
fn an_adapter_alone_and_a_stranger_are_refused_in_few_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lora.safetensors");
    let names: Vec<String> = (0..1000)
        .map(|n| format!("detector.blocks.{n}.attn.lora_A"))
        .collect();
    let zero = [0_u8; 8];
    let views = names.iter().map(|name| {
        (
            name.as_str(),
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &zero).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let out = folder.path().join("out");
    let ask = |file: &Path| {
        let refused = medsam3(&[
            "convert",
            text(file),
            "--out",
            text(&out),
            "--config",
            "default",
            "--no-vocabulary",
        ]);
        assert_eq!(refused.status.code(), Some(1));
        errors(&refused)
    };
    let said = ask(&path);
    assert!(
        said.contains("[CHECKPOINT-ADAPTER-ALONE]") && said.len() < 1000,
        "{said}"
    );
    let stranger = folder.path().join("stranger.safetensors");
    let names: Vec<String> = (0..1000)
        .map(|n| format!("detector.backbone.{n}"))
        .collect();
    let views = names.iter().map(|name| {
        (
            name.as_str(),
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &zero).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, &stranger).unwrap();
    let said = ask(&stranger);
    assert!(
        said.contains("1000 unexpected") && said.contains("and 990 more"),
        "{said}"
    );
    assert!(said.len() < 4000, "{} bytes", said.len());
}

#[test]
fn a_checkpoint_in_several_files_is_read_by_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let whole = checkpoint(folder.path(), &[]);
    let bytes = fs::read(&whole).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let names: Vec<&str> = tensors.names().into_iter().collect();
    let mut map = serde_json::Map::new();
    for (number, half) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let file = format!("model-{number}.safetensors");
        let views = half
            .iter()
            .map(|name| (*name, tensors.tensor(name).unwrap()));
        safetensors::serialize_to_file(views, None, &folder.path().join(&file)).unwrap();
        map.extend(
            half.iter()
                .map(|name| ((*name).to_owned(), file.clone().into())),
        );
    }
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    for (file, out) in [(&whole, &one), (&index, &two)] {
        succeeded(medsam3(&[
            "convert",
            text(file),
            "--out",
            text(out),
            "--config",
            "default",
            "--no-vocabulary",
        ]));
    }
    for shard in ["model-00001.safetensors", "text-00001.safetensors"] {
        assert_eq!(
            fs::read(one.join(shard)).unwrap(),
            fs::read(two.join(shard)).unwrap(),
            "{shard}"
        );
    }
    fs::remove_file(folder.path().join("model-1.safetensors")).unwrap();
    let refused = medsam3(&[
        "convert",
        text(&index),
        "--out",
        text(&two),
        "--config",
        "default",
        "--no-vocabulary",
    ]);
    assert!(
        errors(&refused).contains("model-1.safetensors"),
        "{}",
        errors(&refused)
    );
}

/// A checkpoint of the default model's size and values, every name behind `prefixes`.
pub fn checkpoint(folder: &Path, prefixes: &[&str]) -> PathBuf {
    let shards = fs::read_dir(default_model())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let shards = shards.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".safetensors") && !name.starts_with("vocabulary")
    });
    let shards: Vec<Vec<u8>> = shards.map(|path| fs::read(path).unwrap()).collect();
    let shards = shards
        .iter()
        .map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    let shards: Vec<_> = shards.collect();
    let prefix = prefixes.concat();
    let views = shards.iter().flat_map(|shard| {
        let views = shard
            .iter()
            .map(|(name, view)| (format!("{prefix}{name}"), view));
        views.collect::<Vec<_>>()
    });
    let path = folder.join(format!("checkpoint-{}.safetensors", prefixes.len()));
    safetensors::serialize_to_file(views, None, &path).unwrap();
    path
}
