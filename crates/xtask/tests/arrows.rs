//! Which crate stands on which: what `Cargo.toml` files say beside the picture of docs/architecture.md. A new arrow is a change
//! of the architecture and belongs into both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each crate and the crates of ours that it may name.
const ARROWS: [(&str, &[&str]); 14] = [
    ("files", &[]),
    ("server", &[]),
    ("kernels", &[]),
    ("imaging", &[]),
    ("weights", &["files"]),
    ("segmentation", &["imaging"]),
    ("model", &["kernels", "weights"]),
    ("eval", &["files", "imaging", "segmentation"]),
    ("corpus", &["files", "imaging", "weights"]),
    ("engine", &["imaging", "model", "weights"]),
    (
        "train",
        &["corpus", "engine", "eval", "files", "model", "weights"],
    ),
    ("web", &["engine", "imaging", "segmentation", "weights"]),
    (
        "cli",
        &[
            "corpus",
            "engine",
            "eval",
            "files",
            "imaging",
            "model",
            "segmentation",
            "server",
            "train",
            "weights",
        ],
    ),
    ("xtask", &["server"]),
];

/// Crates that see tensors. No other may.
const WITH_BURN: [&str; 6] = ["kernels", "model", "engine", "train", "web", "cli"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of a crate's dependencies, those for tests alone left out.
fn dependencies(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let of = |table: &toml::Table| -> Vec<String> {
        let listed = ["dependencies", "build-dependencies"];
        let tables = listed.iter().filter_map(|key| table.get(*key)?.as_table());
        tables.flat_map(|table| table.keys().cloned()).collect()
    };
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::iter);
    let targets = targets.filter_map(|(_, target)| target.as_table());
    of(&manifest)
        .into_iter()
        .chain(targets.flat_map(of))
        .collect()
}

#[test]
fn crates_stand_on_each_other_as_the_picture_says() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = ARROWS
        .iter()
        .map(|(name, below)| (*name, below.iter().copied().collect()))
        .collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(crates()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let below = allowed.get(name.as_str());
        let below = below.unwrap_or_else(|| panic!("{name} has no place in the picture"));
        let named = dependencies(&name);
        let ours = named.iter().filter_map(|d| d.strip_prefix("medsam3-"));
        let wrong: Vec<_> = ours.filter(|name| !below.contains(name)).collect();
        assert!(wrong.is_empty(), "{name} stands on {wrong:?}");
        let is_burn = |name: &String| name.starts_with("burn") || name.starts_with("cubecl");
        let sees_tensors = named.iter().any(is_burn);
        assert!(
            !sees_tensors || WITH_BURN.contains(&name.as_str()),
            "{name} sees tensors"
        );
        found.insert(name);
    }
    let expected: BTreeSet<String> = allowed.keys().map(|&name| name.to_owned()).collect();
    assert_eq!(found, expected);
}

/// Training sees no file format but the corpus'.
#[test]
fn the_trainer_decodes_no_pictures() {
    let formats = ["image", "png", "tiff", "jpeg-decoder", "nifti", "flate2"];
    let named = dependencies("train");
    let decodes = |name: &&String| formats.contains(&name.as_str()) || name.starts_with("dicom");
    let wrong: Vec<_> = named.iter().filter(decodes).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
