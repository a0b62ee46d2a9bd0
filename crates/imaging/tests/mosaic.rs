//! Siemens mosaics as volumes, against what nibabel finds in them (`tests/imaging/make_mosaic.py`).

mod common;

use medsam3_imaging::series::{Kind, Listing, Problem, Volume, Voxels, find, sources_of_paths};
use medsam3_imaging::{ImagingError, open};
use serde_json::Value;

fn list(names: &[&str]) -> Listing {
    let paths: Vec<_> = names
        .iter()
        .map(|name| common::folder().join("mosaic").join(name))
        .collect();
    find(sources_of_paths(&paths).unwrap())
}

/// Values of one frame.
fn values(volume: &Volume, frame: usize) -> Vec<i64> {
    let Voxels::I16(values) = &volume.voxels else {
        panic!("another type");
    };
    let count = volume.columns * volume.rows * volume.slices;
    values[frame * count..(frame + 1) * count]
        .iter()
        .map(|&value| i64::from(value))
        .collect()
}

fn check(volume: &Volume, frame: usize, truth: &Value, name: &str) {
    let expected: Vec<i64> = truth["voxels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_i64().unwrap())
        .collect();
    assert_eq!(values(volume, frame), expected, "{name}");
    let affine = volume.affine.unwrap().0;
    for (row, expected) in affine.iter().zip(truth["affine"].as_array().unwrap()) {
        for (value, expected) in row.iter().zip(expected.as_array().unwrap()) {
            let difference = (value - expected.as_f64().unwrap()).abs();
            assert!(difference < 1e-5, "{name}: {affine:?}");
        }
    }
}

#[test]
fn tiles_are_slices_where_nibabel_has_them() {
    let truth = common::json("mosaic.json");
    for name in ["csa2.dcm", "csa1.dcm", "reversed.dcm"] {
        let listing = list(&[name]);
        let series = &listing.series[0];
        assert_eq!(series.kind(), Kind::Volume, "{name}");
        assert_eq!((series.columns(), series.rows()), (8, 6), "{name}");
        assert_eq!((series.slices(), series.frames()), (7, 1), "{name}");
        assert!(series.problems().is_empty(), "{:?}", series.problems());
        check(&series.volume().unwrap(), 0, &truth["files"][name], name);
        let (picture, frame) = series.open(2, 0).unwrap();
        assert_eq!((picture.width(), picture.height()), (8, 6));
        let expected = truth["files"][name]["voxels"].as_array().unwrap();
        let shown = picture.gray_values(frame).unwrap();
        for (value, expected) in shown.iter().zip(&expected[2 * 48..3 * 48]) {
            assert_eq!(f64::from(*value), expected.as_f64().unwrap());
        }
        let info = series.picture_info(2, 0).unwrap();
        let tile = if name == "reversed.dcm" { 4 } else { 2 };
        assert_eq!((info.frame, info.tile), (0, Some(tile)));
    }
}

#[test]
fn mosaics_of_one_series_are_its_time_points() {
    let truth = common::json("mosaic.json");
    let listing = list(&["time-2.dcm", "time-1.dcm"]);
    assert_eq!(listing.series.len(), 1);
    let series = &listing.series[0];
    assert_eq!((series.slices(), series.frames()), (7, 2));
    let volume = series.volume().unwrap();
    for (frame, name) in ["time-1.dcm", "time-2.dcm"].into_iter().enumerate() {
        check(&volume, frame, &truth["files"][name], name);
    }
}

/// The file by itself stays the picture that it is, and so does a series without the private header.
#[test]
fn without_its_header_a_mosaic_is_one_picture() {
    let mut bytes = common::fixture("mosaic/csa2.dcm");
    let picture = open(&bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), (24, 18));
    let at = bytes
        .windows(18)
        .position(|window| window == b"SIEMENS CSA HEADER")
        .unwrap();
    bytes[at..at + 7].copy_from_slice(b"ANOTHER");
    let source = medsam3_imaging::series::MemorySource::new("mosaic.dcm", bytes);
    let listing = find(vec![std::sync::Arc::new(source)]);
    let series = &listing.series[0];
    assert_eq!((series.kind(), series.rows()), (Kind::Image, 18));
    assert_eq!(series.problems(), [Problem::Mosaic]);
}

/// Rows and pixels of another size than the header that was listed: refused, not cut wrongly.
#[test]
fn a_damaged_header_is_no_mosaic() {
    let bytes = common::fixture("mosaic/csa2.dcm");
    let count = bytes
        .windows(22)
        .position(|window| window == b"NumberOfImagesInMosaic")
        .unwrap();
    for text in ["0", "-7", "1000000", "x", "9999999999999"] {
        let mut bytes = bytes.clone();
        let at = count + 84 + 16;
        let end = at + bytes[at..].iter().position(|&byte| byte == 0).unwrap();
        bytes[at..end].fill(b' ');
        let text = &text.as_bytes()[..text.len().min(end - at)];
        bytes[at..at + text.len()].copy_from_slice(text);
        let source = medsam3_imaging::series::MemorySource::new("mosaic.dcm", bytes);
        let listing = find(vec![std::sync::Arc::new(source)]);
        let series = &listing.series[0];
        assert_eq!(series.kind(), Kind::Image);
        let opened: Result<_, ImagingError> = series.open(0, 0);
        assert_eq!(opened.unwrap().0.width(), 24);
    }
}
