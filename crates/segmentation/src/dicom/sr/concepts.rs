//! The concepts of a measurement report: names of content items, units and values, as PS3.16 has them. Value, scheme,
//! meaning; checked against pydicom's tables by tests/segmentation/check_report.py.

use crate::terms::Code;

/// A concept of a table.
pub(super) type Concept = (&'static str, &'static str, &'static str);

pub(super) fn code((value, scheme, meaning): Concept) -> Code {
    Code {
        value: value.to_owned(),
        scheme: scheme.to_owned(),
        meaning: meaning.to_owned(),
    }
}

pub(super) const REPORT: Concept = ("126000", "DCM", "Imaging Measurement Report");
pub(super) const LANGUAGE: Concept = ("121049", "DCM", "Language of Content Item and Descendants");
pub(super) const ENGLISH: Concept = ("en-US", "RFC5646", "English (United States)");
pub(super) const OBSERVER_TYPE: Concept = ("121005", "DCM", "Observer Type");
pub(super) const DEVICE: Concept = ("121007", "DCM", "Device");
pub(super) const DEVICE_UID: Concept = ("121012", "DCM", "Device Observer UID");
pub(super) const DEVICE_NAME: Concept = ("121013", "DCM", "Device Observer Name");
pub(super) const DEVICE_MODEL: Concept = ("121015", "DCM", "Device Observer Model Name");
pub(super) const PROCEDURE: Concept = ("121058", "DCM", "Procedure reported");
pub(super) const COMMENT: Concept = ("121106", "DCM", "Comment");
pub(super) const MEASUREMENTS: Concept = ("126010", "DCM", "Imaging Measurements");
pub(super) const GROUP: Concept = ("125007", "DCM", "Measurement Group");
pub(super) const TRACKING_ID: Concept = ("112039", "DCM", "Tracking Identifier");
pub(super) const TRACKING_UID: Concept = ("112040", "DCM", "Tracking Unique Identifier");
pub(super) const CATEGORY: Concept = ("276214006", "SCT", "Finding category");
pub(super) const FINDING: Concept = ("121071", "DCM", "Finding");
pub(super) const SITE: Concept = ("363698007", "SCT", "Finding Site");
pub(super) const LATERALITY: Concept = ("272741003", "SCT", "Laterality");
pub(super) const ALGORITHM_NAME: Concept = ("111001", "DCM", "Algorithm Name");
pub(super) const ALGORITHM_VERSION: Concept = ("111003", "DCM", "Algorithm Version");
pub(super) const ALGORITHM_PARAMETERS: Concept = ("111002", "DCM", "Algorithm Parameters");
pub(super) const TIME_POINT: Concept = ("C2348792", "UMLS", "Time Point");
pub(super) const SEGMENT: Concept = ("121191", "DCM", "Referenced Segment");
pub(super) const SEGMENT_FRAME: Concept = ("121214", "DCM", "Referenced Segmentation Frame");
pub(super) const SOURCE_IMAGE: Concept = ("121233", "DCM", "Source image for segmentation");
pub(super) const SOURCE_SERIES: Concept = ("121232", "DCM", "Source series for segmentation");
pub(super) const METHOD: Concept = ("370129005", "SCT", "Measurement Method");
pub(super) const SUM_OF_VOXELS: Concept =
    ("126030", "DCM", "Sum of segmented voxel method for volume");
pub(super) const DERIVATION: Concept = ("121401", "DCM", "Derivation");

pub(super) const VOLUME: Concept = ("118565006", "SCT", "Volume");
pub(super) const AREA: Concept = ("42798000", "SCT", "Area");
pub(super) const LONG_AXIS: Concept = ("103339001", "SCT", "Long axis");
pub(super) const SHORT_AXIS: Concept = ("103340004", "SCT", "Short axis");

pub(super) const MEAN: Concept = ("373098007", "SCT", "Mean");
pub(super) const DEVIATION: Concept = ("386136009", "SCT", "Standard Deviation");
pub(super) const MINIMUM: Concept = ("255605001", "SCT", "Minimum");
pub(super) const MAXIMUM: Concept = ("56851009", "SCT", "Maximum");

pub(super) const ML: Concept = ("cm3", "UCUM", "cubic centimeter");
pub(super) const MM2: Concept = ("mm2", "UCUM", "square millimeter");
pub(super) const MM: Concept = ("mm", "UCUM", "mm");
const HU: Concept = ("[hnsf'U]", "UCUM", "Hounsfield unit");
const NO_UNITS: Concept = ("1", "UCUM", "no units");

/// What the gray values of a modality are, and their unit (CID 7180). Those of nuclear medicine have units that the
/// values alone do not tell; colour has none.
pub(super) fn intensity(modality: Option<&str>) -> Option<(Concept, Concept)> {
    match modality? {
        "CT" => Some((("112031", "DCM", "Attenuation Coefficient"), HU)),
        "MR" => Some((("110852", "DCM", "MR signal intensity"), NO_UNITS)),
        "US" => Some((("110849", "DCM", "Echogenicity"), NO_UNITS)),
        "CR" | "DX" | "MG" | "RF" | "XA" | "IO" => {
            Some((("110850", "DCM", "X-Ray Attenuation"), NO_UNITS))
        }
        _ => None,
    }
}

/// What was done, as far as the modality says it (CID 100).
pub(super) fn procedure(modality: Option<&str>) -> Concept {
    match modality {
        Some("CT") => ("25045-6", "LN", "CT unspecified body region"),
        Some("MR") => ("25056-3", "LN", "MRI unspecified body region"),
        Some("PT") => ("44136-0", "LN", "PET unspecified body region"),
        Some("NM") => ("49118-3", "LN", "NM unspecified body region"),
        Some("CR" | "DX") => ("43468-8", "LN", "XR unspecified body region"),
        _ => ("363679005", "SCT", "Imaging procedure"),
    }
}
