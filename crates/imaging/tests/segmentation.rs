//! DICOM segmentations against what pydicom and highdicom read in them (`tests/imaging/make_segmentations.py`):
//! segments, planes, sources and every stored value of every frame. With `MEDSAM3_SHARED` also those of the
//! conformance folder.

mod common;

use std::path::Path;

use medsam3_imaging::segmentation_file::{Code, SegmentationFile, SegmentationKind};
use medsam3_imaging::{ImagingError, Mask};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn code(code: &Code) -> Value {
    json!([code.value, code.scheme, code.meaning])
}

/// What the tests compare of a file, in the form in which the script writes it.
fn described(file: &SegmentationFile) -> Value {
    let segments: Vec<Value> = file
        .segments
        .iter()
        .map(|segment| {
            json!({
                "number": segment.number,
                "label": segment.label,
                "description": segment.description,
                "category": segment.category.as_ref().map(code),
                "type": segment.property_type.as_ref().map(code),
                "modifiers": segment.type_modifiers.iter().map(code).collect::<Vec<_>>(),
                "algorithm_type": segment.algorithm_type,
                "algorithm_name": segment.algorithm_name,
                "cielab": segment.cielab,
            })
        })
        .collect();
    let (kind, maximum) = match file.kind {
        SegmentationKind::Binary => ("BINARY", None),
        SegmentationKind::Fractional { maximum } => ("FRACTIONAL", Some(maximum)),
        SegmentationKind::LabelMap => ("LABELMAP", None),
    };
    let series: Vec<&str> = file
        .referenced_series
        .iter()
        .map(|series| series.series_instance_uid.as_str())
        .collect();
    json!({
        "kind": kind, "maximum": maximum, "rows": file.rows, "columns": file.columns,
        "series": series, "frame_of_reference": file.frame_of_reference_uid, "segments": segments,
    })
}

fn near(what: &str, ours: Option<Vec<f64>>, theirs: &Value, tolerance: f64) {
    let theirs: Option<Vec<f64>> = theirs
        .as_array()
        .map(|all| all.iter().filter_map(Value::as_f64).collect());
    match (&ours, &theirs) {
        (None, None) => {}
        (Some(ours), Some(theirs)) if ours.len() == theirs.len() => {
            for (a, b) in ours.iter().zip(theirs) {
                assert!(
                    (a - b).abs() <= tolerance,
                    "{what}: {ours:?}, not {theirs:?}"
                );
            }
        }
        _ => panic!("{what}: {ours:?}, not {theirs:?}"),
    }
}

/// Compares a file with its facts; gives the number of frames.
fn compare(name: &str, bytes: &[u8], facts: &Value) -> usize {
    let file = SegmentationFile::open(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(SegmentationFile::is_one(bytes), "{name}");
    let ours = described(&file);
    for (key, ours) in ours.as_object().unwrap() {
        assert_eq!(*ours, facts[key], "{name}: {key}");
    }
    let theirs = facts["frames"].as_array().unwrap();
    assert_eq!(file.frames.len(), theirs.len(), "{name}: frames");
    for (at, (frame, facts)) in file.frames.iter().zip(theirs).enumerate() {
        let what = format!("{name}, frame {at}");
        // Full tiles have no description that pydicom could read; their rule is tested below.
        if file.kind == SegmentationKind::LabelMap || !facts["segment"].is_null() {
            assert_eq!(json!(frame.segment), facts["segment"], "{what}: segment");
            assert_eq!(json!(frame.tile), facts["tile"], "{what}: tile");
        }
        near(
            &format!("{what}: position"),
            frame.position.map(Vec::from),
            &facts["position"],
            0.0,
        );
        // Rounded cosines are made whole again.
        let orientation = frame.orientation.map(|o| [o.row, o.column].concat());
        near(
            &format!("{what}: orientation"),
            orientation,
            &facts["orientation"],
            1e-4,
        );
        let spacing = frame.spacing_mm.map(|[column, row]| vec![row, column]);
        near(
            &format!("{what}: spacing"),
            spacing,
            &facts["row_and_column_mm"],
            0.0,
        );
        near(
            &format!("{what}: thickness"),
            frame.thickness_mm.map(|t| vec![t]),
            &facts["thickness"],
            0.0,
        );
        let sources: Vec<Value> = frame
            .sources
            .iter()
            .map(|source| json!([source.sop_instance_uid, source.frames]))
            .collect();
        assert_eq!(json!(sources), facts["sources"], "{what}: sources");
        let values = file.values(at).unwrap();
        assert_eq!(values.len(), file.rows * file.columns, "{what}");
        let inside = values.iter().filter(|&&value| value != 0).count();
        assert_eq!(json!(inside), facts["inside"], "{what}: pixels inside");
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let digest: String = Sha256::digest(&bytes)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(json!(digest), facts["sha256"], "{what}: pixels");
    }
    file.frames.len()
}

#[test]
fn segments_planes_and_pixels_are_those_of_pydicom() {
    let facts = common::json("segmentation.json");
    let facts = facts.as_object().unwrap();
    for (name, facts) in facts {
        compare(
            name,
            &common::fixture(&format!("segmentation/{name}")),
            facts,
        );
    }
    assert_eq!(facts.len(), 12);
}

#[test]
fn segmentations_of_the_conformance_folder() {
    let Some(shared) = std::env::var_os("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set to the folder with dicom");
        return;
    };
    let facts = common::json("segmentation_shared.json");
    let mut frames = 0;
    for (name, facts) in facts.as_object().unwrap() {
        let bytes = std::fs::read(Path::new(&shared).join("dicom").join(name)).unwrap();
        frames += compare(name, &bytes, facts);
    }
    println!(
        "{} files, {frames} frames",
        facts.as_object().unwrap().len()
    );
    assert!(frames > 1000);
}

