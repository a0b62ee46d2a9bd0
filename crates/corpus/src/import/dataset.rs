//! `dataset.json` of an imported dataset and its line in the corpus' `index.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use medsam3_files::{Existing, Lock, ScratchFolder, atomic_write_bytes};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ImportError;
use super::manifest::Manifest;
use super::notes::Note;
use super::write::{Item, indices_of, names};
use super::{Filled, Options};
use crate::Split;
use crate::error::CorpusError;

const INDEX_FILE: &str = "index.json";
/// Held while the index is changed.
const LOCK_FILE: &str = ".lock";
const DATASET_FILE: &str = "dataset.json";

/// What an import wrote.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The dataset's folder.
    pub folder: PathBuf,
    /// Images.
    pub images: usize,
    /// Whom they were taken from.
    pub subjects: usize,
    /// Images per part.
    pub counts: BTreeMap<&'static str, usize>,
    /// Images that show a prompt, per part.
    pub positives_per_prompt: BTreeMap<String, BTreeMap<&'static str, usize>>,
    /// Indices made for labels that lie on one another.
    pub combinations: usize,
    /// Pixels of objects that a later object took, as an object map has one object per pixel.
    pub overlapped_object_pixels: usize,
    /// What was left out or may be meant otherwise.
    pub notes: Vec<Note>,
}

/// Writes `dataset.json`, gives the hidden folder its name and lists it in `index.json`.
///
/// # Errors
/// Files that cannot be written, an index that is damaged.
pub(super) fn publish(
    manifest: &Manifest,
    out: &Path,
    scratch: ScratchFolder,
    filled: Filled,
    objects: bool,
    options: &Options,
) -> Result<Summary, CorpusError> {
    let labels = u8::try_from(manifest.labels.len()).unwrap_or(u8::MAX);
    let holders = indices_of(labels, &filled.indices);
    let items = &filled.items;
    let prompts: Vec<Value> = manifest
        .prompts
        .iter()
        .map(|prompt| {
            let mut indices: Vec<u8> = (prompt.labels.iter())
                .filter_map(|name| holders.get(&manifest.label(name)?))
                .flatten()
                .copied()
                .collect();
            indices.sort_unstable();
            indices.dedup();
            json!({ "canonical": prompt.canonical, "synonyms": prompt.synonyms, "indices": indices })
        })
        .collect();
    let positives = manifest.prompts.iter().map(|prompt| {
        let wanted: Vec<u8> = prompt
            .labels
            .iter()
            .filter_map(|name| manifest.label(name))
            .collect();
        let shown = |item: &&Item| wanted.iter().any(|label| item.single.contains(label));
        (prompt.canonical.clone(), counts(items.iter().filter(shown)))
    });
    let subjects: std::collections::BTreeSet<&str> =
        items.iter().map(|item| item.subject.as_str()).collect();
    let target = out.join(&manifest.name);
    let summary = Summary {
        folder: target.clone(),
        images: items.len(),
        subjects: subjects.len(),
        counts: counts(items.iter()),
        positives_per_prompt: positives.collect(),
        combinations: filled.indices.combinations().count(),
        overlapped_object_pixels: filled.overlapped,
        notes: filled.notes.list(),
    };
    let dataset = json!({
        "name": manifest.name,
        "title": manifest.title,
        "modality": manifest.modality,
        "body_part": manifest.body_part,
        "role": manifest.role,
        "licence": manifest.licence,
        "source": manifest.source,
        "split_rule": split_rule(manifest),
        "instances": objects,
        "labels": names(&manifest.labels, &filled.indices),
        "prompts": prompts,
        "counts": summary.counts,
        "positives_per_prompt": summary.positives_per_prompt,
        "n": summary.images,
        "items": items,
    });
    let entry = json!({
        "name": manifest.name,
        "title": manifest.title,
        "modality": manifest.modality,
        "body_part": manifest.body_part,
        "role": manifest.role,
        "tier": manifest.licence.tier,
        "licence": manifest.licence.name,
        "n": summary.images,
        "counts": summary.counts,
        "instances": objects,
        "prompts": dataset["prompts"],
        "positives_per_prompt": summary.positives_per_prompt,
    });
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| CorpusError::Write { path, source }
    };
    let hidden = scratch.path();
    write_whole(&hidden.join(DATASET_FILE), &pretty(&dataset, hidden)?)?;
    // One import at a time from here on: the index is read, changed and written.
    let lock_file = out.join(LOCK_FILE);
    let _lock = Lock::wait(&lock_file).map_err(failed(&lock_file))?;
    if target.exists() && !options.replace {
        return Err(ImportError::Exists { path: target }.into());
    }
    // Read first: a damaged index must not cost the import after the folder has its name.
    let index = listed(out, &manifest.name, entry)?;
    let index = pretty(&index, out)?;
    scratch.put_in_place().map_err(failed(&target))?;
    write_whole(&out.join(INDEX_FILE), &index)?;
    Ok(summary)
}

fn counts<'a>(items: impl Iterator<Item = &'a Item>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        let part = match item.split {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        };
        *counts.entry(part).or_default() += 1;
    }
    counts
}

fn split_rule(manifest: &Manifest) -> String {
    let rule = &manifest.split;
    let named = match &rule.group {
        Some(group) => format!("as published ({{{group}}} of the path); "),
        None => String::new(),
    };
    format!(
        "{named}of the remaining subjects {} to val and {} to test by SHA-256 of the subject",
        rule.val, rule.test
    )
}

/// The corpus' index with `entry` in place of an older one of the same name, or of a new corpus.
fn listed(out: &Path, name: &str, entry: Value) -> Result<Value, CorpusError> {
    let path = out.join(INDEX_FILE);
    let mut index = if path.is_file() {
        let bytes = fs::read(&path).map_err(|source| CorpusError::Read {
            path: path.clone(),
            source,
        })?;
        serde_json::from_slice(&bytes).map_err(|source| CorpusError::Json {
            path: path.clone(),
            source,
        })?
    } else {
        json!({ "datasets": [] })
    };
    let Some(datasets) = index.get_mut("datasets").and_then(Value::as_array_mut) else {
        return Err(CorpusError::Read {
            path,
            source: std::io::Error::other("it has no list of datasets"),
        });
    };
    match datasets.iter_mut().find(|other| other["name"] == name) {
        Some(other) => *other = entry,
        None => datasets.push(entry),
    }
    Ok(index)
}

fn write_whole(path: &Path, text: &str) -> Result<(), CorpusError> {
    atomic_write_bytes(path, Existing::Replace, text.as_bytes()).map_err(|source| {
        CorpusError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

fn pretty(value: &Value, path: &Path) -> Result<String, CorpusError> {
    serde_json::to_string_pretty(value).map_err(|source| CorpusError::Json {
        path: path.to_owned(),
        source,
    })
}
