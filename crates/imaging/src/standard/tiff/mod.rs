//! TIFF 6.0 and BigTIFF: gray of 1 to 16 bits and of 32-bit floats stays gray, palettes, RGB and CMYK become 8-bit
//! RGB; pages are frames. `directory` reads what a page is, `chunks` its samples, and what they mean is decided here.

mod chunks;
mod directory;

use super::{eight_bits, over};
use crate::picture::{Description, Frame, FrameSource};
use crate::voi::Voi;
use crate::{ImagingError, Picture, PictureKind, Window};
use directory::{Layout, Page};

/// Bits per pixel that are decoded at most: four samples of 32 bits.
const MAX_PIXEL_BITS: usize = 128;

/// Whether a file begins as TIFF or BigTIFF does.
pub(crate) fn is_tiff(bytes: &[u8]) -> bool {
    Layout::of(bytes).is_some()
}

/// Rows, columns and number of pages, from the directories alone.
///
/// # Errors
///
/// As [`open`], but for damaged pixels.
pub(crate) fn size(bytes: &[u8]) -> Result<(usize, usize, usize), ImagingError> {
    let pages = checked_pages(bytes)?;
    let (rows, columns) = pages.first().map_or((0, 0), upright_size);
    Ok((rows, columns, pages.len()))
}

/// Opens a TIFF; the first page is decoded.
///
/// # Errors
///
/// [`ImagingError::TooLarge`], [`ImagingError::Damaged`], and [`ImagingError::OtherFormat`] for what is not read.
pub(crate) fn open(bytes: &[u8]) -> Result<Picture, ImagingError> {
    let pages = checked_pages(bytes)?;
    let Some(first) = pages.first() else {
        return Err(ImagingError::Damaged { format: "TIFF" });
    };
    let (height, width) = upright_size(first);
    let kind = kind(first);
    let description = Description {
        width,
        height,
        kind,
        format: "TIFF",
        modality: None,
        spacing_mm: None,
        regions: Vec::new(),
        inverted: first.photometric == WHITE_IS_ZERO,
    };
    let deep_color = kind == PictureKind::Rgb && first.bits > 8 && first.photometric == RGB;
    let count = pages.len();
    let source = Pages {
        bytes: bytes.to_vec(),
        pages,
    };
    let note = if deep_color {
        source.colors(0)?.1
    } else {
        None
    };
    Ok(Picture::from_source(description, count, Box::new(source))?.with_notes(note))
}

const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const PALETTE: u64 = 3;
const CMYK: u64 = 5;

/// The pages, all of one size and kind and of a form that is read.
fn checked_pages(bytes: &[u8]) -> Result<Vec<Page>, ImagingError> {
    let pages = directory::pages(bytes)?;
    let mut first: Option<&Page> = None;
    for page in &pages {
        if let Some(format) = refused(page) {
            return Err(refusal(format));
        }
        let first = *first.get_or_insert(page);
        let alike = upright_size(page) == upright_size(first)
            && kind(page) == kind(first)
            && (page.photometric == WHITE_IS_ZERO) == (first.photometric == WHITE_IS_ZERO);
        if !alike {
            return Err(refusal(
                "a TIFF file whose pages have different sizes or colours",
            ));
        }
    }
    Ok(pages)
}

fn refusal(format: &'static str) -> ImagingError {
    ImagingError::OtherFormat {
        format,
        next_step: "Save it as TIFF without compression or as PNG, in gray or RGB of 8 or 16 bits, without \
                    changing its size.",
    }
}

