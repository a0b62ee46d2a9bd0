//! Files out and in: exports of the document, segmentations laid on the open series, and comparison with a reference.
//! Names of files that go out carry nothing of files that came in, and nothing of the patient.

use std::rc::Rc;

use medsam3_imaging::series::SharedSource;
use medsam3_segmentation::{
    DicomOptions, DocumentFormat, Editor, Imported, Measurement, SegmentId, Segmentation,
    SegmentationError, Stamp, StepKind, compare, label_table, masks_zip, read_any, slugs,
    write_segment_nifti,
};

use super::document::snapshot;
use super::{Listed, Workspace, convert};
use crate::answers::segmentation_failure;
use crate::event_loop::breathe;
use crate::failure;
use crate::protocol::{
    ComparisonInfo, ExportFormat, ExportedFile, Failure, ImportInfo, ImportInto, RefusedFormat,
    Response,
};

/// What the segments of a label map are called, which says no names: it may be a person's file.
const LABEL: &str = "label";

/// A file and its bytes.
type Made = (ExportedFile, Vec<u8>);

impl Workspace {
    /// Writes the document of the open series in some formats; one that cannot be written does not keep the others back.
    ///
    /// # Errors
    ///
    /// No series is open, there is no randomness for UIDs, or a picture cannot be read for its values.
    pub async fn export(
        &self,
        id: u32,
        formats: &[ExportFormat],
        deidentify: bool,
    ) -> Result<(), Failure> {
        let listed = self.opened()?;
        let (document, ..) = snapshot(&listed);
        let measures =
            |format: &ExportFormat| whole(*format).is_some_and(|of| of.needs_measurements());
        let measurements = if formats.iter().any(measures) {
            let all = vec![true; document.segments().len()];
            self.measured(id, &listed, &document, all).await?
        } else {
            Vec::new()
        };
        let mut files = Vec::new();
        let mut bytes = Vec::new();
        let mut refused = Vec::new();
        for &format in formats {
            breathe().await;
            // Objects of one moment are still two objects: each has UIDs of its own.
            let options = DicomOptions {
                deidentify,
                ..DicomOptions::new(stamp()?)
            };
            match make(format, &listed, &document, &measurements, &options) {
                Ok(made) => {
                    for (file, content) in made {
                        files.push(file);
                        bytes.push(content);
                    }
                }
                Err(error) => refused.push(RefusedFormat {
                    format,
                    failure: segmentation_failure(&error),
                }),
            }
        }
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        self.out
            .send_with(&Response::Exported { id, files, refused }, &bytes);
        Ok(())
    }

    /// A segmentation among the listed files.
    ///
    /// # Errors
    ///
    /// There is no such one.
    pub fn found(&self, index: u32) -> Result<SharedSource, Failure> {
        let found = self.found.borrow();
        let found = found.get(index as usize);
        found
            .map(|(source, _)| SharedSource::clone(source))
            .ok_or_else(failure::no_series)
    }

    /// Lays a segmentation on the open series.
    ///
    /// # Errors
    ///
    /// No series is open, the file is no segmentation, or one of another series.
    pub fn import(&self, id: u32, source: &SharedSource, into: ImportInto) -> Result<(), Failure> {
        let listed = self.opened()?;
        let imported = read_any(&listed.series, source, LABEL);
        let Imported {
            segmentation,
            left_out,
        } = imported.map_err(|error| segmentation_failure(&error))?;
        let target = match into {
            ImportInto::Document => &listed.editor,
            ImportInto::Reference => {
                listed.reference.replace(Editor::new(&listed.series));
                &listed.reference
            }
        };
        let segments = segmentation.segments().to_vec();
        let ids = target.borrow_mut().add(StepKind::Import, segments, false);
        let came_in = target
            .borrow()
            .segments()
            .filter(|(segment, ..)| ids.contains(segment))
            .map(|(segment, locked, found)| {
                convert::segment_info(&listed.series, segment, locked, found)
            })
            .collect();
        self.out.send(&Response::Imported {
            id,
            import: ImportInfo {
                segments: came_in,
                left_out: left_out as u32,
            },
            document: convert::document(&listed, Vec::new()),
        });
        Ok(())
    }

