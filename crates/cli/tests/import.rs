//! `medsam3 import` as a program: what it prints, how it fails, and that a full disk leaves the corpus as it was.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_medsam3");
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/import");

const MANIFEST: &str = include_str!("../../../tests/import/cells.toml");

fn import(folder: &Path, more: &[&str]) -> Output {
    let always = ["import", "cells.toml", "--out", "corpus", "--from"];
    let from = Path::new(FIXTURES).join("coco");
    let mut command = Command::new(PROGRAM);
    command
        .current_dir(folder)
        .args(always)
        .arg(from)
        .args(more)
        .output()
        .expect("the program")
}

fn assert_fails(output: &Output, code: &str, file: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("[{code}]")) && text.contains(file),
        "{code} {file}: {text}"
    );
}

#[test]
fn a_dataset_is_imported_once_and_replaced_with_leave() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("cells.toml"), MANIFEST).expect("a manifest");
    let output = import(folder.path(), &["--json"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(
        (&summary["images"], &summary["counts"]["train"]),
        (&3.into(), &3.into())
    );
    assert_fails(&import(folder.path(), &[]), "CORPUS-IMPORT-EXISTS", "cells");
    assert!(
        import(folder.path(), &["--replace", "--max-side", "20"])
            .status
            .success()
    );
    let image = std::fs::read_dir(folder.path().join("corpus/cells/images"))
        .expect("images")
        .next();
    let size =
        image::image_dimensions(image.expect("one").expect("an entry").path()).expect("an image");
    assert_eq!(size.0.max(size.1), 20);
}

#[test]
fn a_wrong_manifest_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = [
        MANIFEST.replace("kind = \"coco\"", "kind = \"voc\""),
        MANIFEST.replace("labels = [\"cell\"]", "labels = [\"nothing\"]"),
        MANIFEST.replace("name = \"cells\"", "name = \"Cells!\""),
        MANIFEST.replace("modality =", "modallity ="),
        MANIFEST.replace("{part}.json", "{part.json"),
    ];
    for text in wrong {
        std::fs::write(folder.path().join("cells.toml"), text).expect("a manifest");
        assert_fails(
            &import(folder.path(), &[]),
            "CORPUS-IMPORT-MANIFEST",
            "cells.toml",
        );
        assert!(!folder.path().join("corpus").exists());
    }
}

/// A limit of one KiB a file: the images fit, `dataset.json` does not.
#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_corpus_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("cells.toml"), MANIFEST).expect("a manifest");
    let limited = Command::new("bash")
        .current_dir(folder.path())
        .args([
            "-c",
            "ulimit -f 1; exec \"$@\"",
            "-",
            PROGRAM,
            "import",
            "cells.toml",
            "--out",
            "corpus",
            "--from",
        ])
        .arg(Path::new(FIXTURES).join("coco"))
        .output()
        .expect("bash");
    assert_fails(&limited, "CORPUS-WRITE", "corpus");
    assert_eq!(
        std::fs::read_dir(folder.path().join("corpus"))
            .expect("the corpus")
            .count(),
        0
    );
    assert!(import(folder.path(), &[]).status.success());
}

/// Six programs, six datasets, one corpus: every set is listed, whoever was first.
#[test]
fn six_imports_at_once_lose_no_dataset() {
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (0..6).map(|n| format!("cells{n}")).collect();
    for name in &names {
        let text = MANIFEST.replace("name = \"cells\"", &format!("name = \"{name}\""));
        std::fs::write(folder.path().join(format!("{name}.toml")), text).expect("a manifest");
    }
    for round in 0..20 {
        let started: Vec<_> = names
            .iter()
            .map(|name| {
                Command::new(PROGRAM)
                    .current_dir(folder.path())
                    .args(["import", "--replace", "--out", "corpus", "--from"])
                    .arg(Path::new(FIXTURES).join("coco"))
                    .arg(format!("{name}.toml"))
                    .stdout(std::process::Stdio::null())
                    .spawn()
                    .expect("the program")
            })
            .collect();
        for mut one in started {
            assert!(one.wait().expect("an end").success(), "round {round}");
        }
        let index = std::fs::read(folder.path().join("corpus/index.json")).expect("an index");
        let index: Value = serde_json::from_slice(&index).expect("valid JSON");
        assert_eq!(
            index["datasets"].as_array().map(Vec::len),
            Some(6),
            "round {round}"
        );
    }
}
