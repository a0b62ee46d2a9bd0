//! The report of an evaluation in a folder: `report.md`, `report.html` (no script, nothing loaded from elsewhere), `report.json`,
//! `cases.jsonl` with every measured case, and `pictures/` of the best, the median and the worst case of every prompt.

mod document;
mod html;
mod markdown;
mod picture;
mod reliability;
mod sections;

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use medsam3_files::{Existing, atomic_write, atomic_write_bytes};
use medsam3_imaging::Rgb8;
use serde::Serialize;

use crate::case::Case;
use crate::error::EvalError;
use crate::evaluation::Evaluation;
use document::{Document, Figure};

/// A dataset, as the report lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetFacts {
    /// Folder.
    pub name: String,
    /// Full title.
    pub title: String,
    /// Licence and tier.
    pub licence: String,
    /// `train`, or `external`: never trained on.
    pub role: String,
}

/// What was measured and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// The model's name and the first digits of its manifest's hash.
    pub model: String,
    /// Part of the datasets.
    pub split: String,
    /// Which mask was measured, as a sentence.
    pub rule: String,
    /// Device.
    pub device: String,
    /// The command that repeats it.
    pub command: String,
    /// Tolerance of the normalised surface distance in pixels.
    pub tolerance_px: f64,
    /// Images measured.
    pub images: usize,
    /// Seconds by the wall clock.
    pub seconds: f64,
    /// The datasets.
    pub datasets: Vec<DatasetFacts>,
}

/// Writes the report into `folder`, which is made if missing. `open` reads the image of a case again for its picture.
///
/// # Errors
/// A file that cannot be written (a full disk), or what `open` returns.
pub fn write_report<E: From<EvalError>>(
    folder: &Path,
    about: &About,
    evaluation: &Evaluation,
    cases: &[Case],
    mut open: impl FnMut(&Case) -> Result<Rgb8, E>,
) -> Result<(), E> {
    let pictures = folder.join("pictures");
    fs::create_dir_all(&pictures).map_err(|source| EvalError::Write {
        path: pictures.clone(),
        source,
    })?;
    let figures = Figure::choose(cases);
    for figure in &figures {
        let image = open(figure.case)?;
        let bytes = picture::draw(&image, &figure.case.found.mask(), &figure.case.truth.mask());
        write(&folder.join(&figure.file), &bytes)?;
    }
    let document = Document::new(about, evaluation, &figures);
    write(
        &folder.join("report.md"),
        markdown::render(&document).as_bytes(),
    )?;
    write(
        &folder.join("report.html"),
        html::render(&document).as_bytes(),
    )?;
    let whole = serde_json::json!({ "about": about, "evaluation": evaluation });
    write(
        &folder.join("report.json"),
        format!("{whole:#}\n").as_bytes(),
    )?;
    Ok(write_lines(&folder.join("cases.jsonl"), cases)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EvalError> {
    atomic_write_bytes(path, Existing::Replace, bytes).map_err(|source| EvalError::Write {
        path: path.to_owned(),
        source,
    })
}

fn write_lines(path: &Path, cases: &[Case]) -> Result<(), EvalError> {
    let written = atomic_write(path, Existing::Replace, |file| {
        let mut file = BufWriter::new(file);
        for case in cases {
            serde_json::to_writer(&mut file, case)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    });
    written.map_err(|source| EvalError::Write {
        path: path.to_owned(),
        source,
    })
}
