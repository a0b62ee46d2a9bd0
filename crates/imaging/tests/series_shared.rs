//! The real series of the conformance folder, against the facts that pydicom, numpy, dcm2niix, SimpleITK and
//! nibabel found in them (`expected.json` there says how). Skipped where `MEDSAM3_SHARED` is not set.

mod common;

use std::path::{Path, PathBuf};

use medsam3_imaging::series::{Listing, Series, SeriesReport, Voxels, find, sources_of_paths};
use serde_json::Value;

/// The folder and its facts.
fn shared() -> Option<(PathBuf, Value)> {
    let Some(shared) = std::env::var_os("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set, the real series are not checked");
        return None;
    };
    let folder = Path::new(&shared).join("dicom/series");
    let facts = std::fs::read(folder.join("expected.json")).unwrap();
    Some((folder, serde_json::from_slice(&facts).unwrap()))
}

fn list(path: PathBuf) -> Listing {
    find(sources_of_paths(&[path]).unwrap())
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

fn number(value: &Value, index: usize) -> Option<f64> {
    value.get(index).and_then(Value::as_f64)
}

/// What is wrong with a series, nothing where it is as expected.
fn differences(found: &Value, facts: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, ok: bool, text: String| {
        if !ok {
            wrong.push(format!("{what}: {text}"));
        }
    };
    let kind = found["kind"].as_str().unwrap().to_owned();
    check("kind", strings(&facts["accept_kind"]).contains(&kind), kind);
    for key in ["modality", "rows", "columns", "slices", "frames"] {
        check(key, found[key] == facts[key], found[key].to_string());
    }
    check(
        "transfer_syntax",
        strings(&found["transfer_syntax"]) == strings(&facts["transfer_syntax"]),
        found["transfer_syntax"].to_string(),
    );
    let mut tolerance = 0.01;
    for axis in 0..3 {
        let (a, b) = (
            number(&found["spacing_mm"], axis),
            number(&facts["spacing_mm"], axis),
        );
        let ok = match (a, b) {
            (Some(a), Some(b)) => {
                tolerance = f64::max(tolerance, 1e-3 * b);
                (a - b).abs() <= f64::max(1e-3, 1e-3 * b)
            }
            (None, None) => true,
            _ => false,
        };
        check("spacing_mm", ok, format!("{a:?} for {b:?} on axis {axis}"));
    }
    if facts["affine"].is_null() {
        check(
            "affine",
            found["affine"].is_null(),
            found["affine"].to_string(),
        );
    } else {
        // Of a single slice position the third column is free.
        let columns = if facts["slices"] == 1 {
            &[0, 1, 3][..]
        } else {
            &[0, 1, 2, 3][..]
        };
        for row in 0..3 {
            for &column in columns {
                let a = number(&found["affine"][row], column);
                let b = number(&facts["affine"][row], column);
                let ok = matches!((a, b), (Some(a), Some(b)) if (a - b).abs() <= tolerance);
                check("affine", ok, format!("{a:?} for {b:?} at {row},{column}"));
            }
        }
    }
    let (required, allowed) = (strings(&facts["problems"]), strings(&facts["may_report"]));
    let reported = strings(&found["problems"]);
    for code in &required {
        check("not reported", reported.contains(code), code.clone());
    }
    for code in &reported {
        let known = required.contains(code) || allowed.contains(code);
        check("reported", known, code.clone());
    }
    wrong
}

/// The facts of a mosaic as those of the volume that its tiles are, and where its voxels then are.
fn of_tiles(facts: &Value) -> Value {
    let mosaic = &facts["mosaic"];
    let size = |key: &str| mosaic[key].as_u64().unwrap();
    let mut facts = facts.clone();
    facts["kind"] = "volume".into();
    facts["rows"] = size("tile_rows").into();
    facts["columns"] = size("tile_columns").into();
    facts["slices"] = size("tiles").into();
    facts["spacing_mm"] = mosaic["spacing_mm"].clone();
    facts["affine"] = mosaic["volume_affine"].clone();
    for voxel in facts["sample_voxels"].as_array_mut().unwrap() {
        let at = |key: &str| voxel[key].as_u64().unwrap();
        let (row, column) = (at("row"), at("column"));
        let (rows, columns) = (size("tile_rows"), size("tile_columns"));
        voxel["slice"] = (row / rows * size("tiles_per_row") + column / columns).into();
        voxel["row"] = (row % rows).into();
        voxel["column"] = (column % columns).into();
    }
    facts
}

fn find_series<'a>(listing: &'a Listing, uid: &str) -> Option<&'a Series> {
    listing
        .series
        .iter()
        .find(|series| series.uid() == Some(uid))
}

