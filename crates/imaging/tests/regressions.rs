//! Files that were refused or read wrong once, each with its truth from another program or by construction; and
//! where `MEDSAM3_SHARED` is set, the larger ones of the same kind.

mod common;

use std::path::Path;

use medsam3_imaging::{Picture, PictureKind, open};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// High-Throughput JPEG 2000 is refused by name.
const REFUSED: [&str; 1] = ["derived_htj2k_nm1.dcm"];

fn check(name: &str, bytes: &[u8], truth: &Value) {
    let opened = open(bytes);
    if REFUSED.contains(&name) {
        let error = opened.unwrap_err();
        assert_eq!(error.code(), "DICOM-TRANSFER-SYNTAX");
        assert!(error.to_string().contains("High-Throughput JPEG 2000"));
        return;
    }
    let picture = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        picture.frame_count() as u64,
        truth["frames"].as_u64().unwrap()
    );
    let tolerance = truth["tolerance"].as_f64().unwrap();
    if tolerance == 0.0 {
        let (key, found) = digest(&picture);
        assert_eq!(truth[key].as_str(), Some(found.as_str()), "{name}");
    } else {
        let samples = truth["samples_frame0"].as_array().unwrap();
        assert!(!samples.is_empty());
        let (values, channels) = values(&picture, 0);
        for sample in samples {
            let index = sample[0].as_u64().unwrap() as usize;
            for (channel, theirs) in sample[1].as_array().unwrap().iter().enumerate() {
                let ours = f64::from(values[index * channels + channel]);
                let theirs = theirs.as_f64().unwrap();
                assert!(
                    (ours - theirs).abs() <= tolerance,
                    "{name} at {index}: {ours} instead of {theirs}"
                );
            }
        }
        for (frame, theirs) in truth["per_frame"].as_array().unwrap().iter().enumerate() {
            let (values, _) = self::values(&picture, frame);
            let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
            let mean = sum / values.len() as f64;
            let theirs = theirs["mean"].as_f64().unwrap();
            assert!((mean - theirs).abs() < 0.1, "{name}: {mean}, {theirs}");
        }
    }
    if let Some(spacing) = truth["expected_spacing_mm"].as_array() {
        let ours = picture.pixel_spacing_mm().unwrap();
        for (ours, theirs) in ours.into_iter().zip(spacing) {
            assert!((ours - theirs.as_f64().unwrap()).abs() < 1e-9, "{name}");
        }
        assert_eq!(picture.notes().len(), 1, "{name}");
    }
    if truth["rendered"] == "255 - value" {
        let rendered = picture.render(0, None).unwrap();
        let same = picture.render(0, picture.default_window()).unwrap();
        assert_eq!(rendered, same, "{name}");
        for (value, shown) in values(&picture, 0).0.iter().zip(rendered.pixels.chunks(3)) {
            assert_eq!(f32::from(255 - shown[0]), *value, "{name}");
        }
    }
}

fn values(picture: &Picture, frame: usize) -> (Vec<f32>, usize) {
    if picture.kind() == PictureKind::Gray {
        (picture.gray_values(frame).unwrap().to_vec(), 1)
    } else {
        let rendered = picture.render(frame, None).unwrap();
        (rendered.pixels.into_iter().map(f32::from).collect(), 3)
    }
}

/// SHA-256 over the pixels of all frames, and the key that it has in the truth.
fn digest(picture: &Picture) -> (&'static str, String) {
    let mut hash = Sha256::new();
    let gray = picture.kind() == PictureKind::Gray;
    for frame in 0..picture.frame_count() {
        for value in values(picture, frame).0 {
            if gray {
                hash.update(value.to_le_bytes());
            } else {
                hash.update([value as u8]);
            }
        }
    }
    let key = if gray {
        "sha256_pixels_f32le"
    } else {
        "sha256_pixels_u8"
    };
    let hex = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    (key, hex)
}

#[test]
fn files_once_refused_or_wrong_are_right() {
    let truths = common::json("regressions.json");
    let files = common::files("regressions", &["dcm"]);
    assert_eq!(files.len(), truths.as_object().unwrap().len());
    for (name, bytes) in files {
        check(&name, &bytes, &truths[&name]);
    }
}

#[test]
fn the_larger_ones_too() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set to the folder with trial/imaging");
        return;
    };
    let folder = Path::new(&shared).join("trial/imaging");
    let truths = std::fs::read(folder.join("truth.json")).unwrap();
    let truths: Value = serde_json::from_slice(&truths).unwrap();
    for (name, truth) in truths.as_object().unwrap() {
        check(name, &std::fs::read(folder.join(name)).unwrap(), truth);
    }
}

/// Pairs that must look alike: a lookup table, twelve of sixteen bits, one hot pixel, hidden colours.
#[test]
fn pictures_look_as_viewers_show_them() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set to the folder with trial/program");
        return;
    };
    let shown = |name: &str| {
        let path = Path::new(&shared).join("trial/program").join(name);
        let picture = open(&std::fs::read(&path).unwrap()).unwrap();
        picture.render(0, None).unwrap()
    };
    for (one, other) in [
        (
            "voi-lut/voilut_narrow.dcm",
            "voi-lut/as_viewers_show_it.png",
        ),
        ("sixteen-bit/rgb16_12bit.png", "sixteen-bit/same_8bit.png"),
        (
            "sixteen-bit/gray16_hotpixel.png",
            "sixteen-bit/same_8bit.png",
        ),
        ("alpha/rgba_hidden.png", "alpha/on_black.png"),
    ] {
        let (one_shown, other_shown) = (shown(one), shown(other));
        assert_eq!(one_shown.width, other_shown.width, "{one}");
        let differences = one_shown.pixels.iter().zip(&other_shown.pixels);
        let differences: Vec<f64> = differences
            .map(|(a, b)| f64::from(a.abs_diff(*b)))
            .collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        println!("{one}: mean difference {mean:.3}");
        assert!(mean < 4.0, "{one}: {mean}");
    }
}
