//! What a segmentation says of each segment (PS3.3 C.8.20.4): number, names, codes, who drew it, colour.

use std::collections::BTreeSet;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::super::attributes::Attributes;
use super::malformed;
use crate::ImagingError;

/// A coded concept (PS3.3 8.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Code Value, the long one or the URN where there is no short one.
    pub value: String,
    /// Coding Scheme Designator, such as `SCT`; empty where the file has none.
    pub scheme: String,
    /// Code Meaning, a text for people; empty where the file has none.
    pub meaning: String,
}

/// One segment as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Segment Number; 0 only in label maps, where it is the background.
    pub number: u16,
    /// Segment Label; empty where the file has none.
    pub label: String,
    /// Segment Description.
    pub description: Option<String>,
    /// Segmented Property Category, such as "Anatomical Structure".
    pub category: Option<Code>,
    /// Segmented Property Type, such as "Liver".
    pub property_type: Option<Code>,
    /// Modifiers of the type, such as "Left".
    pub type_modifiers: Vec<Code>,
    /// Anatomic region that it lies in.
    pub anatomic_region: Option<Code>,
    /// `AUTOMATIC`, `SEMIAUTOMATIC` or `MANUAL`.
    pub algorithm_type: Option<String>,
    /// Name of the algorithm, where one drew it.
    pub algorithm_name: Option<String>,
    /// Tracking UID: the same thing in other files has the same one.
    pub tracking_uid: Option<String>,
    /// Recommended Display CIELab Value: L, a and b as the standard scales them to 16 bits (PS3.3 C.10.7.1.1).
    pub cielab: Option<[u16; 3]>,
}

/// The described segments.
///
/// # Errors
///
/// [`ImagingError::SegmentationMalformed`] for a segment without a number, and for two of the same.
pub(super) fn read(attributes: Attributes<'_>) -> Result<Vec<SegmentInfo>, ImagingError> {
    let segments: Vec<SegmentInfo> = attributes
        .items(tags::SEGMENT_SEQUENCE)
        .map(one)
        .collect::<Result<_, _>>()?;
    let numbers: BTreeSet<u16> = segments.iter().map(|segment| segment.number).collect();
    if numbers.len() < segments.len() {
        return Err(malformed("two of its segments have the same number"));
    }
    Ok(segments)
}

fn one(item: Attributes<'_>) -> Result<SegmentInfo, ImagingError> {
    let number = item
        .integer(tags::SEGMENT_NUMBER)
        .and_then(|number| u16::try_from(number).ok())
        .ok_or(malformed("one of its segments has no number"))?;
    let property = item
        .items(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)
        .next();
    let colour = item.integers(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE);
    let colour = colour.into_iter().map(|part| u16::try_from(part).ok());
    Ok(SegmentInfo {
        number,
        label: item.text(tags::SEGMENT_LABEL).unwrap_or_default(),
        description: item.text(tags::SEGMENT_DESCRIPTION),
        category: codes(item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE).next(),
        property_type: property.and_then(code),
        type_modifiers: property
            .into_iter()
            .flat_map(|property| {
                codes(
                    property,
                    tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE,
                )
            })
            .collect(),
        anatomic_region: codes(item, tags::ANATOMIC_REGION_SEQUENCE).next(),
        algorithm_type: item.text(tags::SEGMENT_ALGORITHM_TYPE),
        algorithm_name: item.text(tags::SEGMENT_ALGORITHM_NAME),
        tracking_uid: super::uid(item, tags::TRACKING_UID),
        cielab: colour
            .collect::<Option<Vec<u16>>>()
            .and_then(|parts| parts.try_into().ok()),
    })
}

fn codes<'a>(item: Attributes<'a>, sequence: Tag) -> impl Iterator<Item = Code> + use<'a> {
    item.items(sequence).filter_map(code)
}

fn code(item: Attributes<'_>) -> Option<Code> {
    let value = [
        tags::CODE_VALUE,
        tags::LONG_CODE_VALUE,
        tags::URN_CODE_VALUE,
    ]
    .into_iter()
    .find_map(|tag| item.text(tag))?;
    Some(Code {
        value,
        scheme: item
            .text(tags::CODING_SCHEME_DESIGNATOR)
            .unwrap_or_default(),
        meaning: item.text(tags::CODE_MEANING).unwrap_or_default(),
    })
}