/// What a page is that is not read, `None` where it is.
fn refused(page: &Page) -> Option<&'static str> {
    match page.compression {
        1 | 5 | 8 | 32946 | 32773 => {}
        2..=4 => return Some("a TIFF image in fax compression"),
        6 | 7 | 34892 => return Some("a TIFF image in JPEG compression"),
        33003 | 33005 | 34712 => return Some("a TIFF image in JPEG 2000 compression"),
        34887 => return Some("a TIFF image in LERC compression"),
        34925 => return Some("a TIFF image in LZMA compression"),
        50000 => return Some("a TIFF image in Zstandard compression"),
        50001 => return Some("a TIFF image in WebP compression"),
        _ => return Some("a TIFF image in a compression that is rare"),
    }
    if page.reversed_bits {
        return Some("a TIFF image with the bits of its bytes in reverse");
    }
    let (bits, format) = (page.bits, page.sample_format);
    if page.samples == 0 {
        return Some("a TIFF image without samples");
    }
    let fits = match page.photometric {
        // Floats of 32 bits; whole numbers of 8 and 16 bits with a sign, and up to 16 without.
        WHITE_IS_ZERO | BLACK_IS_ZERO => match format {
            3 => bits == 32,
            2 => matches!(bits, 8 | 16),
            1 | 4 => matches!(bits, 1 | 2 | 4 | 8 | 16),
            _ => false,
        },
        PALETTE => format == 1 && matches!(bits, 1 | 2 | 4 | 8 | 16) && page.samples == 1,
        RGB => format == 1 && matches!(bits, 8 | 16) && page.samples >= 3,
        CMYK => format == 1 && bits == 8 && page.samples >= 4,
        6 => return Some("a TIFF image in YCbCr"),
        8..=10 => return Some("a TIFF image in L*a*b*"),
        32803 => return Some("a TIFF image of raw camera pixels"),
        _ => return Some("a TIFF image in colours that are rare"),
    };
    if !fits {
        return Some("a TIFF image with a number or kind of bits that is not read");
    }
    // Rows of samples that are no whole bytes are packed without a gap between pixels.
    if bits < 8 && page.samples != 1 {
        return Some("a TIFF image with several samples of few bits");
    }
    if page.samples.saturating_mul(bits) > MAX_PIXEL_BITS {
        return Some("a TIFF image with many samples per pixel");
    }
    let colors = 1usize << bits.min(16);
    if page.photometric == PALETTE && page.palette.len() < 3 * colors {
        return Some("a TIFF image with an incomplete palette");
    }
    None
}

fn kind(page: &Page) -> PictureKind {
    match page.photometric {
        WHITE_IS_ZERO | BLACK_IS_ZERO => PictureKind::Gray,
        _ => PictureKind::Rgb,
    }
}

/// Rows and columns as they are shown.
fn upright_size(page: &Page) -> (usize, usize) {
    if (5..=8).contains(&page.orientation) {
        (page.width, page.height)
    } else {
        (page.height, page.width)
    }
}

/// The pages of a file and its bytes.
#[derive(Debug)]
struct Pages {
    bytes: Vec<u8>,
    pages: Vec<Page>,
}

/// Samples of a page, pixel by pixel.
enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
    F32(Vec<f32>),
}

impl Pages {
    fn page(&self, index: usize) -> Result<&Page, ImagingError> {
        self.pages.get(index).ok_or(ImagingError::FrameOutOfRange {
            frame: index,
            count: self.pages.len(),
        })
    }

    /// All samples, alpha among them, whatever they mean.
    fn samples(&self, page: &Page) -> Result<Samples, ImagingError> {
        let layout = Layout::of(&self.bytes).ok_or(ImagingError::NotAnImage)?;
        let bytes = chunks::read(&self.bytes, layout.big_endian, page)?;
        let words = || {
            bytes
                .chunks_exact(2)
                .filter_map(|word| word.first_chunk().copied().map(u16::from_le_bytes))
        };
        let signed = page.sample_format == 2;
        let samples = match (page.bits, signed) {
            (..8, _) => Samples::U8(unpack(&bytes, page)),
            (8, false) => Samples::U8(interleaved(bytes, page)),
            (8, true) => {
                let values = bytes
                    .iter()
                    .map(|&byte| f32::from(i8::from_le_bytes([byte])));
                Samples::F32(interleaved(values.collect(), page))
            }
            (16, false) => Samples::U16(interleaved(words().collect(), page)),
            (16, true) => {
                let values = words().map(|word| f32::from(word.cast_signed()));
                Samples::F32(interleaved(values.collect(), page))
            }
            _ => {
                let values = bytes
                    .chunks_exact(4)
                    .filter_map(|bytes| bytes.first_chunk().copied().map(f32::from_le_bytes));
                Samples::F32(interleaved(values.collect(), page))
            }
        };
        Ok(samples)
    }

