//! What segmentations, structure sets and reports have in common: patient, study, series, equipment and identity
//! (PS3.3 C.7.1 to C.7.5, C.12.1), with the patient of the series or without any.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::element::Item;
use super::source::{PATIENT_AND_STUDY, SourceSeries};
use super::stamp::Stamp;

/// How DICOM objects are written.
#[derive(Debug, Clone, PartialEq)]
pub struct DicomOptions {
    /// Time and randomness.
    pub stamp: Stamp,
    /// Leaves out who the patient is and when the study was. UIDs stay, or the object would fit no image.
    pub deidentify: bool,
    /// Writes a label map (Supplement 243) in place of one bit per segment; few programs read it yet.
    pub label_map: bool,
    /// Series Number of the new series.
    pub series_number: i64,
}

impl DicomOptions {
    /// A binary segmentation with the patient of the series.
    pub fn new(stamp: Stamp) -> Self {
        Self {
            stamp,
            deidentify: false,
            label_map: false,
            series_number: 300,
        }
    }
}

/// Series Description and Content Description.
pub(super) const DESCRIPTION: &str = "Research and teaching only. Not a medical device.";

/// Type 2 attributes, which must be there with or without a value.
const TYPE_2: &[(dicom_core::Tag, VR)] = &[
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_ID, VR::SH),
];

/// The common part of an object of a SOP class, whose SOP Instance UID is `stamp.uid("instance")`.
pub(super) fn header(
    source: &SourceSeries<'_>,
    options: &DicomOptions,
    sop_class: &str,
    modality: &str,
) -> Item {
    let stamp = &options.stamp;
    let mut item = Item::new();
    item.text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    patient_and_study(&mut item, source, options);
    for &(tag, vr) in TYPE_2 {
        if !item.has(tag) {
            item.empty(tag, vr);
        }
    }
    item.text(tags::SOP_CLASS_UID, VR::UI, sop_class)
        .text(tags::SOP_INSTANCE_UID, VR::UI, &stamp.uid("instance"))
        .text(tags::INSTANCE_CREATION_DATE, VR::DA, &stamp.date())
        .text(tags::INSTANCE_CREATION_TIME, VR::TM, &stamp.time())
        .text(tags::MODALITY, VR::CS, modality)
        .text(tags::SERIES_INSTANCE_UID, VR::UI, &stamp.uid("series"))
        .integer(tags::SERIES_NUMBER, options.series_number)
        .text(tags::SERIES_DATE, VR::DA, &stamp.date())
        .text(tags::SERIES_TIME, VR::TM, &stamp.time())
        .text(tags::SERIES_DESCRIPTION, VR::LO, DESCRIPTION)
        .integer(tags::INSTANCE_NUMBER, 1)
        .text(tags::MANUFACTURER, VR::LO, "medsam3")
        .text(
            tags::MANUFACTURER_MODEL_NAME,
            VR::LO,
            "Medical SAM3 in Rust",
        )
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, "none")
        .text(tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"));
    item
}

fn patient_and_study(item: &mut Item, source: &SourceSeries<'_>, options: &DicomOptions) {
    for &tag in PATIENT_AND_STUDY {
        let keep = !options.deidentify || tag == tags::STUDY_INSTANCE_UID;
        if let Some(element) = source.attributes.get(tag).filter(|_| keep) {
            item.copy_clean(element);
        }
    }
    if options.deidentify {
        item.text(tags::PATIENT_NAME, VR::PN, "Anonymous")
            .text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES")
            .text(
                tags::DEIDENTIFICATION_METHOD,
                VR::LO,
                "medsam3: patient and study removed, UIDs retained",
            );
    }
    if source.series.study_uid().is_none() {
        item.text(tags::STUDY_INSTANCE_UID, VR::UI, &source.study_uid());
    }
}
