//! An asymmetric phantom through every format and back, in every orientation; measurements and comparison
//! against numbers of numpy, scipy, SimpleITK and scikit-image (tests/segmentation/measurements.json).

mod common;

use std::time::Instant;

use common::{OBLIQUE, Recipe, inside};
use medsam3_imaging::Mask;
use medsam3_imaging::NiftiFile;
use medsam3_imaging::series::{MemorySource, Series, SharedSource};
use medsam3_segmentation::{
    DicomOptions, Method, Origin, Place, Run, Runs, Segment, Segmentation, SegmentationError,
    Stamp, Warning, compare, measure, read_label_map, read_rtstruct, read_seg, write_csv,
    write_json, write_label_map, write_rtstruct, write_seg, write_segment_nifti,
};
use std::sync::Arc;

/// Orientations of rows and columns: axial, sagittal, coronal, their mirror images, oblique.
const ORIENTATIONS: [[f64; 6]; 7] = [
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
    [1.0, 0.0, 0.0, 0.0, 0.0, -1.0],
    [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0],
    [0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
    [0.0, 1.0, 0.0, -1.0, 0.0, 0.0],
    OBLIQUE,
];

fn document(series: &Series) -> Segmentation {
    let mut document = Segmentation::new(series);
    let grid = document.grid();
    for (index, name) in ["left kidney", "tumor"].into_iter().enumerate() {
        document.add(Segment::new(
            name,
            Origin::of_model("medsam3-test", "abc123", name),
        ));
        for slice in 0..grid.slices {
            let mut mask = Mask::empty(grid.columns, grid.rows);
            for (at, bit) in mask.bits.iter_mut().enumerate() {
                let (x, y) = (at % grid.columns, at / grid.columns);
                *bit = u8::from(inside(index, x as i64, y as i64, slice as i64));
            }
            document.set_mask(index, slice, 0, &mask).unwrap();
        }
    }
    document
}

fn options() -> DicomOptions {
    DicomOptions::new(Stamp::new(1_700_000_000, [3; 32]))
}

fn same_masks(a: &Segment, b: &Segment, what: &str) {
    let masks = |segment: &Segment| -> Vec<(Place, Runs)> {
        segment
            .masks()
            .map(|(place, runs)| (place, runs.clone()))
            .collect()
    };
    assert!(!a.is_empty(), "{what}");
    assert!(
        masks(a) == masks(b),
        "{what}: {} and {} pixels",
        a.count(),
        b.count()
    );
}

#[test]
fn the_phantom_comes_back_from_every_format_in_every_orientation() {
    for orientation in ORIENTATIONS {
        for descending in [false, true] {
            let series = Recipe {
                orientation,
                descending,
                ..Recipe::default()
            }
            .series();
            let what = format!("{orientation:?} {descending}");
            let document = document(&series);
            assert!(document.has_overlaps());

            let mut bytes = Vec::new();
            write_seg(&series, &document, &options(), &mut bytes).unwrap();
            let read = read_seg(&series, &bytes, 0.5).unwrap();
            assert_eq!(read.left_out, 0);
            for (ours, theirs) in document.segments().iter().zip(read.segmentation.segments()) {
                same_masks(ours, theirs, &what);
                assert_eq!(ours.name, theirs.name);
                assert_eq!(ours.color, theirs.color);
                assert_eq!(ours.coding.kind, theirs.coding.kind);
                assert_eq!(ours.coding.modifier, theirs.coding.modifier);
                assert_eq!(theirs.origin.method, Method::Automatic);
            }

            let mut bytes = Vec::new();
            write_rtstruct(&series, &document, &options(), &mut bytes).unwrap();
            let read = read_rtstruct(&series, &bytes).unwrap();
            assert_eq!(read.left_out, 0);
            for (ours, theirs) in document.segments().iter().zip(read.segmentation.segments()) {
                same_masks(ours, theirs, &what);
            }

            for (index, segment) in document.segments().iter().enumerate() {
                let mut bytes = Vec::new();
                write_segment_nifti(&series, &document, index, &mut bytes).unwrap();
                let read = nifti(&series, bytes, &segment.name).unwrap();
                same_masks(segment, &read.segments()[0], &what);
            }

            let mut apart = document.clone();
            let cut = medsam3_segmentation::difference(&apart, 0, 1).unwrap();
            cut.apply(&mut apart).unwrap();
            let mut bytes = Vec::new();
            write_label_map(&series, &apart, &mut bytes).unwrap();
            let read = nifti(&series, bytes, "label").unwrap();
            let labels = DicomOptions {
                label_map: true,
                ..options()
            };
            let mut bytes = Vec::new();
            write_seg(&series, &apart, &labels, &mut bytes).unwrap();
            let map = read_seg(&series, &bytes, 0.5).unwrap().segmentation;
            for (index, ours) in apart.segments().iter().enumerate() {
                same_masks(ours, &read.segments()[index], &what);
                same_masks(ours, &map.segments()[index], &what);
            }
        }
    }
}

fn nifti(series: &Series, bytes: Vec<u8>, name: &str) -> Result<Segmentation, SegmentationError> {
    let source: SharedSource = Arc::new(MemorySource::new("mask.nii.gz", bytes));
    let file = NiftiFile::open(&source, None)?;
    Ok(read_label_map(series, &file, name)?.segmentation)
}

#[test]
fn what_does_not_belong_to_the_series_is_refused() {
    let series = Recipe::default().series();
    let document = document(&series);
    let (mut seg, mut structures, mut volume) = (Vec::new(), Vec::new(), Vec::new());
    write_seg(&series, &document, &options(), &mut seg).unwrap();
    write_rtstruct(&series, &document, &options(), &mut structures).unwrap();
    write_segment_nifti(&series, &document, 0, &mut volume).unwrap();
    let other = Recipe {
        uid: "1.2.826.0.1.3680043.10.999.2",
        ..Recipe::default()
    }
    .series();
    let code = |error: SegmentationError| error.code();
    assert_eq!(
        read_seg(&other, &seg, 0.5).map_err(code),
        Err("SEGMENT-OTHER-SERIES")
    );
    assert_eq!(
        read_rtstruct(&other, &structures).map_err(code),
        Err("SEGMENT-OTHER-SERIES")
    );
    // A volume has no identity: one on other voxels is refused, one on the same taken.
    let moved = Recipe {
        origin: [-10.2, 20.25, 30.0],
        ..Recipe::default()
    }
    .series();
    assert_eq!(
        nifti(&moved, volume.clone(), "x").map_err(code),
        Err("SEGMENT-OTHER-SERIES")
    );
    assert!(nifti(&other, volume, "x").is_ok());
    // The same pictures at another place contradict the frames.
    assert_eq!(
        read_seg(&moved, &seg, 0.5).map_err(code),
        Err("SEGMENT-OTHER-SERIES")
    );
    let labels = DicomOptions {
        label_map: true,
        ..options()
    };
    let written = write_seg(&series, &document, &labels, Vec::new());
    assert_eq!(written.map_err(code), Err("SEGMENT-OVERLAP"));
    let empty = Segmentation::new(&series);
    let written = write_seg(&series, &empty, &options(), Vec::new());
    assert_eq!(written.map_err(code), Err("SEGMENT-EMPTY"));
    let mask = Mask::empty(3, 3);
    let mut document = document;
    let set = document.set_mask(0, 0, 0, &mask);
    assert_eq!(set.map_err(code), Err("SEGMENT-MASK-SIZE"));
}

#[test]
fn the_patient_is_kept_or_left_out() {
    let series = Recipe::default().series();
    let document = document(&series);
    let holds = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let mut bytes = Vec::new();
    write_seg(&series, &document, &options(), &mut bytes).unwrap();
    // Latin-1 in the series, UTF-8 in what is made on it.
    assert!(holds(&bytes, "Müller^Jürgen") && holds(&bytes, "ISO_IR 192"));
    assert!(holds(&bytes, "ID-4711") && holds(&bytes, "Research and teaching only"));
    let deidentified = DicomOptions {
        deidentify: true,
        ..options()
    };
    let mut seg = Vec::new();
    write_seg(&series, &document, &deidentified, &mut seg).unwrap();
    let mut structures = Vec::new();
    write_rtstruct(&series, &document, &deidentified, &mut structures).unwrap();
    for bytes in [seg, structures] {
        for text in ["Müller", "ID-4711", "20260102"] {
            assert!(!holds(&bytes, text), "{text}");
        }
    }
}

#[test]
fn measurements_are_those_of_scipy_and_simpleitk() {
    let golden: serde_json::Value = serde_json::from_str(include_str!(
        "../../../tests/segmentation/measurements.json"
    ))
    .unwrap();
    let series = Recipe::default().series();
    let document = document(&series);
    let measured = measure(&series, &document).unwrap();
    let near = |a: f64, b: &serde_json::Value, what: &str| {
        let b = b.as_f64().unwrap();
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{what}: {a} {b}");
    };
    for (measured, golden) in measured.iter().zip(golden["segments"].as_array().unwrap()) {
        assert_eq!(measured.voxels as u64, golden["voxels"].as_u64().unwrap());
        assert_eq!(
            measured.components as u64,
            golden["components"].as_u64().unwrap()
        );
        near(measured.volume_ml.unwrap(), &golden["volume_ml"], "volume");
        let statistics = measured.statistics.unwrap();
        near(statistics.mean, &golden["mean"], "mean");
        near(statistics.sd, &golden["sd"], "sd");
        near(statistics.min, &golden["min"], "min");
        near(statistics.max, &golden["max"], "max");
        assert_eq!(statistics.unit, "HU");
        for axis in 0..3 {
            near(
                measured.centroid_mm.unwrap()[axis],
                &golden["centroid_mm"][axis],
                "centroid",
            );
            for side in 0..2 {
                let bound = &golden["bounding_box"][axis][side];
                assert_eq!(
                    measured.bounding_box[axis][side] as u64,
                    bound.as_u64().unwrap()
                );
            }
        }
        for slice in &measured.slices {
            let golden = &golden["slices"][slice.slice.to_string()];
            near(slice.area_mm2.unwrap(), &golden["area_mm2"], "area");
            near(slice.axes_mm.unwrap()[0], &golden["long_mm"], "long axis");
            near(slice.axes_mm.unwrap()[1], &golden["short_mm"], "short axis");
        }
    }
    assert!(measured[1].warnings.contains(&Warning::TouchesFirstSlice));
    assert!(measured[1].warnings.contains(&Warning::TouchesImageEdge));
    assert!(
        measured[0].warnings.is_empty(),
        "{:?}",
        measured[0].warnings
    );
    let compared = compare(
        &series,
        &document.segments()[0],
        &document.segments()[1],
        0,
        3.0,
    )
    .unwrap();
    near(compared.dice, &golden["comparison"]["dice"], "dice");
    near(compared.iou, &golden["comparison"]["iou"], "iou");
    near(
        compared.hd95.unwrap(),
        &golden["comparison"]["hd95"],
        "hd95",
    );
    near(compared.nsd.unwrap(), &golden["comparison"]["nsd"], "nsd");
    let (mut csv, mut json) = (Vec::new(), Vec::new());
    write_csv(&document, &measured, &mut csv).unwrap();
    write_json(&document, &measured, &mut json).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.contains("left kidney") && csv.contains("Research and teaching only"));
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        json["measurements"][0]["voxels"],
        golden["segments"][0]["voxels"]
    );
}

