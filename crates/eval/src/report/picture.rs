//! A picture of a case: the image with what is drawn (cyan outline) and what was shown (orange, tinted and outlined), as JPEG.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{Rgb, RgbImage};
use medsam3_imaging::{Mask, Rgb8};

/// Longest side in pixels.
const SIDE: u32 = 288;
const QUALITY: u8 = 85;
const TRUTH: [u8; 3] = [0, 220, 255];
const FOUND: [u8; 3] = [255, 140, 0];
/// Share of the tint.
const TINT: f32 = 0.3;

/// JPEG bytes; empty for an image without pixels, which JPEG cannot express.
pub(super) fn draw(image: &Rgb8, found: &Mask, truth: &Mask) -> Vec<u8> {
    let Some(mut picture) = shrunk(image) else {
        return Vec::new();
    };
    let [found, truth] =
        [found, truth].map(|mask| at_size(mask, picture.width(), picture.height()));
    for (pixel, &is) in picture.pixels_mut().zip(&found) {
        if is {
            *pixel = Rgb(std::array::from_fn(|at| {
                (f32::from(pixel.0[at]) * (1.0 - TINT) + f32::from(FOUND[at]) * TINT) as u8
            }));
        }
    }
    for (mask, colour) in [(&found, FOUND), (&truth, TRUTH)] {
        let width = picture.width() as usize;
        for (at, pixel) in picture.pixels_mut().enumerate() {
            if on_outline(mask, at, width) {
                *pixel = Rgb(colour);
            }
        }
    }
    let mut bytes = Vec::new();
    // Writing into memory fails only for pictures without pixels.
    match JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

fn shrunk(image: &Rgb8) -> Option<RgbImage> {
    let (width, height) = (
        u32::try_from(image.width).ok()?,
        u32::try_from(image.height).ok()?,
    );
    let whole = RgbImage::from_raw(width, height, image.pixels.clone())?;
    let longest = width.max(height).max(1);
    let side = |length: u32| (length * SIDE / longest).max(1);
    Some(image::imageops::resize(
        &whole,
        side(width),
        side(height),
        FilterType::Triangle,
    ))
}

/// The mask under the centre of every pixel of the picture.
fn at_size(mask: &Mask, width: u32, height: u32) -> Vec<bool> {
    let source =
        |at: u32, picture: u32, mask: usize| (2 * at as usize + 1) * mask / (2 * picture as usize);
    let row = |y: u32| {
        mask.bits
            .get(source(y, height, mask.height) * mask.width..)
            .unwrap_or_default()
    };
    let inside = |y, x| {
        row(y)
            .get(source(x, width, mask.width))
            .is_some_and(|&bit| bit != 0)
    };
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (y, x)))
        .map(|(y, x)| inside(y, x))
        .collect()
}

fn on_outline(mask: &[bool], at: usize, width: usize) -> bool {
    let inside = |at: Option<usize>| at.and_then(|at| mask.get(at)).copied().unwrap_or(false);
    let (left, right) = (!at.is_multiple_of(width), !(at + 1).is_multiple_of(width));
    let around = (left && inside(at.checked_sub(1)))
        && (right && inside(Some(at + 1)))
        && inside(at.checked_sub(width))
        && inside(Some(at + width));
    inside(Some(at)) && !around
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_lie_where_the_masks_end() {
        let image = Rgb8 {
            width: 288,
            height: 144,
            pixels: vec![0; 288 * 144 * 3],
        };
        let band = |from: usize, to: usize| Mask {
            width: 288,
            height: 144,
            bits: (0..288 * 144)
                .map(|at| u8::from((from..to).contains(&(at % 288))))
                .collect(),
        };
        let bytes = draw(&image, &band(100, 200), &band(40, 80));
        let picture = image::load_from_memory(&bytes).expect("a JPEG").to_rgb8();
        assert_eq!((picture.width(), picture.height()), (288, 144));
        let near = |x: u32, colour: [u8; 3]| {
            let pixel = picture.get_pixel(x, 70).0;
            pixel
                .iter()
                .zip(colour)
                .map(|(a, b)| u32::from(a.abs_diff(b)))
                .sum::<u32>()
        };
        // JPEG blurs colours over neighbouring pixels; what is compared is which colour is nearest.
        assert!(near(40, TRUTH) < near(40, FOUND) && near(40, TRUTH) < near(40, [0; 3]));
        assert!(near(100, FOUND) < near(100, TRUTH) && near(100, FOUND) < near(100, [0; 3]));
        assert!(
            near(20, [0; 3]) < 40 && near(60, [0; 3]) < 40,
            "nothing is tinted where nothing was shown"
        );
        assert!(near(150, [76, 42, 0]) < 40, "what was shown is tinted");
    }
}