    /// Compares a segment with one of the reference.
    ///
    /// # Errors
    ///
    /// No series is open, no such segments, or distances would take too much memory.
    pub fn compare(
        &self,
        id: u32,
        segment: u32,
        reference: u32,
        frame: u32,
        tolerance: f64,
    ) -> Result<(), Failure> {
        let listed = self.opened()?;
        let editor = listed.editor.borrow();
        let other = listed.reference.borrow();
        let compared = of(&editor, segment).and_then(|segment| {
            let reference = of(&other, reference)?;
            compare(
                &listed.series,
                segment,
                reference,
                frame as usize,
                tolerance,
            )
        });
        let found = compared.map_err(|error| segmentation_failure(&error))?;
        let overlap = found.overlap;
        self.out.send(&Response::Compared {
            id,
            comparison: ComparisonInfo {
                dice: found.dice,
                iou: found.iou,
                hd95: found.hd95,
                nsd: found.nsd,
                tolerance: found.tolerance,
                unit: found.unit.to_owned(),
                voxels: [overlap.found, overlap.truth, overlap.both].map(|count| count as u32),
            },
        });
        Ok(())
    }
}

fn of(editor: &Editor, id: u32) -> Result<&medsam3_segmentation::Segment, SegmentationError> {
    let index = editor.index(SegmentId(id))?;
    let segment = editor.segmentation().segments().get(index);
    segment.ok_or(SegmentationError::NoSuchSegment { index })
}

/// The format of all segments in one file.
fn whole(format: ExportFormat) -> Option<DocumentFormat> {
    match format {
        ExportFormat::Png | ExportFormat::Nifti => None,
        ExportFormat::NiftiLabelmap => Some(DocumentFormat::NiftiLabelmap),
        ExportFormat::Seg => Some(DocumentFormat::Seg),
        ExportFormat::SegLabelmap => Some(DocumentFormat::SegLabelmap),
        ExportFormat::Rtstruct => Some(DocumentFormat::Rtstruct),
        ExportFormat::Csv => Some(DocumentFormat::Csv),
        ExportFormat::Json => Some(DocumentFormat::Json),
    }
}

/// The files of a format.
fn make(
    format: ExportFormat,
    listed: &Rc<Listed>,
    document: &Segmentation,
    measurements: &[Measurement],
    options: &DicomOptions,
) -> Result<Vec<Made>, SegmentationError> {
    let stem = stem(listed);
    // After the prompts, as a name that a person typed may be another person's.
    let segments = document.segments().iter();
    let words = segments.map(|segment| segment.origin.prompt.as_deref().unwrap_or("segment"));
    let slugs = slugs(words);
    let file = |name: String, media_type: &str, bytes: Vec<u8>| {
        let file = ExportedFile {
            format,
            name,
            media_type: media_type.to_owned(),
        };
        (file, bytes)
    };
    match (format, whole(format)) {
        (_, Some(of_all)) => {
            let mut bytes = Vec::new();
            of_all.write(&listed.series, document, measurements, options, &mut bytes)?;
            let name = format!("{stem}.{}", of_all.ending());
            let mut made = vec![file(name, media_type(of_all), bytes)];
            if of_all == DocumentFormat::NiftiLabelmap {
                let table = label_table(document).into_bytes();
                made.push(file(format!("{stem}.labelmap.txt"), "text/plain", table));
            }
            Ok(made)
        }
        (ExportFormat::Png, None) => {
            let bytes = masks_zip(document, &stem, &slugs)?;
            Ok(vec![file(
                format!("{stem}.masks.zip"),
                "application/zip",
                bytes,
            )])
        }
        (_, None) => {
            let mut made = Vec::new();
            for (index, slug) in slugs.iter().enumerate() {
                let mut bytes = Vec::new();
                write_segment_nifti(&listed.series, document, index, &mut bytes)?;
                let name = format!("{stem}.{slug}.nii.gz");
                made.push(file(name, "application/gzip", bytes));
            }
            Ok(made)
        }
    }
}

fn media_type(format: DocumentFormat) -> &'static str {
    match format {
        DocumentFormat::Seg | DocumentFormat::SegLabelmap | DocumentFormat::Rtstruct => {
            "application/dicom"
        }
        DocumentFormat::NiftiLabelmap => "application/gzip",
        DocumentFormat::Csv => "text/csv",
        DocumentFormat::Json => "application/json",
    }
}

/// Such as `ct-3`: modality and number of the series.
fn stem(listed: &Listed) -> String {
    let label = convert::series_info(&listed.series, 0).label;
    slugs([label.as_str()]).pop().unwrap_or_default()
}

/// This moment and random bits.
fn stamp() -> Result<Stamp, Failure> {
    let since = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_none| failure::no_randomness())?;
    Ok(Stamp::new(i64::try_from(seconds).unwrap_or_default(), seed))
}
