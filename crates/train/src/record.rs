//! What a run was made from, so that it can be made again: `config.toml` (the whole configuration, every layer laid over the
//! others) and `run.json` (git state, SHA-256 of corpus, tokenizer and start weights) in the run folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use medsam3_files::{Existing, atomic_write_bytes};
use medsam3_weights::{MANIFEST_FILE, RunningHash, today};
use serde::{Deserialize, Serialize};

use crate::checkpoint;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::model_card::{PERMISSIVE, RESEARCH_ONLY, SHARE_ALIKE, licence};
use medsam3_corpus::{Dataset, Split};

/// The configuration's name in the run folder.
pub const CONFIG_FILE: &str = "config.toml";
const RECORD_FILE: &str = "run.json";
const INDEX_FILE: &str = "index.json";
const DATASET_FILE: &str = "dataset.json";

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// This program and its version.
    pub program: String,
    /// The configuration that was named.
    pub config_file: PathBuf,
    /// SHA-256 of the corpus' `index.json`.
    pub corpus_index_sha256: String,
    /// By name.
    pub datasets: BTreeMap<String, DatasetRecord>,
    /// SHA-256 of `tokenizer.json`.
    pub tokenizer_sha256: String,
    /// The weights that the run starts from; random where absent.
    pub start: Option<StartRecord>,
    /// Licence of the resulting weights: the strictest of the data's and the start's.
    pub licence: String,
    /// The first session and every one that resumed it.
    pub sessions: Vec<Session>,
}

/// One dataset as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// SHA-256 of its `dataset.json`.
    pub sha256: String,
    /// Training images.
    pub train: usize,
    /// Validation images.
    pub val: usize,
}

/// Start weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// Model folder or run folder.
    pub folder: PathBuf,
    /// What was hashed: the checkpoint, or the manifest, which holds the SHA-256 of every shard.
    pub file: String,
    /// SHA-256 of it.
    pub sha256: String,
}

/// One call of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Day, UTC.
    pub date: String,
    /// Optimiser step that it began at.
    pub step: usize,
    /// The repository of the working directory; absent outside of one.
    pub git: Option<Git>,
    /// Operating system and architecture.
    pub system: String,
    /// Hardware threads.
    pub threads: usize,
}

/// State of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Commit.
    pub commit: String,
    /// Files that differ from it.
    pub changed: Vec<String>,
}

/// Writes both files for a run that begins or goes on at `step`.
///
/// # Errors
/// Files that cannot be read or written.
pub(crate) fn write(
    config: &TrainConfig,
    datasets: &[Dataset],
    step: usize,
) -> Result<(), TrainError> {
    let folder = &config.run.folder;
    let earlier = if step > 0 { read(folder)? } else { None };
    let mut record = match earlier {
        Some(record) => record,
        None => gather(config, datasets)?,
    };
    record.sessions.push(Session {
        date: today(),
        step,
        git: git(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    });
    let text = toml::to_string(config).map_err(|error| TrainError::Other {
        context: "writing the configuration",
        reason: error.to_string(),
    })?;
    let whole = |path: &Path, text: &str| {
        atomic_write_bytes(path, Existing::Replace, text.as_bytes()).map_err(|source| {
            TrainError::Write {
                path: path.to_owned(),
                source,
            }
        })
    };
    whole(&folder.join(CONFIG_FILE), &text)?;
    let path = folder.join(RECORD_FILE);
    let text = serde_json::to_string_pretty(&record).map_err(|source| TrainError::Json {
        path: path.clone(),
        source,
    })?;
    whole(&path, &text)
}

/// The record of a run folder, where it has one.
///
/// # Errors
/// A file that is damaged.
pub fn read(folder: &Path) -> Result<Option<Record>, TrainError> {
    let path = folder.join(RECORD_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(|source| TrainError::Read {
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| TrainError::Json { path, source })
}

fn gather(config: &TrainConfig, all: &[Dataset]) -> Result<Record, TrainError> {
    let root = &config.data.root;
    let earlier = match &config.run.start_from {
        Some(folder) => licence_of(folder)?,
        None => None,
    };
    let datasets = all.iter().map(|set| {
        let count = |split| set.items.iter().filter(|item| item.split == split).count();
        let record = DatasetRecord {
            sha256: sha256(&root.join(&set.name).join(DATASET_FILE))?,
            train: count(Split::Train),
            val: count(Split::Val),
        };
        Ok((set.name.clone(), record))
    });
    let start = config.run.start_from.as_ref().map(|folder| {
        let file = match checkpoint::latest(folder)? {
            Some(path) => path,
            None => folder.join(MANIFEST_FILE),
        };
        Ok::<_, TrainError>(StartRecord {
            folder: folder.clone(),
            sha256: sha256(&file)?,
            file: file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        })
    });
    Ok(Record {
        program: format!("medsam3 {}", env!("CARGO_PKG_VERSION")),
        config_file: config.file.clone(),
        corpus_index_sha256: sha256(&root.join(INDEX_FILE))?,
        datasets: datasets.collect::<Result<_, TrainError>>()?,
        tokenizer_sha256: sha256(&config.data.tokenizer)?,
        licence: strictest(licence(all), earlier.as_deref()).to_owned(),
        start: start.transpose()?,
        sessions: Vec::new(),
    })
}

/// Of a run folder or a model folder, where it says.
fn licence_of(folder: &Path) -> Result<Option<String>, TrainError> {
    if let Some(record) = read(folder)? {
        return Ok(Some(record.licence));
    }
    let manifest = fs::read(folder.join(MANIFEST_FILE)).ok();
    let manifest: Option<serde_json::Value> =
        manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(manifest.and_then(|manifest| Some(manifest.get("licence")?.as_str()?.to_owned())))
}

/// Terms that are not known here are the strictest: they are another's.
fn strictest<'a>(data: &'a str, start: Option<&'a str>) -> &'a str {
    let rank = |licence: &str| {
        let known = [PERMISSIVE, SHARE_ALIKE, RESEARCH_ONLY];
        known
            .iter()
            .position(|&known| known == licence)
            .unwrap_or(known.len())
    };
    match start {
        Some(start) if rank(start) > rank(data) => start,
        _ => data,
    }
}

fn sha256(path: &Path) -> Result<String, TrainError> {
    let failed = |source| TrainError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::File::open(path).map_err(failed)?;
    let (mut hash, mut buffer) = (RunningHash::default(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hash.finish()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

fn git() -> Option<Git> {
    let ask = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(text)
    };
    let commit = ask(&["rev-parse", "HEAD"])?.trim().to_owned();
    let changed = ask(&["status", "--porcelain"])?;
    Some(Git {
        commit,
        changed: changed.lines().map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_of_the_start_weights_stay_unless_the_data_are_stricter() {
        assert_eq!(strictest(PERMISSIVE, None), PERMISSIVE);
        assert_eq!(strictest(PERMISSIVE, Some(SHARE_ALIKE)), SHARE_ALIKE);
        assert_eq!(strictest(RESEARCH_ONLY, Some(SHARE_ALIKE)), RESEARCH_ONLY);
        assert_eq!(strictest(RESEARCH_ONLY, Some("SAM Licence")), "SAM Licence");
    }
}
