//! How objects refer to the pictures of a series: Image SOP Instance Reference (PS3.3 table 10-3), Common Instance
//! Reference (C.12.2), and codes of DICOM's own.

use std::collections::BTreeSet;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::element::Item;
use super::source::{Instance, SourceSeries};
use crate::terms::Code;

/// A code of DICOM's own (PS3.16 annex D).
pub(super) fn dcm(value: &str, meaning: &str) -> Code {
    Code {
        value: value.to_owned(),
        scheme: "DCM".to_owned(),
        meaning: meaning.to_owned(),
    }
}

/// Every instance of the series once.
pub(super) fn instances(source: &SourceSeries<'_>) -> Vec<Item> {
    let mut seen = BTreeSet::new();
    source
        .instances()
        .filter(|instance| seen.insert(instance.sop_instance))
        .map(|instance| reference(&instance))
        .collect()
}

/// Common Instance Reference (C.12.2).
pub(super) fn referenced_series(item: &mut Item, source: &SourceSeries<'_>) {
    let mut series = Item::new();
    series
        .text(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            source.series.uid().unwrap_or_default(),
        )
        .sequence(tags::REFERENCED_INSTANCE_SEQUENCE, instances(source));
    item.sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
}

/// SOP class and instance of the file of a picture.
pub(super) fn reference(instance: &Instance<'_>) -> Item {
    let mut item = Item::new();
    item.text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, instance.sop_class)
        .text(
            tags::REFERENCED_SOP_INSTANCE_UID,
            VR::UI,
            instance.sop_instance,
        );
    item
}

/// A picture: its file, and its frame where the file is of a class that has several.
pub(super) fn picture_reference(instance: &Instance<'_>) -> Item {
    let mut item = reference(instance);
    if let Some(number) = instance.frame_number {
        item.integer(tags::REFERENCED_FRAME_NUMBER, i64::from(number));
    }
    item
}
