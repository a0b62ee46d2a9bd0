//! Frames of one DICOM file: the bytes of each (PS3.5 section 8 and A.4), and their way to a picture:
//! codec, bit fields, planes, colour, modality transform. Only pixel bytes are kept of the file.

use super::color;
use super::fragments;
use super::functions::FrameFunctions;
use super::header::{Header, Photometric};
use super::jpeg;
use super::layout::File;
use super::native;
use super::rle;
use super::scan::PixelData;
use super::syntax::Codec;
use crate::picture::{Frame, FrameSource, range_of};
use crate::{ImagingError, Window};

/// The encoded frames and what is needed to decode them.
#[derive(Debug)]
pub(super) struct Frames {
    header: Header,
    codec: Codec,
    big_endian: bool,
    stored: Stored,
}

#[derive(Debug)]
enum Stored {
    /// All frames one after the other; single bits are packed across frames.
    Native { bytes: Vec<u8>, frame_bits: u64 },
    /// One compressed stream per frame.
    Encapsulated(Vec<Vec<u8>>),
}

impl Frames {
    /// Cuts the pixel data into frames.
    ///
    /// # Errors
    ///
    /// [`ImagingError::DicomTruncated`] where bytes are missing, [`ImagingError::DicomMalformed`].
    pub(super) fn new(file: &File<'_>, header: &Header) -> Result<Self, ImagingError> {
        let mut header = header.clone();
        let stored = match (&file.scan.pixels, file.syntax.codec) {
            (Some(PixelData::Native { start, declared }), Codec::Native) => {
                native_frames(file, &mut header, *start, *declared)?
            }
            (
                Some(PixelData::Encapsulated {
                    offset_table,
                    fragments,
                    cut,
                }),
                codec,
            ) if codec != Codec::Native => {
                if let Some(cut) = cut {
                    return Err(cut.clone());
                }
                let slice = |range: &std::ops::Range<usize>| {
                    file.bytes.get(range.clone()).unwrap_or_default()
                };
                let fragments: Vec<&[u8]> = fragments.iter().map(slice).collect();
                Stored::Encapsulated(fragments::to_frames(
                    &fragments,
                    slice(offset_table),
                    header.frame_count,
                    codec,
                )?)
            }
            (None, _) => return Err(ImagingError::DicomNoPixels),
            _ => {
                return Err(ImagingError::DicomMalformed {
                    detail: "the pixel data is not packed as its transfer syntax says",
                });
            }
        };
        Ok(Self {
            header,
            codec: file.syntax.codec,
            big_endian: file.syntax.encoding.big_endian,
            stored,
        })
    }

    /// Interleaved little-endian cells of a frame, and whether they are RGB already.
    fn cells(&self, frame: usize) -> Result<jpeg::Decoded, ImagingError> {
        let header = &self.header;
        let out_of_range = ImagingError::FrameOutOfRange {
            frame,
            count: header.frame_count,
        };
        let bytes_per_cell = usize::from(header.bits_allocated.div_ceil(8));
        match &self.stored {
            Stored::Native { bytes, frame_bits } => {
                // Bits of a file that fits a 32-bit memory need more than 32 bits to count.
                let start = frame_bits.saturating_mul(frame as u64);
                if header.bits_allocated == 1 {
                    return Ok(jpeg::Decoded {
                        cells: native::unpack_bits(bytes, start, header.pixels()),
                        bytes_per_cell: 1,
                        is_rgb: false,
                    });
                }
                let range = (start / 8) as usize..(start.saturating_add(*frame_bits) / 8) as usize;
                let mut cells = bytes.get(range).ok_or(out_of_range)?.to_vec();
                if self.big_endian {
                    native::swap_cells(&mut cells, bytes_per_cell);
                }
                if header.photometric == Photometric::YbrFull422 {
                    cells = color::expand_422(&cells);
                } else if header.planar && header.samples == 3 {
                    cells = native::interleave(&cells, bytes_per_cell);
                }
                Ok(jpeg::Decoded {
                    cells,
                    bytes_per_cell,
                    is_rgb: false,
                })
            }
            Stored::Encapsulated(streams) => {
                let stream = streams.get(frame).ok_or(out_of_range)?;
                if self.codec != Codec::Rle {
                    return jpeg::decode(stream, header, frame);
                }
                Ok(jpeg::Decoded {
                    cells: rle::decode(
                        stream,
                        header.pixels(),
                        usize::from(header.samples),
                        bytes_per_cell,
                        frame,
                    )?,
                    bytes_per_cell,
                    is_rgb: false,
                })
            }
        }
    }