    /// Gray values, upright.
    fn gray(&self, index: usize) -> Result<Vec<f32>, ImagingError> {
        let page = self.page(index)?;
        let white = match page.bits {
            bits @ 1..8 => (1u16 << bits) - 1,
            _ => 255,
        };
        let values: Vec<f32> = match self.samples(page)? {
            // As PNG has it: few bits span the range of eight.
            Samples::U8(values) => values
                .into_iter()
                .map(|value| f32::from(u16::from(value) * (255 / white)))
                .collect(),
            Samples::U16(values) => values.into_iter().map(f32::from).collect(),
            Samples::F32(values) => values,
        };
        let white = if page.bits == 16 { 65535.0 } else { 255.0 };
        let values = if page.samples == 1 {
            values
        } else {
            let inverted = page.photometric == WHITE_IS_ZERO;
            let has_alpha = page.extra_samples.first() == Some(&2) && page.sample_format == 1;
            values
                .chunks_exact(page.samples)
                .filter_map(|pixel| {
                    let (&value, extra) = pixel.split_first()?;
                    let &alpha = extra.first()?;
                    Some(match (has_alpha, inverted) {
                        (true, false) => over_black(value, alpha, white),
                        // Black is the largest value.
                        (true, true) => white - over_black(white - value, alpha, white),
                        _ => value,
                    })
                })
                .collect()
        };
        Ok(upright(&values, page, 1))
    }

    /// Colours, upright, and what is to be said about them.
    fn colors(&self, index: usize) -> Result<(Vec<u8>, Option<&'static str>), ImagingError> {
        let page = self.page(index)?;
        let samples = self.samples(page)?;
        let alpha_at = match page.photometric {
            CMYK => 4,
            _ => 3,
        };
        let has_alpha = page.extra_samples.first() == Some(&2);
        let mut note = None;
        let pixels: Vec<u8> = match (page.photometric, samples) {
            (PALETTE, samples) => {
                let indices: Vec<usize> = match samples {
                    Samples::U8(values) => values.into_iter().map(usize::from).collect(),
                    Samples::U16(values) => values.into_iter().map(usize::from).collect(),
                    Samples::F32(_) => Vec::new(),
                };
                let colors = 1usize << page.bits.min(16);
                let part = |index: usize, color: usize| {
                    let value = page.palette.get(color * colors + index);
                    (value.copied().unwrap_or_default() >> 8) as u8
                };
                indices
                    .into_iter()
                    .flat_map(|index| [0, 1, 2].map(|color| part(index, color)))
                    .collect()
            }
            (RGB, Samples::U8(values)) => values
                .chunks_exact(page.samples)
                .flat_map(|pixel| shown(pixel, alpha_at, has_alpha, 255))
                .map(|value| value as u8)
                .collect(),
            (RGB, Samples::U16(values)) => {
                let wide: Vec<u16> = values
                    .chunks_exact(page.samples)
                    .flat_map(|pixel| shown(pixel, alpha_at, has_alpha, 65535))
                    .map(|value| value as u16)
                    .collect();
                let (pixels, said) = eight_bits(&wide);
                note = said;
                pixels
            }
            (CMYK, Samples::U8(values)) => values
                .chunks_exact(page.samples)
                .filter_map(|pixel| pixel.first_chunk::<4>())
                .flat_map(|&[cyan, magenta, yellow, black]| {
                    let light = 255 - u32::from(black);
                    [cyan, magenta, yellow].map(|ink| {
                        let left = over([255 - u32::from(ink)], light, 255);
                        left.map(|value| value as u8)
                    })
                })
                .flatten()
                .collect(),
            _ => return Err(ImagingError::Damaged { format: "TIFF" }),
        };
        Ok((upright(&pixels, page, 3), note))
    }
}

