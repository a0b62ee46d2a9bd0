//! Frames of one DICOM file: the bytes of each (PS3.5 section 8 and A.4), and their way to a picture:
//! codec, bit fields, planes, colour, modality transform. Only pixel bytes are kept of the file.

use super::color;
use super::fragments;
use super::functions::FrameFunctions;
use super::header::{Header, Photometric};
use super::layout::File;
use super::native;
use super::scan::PixelData;
use super::syntax::Codec;
use crate::codecs::{self, CodecError, Color, Geometry, Samples};
use crate::picture::{Frame, FrameSource, range_of};
use crate::voi::Voi;
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

    /// Stored values of a frame of one unsigned sample of at most 16 bits, `[rows, columns]`.
    ///
    /// # Errors
    ///
    /// A frame that is not there, or that its decoder rejects.
    pub(super) fn stored_values(&self, frame: usize) -> Result<Vec<u16>, ImagingError> {
        let cells = self.cells(frame)?;
        let values = native::stored_values(&cells.cells, cells.bytes_per_cell, &self.header);
        Ok(values
            .map(|value| u16::try_from(value).unwrap_or(u16::MAX))
            .collect())
    }

    /// The runs of ones of a frame of uncompressed single bits; `None` where frames hold anything else.
    pub(super) fn bit_runs(&self, frame: usize) -> Option<Vec<[u32; 2]>> {
        match &self.stored {
            Stored::Native { bytes, frame_bits } if self.header.bits_allocated == 1 => {
                let start = frame_bits.checked_mul(frame as u64)?;
                (frame < self.header.frame_count)
                    .then(|| native::bit_runs(bytes, start, self.header.pixels()))
            }
            _ => None,
        }
    }

    /// Interleaved little-endian cells of a frame.
    fn cells(&self, frame: usize) -> Result<Samples, ImagingError> {
        let header = &self.header;
        let out_of_range = ImagingError::FrameOutOfRange {
            frame,
            count: header.frame_count,
        };
        match &self.stored {
            Stored::Native { bytes, frame_bits } => {
                // Bits of a file that fits a 32-bit memory need more than 32 bits to count.
                let start = frame_bits.saturating_mul(frame as u64);
                if header.bits_allocated == 1 {
                    return Ok(self.bits(bytes, start));
                }
                let range = (start / 8) as usize..(start.saturating_add(*frame_bits) / 8) as usize;
                let mut cells = bytes.get(range).ok_or(out_of_range)?.to_vec();
                if self.big_endian {
                    native::swap_cells(&mut cells, self.bytes_per_cell());
                }
                Ok(self.pixels_of(cells))
            }
            Stored::Encapsulated(streams) => {
                let stream = streams.get(frame).ok_or(out_of_range)?;
                self.decompressed(stream).map_err(|error| match error {
                    CodecError::Damaged => ImagingError::DicomFrameDamaged { frame },
                    CodecError::OtherSize => ImagingError::DicomMalformed {
                        detail: "the compressed frame has another size than the header says",
                    },
                    CodecError::Unsupported(detail) => ImagingError::UnsupportedPixels { detail },
                })
            }
        }
    }

    fn decompressed(&self, stream: &[u8]) -> Result<Samples, CodecError> {
        let header = &self.header;
        let samples = usize::from(header.samples);
        let packed = header.pixels().div_ceil(8);
        match self.codec {
            Codec::Jpeg => codecs::jpeg::decode(stream, &self.geometry()),
            Codec::JpegLs => codecs::jpeg_ls::decode(stream, &self.geometry()),
            Codec::Jpeg2000 => codecs::jpeg2000::decode(stream, &self.geometry()),
            // Single bits are packed first.
            Codec::Rle if header.bits_allocated == 1 => {
                Ok(self.bits(&codecs::rle::decode(stream, packed, 1, 1)?, 0))
            }
            Codec::Rle => {
                let bytes = self.bytes_per_cell();
                Ok(Samples {
                    cells: codecs::rle::decode(stream, header.pixels(), samples, bytes)?,
                    bytes_per_cell: bytes,
                    is_rgb: false,
                })
            }
            Codec::Deflated if header.bits_allocated == 1 => {
                Ok(self.bits(&codecs::deflated::decode(stream, packed)?, 0))
            }
            Codec::Deflated => {
                let is_422 = header.photometric.is_422();
                let cells = header.pixels() * if is_422 { 2 } else { samples };
                let length = cells * self.bytes_per_cell();
                Ok(self.pixels_of(codecs::deflated::decode(stream, length)?))
            }
            Codec::Native => Err(CodecError::Damaged),
        }
    }

    fn geometry(&self) -> Geometry {
        let header = &self.header;
        Geometry {
            rows: header.rows,
            columns: header.columns,
            components: usize::from(header.samples),
            bits_allocated: header.bits_allocated,
            bits_stored: header.bits_stored,
            signed: header.signed,
            color: if header.photometric == Photometric::Rgb {
                Color::Rgb
            } else {
                Color::Ycc
            },
        }
    }

    fn bytes_per_cell(&self) -> usize {
        usize::from(self.header.bits_allocated.div_ceil(8))
    }

    /// A frame of single bits from bit `start`.
    fn bits(&self, bytes: &[u8], start: u64) -> Samples {
        Samples {
            cells: native::unpack_bits(bytes, start, self.header.pixels()),
            bytes_per_cell: 1,
            is_rgb: false,
        }
    }

    /// A frame of little-endian cells as they are in uncompressed files.
    fn pixels_of(&self, mut cells: Vec<u8>) -> Samples {
        let header = &self.header;
        if header.photometric.is_422() {
            cells = color::expand_422(&cells);
        } else if header.planar && header.samples == 3 {
            cells = native::interleave(&cells, self.bytes_per_cell());
        }
        Samples {
            cells,
            bytes_per_cell: self.bytes_per_cell(),
            is_rgb: false,
        }
    }

    fn gray(&self, cells: &Samples, functions: &FrameFunctions) -> Frame {
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

    fn color(&self, decoded: Samples) -> Frame {
        let header = &self.header;
        let mut pixels = if let Some(palette) = &header.palette {
            native::stored_values(&decoded.cells, decoded.bytes_per_cell, header)
                .flat_map(|value| palette.color(value))
                .collect()
        } else if decoded.bytes_per_cell == 1 && header.bits_stored >= 8 {
            decoded.cells
        } else {
            // The upper eight of the stored bits.
            let surplus = header.bits_stored.saturating_sub(8);
            native::stored_values(&decoded.cells, decoded.bytes_per_cell, header)
                .map(|value| (value >> surplus).clamp(0, 255) as u8)
                .collect()
        };
        if decoded.is_rgb {
            return Frame::Rgb(pixels);
        }
        match header.photometric {
            Photometric::YbrFull | Photometric::YbrFull422 => color::ybr_to_rgb(&mut pixels),
            Photometric::YbrPartial | Photometric::YbrPartial422 => {
                color::partial_to_full(&mut pixels);
                color::ybr_to_rgb(&mut pixels);
            }
            _ => {}
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

    fn voi(&self, frame: usize) -> Option<&Voi> {
        self.header.functions(frame)?.voi.as_ref()
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
    if header.photometric.is_422() {
        if present as u64 >= bytes_of(full) {
            // Some writers name the chroma subsampling of the JPEG that the pixels came from.
            header.photometric = match header.photometric {
                Photometric::YbrPartial422 => Photometric::YbrPartial,
                _ => Photometric::YbrFull,
            };
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
