//! Distances by the rules of docs/dicom.md: the list of series and the opened picture say the same, and ultrasound
//! regions of different scales have each their own (PS3.3 C.8.5.5).

mod common;

use std::sync::Arc;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use medsam3_imaging::series::{MemorySource, find};
use medsam3_imaging::{BoundingBox, open};

/// Rows first in a picture, columns first in a series.
#[test]
fn listed_and_opened_distances_are_the_same() {
    let mut files = common::files("dicom", &["dcm"]);
    files.extend(common::files("regressions", &["dcm"]));
    let mut known = 0;
    for (name, bytes) in files {
        let Ok(picture) = open(&bytes) else { continue };
        let listing = find(vec![Arc::new(MemorySource::new(name.clone(), bytes))]);
        let [series] = listing.series.as_slice() else {
            continue;
        };
        let listed = series.spacing_mm().map(|[column, row, _]| [row, column]);
        let opened = picture.pixel_spacing_mm().map(|pair| pair.map(Some));
        assert_eq!(listed, opened, "{name}");
        known += usize::from(opened.is_some());
        let codes: Vec<_> = series
            .problems()
            .iter()
            .map(|problem| problem.code())
            .collect();
        let said = |text: &str| picture.notes().iter().any(|note| note.contains(text));
        let magnified = codes.contains(&"spacing-from-magnification");
        assert_eq!(magnified, said("estimated magnification"), "{name}");
        let region = codes.contains(&"spacing-from-ultrasound-region");
        assert_eq!(region, said("those of the ultrasound region"), "{name}");
    }
    assert!(known >= 20, "{known}");
}

struct Region {
    corners: [u32; 4],
    format: u16,
    flags: u32,
    /// Between columns, between rows.
    delta_cm: [f64; 2],
}

fn with_regions(regions: &[Region]) -> Vec<u8> {
    let bytes = common::fixture("dicom/SC_rgb_small_odd.dcm");
    let mut object = dicom_object::from_reader(bytes.as_slice()).unwrap();
    object.remove_element(tags::PIXEL_SPACING);
    let items: Vec<InMemDicomObject> = regions
        .iter()
        .map(|region| {
            let [left, top, right, bottom] = region.corners;
            let long = |tag, value: u32| DataElement::new(tag, VR::UL, PrimitiveValue::from(value));
            let short =
                |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
            let float =
                |tag, value: f64| DataElement::new(tag, VR::FD, PrimitiveValue::from(value));
            let [columns, rows] = region.delta_cm;
            InMemDicomObject::from_element_iter([
                short(tags::REGION_SPATIAL_FORMAT, region.format),
                long(tags::REGION_FLAGS, region.flags),
                long(tags::REGION_LOCATION_MIN_X0, left),
                long(tags::REGION_LOCATION_MIN_Y0, top),
                long(tags::REGION_LOCATION_MAX_X1, right),
                long(tags::REGION_LOCATION_MAX_Y1, bottom),
                short(tags::PHYSICAL_UNITS_X_DIRECTION, 3),
                short(tags::PHYSICAL_UNITS_Y_DIRECTION, 3),
                float(tags::PHYSICAL_DELTA_X, columns),
                float(tags::PHYSICAL_DELTA_Y, rows),
            ])
        })
        .collect();
    let sequence = DataSetSequence::from(items);
    object.put(DataElement::new(
        tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
        VR::SQ,
        sequence,
    ));
    let mut written = Vec::new();
    object.write_all(&mut written).unwrap();
    written
}

fn within(bytes: &[u8], [left, top, right, bottom]: [usize; 4]) -> Option<[f64; 2]> {
    open(bytes).unwrap().pixel_spacing_mm_within(BoundingBox {
        left,
        top,
        right,
        bottom,
    })
}

#[test]
fn regions_of_different_scales_have_each_their_own() {
    let region = |corners, format, delta_cm| Region {
        corners,
        format,
        flags: 0,
        delta_cm,
    };
    let two = with_regions(&[
        region([0, 0, 9, 19], 1, [0.02, 0.03]),
        region([10, 0, 19, 19], 1, [0.05, 0.05]),
        // Doppler: no distances.
        region([0, 20, 19, 29], 3, [0.01, 0.01]),
    ]);
    let picture = open(&two).unwrap();
    assert_eq!(picture.pixel_spacing_mm(), None);
    assert_eq!(picture.regions().len(), 2);
    assert_eq!(picture.regions()[1].bounds.right, 20);
    let near = |spacing: Option<[f64; 2]>| spacing.map(|mm| mm.map(|mm| (mm * 1e9).round() / 1e9));
    assert_eq!(near(within(&two, [0, 0, 10, 20])), Some([0.3, 0.2]));
    assert_eq!(near(within(&two, [12, 5, 20, 6])), Some([0.5, 0.5]));
    for outside in [
        [5, 5, 15, 15],
        [0, 22, 5, 25],
        [30, 30, 40, 40],
        [0, 0, 10, 21],
    ] {
        assert_eq!(within(&two, outside), None, "{outside:?}");
    }

    let one = with_regions(&[
        region([0, 0, 9, 19], 1, [0.02, 0.03]),
        region([10, 0, 19, 19], 1, [0.02, 0.03]),
    ]);
    // One scale for all holds everywhere.
    assert_eq!(near(within(&one, [5, 5, 15, 15])), Some([0.3, 0.2]));
}

/// An inset lies on the picture: its pixels are those that are seen where it has priority.
#[test]
fn an_inset_in_front_counts() {
    let regions = |flags| {
        let region = |corners, flags, delta_cm| Region {
            corners,
            format: 1,
            flags,
            delta_cm,
        };
        with_regions(&[
            region([0, 0, 29, 29], 0, [0.02, 0.02]),
            region([20, 20, 29, 29], flags, [0.1, 0.1]),
        ])
    };
    let near = |spacing: Option<[f64; 2]>| spacing.map(|mm| mm.map(|mm| (mm * 1e9).round() / 1e9));
    let inset = [21, 21, 25, 25];
    assert_eq!(near(within(&regions(1), inset)), Some([1.0, 1.0]));
    assert_eq!(near(within(&regions(1), [2, 2, 9, 9])), Some([0.2, 0.2]));
    // Half under the inset.
    assert_eq!(within(&regions(1), [15, 15, 25, 25]), None);
    // Nothing says which of both is seen.
    assert_eq!(within(&regions(0), inset), None);
}
