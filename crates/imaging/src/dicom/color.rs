//! Colour (PS3.3 C.7.6.3.1.2 and C.7.9): YBR to RGB, and palettes. In and out `[pixels, 3]` u8.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::attributes::Attributes;
use super::{functions, segment};
use crate::ImagingError;

/// Converts full-range Y, Cb, Cr to red, green, blue in place.
pub(super) fn ybr_to_rgb(pixels: &mut [u8]) {
    for pixel in pixels.chunks_exact_mut(3) {
        let &mut [y, blue, red] = pixel else { continue };
        let (y, cb, cr) = (
            f64::from(y),
            f64::from(blue) - 128.0,
            f64::from(red) - 128.0,
        );
        // The inverse of the equations of C.7.6.3.1.2, with the luma weights of BT.601.
        let rgb = [
            y + 1.402 * cr,
            y - (0.114 * 1.772 / 0.587) * cb - (0.299 * 1.402 / 0.587) * cr,
            y + 1.772 * cb,
        ];
        for (byte, value) in pixel.iter_mut().zip(rgb) {
            *byte = (value + 0.5).floor().clamp(0.0, 255.0) as u8;
        }
    }
}

/// Stretches luma of 16 to 235 and chroma of 16 to 240 (YBR_PARTIAL, BT.601) to the full range, in place.
pub(super) fn partial_to_full(pixels: &mut [u8]) {
    for pixel in pixels.chunks_exact_mut(3) {
        let &mut [y, blue, red] = pixel else { continue };
        let chroma = |value: u8| (f64::from(value) - 128.0) * 255.0 / 224.0 + 128.0;
        let full = [
            (f64::from(y) - 16.0) * 255.0 / 219.0,
            chroma(blue),
            chroma(red),
        ];
        for (byte, value) in pixel.iter_mut().zip(full) {
            *byte = value.round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// Gives every pixel of `[pixels / 2, Y Y Cb Cr]` its own chroma: `[pixels, Y Cb Cr]`.
pub(super) fn expand_422(packed: &[u8]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(packed.len() / 2 * 3);
    for pair in packed.chunks_exact(4) {
        if let &[first, second, cb, cr] = pair {
            pixels.extend([first, cb, cr, second, cb, cr]);
        }
    }
    pixels
}

/// Colours of the stored values, 8 bits per channel.
#[derive(Debug, Clone)]
pub(super) struct Palette {
    channels: [Channel; 3],
}

#[derive(Debug, Clone)]
struct Channel {
    first: i64,
    values: Vec<u8>,
}

impl Palette {
    /// Reads the three lookup tables.
    ///
    /// # Errors
    ///
    /// [`ImagingError::DicomMalformed`] where one is missing or short.
    pub(super) fn read(attributes: Attributes<'_>) -> Result<Self, ImagingError> {
        let channel =
            |descriptor, data, segments| Channel::read(attributes, descriptor, data, segments);
        Ok(Self {
            channels: [
                channel(
                    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
                    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                    tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                )?,
                channel(
                    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
                    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                    tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                )?,
                channel(
                    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
                    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                    tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                )?,
            ],
        })
    }

    /// The colour of a stored value; values outside a table take its nearest entry.
    pub(super) fn color(&self, value: i64) -> [u8; 3] {
        self.channels.each_ref().map(|channel| {
            let last = channel.values.len().saturating_sub(1);
            let index = value.saturating_sub(channel.first).max(0);
            let index = usize::try_from(index).unwrap_or(last).min(last);
            channel.values.get(index).copied().unwrap_or_default()
        })
    }
}

impl Channel {
    fn read(
        attributes: Attributes<'_>,
        descriptor: Tag,
        data: Tag,
        segments: Tag,
    ) -> Result<Self, ImagingError> {
        let malformed = ImagingError::DicomMalformed {
            detail: "a colour palette is missing or short",
        };
        let descriptor = attributes.integers(descriptor);
        let &[count, first, bits] = descriptor.as_slice() else {
            return Err(malformed);
        };
        let count = functions::table_length(count);
        let values = match (attributes.bytes(data), attributes.bytes(segments)) {
            (Some(bytes), _) => entries(bytes, count, bits),
            (None, Some(bytes)) => segment::expand(&bytes, bits > 8, count),
            (None, None) => None,
        };
        match values {
            Some(values) if values.len() == count => Ok(Self { first, values }),
            _ => Err(malformed),
        }
    }
}

/// The upper eight bits of every entry of a table that is written out.
fn entries(bytes: Vec<u8>, count: usize, bits: i64) -> Option<Vec<u8>> {
    if bytes.len() < count.saturating_mul(2) {
        // Two 8-bit entries per word.
        return Some(bytes.into_iter().take(count).collect());
    }
    // One 16-bit word per entry; tables of 16-bit entries keep their upper byte.
    let upper = usize::from(bits > 8);
    let words = bytes.chunks_exact(2);
    words
        .take(count)
        .map(|word| word.get(upper).copied())
        .collect()
}
