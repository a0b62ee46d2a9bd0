//! `medsam3 inspect` of images: the series in files, folders, archives and discs, a line each.

use std::path::PathBuf;

use anyhow::Result;
use medsam3_imaging::series::{Listing, SeriesReport, find, sources_of_paths};
use serde::Serialize;

use crate::failure::{self, CommandError};
use crate::terminal;

/// A series as `--json` shows it.
#[derive(Serialize)]
struct Line {
    /// Its number for `--series`, from 1.
    series: usize,
    #[serde(flatten)]
    report: SeriesReport,
    /// Files that it is made of.
    files: usize,
}

/// The series in some paths, which together are one set of files.
pub fn list(paths: &[PathBuf]) -> Result<Listing> {
    for path in paths {
        std::fs::metadata(path).map_err(|error| CommandError {
            code: "INPUT-READ",
            message: format!("{} cannot be read: {error}", path.display()),
            next_step: "Check its name and that you may read it.",
        })?;
    }
    Ok(find(sources_of_paths(paths)?))
}

/// Prints the series; what could not be read goes to standard error.
pub fn run(paths: &[PathBuf], json: bool) -> Result<()> {
    let mut listing = list(paths)?;
    for (index, series) in listing.series.iter().enumerate() {
        let line = Line {
            series: index + 1,
            report: SeriesReport::of(series),
            files: series.file_names().len(),
        };
        if json {
            terminal::json(&line)?;
        } else {
            say!("{}", in_words(&line))?;
        }
    }
    let nothing = listing.series.is_empty();
    if nothing && listing.failures.len() == 1 {
        // The only cause is the cause.
        let failed = listing.failures.remove(0);
        return Err(anyhow::Error::from(failed.error).context(failed.name));
    }
    for failed in listing.failures {
        note!("{}:", failed.name);
        failure::print(&failed.error.into());
    }
    let others = listing.others.len();
    if others > 0 {
        note!("{others} DICOM objects without pictures (segmentations, structure sets, reports)");
    }
    if listing.skipped > 0 {
        note!("{} files are no images", listing.skipped);
    }
    if nothing {
        return Err(medsam3_imaging::ImagingError::NotAnImage.into());
    }
    Ok(())
}

/// One line for a person.
fn in_words(line: &Line) -> String {
    let Line {
        series,
        report,
        files,
    } = line;
    let modality = report.modality.as_deref().unwrap_or(report.format);
    let mut words = format!(
        "{series:>3}  {:<6}  {modality:<5}  {} x {}",
        report.kind.name(),
        report.columns,
        report.rows
    );
    if report.slices > 1 {
        words += &format!(", {} slices", report.slices);
    }
    if report.frames > 1 {
        words += &format!(", {} frames", report.frames);
    }
    if let Some(spacing) = report.spacing_mm {
        let spacing: Vec<_> = spacing
            .iter()
            .flatten()
            .map(|spacing| format!("{spacing:.3}"))
            .collect();
        words += &format!(", {} mm", spacing.join(" x "));
    }
    words += &format!(", {files} {}", if *files == 1 { "file" } else { "files" });
    if !report.problems.is_empty() {
        let codes: Vec<_> = report
            .problems
            .iter()
            .map(|problem| problem.code())
            .collect();
        words += &format!("  [{}]", codes.join(" "));
    }
    words
}
