//! Measurements against SimpleITK, scipy, scikit-image and pydicom: of the phantom on three grids, and of published
//! segmentations on three real series. Numbers: tests/segmentation/measurements.json and series_measurements.json.

mod common;

use std::path::Path;

use common::{Recipe, phantom};
use medsam3_imaging::series::{find, sources_of_paths};
use medsam3_segmentation::{
    Measurement, Warning, compare, measure, read_rtstruct, read_seg, write_csv, write_json,
};
use serde_json::Value;

/// Relative error of what is exact.
const EXACT: f64 = 1e-6;
/// Relative error of what depends on where an outline is drawn between pixels.
const DISCRETISED: f64 = 0.01;

fn near(ours: f64, golden: &Value, limit: f64, what: &str) {
    let golden = golden.as_f64().unwrap();
    let off = (ours - golden).abs();
    assert!(
        off <= limit * golden.abs().max(1e-3),
        "{what}: {ours} {golden}"
    );
}

fn same(measured: &Measurement, golden: &Value, what: &str) {
    let at = |key: &str| format!("{what}: {key}");
    for (key, ours) in [
        ("voxels", measured.voxels),
        ("components", measured.components),
    ] {
        assert_eq!(ours as u64, golden[key].as_u64().unwrap(), "{}", at(key));
    }
    let statistics = measured.statistics.unwrap();
    for (key, ours) in [
        ("volume_ml", measured.volume_ml.unwrap()),
        ("mean", statistics.mean),
        ("sd", statistics.sd),
        ("min", statistics.min),
        ("max", statistics.max),
    ] {
        near(ours, &golden[key], EXACT, &at(key));
    }
    for axis in 0..3 {
        let centroid = measured.centroid_mm.unwrap()[axis];
        near(
            centroid,
            &golden["centroid_mm"][axis],
            EXACT,
            &at("centroid"),
        );
        for side in 0..2 {
            let bound = &golden["bounding_box"][axis][side];
            let ours = measured.bounding_box[axis][side] as u64;
            assert_eq!(ours, bound.as_u64().unwrap(), "{}", at("box"));
        }
    }
    let slices = golden["slices"].as_object().unwrap();
    assert_eq!(measured.slices.len(), slices.len(), "{what}");
    for slice in &measured.slices {
        let golden = &slices[&slice.slice.to_string()];
        let what = format!("{what}, slice {}", slice.slice);
        near(slice.area_mm2.unwrap(), &golden["area_mm2"], EXACT, &what);
        let [long, short] = slice.axes_mm.unwrap();
        near(long, &golden["long_mm"], DISCRETISED, &what);
        // Several diameters can be the longest, each with an extent at right angles to it.
        let extents = golden["short_mm"].as_array().unwrap();
        let off = |extent: &Value| {
            let extent = extent.as_f64().unwrap();
            (short - extent).abs() <= DISCRETISED * extent
        };
        assert!(extents.iter().any(off), "{what}: {short} {extents:?}");
    }
}

#[test]
fn phantoms_measure_what_scipy_and_simpleitk_measure() {
    let golden: Value = serde_json::from_str(include_str!(
        "../../../tests/segmentation/measurements.json"
    ))
    .unwrap();
    let phantoms = golden["phantoms"].as_array().unwrap();
    assert_eq!(phantoms.len(), 3);
    for golden in phantoms {
        let number = |value: &Value| value.as_f64().unwrap();
        let recipe = Recipe {
            spacing: std::array::from_fn(|at| number(&golden["spacing"][at])),
            orientation: std::array::from_fn(|at| number(&golden["orientation"][at])),
            descending: golden["descending"].as_bool().unwrap(),
            ..Recipe::default()
        };
        let what = format!("{:?}", recipe.spacing);
        let series = recipe.series();
        let document = phantom(&series);
        let measured = measure(&series, &document).unwrap();
        assert_eq!(measured.len(), 2);
        for (measured, golden) in measured.iter().zip(golden["segments"].as_array().unwrap()) {
            same(measured, golden, &format!("{what} {}", measured.name));
            assert_eq!(measured.statistics.unwrap().unit, "HU");
        }
        assert!(measured[1].warnings.contains(&Warning::TouchesFirstSlice));
        assert!(measured[1].warnings.contains(&Warning::TouchesImageEdge));
        assert_eq!(measured[0].warnings, []);
        let [a, b] = [&document.segments()[0], &document.segments()[1]];
        let compared = compare(&series, a, b, 0, 3.0).unwrap();
        let golden = &golden["comparison"];
        near(compared.dice, &golden["dice"], EXACT, &what);
        near(compared.iou, &golden["iou"], EXACT, &what);
        near(compared.hd95.unwrap(), &golden["hd95"], EXACT, &what);
        near(compared.nsd.unwrap(), &golden["nsd"], EXACT, &what);
    }
}

#[test]
fn real_series_measure_what_scipy_and_simpleitk_measure() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set to the folder with dicom/series");
        return;
    };
    let folder = Path::new(&shared).join("dicom");
    let golden: Value = serde_json::from_str(include_str!(
        "../../../tests/segmentation/series_measurements.json"
    ))
    .unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let path = |key: &str| folder.join(case[key].as_str().unwrap());
        let series = find(sources_of_paths(&[path("image")]).unwrap())
            .series
            .remove(0);
        let bytes = std::fs::read(path("file")).unwrap();
        let imported = match case["kind"].as_str() {
            Some("seg") => read_seg(&series, &bytes, 0.5),
            _ => read_rtstruct(&series, &bytes),
        };
        let measured = measure(&series, &imported.unwrap().segmentation).unwrap();
        assert_eq!(measured.len(), 1);
        same(&measured[0], &case["measured"], &case["file"].to_string());
    }
}

#[test]
fn tables_hold_what_was_measured() {
    let series = Recipe::default().series();
    let document = phantom(&series);
    let measured = measure(&series, &document).unwrap();
    let (mut csv, mut json) = (Vec::new(), Vec::new());
    write_csv(&document, &measured, &mut csv).unwrap();
    write_json(&document, &measured, &mut json).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.contains("left kidney") && csv.contains("Research and teaching only"));
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["measurements"][0]["voxels"], measured[0].voxels);
}
