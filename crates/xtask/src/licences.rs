//! Everything that is shipped beside the code has a licence that allows it and an attribution that travels with it:
//! the sample cases in `public/samples` and the model folders in `weights/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::fingerprint::sha256_hex;
use crate::workspace::Workspace;

/// Licences under which a picture may be handed on with the code.
const ACCEPTED: [&str; 6] = [
    "CC0-1.0",
    "CC-BY",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "Apache-2.0",
    "LicenseRef-MNI-ICBM152",
];
/// Files in `public/samples` that are not samples.
const RECORDS: [&str; 3] = ["index.json", "SOURCES.md", "LICENSE-MNI-ICBM152.txt"];
/// Budget of the shipped model, which every visitor downloads.
const MODEL_BUDGET_BYTES: u64 = 20_000_000;

/// Runs all checks; returns how many held and the sentences of those that did not.
pub fn check(workspace: &Workspace) -> Result<(usize, Vec<String>)> {
    let mut results = Vec::new();
    let samples = workspace.path("public/samples");
    let index: Value = serde_json::from_str(&fs::read_to_string(samples.join("index.json"))?)?;
    let sources = fs::read_to_string(samples.join("SOURCES.md"))?;
    let entries = index
        .as_array()
        .context("public/samples/index.json is not a list")?;
    for entry in entries {
        results.push(sample(&samples, entry, &sources));
    }
    results.push(nothing_unlisted(&samples, entries));
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        results.push(
            fs::metadata(workspace.path(name))
                .map(drop)
                .with_context(|| format!("{name} is missing")),
        );
    }
    for model in model_folders(workspace)? {
        results.push(model_folder(&model));
    }
    let failures: Vec<String> = results
        .iter()
        .filter_map(|result| result.as_ref().err().map(|e| format!("{e:#}")))
        .collect();
    Ok((results.len() - failures.len(), failures))
}

fn sample(folder: &Path, entry: &Value, sources: &str) -> Result<()> {
    let text = |key: &str| -> Result<&str> {
        let value = entry.get(key).and_then(Value::as_str).unwrap_or_default();
        ensure!(
            !value.is_empty(),
            "public/samples/index.json: an entry lacks `{key}`"
        );
        Ok(value)
    };
    let file = text("file")?;
    for key in ["id", "title", "modality", "attribution", "source"] {
        text(key)?;
    }
    let licence = text("licence")?;
    ensure!(
        ACCEPTED.contains(&licence),
        "{file}: licence {licence} is not among those that may be handed on"
    );
    ensure!(
        sources.contains(&format!("`{file}`")),
        "{file} is missing in SOURCES.md"
    );
    ensure!(
        entry
            .get("prompts")
            .and_then(Value::as_array)
            .is_some_and(|p| !p.is_empty()),
        "{file} has no prompts"
    );
    let bytes =
        fs::read(folder.join(file)).with_context(|| format!("cannot read sample {file}"))?;
    ensure!(
        sha256_hex(&bytes) == text("sha256")?,
        "{file} is not the file whose licence was looked up (SHA-256 differs)"
    );
    Ok(())
}

fn nothing_unlisted(folder: &Path, entries: &[Value]) -> Result<()> {
    let listed: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| entry.get("file")?.as_str())
        .chain(RECORDS)
        .collect();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(
            listed.contains(name.as_str()),
            "public/samples/{name} has no entry in index.json"
        );
    }
    Ok(())
}

fn model_folders(workspace: &Workspace) -> Result<Vec<std::path::PathBuf>> {
    let weights = workspace.path("weights");
    if !weights.is_dir() {
        return Ok(Vec::new());
    }
    let mut folders = Vec::new();
    for entry in fs::read_dir(weights)? {
        let path = entry?.path();
        if path.join("manifest.json").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// A shipped model has a card that names its data, licence and limits, and stays within the download budget.
fn model_folder(folder: &Path) -> Result<()> {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let card = fs::read_to_string(folder.join("MODEL_CARD.md"))
        .with_context(|| format!("weights/{name} has no MODEL_CARD.md"))?;
    let card = card.to_lowercase();
    for word in ["licence", "attribution", "limit", "dice"] {
        ensure!(
            card.contains(word),
            "weights/{name}/MODEL_CARD.md says nothing about: {word}"
        );
    }
    let manifest: Value = serde_json::from_str(&fs::read_to_string(folder.join("manifest.json"))?)?;
    let licence = manifest.get("licence").or_else(|| manifest.get("license"));
    ensure!(
        licence.is_some_and(|licence| !licence.is_null()),
        "weights/{name}/manifest.json names no licence"
    );
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    ensure!(
        bytes <= MODEL_BUDGET_BYTES,
        "weights/{name} has {bytes} bytes, more than the budget of {MODEL_BUDGET_BYTES}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sha256: &str, licence: &str) -> Value {
        serde_json::json!({
            "id": "x", "title": "X", "file": "x.jpg", "modality": "X-ray", "prompts": ["lungs"],
            "attribution": "A", "licence": licence, "source": "S", "sha256": sha256,
        })
    }

    #[test]
    fn a_sample_needs_an_accepted_licence_its_own_bytes_and_a_source() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.jpg"), b"abc").unwrap();
        let hash = sha256_hex(b"abc");
        let sources = "| `x.jpg` |";
        assert!(sample(dir.path(), &entry(&hash, "CC0-1.0"), sources).is_ok());
        assert!(sample(dir.path(), &entry(&hash, "CC-BY-NC-SA-4.0"), sources).is_err());
        assert!(
            sample(
                dir.path(),
                &entry(&sha256_hex(b"other"), "CC0-1.0"),
                sources
            )
            .is_err()
        );
        assert!(sample(dir.path(), &entry(&hash, "CC0-1.0"), "").is_err());
        assert!(nothing_unlisted(dir.path(), &[entry(&hash, "CC0-1.0")]).is_ok());
        assert!(nothing_unlisted(dir.path(), &[]).is_err());
    }
}