    fn gray(&self, cells: &jpeg::Decoded, functions: &FrameFunctions) -> Frame {
        let stored = || native::stored_values(&cells.cells, cells.bytes_per_cell, &self.header);
        let values: Vec<f32> = stored()
            .map(|value| functions.modality.apply(value))
            .collect();
        let range = match self.header.padding {
            None => range_of(values.iter().copied()),
            Some((low, high)) => range_of(
                stored()
                    .zip(&values)
                    .filter(|(stored, _)| !(low..=high).contains(stored))
                    .map(|(_, &value)| value),
            ),
        };
        Frame::Gray { values, range }
    }

    fn color(&self, decoded: jpeg::Decoded) -> Frame {
        let header = &self.header;
        let mut pixels = if let Some(palette) = &header.palette {
            native::stored_values(&decoded.cells, decoded.bytes_per_cell, header)
                .flat_map(|value| palette.color(value))
                .collect()
        } else if decoded.bytes_per_cell == 1 {
            decoded.cells
        } else {
            // The upper eight of the stored bits.
            let surplus = header.bits_stored.saturating_sub(8);
            native::stored_values(&decoded.cells, decoded.bytes_per_cell, header)
                .map(|value| (value >> surplus).clamp(0, 255) as u8)
                .collect()
        };
        let is_ybr = matches!(
            header.photometric,
            Photometric::YbrFull | Photometric::YbrFull422
        );
        if is_ybr && !decoded.is_rgb {
            color::ybr_to_rgb(&mut pixels);
        }
        Frame::Rgb(pixels)
    }
}

impl FrameSource for Frames {
    fn decode(&self, frame: usize) -> Result<Frame, ImagingError> {
        let decoded = self.cells(frame)?;
        match self.header.functions(frame) {
            Some(functions) if self.header.photometric.is_gray() => {
                Ok(self.gray(&decoded, functions))
            }
            _ => Ok(self.color(decoded)),
        }
    }

    fn window(&self, frame: usize) -> Option<Window> {
        self.header.functions(frame)?.window
    }
}

/// Checks the length of uncompressed pixels and copies them.
fn native_frames(
    file: &File<'_>,
    header: &mut Header,
    start: usize,
    declared: usize,
) -> Result<Stored, ImagingError> {
    let present = file.bytes.len().saturating_sub(start).min(declared);
    let pixels = header.pixels() as u64;
    let count = header.frame_count as u64;
    let bytes_of = |bits: u64| bits.saturating_mul(count).div_ceil(8);
    let full = pixels * u64::from(header.samples) * u64::from(header.bits_allocated);
    let mut frame_bits = full;
    if header.photometric == Photometric::YbrFull422 {
        if present as u64 >= bytes_of(full) {
            // Some writers name the chroma subsampling of the JPEG that the pixels came from.
            header.photometric = Photometric::YbrFull;
        } else if header.columns.is_multiple_of(2) && header.bits_allocated == 8 && !header.planar {
            frame_bits = full / 3 * 2;
        } else {
            return Err(ImagingError::UnsupportedPixels {
                detail: "subsampled chroma with odd columns, planes or 16 bits",
            });
        }
    }
    let expected = bytes_of(frame_bits);
    if expected > present as u64 {
        return Err(ImagingError::DicomTruncated {
            expected,
            found: present as u64,
        });
    }
    let mut bytes = file
        .bytes
        .get(start..start.saturating_add(present))
        .unwrap_or_default()
        .to_vec();
    if file.syntax.encoding.big_endian && header.bits_allocated <= 8 && file.scan.pixels_are_words {
        native::swap_words(&mut bytes);
    }
    // At most `present`, which is a usize.
    bytes.truncate(expected as usize);
    Ok(Stored::Native { bytes, frame_bits })
}
