//! Distances in the patient, mm between rows and between columns: Pixel Spacing (PS3.3 10.7.1), of the image or in
//! the functional groups; a detector's spacing divided by the magnification (C.8.11.7, C.8.7.5); an ultrasound
//! region's physical deltas (C.8.5.5). What was taken into account is said in a note.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::attributes::Attributes;

/// Two-dimensional tissue among the Region Spatial Formats.
const FORMAT_2D: i64 = 1;
/// Centimetres among the Physical Units.
const CENTIMETRES: i64 = 3;

/// What a file says about distances.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spacing {
    pub(super) mm: Option<[f64; 2]>,
    pub(super) note: Option<&'static str>,
}

fn pair(attributes: Attributes<'_>, tag: Tag) -> Option<[f64; 2]> {
    match attributes.decimals(tag).as_slice() {
        &[row, column] if row > 0.0 && column > 0.0 => Some([row, column]),
        _ => None,
    }
}

/// Reads the spacing of an image.
pub(super) fn read(attributes: Attributes<'_>) -> Spacing {
    let detector = pair(attributes, tags::IMAGER_PIXEL_SPACING);
    if let Some(spacing) = pair(attributes, tags::PIXEL_SPACING) {
        // PS3.3 10.7.1.3: equal to the detector's spacing and without a calibration, it is the
        // detector's spacing, magnified in the patient.
        let calibration = attributes.text(tags::PIXEL_SPACING_CALIBRATION_TYPE);
        if detector != Some(spacing) || calibration.is_some() {
            return Spacing {
                mm: Some(spacing),
                note: None,
            };
        }
    }
    if let Some(spacing) = detector {
        return magnified(attributes, spacing);
    }
    let grouped = [
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    ]
    .into_iter()
    .filter_map(|groups| attributes.items(groups).next())
    .find_map(|group| {
        let measures = group.items(tags::PIXEL_MEASURES_SEQUENCE).next()?;
        pair(measures, tags::PIXEL_SPACING)
    });
    if grouped.is_some() {
        return Spacing {
            mm: grouped,
            note: None,
        };
    }
    ultrasound(attributes)
}

/// A detector's spacing, in the patient where the magnification is known.
fn magnified(attributes: Attributes<'_>, [row, column]: [f64; 2]) -> Spacing {
    let factor = attributes
        .decimal(tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR)
        .filter(|&factor| factor > 0.0);
    match factor {
        Some(factor) => Spacing {
            mm: Some([row / factor, column / factor]),
            note: Some(
                "Distances are the detector's divided by the estimated magnification of the file.",
            ),
        },
        None => Spacing {
            mm: None,
            note: Some(
                "The file gives distances on the detector, not in the patient: sizes are in pixels.",
            ),
        },
    }
}

/// The scale of the two-dimensional regions of an ultrasound image, if they have one in common.
fn ultrasound(attributes: Attributes<'_>) -> Spacing {
    let mut scales = attributes
        .items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS)
        .filter_map(|region| {
            let is = |tag, value| region.integer(tag) == Some(value);
            let delta = |tag| {
                region
                    .decimal(tag)
                    .map(|delta| delta.abs() * 10.0)
                    .filter(|&delta| delta > 0.0)
            };
            let measured = is(tags::REGION_SPATIAL_FORMAT, FORMAT_2D)
                && is(tags::PHYSICAL_UNITS_X_DIRECTION, CENTIMETRES)
                && is(tags::PHYSICAL_UNITS_Y_DIRECTION, CENTIMETRES);
            let scale = [
                delta(tags::PHYSICAL_DELTA_Y)?,
                delta(tags::PHYSICAL_DELTA_X)?,
            ];
            measured.then_some(scale)
        });
    let Some(first) = scales.next() else {
        return Spacing::default();
    };
    let alike = |scale: [f64; 2]| {
        scale
            .iter()
            .zip(first)
            .all(|(ours, first)| (ours - first).abs() <= first * 1e-3)
    };
    if scales.all(alike) {
        Spacing {
            mm: Some(first),
            note: Some("Distances are those of the ultrasound region that shows tissue."),
        }
    } else {
        Spacing {
            mm: None,
            note: Some(
                "The ultrasound regions of the file have different scales: sizes are in pixels.",
            ),
        }
    }
}
