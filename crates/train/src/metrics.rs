//! `metrics.jsonl` of a run folder: one JSON object per line, with its kind and step. A resumed run first drops the lines that
//! came after its checkpoint, so that the file reads as that of an unbroken run.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use medsam3_files::{Existing, atomic_write_bytes};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// Their name in the run folder.
pub(crate) const METRICS_FILE: &str = "metrics.jsonl";

#[derive(Serialize)]
struct Line<T: Serialize> {
    kind: &'static str,
    step: usize,
    #[serde(flatten)]
    values: T,
}

#[derive(Deserialize)]
struct Stamp {
    step: usize,
}

/// The open file.
pub(crate) struct Metrics {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Metrics {
    /// Opens the file of `folder` for a run that goes on after `step`.
    pub(crate) fn open(folder: &Path, step: usize) -> Result<Self, TrainError> {
        let path = folder.join(METRICS_FILE);
        let failed = |source| TrainError::Write {
            path: path.clone(),
            source,
        };
        if path.is_file() {
            let text = fs::read_to_string(&path).map_err(|source| TrainError::Read {
                path: path.clone(),
                source,
            })?;
            // A line cut off by a crash has no stamp.
            let kept = text.lines().filter(|line| {
                serde_json::from_str::<Stamp>(line).is_ok_and(|stamp| stamp.step <= step)
            });
            let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
            atomic_write_bytes(&path, Existing::Replace, kept.as_bytes()).map_err(failed)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = BufWriter::new(file.map_err(failed)?);
        Ok(Self { path, file })
    }

    /// Adds a line and hands it to the system.
    pub(crate) fn log(
        &mut self,
        kind: &'static str,
        step: usize,
        values: impl Serialize,
    ) -> Result<(), TrainError> {
        let line = Line { kind, step, values };
        let text = serde_json::to_string(&line).map_err(|source| TrainError::Json {
            path: self.path.clone(),
            source,
        })?;
        writeln!(self.file, "{text}")
            .and_then(|()| self.file.flush())
            .map_err(|source| TrainError::Write {
                path: self.path.clone(),
                source,
            })
    }
}
