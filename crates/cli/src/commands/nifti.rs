//! `medsam3 nifti`: a series as a NIfTI-1 volume, modality values with the affine of the patient.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Result;
use medsam3_files::atomic_write;
use medsam3_imaging::series::{Problem, Series, Volume, Voxels};
use medsam3_imaging::{Affine, write_nifti};
use serde::Serialize;

use super::inspect_images::list;
use crate::failure::UsageError;
use crate::results::{existing, file_not_written};
use crate::terminal;

/// Writes a series as a NIfTI volume.
///
/// Values are modality values (HU for CT), as 16-bit integers where they all are, else as 32-bit floats. Slices are in the
/// order of their places, and the affine is sform and qform. A tilted series is refused; missing slices hold the smallest
/// value and are named.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 nifti ct-folder --out ct.nii.gz
  medsam3 inspect disc && medsam3 nifti disc --series 3 --out third.nii.gz")]
pub struct Arguments {
    /// A file, a folder, a zip archive or a DICOMDIR
    input: PathBuf,
    /// The file to write, *.nii.gz
    #[arg(long, value_name = "FILE.nii.gz")]
    out: PathBuf,
    /// Which series, as `medsam3 inspect` numbers them; needed where there are several
    #[arg(long, value_name = "N")]
    series: Option<usize>,
    /// Replace a file of that name
    #[arg(long)]
    overwrite: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Written<'a> {
    out: &'a Path,
    /// Columns, rows, slices, frames.
    shape: [usize; 4],
    data_type: &'static str,
    /// Voxel (column, row, slice) to patient LPS in mm.
    affine: Option<Affine>,
    /// Slices that no picture was there for, from 0.
    missing_slices: &'a [usize],
    problems: &'a [Problem],
}

/// Reads, writes and says what was written.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { input, out, .. } = arguments;
    if !out.to_string_lossy().ends_with(".nii.gz") {
        return Err(UsageError("--out must end in .nii.gz".to_owned()).into());
    }
    let mut listing = list(std::slice::from_ref(input))?;
    if listing.series.is_empty() && !listing.failures.is_empty() {
        let failed = listing.failures.remove(0);
        return Err(anyhow::Error::from(failed.error).context(failed.name));
    }
    let series = choose(&listing.series, arguments.series)?;
    let volume = series.volume()?;
    write(&volume, out, arguments.overwrite)?;
    if !volume.missing.is_empty() {
        let missing: Vec<_> = volume
            .missing
            .iter()
            .map(|slice| (slice + 1).to_string())
            .collect();
        note!(
            "warning [gap]: no picture for slice {} of {}; the smallest value is there",
            missing.join(", "),
            volume.slices
        );
    }
    for problem in series.problems() {
        if *problem != Problem::Gap {
            note!("warning [{}]", problem.code());
        }
    }
    let written = Written {
        out,
        shape: [volume.columns, volume.rows, volume.slices, volume.frames],
        data_type: match volume.voxels {
            Voxels::I16(_) => "int16",
            Voxels::F32(_) => "float32",
            Voxels::Rgb(_) => "rgb24",
        },
        affine: volume.affine,
        missing_slices: &volume.missing,
        problems: series.problems(),
    };
    if arguments.json {
        terminal::json(&written)?;
    } else {
        let [columns, rows, slices, frames] = written.shape;
        say!(
            "{}: {columns} x {rows} x {slices} x {frames}, {}",
            out.display(),
            written.data_type
        )?;
    }
    Ok(())
}

/// The series asked for, else the only one.
pub(super) fn choose(series: &[Series], number: Option<usize>) -> Result<&Series> {
    let count = series.len();
    match (number, series) {
        (_, []) => Err(medsam3_imaging::ImagingError::NotAnImage.into()),
        (None, [only]) => Ok(only),
        (None, _) => Err(UsageError(format!(
            "there are {count} series; choose one with --series, as `medsam3 inspect` numbers them"
        ))
        .into()),
        (Some(number), _) => number
            .checked_sub(1)
            .and_then(|index| series.get(index))
            .ok_or_else(|| {
                UsageError(format!(
                    "there is no series {number}; the last one is {count}"
                ))
                .into()
            }),
    }
}

/// The whole file or none.
fn write(volume: &Volume, out: &Path, overwrite: bool) -> Result<()> {
    // The writer's own errors go through the file's.
    let written = atomic_write(out, existing(overwrite), |file| {
        write_nifti(volume, BufWriter::new(file)).map_err(std::io::Error::other)
    });
    written.map_err(|error| {
        let if_there = "Use --overwrite to replace it, or choose another name with --out.";
        file_not_written(out, &error, if_there).into()
    })
}
