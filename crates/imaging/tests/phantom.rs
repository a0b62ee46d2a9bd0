//! A mask is never flipped, shifted or scaled: the letter F, off centre in a non-square image, through
//! every format, orientation and byte order, rendered, and through the model's grid and back.

mod common;

use medsam3_imaging::{BoundingBox, Mask, PictureKind, mask_from_logits, open, resize_square};

const WIDTH: usize = 60;
const HEIGHT: usize = 44;

fn truth() -> Mask {
    let text = String::from_utf8(common::fixture("phantom/f.txt")).unwrap();
    let bits: Vec<u8> = text
        .chars()
        .filter(|c| *c != '\n')
        .map(|c| u8::from(c == '#'))
        .collect();
    assert_eq!(bits.len(), WIDTH * HEIGHT);
    Mask {
        width: WIDTH,
        height: HEIGHT,
        bits,
    }
}

/// Pixels brighter than middle gray, by their green channel.
fn bright(name: &str, frame: usize) -> Mask {
    let picture = open(&common::fixture(&format!("phantom/{name}"))).unwrap();
    let rendered = picture.render(frame, None).unwrap();
    assert_eq!((rendered.width, rendered.height), (WIDTH, HEIGHT), "{name}");
    Mask {
        width: rendered.width,
        height: rendered.height,
        bits: rendered
            .pixels
            .chunks(3)
            .map(|pixel| u8::from(pixel[1] > 127))
            .collect(),
    }
}

#[test]
fn every_form_shows_the_letter_where_it_is() {
    let truth = truth();
    let mut names: Vec<String> = common::files("phantom", &["dcm", "png", "jpg"])
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name != "f_second_frame.dcm")
        .collect();
    names.sort();
    assert_eq!(names.len(), 17);
    for name in names {
        assert_eq!(bright(&name, 0), truth, "{name}");
    }
    assert_eq!(bright("f_second_frame.dcm", 1), truth);
    assert_eq!(
        bright("f_second_frame.dcm", 0).area_px(),
        WIDTH * HEIGHT - truth.area_px()
    );
}

#[test]
fn values_and_spacing_survive() {
    for name in ["f_explicit", "f_big_endian", "f_rle", "f_bare_implicit"] {
        let picture = open(&common::fixture(&format!("phantom/{name}.dcm"))).unwrap();
        assert_eq!(picture.kind(), PictureKind::Gray);
        assert_eq!(picture.pixel_spacing_mm(), Some([0.7, 0.4]), "{name}");
        let values = picture.gray_values(0).unwrap();
        for (value, bit) in values.iter().zip(truth().bits) {
            assert_eq!(*value, if bit == 1 { 60.0 } else { -900.0 }, "{name}");
        }
        // c=40 w=400 by PS3.3 C.11.2.1.2.1: ((60 - 39.5) / 399 + 0.5) * 255 = 140.6.
        let rendered = picture.render(0, None).unwrap();
        assert_eq!(rendered.pixels[(6 * WIDTH + 9) * 3], 141);
        assert_eq!(rendered.pixels[0], 0);
    }
    let gray16 = open(&common::fixture("phantom/f_gray16.png")).unwrap();
    assert_eq!(gray16.value_range(0), Some((1000.0, 40000.0)));
    assert_eq!(gray16.pixel_spacing_mm(), None);
    let area = truth().area_mm2([0.7, 0.4]);
    assert!((area - truth().area_px() as f64 * 0.28).abs() < 1e-9);
}

#[test]
fn the_models_grid_and_back_keeps_the_letter_in_place() {
    let truth = truth();
    let picture = open(&common::fixture("phantom/f_explicit.dcm")).unwrap();
    let rendered = picture.render(0, None).unwrap();
    for side in [252, 84] {
        let square = resize_square(&rendered, side);
        let logits: Vec<f32> = square
            .pixels
            .chunks(3)
            .map(|pixel| f32::from(pixel[0]) - 70.5)
            .collect();
        let mask = mask_from_logits(&logits, side, side, WIDTH, HEIGHT, 0.5);
        let dice = mask.dice(&truth);
        assert!(dice > 0.99, "{side}: Dice {dice}");
        assert_eq!(
            mask.bounding_box(),
            Some(BoundingBox {
                left: 9,
                top: 6,
                right: 41,
                bottom: 36
            })
        );
        let again = open(&mask.to_png()).unwrap();
        let bits: Vec<u8> = again
            .gray_values(0)
            .unwrap()
            .iter()
            .map(|&value| u8::from(value == 255.0))
            .collect();
        assert_eq!(bits, mask.bits);
    }
}
