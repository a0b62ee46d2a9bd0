//! Segments as PNG: the mask of one picture in black and white, and all masks over the picture in their
//! colours, with the note of their purpose in the pixels below it.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use medsam3_imaging::Rgb8;

use crate::document::{Place, Segmentation};
use crate::error::SegmentationError;

/// What stands below an overlay.
const NOTE: &str = "RESEARCH AND TEACHING ONLY";

/// Letters of 3 x 5 pixels, row by row.
const LETTERS: &[(char, [u8; 5])] = &[
    ('A', [0b010, 0b101, 0b111, 0b101, 0b101]),
    ('C', [0b011, 0b100, 0b100, 0b100, 0b011]),
    ('D', [0b110, 0b101, 0b101, 0b101, 0b110]),
    ('E', [0b111, 0b100, 0b110, 0b100, 0b111]),
    ('G', [0b011, 0b100, 0b101, 0b101, 0b011]),
    ('H', [0b101, 0b101, 0b111, 0b101, 0b101]),
    ('I', [0b111, 0b010, 0b010, 0b010, 0b111]),
    ('L', [0b100, 0b100, 0b100, 0b100, 0b111]),
    ('N', [0b110, 0b101, 0b101, 0b101, 0b101]),
    ('O', [0b010, 0b101, 0b101, 0b101, 0b010]),
    ('R', [0b110, 0b101, 0b110, 0b101, 0b101]),
    ('S', [0b011, 0b100, 0b010, 0b001, 0b110]),
    ('T', [0b111, 0b010, 0b010, 0b010, 0b010]),
    ('Y', [0b101, 0b101, 0b010, 0b010, 0b010]),
];

/// A letter with the gap after it, and a line with the gap below it.
const ADVANCE: usize = 4;
const LINE: usize = 7;

/// The mask of a segment on one picture: 0 outside, 255 inside.
///
/// # Errors
///
/// [`SegmentationError::NoSuchSegment`], [`SegmentationError::NoSuchPicture`].
pub fn mask_png(
    segmentation: &Segmentation,
    index: usize,
    slice: usize,
    frame: usize,
) -> Result<Vec<u8>, SegmentationError> {
    let (grid, place) = (segmentation.grid(), Place { slice, frame });
    if !grid.contains(place) {
        return Err(SegmentationError::NoSuchPicture { slice, frame });
    }
    let segment = segmentation.segments().get(index);
    let segment = segment.ok_or(SegmentationError::NoSuchSegment { index })?;
    let runs = segment.runs(place).cloned().unwrap_or_default();
    Ok(runs.to_mask(grid.columns, grid.rows).to_png())
}

/// All masks over a rendered picture, mixed with `opacity` (0 to 1), outlines in full colour; segments of
/// higher number on top. The note stands below the picture, which keeps its pixels and gains rows.
///
/// # Errors
///
/// [`SegmentationError::MaskSize`] where the picture has another size,
/// [`SegmentationError::NoSuchPicture`], [`SegmentationError::Encode`].
pub fn overlay_png(
    picture: &Rgb8,
    segmentation: &Segmentation,
    slice: usize,
    frame: usize,
    opacity: f64,
) -> Result<Vec<u8>, SegmentationError> {
    let (grid, place) = (segmentation.grid(), Place { slice, frame });
    if !grid.contains(place) {
        return Err(SegmentationError::NoSuchPicture { slice, frame });
    }
    let (width, height) = (picture.width, picture.height);
    if [width, height] != [grid.columns, grid.rows]
        || picture.pixels.len() != grid.pixels().saturating_mul(3)
    {
        return Err(SegmentationError::MaskSize {
            expected: [grid.columns, grid.rows],
            found: [width, height],
        });
    }
    let mut pixels = picture.pixels.clone();
    for segment in segmentation.segments() {
        let Some(runs) = segment.runs(place) else {
            continue;
        };
        let mask = runs.to_mask(width, height);
        let inside = |x: usize, y: usize| mask.bits.get(y * width + x) == Some(&1);
        for pixel in runs.pixels() {
            let (x, y) = (pixel % width, pixel / width);
            let within = x > 0
                && y > 0
                && x + 1 < width
                && inside(x - 1, y)
                && inside(x + 1, y)
                && inside(x, y - 1)
                && inside(x, y + 1);
            let share = if within { opacity.clamp(0.0, 1.0) } else { 1.0 };
            let start = pixel * 3;
            let parts = pixels.get_mut(start..start + 3).unwrap_or_default();
            for (part, color) in parts.iter_mut().zip(segment.color) {
                let mixed = f64::from(*part) * (1.0 - share) + f64::from(color) * share;
                *part = mixed.round() as u8;
            }
        }
    }
    let strip = note(width);
    let rows = height + strip.len() / width.max(1);
    pixels.extend(strip.iter().flat_map(|&value| [value; 3]));
    let failed = |detail: String| SegmentationError::Encode {
        part: "PNG",
        detail,
    };
    let size = u32::try_from(width).ok().zip(u32::try_from(rows).ok());
    let (width, rows) = size.ok_or_else(|| failed("the picture is too large".to_owned()))?;
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&pixels, width, rows, ExtendedColorType::Rgb8)
        .map_err(|error| failed(error.to_string()))?;
    Ok(png)
}

