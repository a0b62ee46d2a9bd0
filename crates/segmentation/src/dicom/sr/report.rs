//! The content tree of a measurement report (PS3.16 TID 1500): language, observer (TID 1001 and 1004: this program),
//! procedure, measurements, and the note of what they are for.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::concepts::{self as is, code, procedure};
use super::content::{Relation, coded, container, fill_container, text, uid};
use super::group::group;
use crate::dicom::element::Item;
use crate::dicom::source::SourceSeries;
use crate::dicom::stamp::{Stamp, uid_of};
use crate::document::Segmentation;
use crate::measure::Measurement;

/// Makes the data set the root of the tree.
pub(super) fn root(
    item: &mut Item,
    source: &SourceSeries<'_>,
    segmentation: &Segmentation,
    measurements: &[Measurement],
    seg: &Stamp,
) {
    let groups = measurements
        .iter()
        .filter_map(|measured| group(source, segmentation, measured, seg))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let device = uid_of(&["medsam3", version]);
    let model = format!("Medical SAM3 in Rust {version}");
    let children = vec![
        coded(Relation::Modifier, is::LANGUAGE, &code(is::ENGLISH)),
        coded(Relation::Context, is::OBSERVER_TYPE, &code(is::DEVICE)),
        uid(Relation::Context, is::DEVICE_UID, &device),
        text(Relation::Context, is::DEVICE_NAME, "medsam3"),
        text(Relation::Context, is::DEVICE_MODEL, &model),
        coded(
            Relation::Modifier,
            is::PROCEDURE,
            &code(procedure(source.series.modality())),
        ),
        container(is::MEASUREMENTS, None, groups),
        text(Relation::Contains, is::COMMENT, crate::DISCLAIMER),
    ];
    item.text(tags::VALUE_TYPE, VR::CS, "CONTAINER")
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, &code(is::REPORT));
    fill_container(item, Some("1500"), children);
}
