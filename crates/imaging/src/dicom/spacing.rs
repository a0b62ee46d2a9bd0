//! Distances in the patient, mm between rows and between columns: Pixel Spacing (PS3.3 10.7.1), of the image or in
//! the functional groups; a detector's spacing divided by the magnification (C.8.11.7, C.8.7.5); an ultrasound
//! region's physical deltas (C.8.5.5). What was taken into account is said in a note.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::attributes::Attributes;
use crate::mask::BoundingBox;
use crate::picture::Region;
use crate::series::Problem;

/// Two-dimensional tissue among the Region Spatial Formats.
const FORMAT_2D: i64 = 1;
/// Centimetres among the Physical Units.
const CENTIMETRES: i64 = 3;

/// Where a distance comes from, or why there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Basis {
    /// Pixel Spacing.
    Patient,
    /// The detector's spacing, divided by the magnification.
    Magnification,
    /// The detector's spacing, and no magnification.
    Detector,
    /// The one scale of the two-dimensional regions of an ultrasound image.
    UltrasoundRegion,
    /// Two-dimensional regions of an ultrasound image with different scales.
    UltrasoundRegions,
    /// The file says nothing.
    #[default]
    Unknown,
}

impl Basis {
    /// What a person should know about the distances.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::Patient | Self::Unknown => None,
            Self::Magnification => Some(
                "Distances are the detector's divided by the estimated magnification of the file.",
            ),
            Self::Detector => Some(
                "The file gives distances on the detector, not in the patient: sizes are in pixels.",
            ),
            Self::UltrasoundRegion => {
                Some("Distances are those of the ultrasound region that shows tissue.")
            }
            Self::UltrasoundRegions => Some(
                "The ultrasound regions of the file have different scales: sizes are in pixels.",
            ),
        }
    }

    /// The same as a code, where distances are known.
    pub(super) fn problem(self) -> Option<Problem> {
        match self {
            Self::Magnification => Some(Problem::SpacingFromMagnification),
            Self::UltrasoundRegion => Some(Problem::SpacingFromUltrasoundRegion),
            _ => None,
        }
    }
}

/// What a file says about distances.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spacing {
    /// Between rows, between columns.
    pub(super) mm: Option<[f64; 2]>,
    pub(super) basis: Basis,
    /// The two-dimensional regions of an ultrasound image, in the order of the file.
    pub(super) regions: Vec<Region>,
}

/// Two positive numbers: the distances of rows and of columns.
pub(super) fn pair(attributes: Attributes<'_>, tag: Tag) -> Option<[f64; 2]> {
    match attributes.decimals(tag).as_slice() {
        &[row, column] if row > 0.0 && column > 0.0 => Some([row, column]),
        _ => None,
    }
}

/// Reads the spacing of an image: of the first frame where functional groups give it, else of all.
pub(super) fn read(attributes: Attributes<'_>) -> Spacing {
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
    match grouped {
        Some(spacing) => known(spacing, Basis::Patient),
        None => of_image(attributes),
    }
}

/// Reads the spacing of an image outside of functional groups.
pub(super) fn of_image(attributes: Attributes<'_>) -> Spacing {
    let detector = pair(attributes, tags::IMAGER_PIXEL_SPACING);
    if let Some(spacing) = pair(attributes, tags::PIXEL_SPACING) {
        // PS3.3 10.7.1.3: equal to the detector's spacing and without a calibration, it is the
        // detector's spacing, magnified in the patient.
        let calibration = attributes.text(tags::PIXEL_SPACING_CALIBRATION_TYPE);
        if detector != Some(spacing) || calibration.is_some() {
            return known(spacing, Basis::Patient);
        }
    }
    match detector {
        Some(spacing) => magnified(attributes, spacing),
        None => ultrasound(attributes),
    }
}

fn known(spacing: [f64; 2], basis: Basis) -> Spacing {
    Spacing {
        mm: Some(spacing),
        basis,
        regions: Vec::new(),
    }
}

/// A detector's spacing, in the patient where the magnification is known.
fn magnified(attributes: Attributes<'_>, [row, column]: [f64; 2]) -> Spacing {
    let factor = attributes
        .decimal(tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR)
        .filter(|&factor| factor > 0.0);
    match factor {
        Some(factor) => known([row / factor, column / factor], Basis::Magnification),
        None => Spacing {
            basis: Basis::Detector,
            ..Spacing::default()
        },
    }
}

/// The two-dimensional regions of an ultrasound image, and the scale that they have in common.
fn ultrasound(attributes: Attributes<'_>) -> Spacing {
    let measured: Vec<(Attributes<'_>, [f64; 2])> = attributes
        .items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS)
        .filter_map(|region| Some((region, scale(region)?)))
        .collect();
    let Some(&(_, first)) = measured.first() else {
        return Spacing::default();
    };
    let alike = |scale: [f64; 2]| {
        let near = |(ours, first): (f64, f64)| (ours - first).abs() <= first * 1e-3;
        scale.into_iter().zip(first).all(near)
    };
    let one = measured.iter().all(|&(_, scale)| alike(scale));
    Spacing {
        mm: one.then_some(first),
        basis: if one {
            Basis::UltrasoundRegion
        } else {
            Basis::UltrasoundRegions
        },
        regions: measured
            .into_iter()
            .filter_map(|(region, scale)| place(region, scale))
            .collect(),
    }
}

/// The scale of a region that shows tissue in centimetres; `None` for Doppler, M-mode and what has none.
fn scale(region: Attributes<'_>) -> Option<[f64; 2]> {
    let is = |tag, value| region.integer(tag) == Some(value);
    let measured = is(tags::REGION_SPATIAL_FORMAT, FORMAT_2D)
        && is(tags::PHYSICAL_UNITS_X_DIRECTION, CENTIMETRES)
        && is(tags::PHYSICAL_UNITS_Y_DIRECTION, CENTIMETRES);
    let delta = |tag| {
        let delta = region.decimal(tag)?.abs() * 10.0;
        (delta > 0.0).then_some(delta)
    };
    let scale = [
        delta(tags::PHYSICAL_DELTA_Y)?,
        delta(tags::PHYSICAL_DELTA_X)?,
    ];
    measured.then_some(scale)
}

/// A region with its place, `None` where the file does not say where it is.
fn place(region: Attributes<'_>, spacing_mm: [f64; 2]) -> Option<Region> {
    let bound = |tag| usize::try_from(region.integer(tag)?).ok();
    let bounds = BoundingBox {
        left: bound(tags::REGION_LOCATION_MIN_X0)?,
        top: bound(tags::REGION_LOCATION_MIN_Y0)?,
        // The last column and row belong to the region.
        right: bound(tags::REGION_LOCATION_MAX_X1)?.saturating_add(1),
        bottom: bound(tags::REGION_LOCATION_MAX_Y1)?.saturating_add(1),
    };
    Some(Region {
        bounds,
        in_front: region.integer(tags::REGION_FLAGS).unwrap_or_default() & 1 != 0,
        spacing_mm,
    })
}