/// The note as gray rows of a width, in as many lines as it takes.
fn note(width: usize) -> Vec<u8> {
    let mut lines: Vec<String> = Vec::new();
    for word in NOTE.split(' ') {
        match lines.last_mut() {
            Some(line) if (line.len() + 1 + word.len()) * ADVANCE < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let mut pixels = vec![0; width * (lines.len() * LINE + 1)];
    for (number, line) in lines.iter().enumerate() {
        for (at, letter) in line.chars().enumerate() {
            let shape = LETTERS.iter().find(|(known, _)| *known == letter);
            for (y, bits) in shape
                .map(|(_, rows)| rows)
                .into_iter()
                .flatten()
                .enumerate()
            {
                for x in 0..3 {
                    let column = 1 + at * ADVANCE + x;
                    if bits >> (2 - x) & 1 == 1
                        && column < width
                        && let Some(pixel) =
                            pixels.get_mut((number * LINE + y + 1) * width + column)
                    {
                        *pixel = 255;
                    }
                }
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Grid, Segment};
    use crate::origin::Origin;
    use crate::runs::Runs;

    #[test]
    fn an_overlay_mixes_colours_and_carries_its_note() {
        let grid = Grid {
            columns: 110,
            rows: 5,
            slices: 1,
            frames: 1,
        };
        let mut document = Segmentation::on(grid);
        document.add(Segment::new("liver", Origin::of_person()));
        let block = (0..550).map(|at| (10..13).contains(&(at % 110)) && at / 110 < 4 && at >= 110);
        document
            .set_runs(0, Place { slice: 0, frame: 0 }, Runs::of_bits(block))
            .unwrap();
        let picture = Rgb8 {
            width: 110,
            height: 5,
            pixels: vec![100; 1650],
        };
        let png = overlay_png(&picture, &document, 0, 0, 0.5).unwrap();
        let read = medsam3_imaging::open(&png).unwrap();
        // One line of 26 letters below.
        assert_eq!((read.width(), read.height()), (110, 5 + 8));
        let shown = read.render(0, None).unwrap().pixels;
        let at = |x: usize, y: usize| &shown[(y * 110 + x) * 3..][..3];
        assert_eq!(at(9, 2), [100; 3]);
        assert_eq!(at(10, 2), [230, 159, 0], "the outline in full colour");
        assert_eq!(at(11, 2), [165, 130, 50], "half of both");
        // The first column of R, the note's first letter.
        assert!((6..11).all(|y| at(1, y) == [255; 3]));
        assert_eq!(
            mask_png(&document, 0, 0, 0).unwrap(),
            document.mask(0, 0, 0).unwrap().to_png()
        );
        assert!(mask_png(&document, 0, 1, 0).is_err());
        // A picture that is narrower than the note has it in lines.
        assert_eq!(note(40).len(), 40 * (4 * LINE + 1));
    }
}
