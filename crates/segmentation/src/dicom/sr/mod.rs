//! Measurements out as a Structured Report (PS3.3 A.35.13, Comprehensive 3D SR; PS3.16 TID 1500): a Measurement Group
//! for every segment and frame, which refers to the segment in the DICOM segmentation beside it.

mod concepts;
mod content;
mod group;
mod report;

use std::io::Write;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use medsam3_imaging::series::Series;

use super::element::Item;
use super::file;
use super::header::{DicomOptions, header};
use super::reference::instances;
use super::source::SourceSeries;
use super::stamp::Stamp;
use crate::document::Segmentation;
use crate::error::SegmentationError;
use crate::measure::Measurement;

const FORMAT: &str = "Structured Report";

/// Writes measurements as one Structured Report. `seg` is the stamp that [`super::write_seg`] wrote the binary
/// segmentation of the same document with: the report refers to its segments.
///
/// # Errors
///
/// [`SegmentationError::Empty`] without a measurement, [`SegmentationError::NotWritable`] where the series has
/// nothing to refer to, [`SegmentationError::OtherSeries`], [`SegmentationError::Write`].
pub fn write_sr(
    series: &Series,
    segmentation: &Segmentation,
    measurements: &[Measurement],
    seg: &Stamp,
    options: &DicomOptions,
    mut output: impl Write,
) -> Result<(), SegmentationError> {
    let source = SourceSeries::of(series, segmentation, FORMAT)?;
    if measurements.is_empty() {
        return Err(SegmentationError::Empty);
    }
    let sop_class = uids::COMPREHENSIVE3_DSR_STORAGE;
    let mut item = header(&source, options, sop_class, "SR");
    item.sequence(
        tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
        Vec::new(),
    )
    .text(tags::CONTENT_DATE, VR::DA, &options.stamp.date())
    .text(tags::CONTENT_TIME, VR::TM, &options.stamp.time())
    .text(tags::COMPLETION_FLAG, VR::CS, "COMPLETE")
    .text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED")
    .text(tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY")
    .sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    let study = evidence(&source, seg);
    item.sequence(
        tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        vec![study],
    );
    report::root(&mut item, &source, segmentation, measurements, seg);
    file::write(&item.into_object(), &mut output)?;
    output.flush()?;
    Ok(())
}

/// The segmentation as an object to refer to.
fn segmentation_reference(seg: &Stamp) -> Item {
    let mut item = Item::new();
    item.text(
        tags::REFERENCED_SOP_CLASS_UID,
        VR::UI,
        uids::SEGMENTATION_STORAGE,
    )
    .text(
        tags::REFERENCED_SOP_INSTANCE_UID,
        VR::UI,
        &seg.uid("instance"),
    );
    item
}

/// Everything that the report refers to, by study and series (table C.17-3).
fn evidence(source: &SourceSeries<'_>, seg: &Stamp) -> Item {
    let mut segmentation = Item::new();
    segmentation
        .text(tags::SERIES_INSTANCE_UID, VR::UI, &seg.uid("series"))
        .sequence(
            tags::REFERENCED_SOP_SEQUENCE,
            vec![segmentation_reference(seg)],
        );
    let mut images = Item::new();
    images
        .text(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            source.series.uid().unwrap_or_default(),
        )
        .sequence(tags::REFERENCED_SOP_SEQUENCE, instances(source));
    let mut study = Item::new();
    study
        .text(tags::STUDY_INSTANCE_UID, VR::UI, &source.study_uid())
        .sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![images, segmentation]);
    study
}