#[test]
fn a_sphere_has_its_volume() {
    let recipe = Recipe {
        columns: 96,
        rows: 64,
        slices: 40,
        spacing: [0.6, 0.9, 1.5],
        ..Recipe::default()
    };
    let series = recipe.series();
    let mut document = Segmentation::new(&series);
    let index = document.add(Segment::new("cyst", Origin::of_person()));
    let radius = 24.0f64;
    for slice in 0..recipe.slices {
        let mut mask = Mask::empty(recipe.columns, recipe.rows);
        for (at, bit) in mask.bits.iter_mut().enumerate() {
            let at = [at % recipe.columns, at / recipe.columns, slice];
            let middle = [47.3, 31.6, 19.4];
            let square: f64 = (0..3)
                .map(|axis| ((at[axis] as f64 - middle[axis]) * recipe.spacing[axis]).powi(2))
                .sum();
            *bit = u8::from(square <= radius * radius);
        }
        document.set_mask(index, slice, 0, &mask).unwrap();
    }
    let measured = &measure(&series, &document).unwrap()[0];
    let expected = 4.0 / 3.0 * std::f64::consts::PI * radius.powi(3) / 1000.0;
    let volume = measured.volume_ml.unwrap();
    assert!(
        (volume - expected).abs() < 0.01 * expected,
        "{volume} {expected}"
    );
    let [long, short] = measured.largest_slice().unwrap().axes_mm.unwrap();
    assert!((long - 2.0 * radius).abs() < 0.02 * long, "{long}");
    assert!((short - 2.0 * radius).abs() < 0.02 * long, "{short}");
}

