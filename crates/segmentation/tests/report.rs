//! The Structured Report of measurements, as a data set: its tree, values and references. What highdicom's reader
//! and dciodvfy say of it: tests/segmentation/check_report.py.

mod common;

use common::{Recipe, clip};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, from_reader};
use medsam3_imaging::Mask;
use medsam3_imaging::series::{MemorySource, Series, SharedSource, find};
use medsam3_segmentation::{
    DicomOptions, Origin, Segment, Segmentation, Stamp, measure, write_seg, write_sr,
};
use std::sync::Arc;

fn options(seed: u8) -> DicomOptions {
    DicomOptions::new(Stamp::new(1_700_000_000, [seed; 32]))
}

/// Two segments, the first without a pixel on the first picture.
fn document(series: &Series) -> Segmentation {
    let mut document = Segmentation::new(series);
    let grid = document.grid();
    for (number, name) in ["left kidney", "tumor"].into_iter().enumerate() {
        let index = document.add(Segment::new(name, Origin::of_model("m", "abc", name)));
        for at in 1 - number..grid.slices * grid.frames {
            let mut mask = Mask::empty(grid.columns, grid.rows);
            mask.bits[30 + at..40 + at].fill(1);
            let (slice, frame) = (at / grid.frames, at % grid.frames);
            document.set_mask(index, slice, frame, &mask).unwrap();
        }
    }
    document
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).unwrap().items().unwrap()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).unwrap().to_str().unwrap().into_owned()
}

/// Children with a concept name.
fn named<'a>(object: &'a InMemDicomObject, code: &str) -> Vec<&'a InMemDicomObject> {
    let name = |item: &InMemDicomObject| {
        text(
            &items(item, tags::CONCEPT_NAME_CODE_SEQUENCE)[0],
            tags::CODE_VALUE,
        )
    };
    let children = items(object, tags::CONTENT_SEQUENCE).iter();
    children.filter(|item| name(item) == code).collect()
}

/// The report, its groups and the segmentation of a series.
fn written(series: &Series, deidentify: bool) -> (InMemDicomObject, InMemDicomObject) {
    let document = document(series);
    let (seg, mut report) = (options(1), options(2));
    report.deidentify = deidentify;
    let measured = measure(series, &document).unwrap();
    let (mut bytes, mut of_seg) = (Vec::new(), Vec::new());
    write_sr(
        series, &document, &measured, &seg.stamp, &report, &mut bytes,
    )
    .unwrap();
    write_seg(series, &document, &seg, &mut of_seg).unwrap();
    let object = |bytes: &[u8]| from_reader(bytes).unwrap().into_inner();
    (object(&bytes), object(&of_seg))
}

fn groups(report: &InMemDicomObject) -> Vec<&InMemDicomObject> {
    named(named(report, "126010")[0], "125007")
}

fn value(group: &InMemDicomObject, code: &str) -> (f64, String) {
    let number = &items(named(group, code)[0], tags::MEASURED_VALUE_SEQUENCE)[0];
    let unit = &items(number, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)[0];
    let value = number.get(tags::NUMERIC_VALUE).unwrap();
    (value.to_float64().unwrap(), text(unit, tags::CODE_VALUE))
}

#[test]
fn a_volume_has_volumetric_groups_that_refer_to_segments() {
    let series = Recipe::default().series();
    let (report, seg) = written(&series, false);
    assert_eq!(text(&report, tags::PATIENT_ID), "ID-4711");
    let groups = groups(&report);
    assert_eq!(groups.len(), 2);
    // 0.7 x 1.1 x 2.5 mm, ten pixels on eleven and on twelve slices.
    for (group, (slices, number)) in groups.iter().zip([(11, 1), (12, 2)]) {
        let (volume, unit) = value(group, "118565006");
        let expected = f64::from(slices) * 10.0 * 0.7 * 1.1 * 2.5 / 1000.0;
        assert!((volume - expected).abs() < 1e-9, "{volume} {expected}");
        assert_eq!(unit, "cm3");
        let referenced = &items(named(group, "121191")[0], tags::REFERENCED_SOP_SEQUENCE)[0];
        assert_eq!(
            text(referenced, tags::REFERENCED_SOP_INSTANCE_UID),
            text(&seg, tags::SOP_INSTANCE_UID)
        );
        let segment = referenced.get(tags::REFERENCED_SEGMENT_NUMBER).unwrap();
        assert_eq!(segment.to_int::<i32>().unwrap(), number);
    }
    // The kidney is a place in the body and has a side; the tumour is none.
    let site = named(groups[0], "363698007")[0];
    let side = named(site, "272741003")[0];
    let side = &items(side, tags::CONCEPT_CODE_SEQUENCE)[0];
    assert_eq!(text(side, tags::CODE_MEANING), "Left");
    assert!(named(groups[1], "363698007").is_empty());
    assert_eq!(
        text(named(groups[1], "112039")[0], tags::TEXT_VALUE),
        "tumor"
    );
    let comment = text(named(&report, "121106")[0], tags::TEXT_VALUE);
    assert!(
        comment.starts_with("Research and teaching only"),
        "{comment}"
    );
}

#[test]
fn a_clip_has_planar_groups_that_refer_to_frames() {
    let bytes = clip(uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE, 3);
    let source: SharedSource = Arc::new(MemorySource::new("clip.dcm", bytes));
    let series = find(vec![source]).series.remove(0);
    let (report, _) = written(&series, false);
    let groups = groups(&report);
    // Two frames of the first segment, three of the second, in the order of the segmentation's.
    let numbers: Vec<i32> = groups
        .iter()
        .map(|group| {
            let frame = &items(named(group, "121214")[0], tags::REFERENCED_SOP_SEQUENCE)[0];
            let number = frame.get(tags::REFERENCED_FRAME_NUMBER).unwrap();
            number.to_int().unwrap()
        })
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let times: Vec<String> = groups
        .iter()
        .map(|group| text(named(group, "C2348792")[0], tags::TEXT_VALUE))
        .collect();
    assert_eq!(times, ["2", "3", "1", "2", "3"]);
    // Ten pixels without a size: no area and no length, but gray values.
    assert!(named(groups[0], "42798000").is_empty() && named(groups[0], "103339001").is_empty());
    let picture: Vec<f64> = (0..360).map(|at| f64::from(at % 251)).collect();
    let mean = picture[120 + 31..120 + 41].iter().sum::<f64>() / 10.0;
    assert_eq!(value(groups[0], "110849"), (mean, "1".to_owned()));
}

#[test]
fn a_report_can_leave_the_patient_out() {
    let (report, _) = written(&Recipe::default().series(), true);
    assert_eq!(text(&report, tags::PATIENT_NAME), "Anonymous");
    assert_eq!(text(&report, tags::STUDY_DATE), "");
    assert_eq!(text(&report, tags::PATIENT_IDENTITY_REMOVED), "YES");
}