/// Red, green and blue of a pixel on black; alpha that was multiplied in already is left out.
fn shown<T: Copy + Into<u32>>(
    pixel: &[T],
    alpha_at: usize,
    has_alpha: bool,
    white: u32,
) -> [u32; 3] {
    let part = |at: usize| pixel.get(at).copied().map_or(0, Into::into);
    let colors = [part(0), part(1), part(2)];
    if has_alpha {
        over(colors, part(alpha_at), white)
    } else {
        colors
    }
}

fn over_black(value: f32, alpha: f32, white: f32) -> f32 {
    (value * alpha / white).round()
}

/// Samples of fewer than eight bits; every row begins at a byte, the first sample in the highest bits.
fn unpack(bytes: &[u8], page: &Page) -> Vec<u8> {
    let bits = page.bits;
    let row = page.width.saturating_mul(bits).div_ceil(8).max(1);
    let mask = (1u16 << bits) - 1;
    bytes
        .chunks_exact(row)
        .flat_map(|row| {
            (0..page.width).map(move |column| {
                let at = column * bits;
                let byte = row.get(at / 8).copied().unwrap_or_default();
                (u16::from(byte) >> (8 - bits - at % 8) & mask) as u8
            })
        })
        .collect()
}

/// Samples pixel by pixel, of pages that have them in planes too.
fn interleaved<T: Copy>(values: Vec<T>, page: &Page) -> Vec<T> {
    let pixels = page.width.saturating_mul(page.height);
    if !page.planar || page.samples == 1 {
        return values;
    }
    (0..pixels)
        .flat_map(|pixel| (0..page.samples).map(move |plane| plane * pixels + pixel))
        .filter_map(|at| values.get(at).copied())
        .collect()
}

/// Turns and mirrors a page as its orientation says: `[height, width, channels]`.
fn upright<T: Copy>(values: &[T], page: &Page, channels: usize) -> Vec<T> {
    let (width, height) = (page.width, page.height);
    let (rows, columns) = upright_size(page);
    // Of a shown pixel, where it is stored (TIFF 6.0, Orientation).
    let stored = |row: usize, column: usize| match page.orientation {
        2 => (row, width - 1 - column),
        3 => (height - 1 - row, width - 1 - column),
        4 => (height - 1 - row, column),
        5 => (column, row),
        6 => (height - 1 - column, row),
        7 => (height - 1 - column, width - 1 - row),
        8 => (column, width - 1 - row),
        _ => (row, column),
    };
    let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let mut turned = Vec::with_capacity(values.len());
    for (row, column) in places {
        let (row, column) = stored(row, column);
        let at = (row * width + column) * channels;
        turned.extend(values.get(at..at + channels).unwrap_or_default());
    }
    turned
}

impl FrameSource for Pages {
    fn decode(&self, frame: usize) -> Result<Frame, ImagingError> {
        match kind(self.page(frame)?) {
            PictureKind::Gray => Ok(Frame::gray(self.gray(frame)?)),
            PictureKind::Rgb => Ok(Frame::Rgb(self.colors(frame)?.0)),
        }
    }

    /// Values of up to eight bits are display values already.
    fn window(&self, frame: usize) -> Option<Window> {
        let page = self.pages.get(frame)?;
        (page.bits <= 8 && page.sample_format == 1).then(|| Window::from_range(0.0, 255.0))
    }

    fn voi(&self, _frame: usize) -> Option<&Voi> {
        None
    }
}