/// A hundred segments; in a release build as many and as large as a whole body has.
#[test]
fn many_segments_are_written_and_read_quickly() {
    let full = !cfg!(debug_assertions);
    let (side, slices, limit) = if full {
        (512, 300, 5.0)
    } else {
        (128, 24, 60.0)
    };
    let series = Recipe {
        columns: side,
        rows: side,
        slices,
        ..Recipe::default()
    }
    .series();
    let mut document = Segmentation::new(&series);
    for segment in 0..104 {
        document.add(Segment::new(
            format!("segment {segment}"),
            Origin::of_person(),
        ));
        // About a fifth of the slices, as organs have.
        let first = segment * slices / 130;
        for slice in first..first + slices / 5 {
            let bits = (0..side * side).map(|at| {
                let (x, y) = (at % side, at / side);
                let (left, top) = (segment % 10 * side / 11, segment / 10 * side / 12);
                (left..left + side / 10).contains(&x) && (top..top + side / 10).contains(&y)
            });
            let runs = Runs::of_bits(bits);
            document
                .set_runs(segment, Place { slice, frame: 0 }, runs)
                .unwrap();
        }
    }
    let start = Instant::now();
    let mut bytes = Vec::new();
    write_seg(&series, &document, &options(), &mut bytes).unwrap();
    let written = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let read = read_seg(&series, &bytes, 0.5).unwrap().segmentation;
    let reading = start.elapsed().as_secs_f64();
    println!(
        "{} bytes: written in {written:.2} s, read in {reading:.2} s",
        bytes.len()
    );
    for (ours, theirs) in document.segments().iter().zip(read.segments()) {
        same_masks(ours, theirs, "many");
    }
    assert!(written < limit && reading < limit, "{written} {reading}");
    // One pixel more is another document.
    let place = Place { slice: 0, frame: 0 };
    document
        .set_runs(0, place, Runs::of_bits([true].into_iter()))
        .unwrap();
    assert_ne!(
        document.segments()[0]
            .runs(place)
            .map(|runs| runs.iter().collect::<Vec<_>>()),
        read.segments()[0]
            .runs(place)
            .map(|runs| runs.iter().collect::<Vec<Run>>())
    );
}
