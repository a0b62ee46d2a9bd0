//! TIFF against tifffile and Pillow: every value of every page (`tests/imaging/make_tiff.py`).

mod common;

use std::sync::Arc;

use medsam3_imaging::series::{Kind, MemorySource, Problem, find};
use medsam3_imaging::{Picture, PictureKind, open};
use sha2::{Digest, Sha256};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(picture: &Picture) -> String {
    let mut bytes = Vec::new();
    for page in 0..picture.frame_count() {
        match picture.kind() {
            PictureKind::Gray => {
                let values = picture.gray_values(page).unwrap();
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            PictureKind::Rgb => bytes.extend(picture.render(page, None).unwrap().pixels),
        }
    }
    hex(bytes)
}

#[test]
fn files_decode_as_tifffile_and_pillow_decode_them() {
    let truth = common::json("tiff.json");
    let files = common::files("tiff", &["tif"]);
    assert_eq!(files.len(), truth.as_object().unwrap().len());
    let mut decoded = 0;
    for (name, bytes) in files {
        let truth = &truth[&name];
        if let Some(reason) = truth["refused"].as_str() {
            let error = open(&bytes).unwrap_err();
            assert_eq!(error.code(), "IMAGE-FORMAT", "{name}");
            assert!(error.to_string().contains(reason), "{name}: {error}");
            assert!(error.next_step().ends_with('.'));
            continue;
        }
        let picture = open(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(picture.format(), "TIFF");
        let size = [picture.width(), picture.height(), picture.frame_count()];
        let expected =
            ["width", "height", "pages"].map(|key| truth[key].as_u64().unwrap() as usize);
        assert_eq!(size, expected, "{name}");
        let kind = match picture.kind() {
            PictureKind::Gray => "Gray",
            PictureKind::Rgb => "Rgb",
        };
        assert_eq!(kind, truth["kind"], "{name}");
        assert_eq!(digest(&picture), truth["sha256"], "{name}");
        assert_eq!(picture.inverted(), truth["inverted"] == true, "{name}");
        if let Some(shown) = truth["shown"].as_str() {
            assert_eq!(
                hex(picture.render(0, None).unwrap().pixels),
                shown,
                "{name}"
            );
        }
        decoded += 1;

        let source = Arc::new(MemorySource::new(name.clone(), bytes));
        let listing = find(vec![source]);
        let [series] = listing.series.as_slice() else {
            panic!("{name}: {listing:?}");
        };
        assert_eq!(series.format(), "TIFF");
        let listed = [series.columns(), series.rows(), series.slices()];
        assert_eq!(listed, expected, "{name}");
        let kind = if expected[2] > 1 {
            Kind::Stack
        } else {
            Kind::Image
        };
        assert_eq!(series.kind(), kind, "{name}");
        assert_eq!(series.problems(), [Problem::NoSpacing]);
        let (opened, page) = series.open(series.slices() - 1, 0).unwrap();
        assert_eq!(page, expected[2] - 1);
        assert_eq!(opened.render(page, None), picture.render(page, None));
    }
    assert!(decoded >= 30, "{decoded}");
}

/// A header may promise more than its bytes can hold; nothing is taken for it.
#[test]
fn declared_sizes_are_checked_first() {
    let bytes = common::fixture("tiff/gray8_lzw_strips.tif");
    let entry = |tag: u16| {
        let [low, high] = tag.to_le_bytes();
        let start = bytes
            .windows(4)
            .position(|window| window == [low, high, 3, 0] || window == [low, high, 4, 0]);
        start.unwrap() + 8
    };
    let with = |side: u32| {
        let mut bytes = bytes.clone();
        for tag in [256, 257] {
            let at = entry(tag);
            // The type of both is made LONG.
            bytes[at - 6] = 4;
            bytes[at..at + 4].copy_from_slice(&side.to_le_bytes());
        }
        open(&bytes).unwrap_err().code()
    };
    assert_eq!(with(100_000), "IMAGE-TOO-LARGE");
    assert_eq!(with(11_000), "IMAGE-DAMAGED");
    assert_eq!(with(0), "IMAGE-DAMAGED");
}

#[test]
fn cut_files_and_circles_of_pages_are_damaged() {
    for name in [
        "gray8_lzw_strips.tif",
        "bigtiff.tif",
        "stack.tif",
        "rgb.tif",
        "palette.tif",
    ] {
        let bytes = common::fixture(&format!("tiff/{name}"));
        for part in 1..10 {
            let Ok(picture) = open(&bytes[..bytes.len() * part / 10]) else {
                continue;
            };
            // Pages that are whole may be shown.
            let pages = 0..picture.frame_count();
            let whole = pages
                .filter(|&page| picture.render(page, None).is_ok())
                .count();
            assert!(
                whole < picture.frame_count() || name == "stack.tif",
                "{name} {part}"
            );
        }
    }
    let mut bytes = common::fixture("tiff/gray8.tif");
    let first = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let entries = usize::from(u16::from_le_bytes(
        bytes[first..first + 2].try_into().unwrap(),
    ));
    let next = first + 2 + entries * 12;
    bytes[next..next + 4].copy_from_slice(&(first as u32).to_le_bytes());
    assert_eq!(open(&bytes).unwrap_err().code(), "IMAGE-DAMAGED");
}
