//! An asymmetric phantom through every format and back, in every orientation; a sphere; many segments.

mod common;

use std::time::Instant;

use common::{OBLIQUE, Recipe, phantom as document};
use medsam3_imaging::Mask;
use medsam3_imaging::NiftiFile;
use medsam3_imaging::series::{MemorySource, Series, SharedSource};
use medsam3_segmentation::{
    DicomOptions, Method, Origin, Place, Run, Runs, Segment, Segmentation, SegmentationError,
    Stamp, measure, read_label_map, read_rtstruct, read_seg, write_label_map, write_rtstruct,
    write_seg, write_segment_nifti,
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