/// What the volume file of a NIfTI row is, against nibabel's facts: shape, affine, spacing and voxels.
fn nifti_differences(found: &Series, facts: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let report = serde_json::to_value(SeriesReport::of(found)).unwrap();
    let shape: Vec<u64> = facts["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|size| size.as_u64().unwrap())
        .collect();
    let size = |axis: usize| shape.get(axis).copied().unwrap_or(1);
    let sizes = [size(0), size(1), size(2), shape.iter().skip(3).product()];
    let reported = ["columns", "rows", "slices", "frames"].map(|key| report[key].as_u64().unwrap());
    if sizes != reported {
        wrong.push(format!("sizes {reported:?}, not {sizes:?}"));
    }
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-4 * b.abs().max(1.0),
        (a, b) => a == b,
    };
    for axis in 0..3 {
        let (a, b) = (
            number(&report["spacing_mm"], axis),
            number(&facts["spacing_mm"], axis),
        );
        if !near(a, b) {
            wrong.push(format!("spacing {a:?}, not {b:?}"));
        }
        for column in 0..4 {
            let a = number(&report["affine"][axis], column);
            let b = number(&facts["affine_lps"][axis], column);
            if !near(a, b) {
                wrong.push(format!("affine {a:?}, not {b:?} at {axis},{column}"));
            }
        }
    }
    for voxel in facts["sample_voxels"].as_array().into_iter().flatten() {
        let index = voxel["index"].as_array().unwrap();
        let at = |axis: usize| {
            index
                .get(axis)
                .map_or(0, |index| index.as_u64().unwrap() as usize)
        };
        let (mut frame, mut factor) = (0, 1);
        for axis in 3..shape.len() {
            frame += at(axis) * factor;
            factor *= size(axis) as usize;
        }
        let Some(expected) = voxel["value"].as_f64() else {
            continue;
        };
        match found.open(at(2), frame) {
            Ok((picture, frame)) => {
                let values = picture.gray_values(frame).unwrap();
                let value = f64::from(values[at(1) * size(0) as usize + at(0)]);
                if (value - expected).abs() > 1e-5 * expected.abs().max(1.0) {
                    wrong.push(format!("{index:?}: {value}, not {expected}"));
                }
            }
            Err(error) => wrong.push(format!("{index:?}: {error}")),
        }
    }
    wrong
}

