//! PNG and JPEG against Pillow: every byte of lossless files, closely for lossy ones, whose decoders may
//! round to either side.

mod common;

use medsam3_imaging::{PictureKind, open};
use sha2::{Digest, Sha256};

#[test]
fn png_and_jpeg_decode_as_pillow_decodes_them() {
    let goldens = common::json("standard.json");
    let goldens = goldens.as_object().unwrap();
    assert_eq!(goldens.len(), 7);
    for (name, golden) in goldens {
        let picture = open(&common::fixture(&format!("standard/{name}"))).unwrap();
        let size = (picture.width() as u64, picture.height() as u64);
        assert_eq!(size.0, golden["width"].as_u64().unwrap(), "{name}");
        assert_eq!(size.1, golden["height"].as_u64().unwrap(), "{name}");
        let kind = match picture.kind() {
            PictureKind::Gray => "Gray",
            PictureKind::Rgb => "Rgb",
        };
        assert_eq!(kind, golden["kind"], "{name}");
        assert_eq!(picture.modality(), None);
        assert_eq!(picture.pixel_spacing_mm(), None);
        let ours = picture.render(0, None).unwrap().pixels;
        if let Some(hash) = golden["sha256"].as_str() {
            let digest: String = Sha256::digest(&ours)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(digest, hash, "{name}");
            continue;
        }
        let truth = format!("standard/{}_truth.png", name.trim_end_matches(".jpg"));
        let truth = open(&common::fixture(&truth)).unwrap();
        let theirs = truth.render(0, None).unwrap().pixels;
        let differences = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b));
        let largest = differences.clone().max().unwrap();
        let mean = differences.map(f64::from).sum::<f64>() / ours.len() as f64;
        eprintln!("{name}: mean difference {mean:.3}, largest {largest}");
        assert!(mean < 0.5 && largest <= 4, "{name}: {mean} {largest}");
    }
}

#[test]
fn cut_files_are_damaged_and_not_half_gray() {
    for name in ["color_420.jpg", "progressive.jpg", "gray.jpg", "rgba.png"] {
        let bytes = common::fixture(&format!("standard/{name}"));
        for share in [3, 6, 9] {
            let error = open(&bytes[..bytes.len() * share / 10]).unwrap_err();
            assert_eq!(error.code(), "IMAGE-DAMAGED", "{name}");
        }
    }
}

#[test]
fn frames_and_colours_that_are_not_there_are_errors() {
    let color = open(&common::fixture("standard/color_444.jpg")).unwrap();
    assert_eq!(color.gray_values(0).unwrap_err().code(), "IMAGE-NOT-GRAY");
    assert_eq!(color.default_window(), None);
    assert_eq!(color.value_range(0), None);
    let error = color.render(1, None).unwrap_err();
    assert_eq!(error.code(), "FRAME-OUT-OF-RANGE");
    assert_eq!(
        error.to_string(),
        "Frame 1 was asked for, but the image has 1."
    );
}
