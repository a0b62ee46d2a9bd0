//! `medsam3 measure`: a segmentation of any program laid on its series, measured, and compared with a reference.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use medsam3_files::atomic_write_bytes;
use medsam3_imaging::series::{MemorySource, Series, SharedSource};
use medsam3_segmentation::{
    Comparison, Imported, Measurement, Segment, Segmentation, compare, measure, read_any, write_csv,
};
use serde::Serialize;

use super::inspect_images::list;
use super::nifti::choose;
use crate::failure::CommandError;
use crate::results::{existing, file_not_written};
use crate::terminal;

/// Measures a segmentation on its series: volume, gray values, diameters, place.
///
/// The segmentation is a DICOM SEG, an RT Structure Set or a NIfTI label map, of this program or another. What does not
/// belong to the series is refused.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 measure ct-folder masks/ct-folder.seg.dcm
  medsam3 measure ct-folder masks/ct-folder.liver.nii.gz --reference expert.nii.gz --tolerance 2 --json

With --reference, segments are paired by their names, or by their numbers where no name is in both.

Research and teaching only. Not a medical device.")]
pub struct Arguments {
    /// A file, a folder, a zip archive or a DICOMDIR
    #[arg(value_name = "SERIES")]
    input: PathBuf,
    /// DICOM SEG, RT Structure Set or NIfTI
    segmentation: PathBuf,
    /// Which series of the input, as `medsam3 inspect` numbers them; needed where there are several
    #[arg(long, value_name = "N")]
    series: Option<usize>,
    /// A segmentation to compare with: Dice, IoU, and distances of surfaces (HD95, NSD)
    #[arg(long, value_name = "R")]
    reference: Option<PathBuf>,
    /// What the normalised surface distance tolerates, in mm, in pixels where the series is not calibrated
    #[arg(long, value_name = "MM", default_value_t = 2.0, value_parser = tolerance)]
    tolerance: f64,
    /// Write the table of measurements here
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// Replace a table of that name
    #[arg(long, requires = "csv")]
    overwrite: bool,
    /// One JSON object per segment instead of text
    #[arg(long)]
    json: bool,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("not a distance".to_owned()),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    measurement: &'a Measurement,
    /// The segment of the reference that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

/// Reads, measures, compares, says it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let listing = list(std::slice::from_ref(&arguments.input))?;
    let series = choose(&listing.series, arguments.series)?;
    let segmentation = read(series, &arguments.segmentation)?;
    let reference = arguments.reference.as_deref();
    let reference = reference.map(|path| read(series, path)).transpose()?;
    let measurements = measure(series, &segmentation)?;
    if measurements.is_empty() {
        note!("no segment has a pixel on this series");
    }
    for measurement in &measurements {
        let segment = segmentation.segments().get(measurement.number - 1);
        let segment = segment.context("a measurement of no segment")?;
        let partner = reference
            .as_ref()
            .and_then(|reference| partner(&segmentation, measurement.number - 1, reference));
        let comparison = partner.map(|other| {
            let frame = measurement.frame;
            compare(series, segment, other, frame, arguments.tolerance)
        });
        let line = Line {
            measurement,
            reference: partner.map(|segment| segment.name.as_str()),
            comparison: comparison.transpose()?,
        };
        if arguments.json {
            terminal::json(&line)?;
        } else {
            say!("{}", in_words(&line)?)?;
        }
    }
    match &arguments.csv {
        Some(path) => write_table(path, arguments.overwrite, &segmentation, &measurements),
        None => Ok(()),
    }
}

/// Reads a segmentation by its content and lays it on the series.
fn read(series: &Series, path: &Path) -> Result<Segmentation> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| CommandError {
            code: "INPUT-READ",
            message: format!("the file cannot be read: {error}"),
            next_step: "Check its name and that you may read it.",
        })
        .with_context(name)?;
    let source: SharedSource = Arc::new(MemorySource::new(name(), bytes));
    let Imported {
        segmentation,
        left_out,
    } = read_any(series, &source, &label(path)).with_context(name)?;
    if left_out > 0 {
        note!(
            "{}: {left_out} frames or contours lie on no picture of the series",
            name()
        );
    }
    Ok(segmentation)
}

/// What the segment of a label map is called: `liver` of `ct.liver.nii.gz`.
fn label(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(".gz").trim_end_matches(".nii");
    let last = name.rsplit('.').next();
    last.unwrap_or(name).to_owned()
}

/// The segment of the reference that a segment is compared with.
fn partner<'a>(
    segmentation: &Segmentation,
    index: usize,
    reference: &'a Segmentation,
) -> Option<&'a Segment> {
    let named = |segment: &Segment| {
        let name = segment.name.to_lowercase();
        let mut others = reference.segments().iter();
        others.find(|other| other.name.to_lowercase() == name)
    };
    if segmentation
        .segments()
        .iter()
        .any(|segment| named(segment).is_some())
    {
        return named(segmentation.segments().get(index)?);
    }
    reference.segments().get(index)
}

fn write_table(
    path: &Path,
    overwrite: bool,
    segmentation: &Segmentation,
    measurements: &[Measurement],
) -> Result<()> {
    let mut table = Vec::new();
    write_csv(segmentation, measurements, &mut table)?;
    atomic_write_bytes(path, existing(overwrite), &table).map_err(|error| {
        let if_there = "Use --overwrite to replace it, or choose another name with --csv.";
        file_not_written(path, &error, if_there).into()
    })
}

/// A few lines for a person.
fn in_words(line: &Line<'_>) -> Result<String> {
    let of = line.measurement;
    let mut words = Vec::new();
    write!(words, "{} \"{}\"", of.number, of.name)?;
    if of.frame > 0 {
        write!(words, "  frame {}", of.frame)?;
    }
    write!(
        words,
        "  {} voxels in {} slices",
        of.voxels,
        of.slices.len()
    )?;
    match (of.volume_ml, of.area_mm2()) {
        (Some(volume), _) => write!(words, "  {volume:.3} ml")?,
        (None, Some(area)) => write!(words, "  {area:.1} mm²")?,
        (None, None) => write!(words, "  not calibrated")?,
    }
    if let Some(gray) = &of.statistics {
        let unit = gray.unit;
        write!(
            words,
            "  {:.1} ± {:.1} {unit} ({} to {})",
            gray.mean, gray.sd, gray.min, gray.max
        )?;
    }
    if let Some([long, short]) = of.largest_slice().and_then(|slice| slice.axes_mm) {
        write!(words, "  {long:.1} x {short:.1} mm")?;
    }
    if let (Some(name), Some(found)) = (line.reference, &line.comparison) {
        write!(
            words,
            "\n  against \"{name}\": Dice {:.4}  IoU {:.4}",
            found.dice, found.iou
        )?;
        if let (Some(hd95), Some(nsd)) = (found.hd95, found.nsd) {
            let (unit, tolerance) = (found.unit, found.tolerance);
            write!(
                words,
                "  HD95 {hd95:.2} {unit}  NSD {nsd:.4} at {tolerance} {unit}"
            )?;
        }
    }
    for warning in &of.warnings {
        write!(words, "\n  warning [{}]", warning.code())?;
    }
    Ok(String::from_utf8(words)?)
}
