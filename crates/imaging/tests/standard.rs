//! PNG and JPEG against Pillow: every byte of lossless files, closely for lossy ones, whose decoders may
//! round to either side.

mod common;

use medsam3_imaging::{PictureKind, open};
use sha2::{Digest, Sha256};

#[test]
fn png_and_jpeg_decode_as_pillow_decodes_them() {
    let goldens = common::json("standard.json");
    let goldens = goldens.as_object().unwrap();
    assert_eq!(goldens.len(), 14);
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

/// Flips and holes inside the scans: a decoder would go on in gray, or with blocks in the wrong place.
#[test]
fn damaged_scans_are_refused() {
    for name in [
        "color_420.jpg",
        "color_444.jpg",
        "gray.jpg",
        "progressive.jpg",
        "cmyk.jpg",
    ] {
        let bytes = common::fixture(&format!("standard/{name}"));
        assert!(open(&bytes).is_ok(), "{name}");
        let scan = bytes
            .windows(2)
            .position(|pair| pair == [0xFF, 0xDA])
            .unwrap()
            + 14;
        let length = bytes.len() - scan - 2;
        for (from, to) in [(0.1, 0.6), (0.4, 0.5), (0.5, 0.9)] {
            let hole = scan + (length as f64 * from) as usize..scan + (length as f64 * to) as usize;
            let mut zeros = bytes.clone();
            zeros[hole.clone()].fill(0);
            assert_eq!(
                open(&zeros).unwrap_err().code(),
                "IMAGE-DAMAGED",
                "{name} {hole:?}"
            );
            let mut cut = bytes.clone();
            cut.drain(hole.clone());
            assert_eq!(
                open(&cut).unwrap_err().code(),
                "IMAGE-DAMAGED",
                "{name} {hole:?}"
            );
        }
    }
}

#[test]
fn one_bright_pixel_does_not_blacken_the_rest() {
    let picture = open(&common::fixture("standard/gray16_hot.png")).unwrap();
    assert_eq!(picture.value_range(0).unwrap().1, 65535.0);
    assert_eq!(picture.notes().len(), 1);
    let (low, high) = picture.default_window().unwrap().bounds();
    let rest = picture.gray_values(0).unwrap().iter().copied();
    let brightest = rest.filter(|&value| value < 65535.0).fold(0.0, f32::max);
    assert!(
        low >= 0.0 && (high - brightest).abs() <= brightest * 0.05,
        "{low} {high} {brightest}"
    );
    for name in ["rgb16.png", "gray.jpg", "rgba.png"] {
        let picture = open(&common::fixture(&format!("standard/{name}"))).unwrap();
        assert!(picture.notes().is_empty(), "{name}");
    }
    let picture = open(&common::fixture("standard/rgb16_12bit.png")).unwrap();
    assert_eq!(picture.notes().len(), 1);
}

/// The JPEG stream of a DICOM file, as a file of its own.
fn jpeg_inside(name: &str) -> Vec<u8> {
    let bytes = common::fixture(name);
    let find = |pattern: &[u8], from: usize| {
        let found = bytes[from..]
            .windows(pattern.len())
            .position(|window| window == pattern);
        from + found.unwrap()
    };
    let start = find(&[0xFF, 0xD8, 0xFF], 0);
    bytes[start..find(&[0xFF, 0xD9], start) + 2].to_vec()
}

#[test]
fn lossless_and_twelve_bit_jpeg_are_decoded() {
    let files = [
        ("dicom/derived_jpeg_lossless_70.dcm", 0.0),
        ("dicom/JPGExtended.dcm", 0.0),
    ];
    for (name, tolerance) in files {
        let inside = open(&common::fixture(name)).unwrap();
        let plain = open(&jpeg_inside(name)).unwrap();
        assert_eq!(plain.format(), "JPEG");
        assert_eq!(plain.width(), inside.width());
        let (ours, theirs) = (
            plain.gray_values(0).unwrap(),
            inside.gray_values(0).unwrap(),
        );
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() <= tolerance,
                "{name}: {ours} {theirs}"
            );
        }
    }
    let plain = open(&jpeg_inside("dicom/derived_jpeg_lossless_rgb.dcm")).unwrap();
    assert_eq!(plain.kind(), PictureKind::Rgb);
    let error = open(&jpeg_inside("dicom/MR_small_jpeg_ls_lossless.dcm")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The file is a JPEG-LS image, which is not read here."
    );
}

#[test]
fn files_of_other_formats_are_named() {
    let files: [(&[u8], &str); 6] = [
        (b"PK\x03\x04\x14\0\0\0", "a ZIP archive"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "a gzip archive"),
        (b"\xff\x4f\xff\x51\0\x2f\0\0", "a JPEG 2000 stream"),
        (b"GIF89a", "a GIF image"),
        (b"\0\0\0\x18ftypheic", "a HEIC image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP image"),
    ];
    for (start, name) in files {
        let mut bytes = start.to_vec();
        bytes.resize(400, 0);
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.code(), "IMAGE-FORMAT");
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.next_step().ends_with('.'));
    }
}
