//! A segment in words and codes (PS3.3 C.8.20.4.1): label, type, side, colour, and the algorithm that made it with
//! its parameters.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dicom::color::cielab;
use crate::dicom::element::Item;
use crate::dicom::reference::dcm;
use crate::document::Segment;
use crate::origin::Method;

/// Segment Description (C.8.20.4.1).
pub(super) fn describe(segment: &Segment, number: u16) -> Item {
    let origin = &segment.origin;
    let mut item = Item::new();
    let label = if segment.name.trim().is_empty() {
        format!("Segment {number}")
    } else {
        segment.name.clone()
    };
    item.us(tags::SEGMENT_NUMBER, &[number])
        .text(tags::SEGMENT_LABEL, VR::LO, &label)
        .text(tags::SEGMENT_DESCRIPTION, VR::ST, &description(segment))
        .text(
            tags::SEGMENT_ALGORITHM_TYPE,
            VR::CS,
            origin.method.defined_term(),
        )
        .us(
            tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
            &cielab(segment.color),
        )
        .code(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            &segment.coding.category,
        );
    let mut kind = Item::new();
    kind.text(tags::CODE_VALUE, VR::SH, &segment.coding.kind.value)
        .text(
            tags::CODING_SCHEME_DESIGNATOR,
            VR::SH,
            &segment.coding.kind.scheme,
        )
        .text(tags::CODE_MEANING, VR::LO, &segment.coding.kind.meaning);
    if let Some(modifier) = &segment.coding.modifier {
        kind.code(
            tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE,
            modifier,
        );
    }
    item.sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![kind]);
    if origin.method != Method::Manual {
        let name = origin.model.as_deref().unwrap_or("unknown");
        item.text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, name);
        let mut algorithm = Item::new();
        algorithm
            .code(
                tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
                &dcm("123110", "Artificial Intelligence"),
            )
            .text(tags::ALGORITHM_NAME, VR::LO, name)
            .text(
                tags::ALGORITHM_VERSION,
                VR::LO,
                origin.model_version.as_deref().unwrap_or("unknown"),
            );
        let parameters = origin.parameters();
        if !parameters.is_empty() {
            algorithm.text(tags::ALGORITHM_PARAMETERS, VR::LT, &parameters);
        }
        item.sequence(
            tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
            vec![algorithm],
        );
    }
    item
}

/// What a person reads beside the label.
pub(in crate::dicom) fn description(segment: &Segment) -> String {
    let parameters = segment.origin.parameters();
    let separator = if parameters.is_empty() { "" } else { " " };
    let uncoded = if segment.coding.known {
        ""
    } else {
        " The type is the general one: no code is known for the label."
    };
    format!("{parameters}{separator}{}{uncoded}", crate::DISCLAIMER)
}