#[test]
fn all_nifti_files_are_as_expected() {
    let Some((folder, facts)) = shared() else {
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for facts in facts["nifti"].as_array().unwrap() {
        let name = facts["file"].as_str().unwrap();
        if name.ends_with(".nrrd") {
            continue;
        }
        count += 1;
        let listing = list(folder.join("nifti").join(name));
        let complex = facts["datatype"]
            .as_str()
            .is_some_and(|name| name.contains("complex"));
        if facts["readable"] == false || complex {
            if !listing.series.is_empty() || listing.failures.len() != 1 {
                wrong.push(format!("{name}: not refused: {listing:?}"));
            }
            continue;
        }
        let [found] = listing.series.as_slice() else {
            wrong.push(format!("{name}: {listing:?}"));
            continue;
        };
        for difference in nifti_differences(found, facts) {
            wrong.push(format!("{name}: {difference}"));
        }
        let volume = found.volume();
        if facts["readable"] == "header only" {
            let refused = matches!(&volume, Err(error) if error.code() == "NIFTI-UNREADABLE");
            if !refused {
                wrong.push(format!("{name}: {volume:?}"));
            }
            continue;
        }
        let volume = volume.unwrap();
        let values: Vec<f64> = match volume.voxels {
            Voxels::I16(values) => values.into_iter().map(f64::from).collect(),
            Voxels::F32(values) => values.into_iter().map(f64::from).collect(),
            Voxels::Rgb(_) => continue,
        };
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        if let Some(expected) = facts["not_finite"].as_u64()
            && expected as usize != values.len() - finite().count()
        {
            wrong.push(format!("{name}: other numbers that are not finite"));
        }
        for (what, value) in [
            ("minimum", finite().fold(f64::INFINITY, f64::min)),
            ("maximum", finite().fold(f64::NEG_INFINITY, f64::max)),
            ("mean", finite().sum::<f64>() / finite().count() as f64),
        ] {
            if let Some(expected) = facts[what].as_f64()
                && (value - expected).abs() > 1e-4 * expected.abs().max(1e-3)
            {
                wrong.push(format!("{name}: {what} {value}, not {expected}"));
            }
        }
    }
    assert_eq!(count, 43);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The DICOM files elsewhere in the folder, one file or one folder at a time.
#[test]
fn files_elsewhere_are_as_expected() {
    let Some((folder, _)) = shared() else {
        return;
    };
    let shared = folder.join("../..");
    let facts = std::fs::read(folder.join("expected-existing.json")).unwrap();
    let facts: Value = serde_json::from_slice(&facts).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for facts in facts["series"].as_array().unwrap() {
        let mut path = shared.join(facts["folder"].as_str().unwrap());
        let files = strings(&facts["files"]);
        if let [file] = files.as_slice()
            && path.join(file).is_file()
        {
            path.push(file);
        }
        let name = path.display().to_string();
        let listing = list(path);
        if facts["modality"] == "SEG" {
            // Its pixels are no picture.
            assert!(listing.series.is_empty() && listing.others.len() == 1);
            continue;
        }
        let [found] = listing.series.as_slice() else {
            wrong.push(format!("{name}: {} series", listing.series.len()));
            continue;
        };
        count += 1;
        if name.ends_with("dicom/seg/dx_image.dcm") {
            // Its Pixel Spacing equals Imager Pixel Spacing and has no calibration: PS3.3 10.7.1.3 calls
            // that the detector's, the facts take the number as it stands. Header and picture say the same.
            assert_eq!(found.spacing_mm(), None);
            let (picture, _) = found.open(0, 0).unwrap();
            assert_eq!(picture.pixel_spacing_mm(), None);
            assert!(picture.notes()[0].contains("on the detector"));
            continue;
        }
        let mut report = serde_json::to_value(SeriesReport::of(found)).unwrap();
        if strings(&report["problems"]).contains(&"spacing-from-ultrasound-region".to_owned()) {
            // The facts leave this spacing to the reader.
            report["spacing_mm"] = Value::Null;
        }
        for difference in differences(&report, facts) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    println!("{count} series right");
    assert!(count > 60, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Four files store one head along different axes; turned to the patient they are the same.
#[test]
fn volumes_turned_to_the_patient_are_the_same_head() {
    let Some((folder, _)) = shared() else {
        return;
    };
    let volumes: Vec<_> = ["AIL", "PSR", "SLA", "LIP"]
        .iter()
        .map(|axes| {
            let listing = list(folder.join(format!("nifti/space-{axes}.nii.gz")));
            listing.series[0].volume().unwrap().turned_to_patient()
        })
        .collect();
    let first = &volumes[0];
    for other in &volumes[1..] {
        assert!(other.voxels == first.voxels);
        let (a, b) = (first.affine.unwrap(), other.affine.unwrap());
        let near = |a: &f64, b: &f64| (a - b).abs() < 1e-3;
        let (mut a, b) = (a.0.iter().flatten(), b.0.iter().flatten());
        assert!(b.into_iter().all(|b| near(a.next().unwrap(), b)));
    }
}

#[test]
fn all_series_are_as_expected() {
    let Some((folder, facts)) = shared() else {
        return;
    };
    let mut wrong = Vec::new();
    let mut positions = 0;
    let series = facts["series"].as_array().unwrap();
    let mut mosaics = 0;
    for facts in series {
        let name = facts["folder"].as_str().unwrap();
        let facts = &if facts["mosaic"].is_object() {
            mosaics += 1;
            of_tiles(facts)
        } else {
            facts.clone()
        };
        let listing = list(folder.join(name));
        for failure in &listing.failures {
            wrong.push(format!("{name}: {} {}", failure.name, failure.error));
        }
        let uid = facts["series_uid"].as_str().unwrap();
        let Some(found) = find_series(&listing, uid) else {
            wrong.push(format!("{name}: series not found"));
            continue;
        };
        let report = serde_json::to_value(SeriesReport::of(found)).unwrap();
        for difference in differences(&report, facts) {
            wrong.push(format!("{name} {}: {difference}", facts["modality"]));
        }
        if let Some(expected) = facts["slice_positions_mm"].as_array() {
            for (slice, expected) in expected.iter().enumerate() {
                let place = found.places().get(slice).map(|place| place.distance_mm);
                let expected = expected.as_f64().unwrap();
                positions += 1;
                if !place.is_some_and(|place| (place - expected).abs() < 0.01) {
                    wrong.push(format!(
                        "{name}: slice {slice} at {place:?}, not {expected}"
                    ));
                }
            }
        }
        if facts["affine_nominal"] == true {
            let grid: Vec<_> = found
                .places()
                .iter()
                .map(|place| place.grid_index)
                .collect();
            let expected: Vec<_> = facts["grid_index_of_slices"]
                .as_array()
                .unwrap()
                .iter()
                .map(|index| index.as_u64().map(|index| index as usize))
                .collect();
            if grid != expected {
                wrong.push(format!("{name}: grid {grid:?}, not {expected:?}"));
            }
        }
    }
    assert_eq!((series.len(), mosaics), (55, 3));
    println!("{positions} slice positions right");
    assert!(positions > 300, "{positions}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sample voxels say which file and frame a slice is made of, and their values come out of it. Files whose
/// compression is not yet decoded are counted, not passed.
#[test]
fn slices_hold_the_expected_values() {
    let Some((folder, facts)) = shared() else {
        return;
    };
    let mut wrong = Vec::new();
    let (mut right, mut refused) = (0, 0);
    for facts in facts["series"].as_array().unwrap() {
        let name = facts["folder"].as_str().unwrap();
        let facts = &if facts["mosaic"].is_object() {
            of_tiles(facts)
        } else {
            facts.clone()
        };
        let listing = list(folder.join(name));
        let found = find_series(&listing, facts["series_uid"].as_str().unwrap()).unwrap();
        for voxel in facts["sample_voxels"].as_array().into_iter().flatten() {
            let at = |key: &str| voxel[key].as_u64().map(|value| value as usize);
            let (Some(slice), Some(column), Some(row)) = (at("slice"), at("column"), at("row"))
            else {
                continue;
            };
            if facts["order"] == "by Instance Number" {
                // The facts give these voxels by the order of file names.
                continue;
            }
            let info = found.picture_info(slice, 0).unwrap();
            let file = voxel["file"].as_str().unwrap_or_default();
            let frame = at("frame").unwrap_or(0);
            if !info.name.ends_with(file) || info.frame != frame {
                wrong.push(format!(
                    "{name} slice {slice}: {} {}, not {file} {frame}",
                    info.name, info.frame
                ));
                continue;
            }
            let Some(expected) = voxel["value"].as_f64() else {
                continue;
            };
            match found.open(slice, 0) {
                Ok((picture, frame)) => {
                    let values = picture.gray_values(frame).unwrap();
                    let value = f64::from(values[row * found.columns() + column]);
                    right += 1;
                    if (value - expected).abs() > 1e-5 * expected.abs().max(1.0) {
                        wrong.push(format!(
                            "{name} {file} {column},{row}: {value}, not {expected}"
                        ));
                    }
                }
                Err(error) if error.code() == "DICOM-TRANSFER-SYNTAX" => refused += 1,
                Err(error) => wrong.push(format!("{name} {file}: {error}")),
            }
        }
    }
    println!("{right} voxels right, {refused} in files of a compression that is not decoded");
    assert!(right > 100, "{right}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
