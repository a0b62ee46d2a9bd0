//! What a segmentation refers to where a file has several pictures or none with a place: clips of a class with and
//! without frames, a mosaic, a fundus photograph, a slice without a thickness, pictures of several spacings.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Recipe, clip};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, from_reader};
use medsam3_imaging::Mask;
use medsam3_imaging::series::{Kind, MemorySource, Series, SharedSource, find, sources_of_paths};
use medsam3_segmentation::{
    DicomOptions, Origin, Segment, Segmentation, Stamp, read_rtstruct, read_seg, write_rtstruct,
    write_seg,
};

fn only_series(bytes: Vec<u8>) -> Series {
    let source: SharedSource = Arc::new(MemorySource::new("image.dcm", bytes));
    let mut listing = find(vec![source]);
    assert_eq!(listing.series.len(), 1, "{:?}", listing.failures);
    listing.series.remove(0)
}

/// Another mask on every picture.
fn document(series: &Series) -> Segmentation {
    let mut document = Segmentation::new(series);
    let grid = document.grid();
    let index = document.add(Segment::new("lesion", Origin::of_person()));
    for slice in 0..grid.slices {
        for frame in 0..grid.frames {
            let mut mask = Mask::empty(grid.columns, grid.rows);
            let first = 5 + 3 * slice + 2 * frame;
            mask.bits[first..first + 4].fill(1);
            document.set_mask(index, slice, frame, &mask).unwrap();
        }
    }
    document
}

fn options() -> DicomOptions {
    DicomOptions::new(Stamp::new(1_700_000_000, [5; 32]))
}

/// The segmentation as a data set, after it was read back equal.
fn written(series: &Series) -> InMemDicomObject {
    let document = document(series);
    let mut bytes = Vec::new();
    write_seg(series, &document, &options(), &mut bytes).unwrap();
    let read = read_seg(series, &bytes, 0.5).unwrap();
    assert_eq!(read.left_out, 0);
    let masks = |segmentation: &Segmentation| -> Vec<_> {
        let segment = &segmentation.segments()[0];
        let masks = segment.masks().map(|(place, runs)| (place, runs.clone()));
        masks.collect()
    };
    assert_eq!(masks(&read.segmentation), masks(&document));
    from_reader(bytes.as_slice()).unwrap().into_inner()
}

/// Referenced Frame Number of every frame's source.
fn frame_numbers(object: &InMemDicomObject) -> Vec<Option<i32>> {
    let groups = object.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let item = |object: &InMemDicomObject, tag| -> InMemDicomObject {
        object.get(tag).unwrap().items().unwrap()[0].clone()
    };
    let source = |group: &InMemDicomObject| {
        item(
            &item(group, tags::DERIVATION_IMAGE_SEQUENCE),
            tags::SOURCE_IMAGE_SEQUENCE,
        )
    };
    let number = |source: InMemDicomObject| {
        source
            .get(tags::REFERENCED_FRAME_NUMBER)
            .map(|number| number.to_int().unwrap())
    };
    let groups = groups.unwrap().items().unwrap();
    groups.iter().map(source).map(number).collect()
}

#[test]
fn a_clip_is_referred_to_by_frame_where_its_class_has_frames() {
    let series = only_series(clip(uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE, 3));
    assert_eq!((series.kind(), series.frames()), (Kind::Cine, 3));
    assert_eq!(
        frame_numbers(&written(&series)),
        [Some(1), Some(2), Some(3)]
    );
    // PS3.3 table 10-3: of an image that is no multi-frame image there is no frame number.
    let series = only_series(clip(uids::SECONDARY_CAPTURE_IMAGE_STORAGE, 3));
    assert_eq!((series.kind(), series.frames()), (Kind::Cine, 3));
    assert_eq!(frame_numbers(&written(&series)), [None, None, None]);
}

#[test]
fn a_fundus_photograph_is_referred_to_without_a_plane() {
    let bytes = include_bytes!("../../../tests/segmentation/fundus.dcm").to_vec();
    let series = only_series(bytes);
    assert_eq!(
        (series.modality(), series.columns(), series.rows()),
        (Some("OP"), 64, 48)
    );
    let object = written(&series);
    assert!(object.get(tags::FRAME_OF_REFERENCE_UID).is_none());
    let orientation = object.get(tags::PATIENT_ORIENTATION).unwrap();
    assert_eq!(orientation.to_multi_str().unwrap().as_ref(), ["L", "F"]);
    let refused = write_rtstruct(&series, &document(&series), &options(), Vec::new());
    assert_eq!(
        refused.map_err(|error| error.code()),
        Err("SEGMENT-NOT-WRITABLE")
    );
}

#[test]
fn a_slice_without_a_thickness_has_no_plane_in_a_segmentation_and_contours_all_the_same() {
    let recipe = Recipe {
        slices: 1,
        thickness: None,
        ..Recipe::default()
    };
    let series = recipe.series();
    let object = written(&series);
    assert!(object.get(tags::FRAME_OF_REFERENCE_UID).is_none());
    let document = document(&series);
    let mut bytes = Vec::new();
    write_rtstruct(&series, &document, &options(), &mut bytes).unwrap();
    let read = read_rtstruct(&series, &bytes).unwrap();
    assert_eq!(read.segmentation.segments()[0].count(), 4);
    // With one there is a plane.
    let object = written(
        &Recipe {
            slices: 1,
            ..Recipe::default()
        }
        .series(),
    );
    assert!(object.get(tags::FRAME_OF_REFERENCE_UID).is_some());
}

#[test]
fn mosaics_and_mixed_pictures_are_referred_to() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set to the folder with dicom/series");
        return;
    };
    let series = |name: &str| {
        let path = Path::new(&shared).join("dicom/series").join(name);
        find(sources_of_paths(&[path]).unwrap()).series.remove(0)
    };
    // The tiles of one picture: told apart by place.
    let mosaic = series("mr-mosaic-cor");
    assert_eq!(mosaic.slices(), 35);
    assert!(frame_numbers(&written(&mosaic)).iter().all(Option::is_none));
    // Two orientations with one spacing each: references without planes; no structure set and no volume.
    let mixed = series("mr-mixed-orientation");
    assert!(written(&mixed).get(tags::FRAME_OF_REFERENCE_UID).is_none());
    let document = document(&mixed);
    let refused = write_rtstruct(&mixed, &document, &options(), Vec::new()).unwrap_err();
    assert_eq!(refused.code(), "SEGMENT-NOT-WRITABLE");
    assert!(
        refused.to_string().contains("no place in the patient"),
        "{refused}"
    );
    let refused = medsam3_segmentation::write_segment_nifti(&mixed, &document, 0, Vec::new());
    assert_eq!(
        refused.map_err(|error| error.code()),
        Err("SEGMENT-NOT-WRITABLE")
    );
}
