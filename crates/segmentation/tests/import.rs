//! Segmentations of other programs on the series that they were made on: dcmqi's and highdicom's files, and
//! structure sets of clinics, against masks that SimpleITK, pydicom and scikit-image read
//! (tests/segmentation/import.json). The files are not in the repository.

use std::path::{Path, PathBuf};

use medsam3_imaging::series::{Series, find, sources_of_paths};
use medsam3_segmentation::{Imported, Place, SegmentationError, read_rtstruct, read_seg};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn shared() -> Option<PathBuf> {
    match std::env::var("MEDSAM3_SHARED") {
        Ok(folder) => Some(Path::new(&folder).join("dicom")),
        Err(_) => {
            println!("skipped: MEDSAM3_SHARED is not set to the folder with dicom/series");
            None
        }
    }
}

fn series(path: &Path) -> Series {
    let mut listing = find(sources_of_paths(&[path.to_owned()]).unwrap());
    assert_eq!(listing.series.len(), 1, "{}", path.display());
    listing.series.remove(0)
}

fn read(case: &Value, folder: &Path) -> Result<(Series, Imported), SegmentationError> {
    let text = |key: &str| case[key].as_str().unwrap();
    let series = series(&folder.join(text("image")));
    let bytes = std::fs::read(folder.join(text("file"))).unwrap();
    let imported = if text("kind") == "rtstruct" {
        read_rtstruct(&series, &bytes)?
    } else {
        read_seg(&series, &bytes, case["threshold"].as_f64().unwrap_or(0.5))?
    };
    Ok((series, imported))
}

#[test]
fn masks_are_those_of_other_readers() {
    let Some(folder) = shared() else { return };
    let golden: Value =
        serde_json::from_str(include_str!("../../../tests/segmentation/import.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["file"].as_str().unwrap();
        let (series, imported) =
            read(case, &folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        let segments = case["segments"].as_array().unwrap();
        assert_eq!(
            imported.segmentation.segments().len(),
            segments.len(),
            "{name}"
        );
        for (segment, golden) in imported.segmentation.segments().iter().zip(segments) {
            assert_eq!(segment.name, golden["name"].as_str().unwrap(), "{name}");
            let slices = golden["slices"].as_object().unwrap();
            assert_eq!(
                segment.masks().count(),
                slices.len(),
                "{name} {}",
                segment.name
            );
            for (slice, golden) in slices {
                let place = Place {
                    slice: slice.parse().unwrap(),
                    frame: 0,
                };
                let runs = segment.runs(place).unwrap();
                let what = format!("{name} {} slice {slice}", segment.name);
                assert_eq!(
                    runs.count() as u64,
                    golden["pixels"].as_u64().unwrap(),
                    "{what}"
                );
                let mask = runs.to_mask(series.columns(), series.rows());
                let hash = Sha256::digest(&mask.bits);
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hash, golden["sha256"].as_str().unwrap(), "{what}");
            }
        }
    }
}

#[test]
fn what_belongs_elsewhere_is_refused() {
    let Some(folder) = shared() else { return };
    for (image, file) in [
        (
            "series/dcmqi-seg/ct-liver-spine/image",
            "series/dcmqi-seg/23x38x3/label.seg",
        ),
        (
            "seg/ct_image.dcm",
            "series/dcmqi-seg/ct-liver-spine/liver.dcm",
        ),
    ] {
        let series = series(&folder.join(image));
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let refused = read_seg(&series, &bytes, 0.5).map_err(|error| error.code());
        assert_eq!(refused, Err("SEGMENT-OTHER-SERIES"), "{file}");
    }
    // Tiles of a slide have no series here.
    let series = series(&folder.join("seg/ct_image.dcm"));
    for file in [
        "seg_image_sm_numbers.dcm",
        "seg_image_sm_dots_tiled_full.dcm",
    ] {
        let bytes = std::fs::read(folder.join("series/highdicom-seg").join(file)).unwrap();
        let refused = read_seg(&series, &bytes, 0.5).map_err(|error| error.code());
        assert_eq!(refused, Err("SEGMENT-UNREADABLE"), "{file}");
    }
}