fn open(name: &str) -> SegmentationFile {
    SegmentationFile::open(&common::fixture(&format!("segmentation/{name}.dcm"))).unwrap()
}

/// The frames of a segment by their height, joined.
fn union(file: &SegmentationFile, segment: u16) -> Vec<(String, Mask)> {
    let mut found: Vec<(String, Mask)> = Vec::new();
    for (at, frame) in file.frames.iter().enumerate() {
        let mask = file.mask(at, segment).unwrap();
        if mask.area_px() > 0 {
            found.push((frame.sources[0].sop_instance_uid.clone(), mask));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn the_same_masks_in_any_order_and_compression() {
    let binary = open("binary");
    for name in [
        "binary_shuffled",
        "binary_jpeg_2000",
        "binary_deflated_frames",
    ] {
        for segment in [1, 2] {
            assert_eq!(
                union(&open(name), segment),
                union(&binary, segment),
                "{name}"
            );
        }
    }
    // The tumour, which lies over the kidney in a label map, is the same there.
    for name in ["label_map", "label_map_16", "label_map_jpeg_ls"] {
        assert_eq!(union(&open(name), 2), union(&binary, 2), "{name}");
    }
    assert_eq!(union(&binary, 1).len(), 2);
    assert!(union(&binary, 3).is_empty());
}

/// 200 is the whole: 100 and more is inside.
#[test]
fn half_and_more_of_a_fraction_is_inside() {
    let file = open("fractional");
    let values = file.values(0).unwrap();
    let mask = file.mask(0, 1).unwrap();
    let expected: Vec<u8> = values.iter().map(|&v| u8::from(v >= 100)).collect();
    assert_eq!(mask.bits, expected);
    assert!(mask.area_px() > 0);
    assert!(mask.area_px() < values.iter().filter(|&&v| v > 0).count());
}

/// PS3.3 C.7.6.17.3: of every segment its tiles from left to right, then from top to bottom.
#[test]
fn full_tiles_follow_by_their_rule() {
    let file = open("tiled_full");
    assert_eq!(file.total_size, Some([70, 60]));
    let found: Vec<_> = file.frames.iter().map(|f| (f.segment, f.tile)).collect();
    let starts = [[0, 0], [37, 0], [0, 33], [37, 33]];
    let expected: Vec<_> = [1, 2]
        .into_iter()
        .flat_map(|segment| starts.map(|start| (Some(segment), Some(start))))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_no_segmentation_is_said() {
    let image = common::fixture("dicom/MR_small.dcm");
    let error = SegmentationFile::open(&image).unwrap_err();
    assert_eq!(error.code(), "DICOM-NOT-SEG");
    assert!(!SegmentationFile::is_one(&image) && !SegmentationFile::is_one(b"text"));
    assert_eq!(
        SegmentationFile::open(b"text").unwrap_err().code(),
        "IMAGE-UNKNOWN"
    );
    let file = open("binary");
    let count = file.frames.len();
    assert_eq!(
        file.values(count),
        Err(ImagingError::FrameOutOfRange {
            frame: count,
            count
        })
    );
}

/// Contradictions, made by changing bytes of a good file.
#[test]
fn contradictions_are_refused_by_name() {
    let good = common::fixture("segmentation/binary.dcm");
    let changed = |from: &[u8], to: &[u8]| {
        let mut bytes = good.clone();
        let at = bytes.windows(from.len()).position(|part| part == from);
        let at = at.unwrap_or_else(|| panic!("{from:?} is not in the file"));
        bytes[at..at + to.len()].copy_from_slice(to);
        SegmentationFile::open(&bytes).unwrap_err()
    };
    // Segmentation Type.
    assert_eq!(changed(b"BINARY", b"VOLUME").code(), "DICOM-SEG-MALFORMED");
    // Segment Number 1 becomes 2, which there is already.
    let twice = changed(
        b"\x62\x00\x04\x00US\x02\x00\x01",
        b"\x62\x00\x04\x00US\x02\x00\x02",
    );
    assert!(twice.to_string().contains("same number"), "{twice}");
    // Referenced Segment Number.
    let unknown = changed(
        b"\x62\x00\x0b\x00US\x02\x00\x01",
        b"\x62\x00\x0b\x00US\x02\x00\x07",
    );
    assert!(unknown.to_string().contains("not described"), "{unknown}");
    // More frames than are described.
    let more = changed(
        b"\x28\x00\x08\x00IS\x02\x004 ",
        b"\x28\x00\x08\x00IS\x02\x009 ",
    );
    assert!(more.to_string().contains("not described"), "{more}");
    let cut = SegmentationFile::open(&good[..good.len() - 20]).unwrap_err();
    assert_eq!(cut.code(), "DICOM-TRUNCATED");
}
