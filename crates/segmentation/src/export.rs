//! A whole document as one file, by format, and what files are called: what the page and the command line share.

use std::collections::BTreeSet;
use std::io::Write;

use medsam3_imaging::series::Series;
use rawzip::ZipArchiveWriter;

use crate::dicom::{DicomOptions, write_rtstruct, write_seg};
use crate::document::Segmentation;
use crate::error::SegmentationError;
use crate::measure::Measurement;
use crate::nifti::write_label_map;
use crate::picture::mask_png;
use crate::table::{write_csv, write_json};

/// Bytes that a prompt may take in a name: file systems end at 255 with everything.
const LONGEST: usize = 100;

/// A format that holds all segments in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentFormat {
    /// DICOM segmentation, one bit per segment.
    Seg,
    /// DICOM segmentation as a label map.
    SegLabelmap,
    /// RT Structure Set.
    Rtstruct,
    /// One NIfTI volume with the numbers of the segments.
    NiftiLabelmap,
    /// Table of measurements.
    Csv,
    /// Measurements with every slice.
    Json,
}

impl DocumentFormat {
    /// How a name ends, without the point before it.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Seg => "seg.dcm",
            Self::SegLabelmap => "labelmap.seg.dcm",
            Self::Rtstruct => "rtstruct.dcm",
            Self::NiftiLabelmap => "labelmap.nii.gz",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Whether it lists measurements.
    pub fn needs_measurements(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }

    /// Writes a document. `measurements` are those of [`crate::measure`], for the formats that list them.
    ///
    /// # Errors
    ///
    /// Those of the format: [`write_seg`], [`write_rtstruct`], [`write_label_map`], [`write_csv`], [`write_json`].
    pub fn write(
        self,
        series: &Series,
        document: &Segmentation,
        measurements: &[Measurement],
        options: &DicomOptions,
        output: impl Write,
    ) -> Result<(), SegmentationError> {
        match self {
            Self::Seg | Self::SegLabelmap => {
                let options = DicomOptions {
                    label_map: self == Self::SegLabelmap,
                    ..options.clone()
                };
                write_seg(series, document, &options, output)
            }
            Self::Rtstruct => write_rtstruct(series, document, options, output),
            Self::NiftiLabelmap => write_label_map(series, document, output),
            Self::Csv => write_csv(document, measurements, output),
            Self::Json => write_json(document, measurements, output),
        }
    }
}

/// The masks of all segments as PNG files in a zip archive, by picture and slug of the segment, slices from 1:
/// `<stem>.slice-<n>.frame-<n>.<slug>.png`, without what there is one of.
///
/// # Errors
///
/// [`SegmentationError::Empty`] without a pixel, [`SegmentationError::Encode`].
pub fn masks_zip(
    document: &Segmentation,
    stem: &str,
    slugs: &[String],
) -> Result<Vec<u8>, SegmentationError> {
    let failed = |error: rawzip::Error| SegmentationError::Encode {
        part: "archive",
        detail: error.to_string(),
    };
    let grid = document.grid();
    let mut archive = ZipArchiveWriter::new(Vec::new());
    let mut count = 0usize;
    for (index, segment) in document.segments().iter().enumerate() {
        let slug = slugs.get(index).map_or("segment", String::as_str);
        for (place, _) in segment.masks() {
            let mut name = stem.to_owned();
            if grid.slices > 1 {
                name.push_str(&format!(".slice-{}", place.slice + 1));
            }
            if grid.frames > 1 {
                name.push_str(&format!(".frame-{}", place.frame));
            }
            name.push_str(&format!(".{slug}.png"));
            let png = mask_png(document, index, place.slice, place.frame)?;
            let (mut entry, config) = archive.new_file(name.as_str()).start().map_err(failed)?;
            let mut data = config.wrap(&mut entry);
            data.write_all(&png)?;
            let (_, descriptor) = data.finish().map_err(failed)?;
            entry.finish(descriptor).map_err(failed)?;
            count += 1;
        }
    }
    if count == 0 {
        return Err(SegmentationError::Empty);
    }
    archive.finish().map_err(failed)
}

/// Words as names have them: lower case, everything but letters and digits as `-`.
pub fn slug(words: &str) -> String {
    let plain = |letter: char| {
        if letter.is_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    words.trim().to_lowercase().chars().map(plain).collect()
}

/// The [`slug`] of each, cut where it is long; no two alike.
pub fn slugs<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let unique = |word: &str| {
        let mut slug = slug(word);
        while slug.len() > LONGEST {
            slug.pop();
        }
        let (first, mut number) = (slug.clone(), 2);
        while !taken.insert(slug.clone()) {
            slug = format!("{first}-{number}");
            number += 1;
        }
        slug
    };
    words.into_iter().map(unique).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Grid, Place, Segment};
    use crate::{Origin, Runs};

    #[test]
    fn words_are_told_apart() {
        let found = slugs([" Left Lung", "left-lung", "L4/L5 disc"]);
        assert_eq!(found, ["left-lung", "left-lung-2", "l4-l5-disc"]);
        let long = "ä".repeat(200);
        assert!(slugs([long.as_str()])[0].len() <= LONGEST);
    }

    #[test]
    fn masks_are_packed_picture_by_picture() {
        let grid = Grid {
            columns: 4,
            rows: 2,
            slices: 3,
            frames: 1,
        };
        let mut document = Segmentation::on(grid);
        document.add(Segment::new("liver", Origin::of_person()));
        let names = slugs(["liver"]);
        let empty = masks_zip(&document, "ct-3", &names).unwrap_err();
        assert_eq!(empty.code(), "SEGMENT-EMPTY");
        let runs = Runs::of_bits([false, true, true].into_iter());
        for slice in [0, 2] {
            let place = Place { slice, frame: 0 };
            document.set_runs(0, place, runs.clone()).unwrap();
        }
        let packed = masks_zip(&document, "ct-3", &names).unwrap();
        let archive = rawzip::ZipArchive::from_slice(&packed).unwrap();
        let mut found = Vec::new();
        for entry in archive.entries() {
            let entry = entry.unwrap();
            let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
            let data = archive.get_entry(entry.wayfinder()).unwrap().data();
            found.push((name, data.to_vec()));
        }
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].0, "ct-3.slice-3.liver.png");
        assert_eq!(found[1].1, mask_png(&document, 0, 2, 0).unwrap());
    }
}
