//! JPEG inside DICOM: 8-bit sequential DCT and lossless (ITU-T T.81), through jpeg-decoder. The frame
//! header is read here first, so that what the decoder would get wrong or abort on never reaches it.

use jpeg_decoder::{ColorTransform, Decoder};

use super::header::{Header, Photometric};
use crate::ImagingError;

/// A decoded JPEG: interleaved samples, little endian.
pub(super) struct Decoded {
    pub(super) cells: Vec<u8>,
    pub(super) bytes_per_cell: usize,
    /// Three samples that are red, green, blue whatever the header says.
    pub(super) is_rgb: bool,
}

/// What the JPEG says about itself before its first scan.
#[derive(Debug, Default)]
struct FrameHeader {
    marker: u8,
    precision: u8,
    rows: usize,
    columns: usize,
    components: Vec<u8>,
    /// Transform flag of the Adobe segment.
    adobe: Option<u8>,
    point_transform: u8,
}

/// Decodes one frame.
///
/// # Errors
///
/// [`ImagingError::UnsupportedPixels`] for 12-bit DCT, [`ImagingError::DicomFrameDamaged`].
pub(super) fn decode(bytes: &[u8], header: &Header, frame: usize) -> Result<Decoded, ImagingError> {
    let damaged = ImagingError::DicomFrameDamaged { frame };
    let jpeg = read_header(bytes).ok_or(damaged.clone())?;
    if (jpeg.rows, jpeg.columns) != (header.rows, header.columns)
        || jpeg.components.len() != usize::from(header.samples)
    {
        return Err(ImagingError::DicomMalformed {
            detail: "the compressed frame has another size than the header says",
        });
    }
    let lossless = jpeg.marker == 0xC3;
    match (jpeg.marker, jpeg.precision) {
        (0xC0..=0xC2, 8) => {}
        (0xC0..=0xC2, _) => {
            return Err(ImagingError::UnsupportedPixels {
                detail: "JPEG with more than 8 bits",
            });
        }
        (0xC3, 2..=16) if jpeg.point_transform == 0 => {}
        _ => {
            return Err(ImagingError::UnsupportedPixels {
                detail: "a JPEG process other than baseline, extended and lossless",
            });
        }
    }
    let is_ycc = !lossless && jpeg.components.len() == 3 && is_ycc(&jpeg, header);
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(header.pixels().saturating_mul(6));
    if jpeg.components.len() == 3 {
        decoder.set_color_transform(if is_ycc {
            ColorTransform::YCbCr
        } else {
            ColorTransform::RGB
        });
    }
    let cells = decoder.decode().map_err(|_cause| damaged.clone())?;
    // Lossless samples of any precision but 8 come as two bytes, in the order of the machine.
    let bytes_per_cell = if lossless && jpeg.precision != 8 {
        2
    } else {
        1
    };
    let expected = header
        .pixels()
        .saturating_mul(jpeg.components.len())
        .saturating_mul(bytes_per_cell);
    if cells.len() != expected {
        return Err(damaged);
    }
    Ok(Decoded {
        cells,
        bytes_per_cell,
        is_rgb: is_ycc,
    })
}

/// Whether three DCT components are luma and chroma: the Adobe segment says so, else the DICOM header.
fn is_ycc(jpeg: &FrameHeader, header: &Header) -> bool {
    match jpeg.adobe {
        Some(transform) => transform == 1,
        None => header.photometric != Photometric::Rgb,
    }
}

/// Reads the segments before the first scan (T.81 annex B).
fn read_header(bytes: &[u8]) -> Option<FrameHeader> {
    let mut header = FrameHeader::default();
    if bytes.get(..2)? != [0xFF, 0xD8] {
        return None;
    }
    let mut at = 2usize;
    loop {
        // Markers may be preceded by any number of fill bytes.
        while *bytes.get(at)? == 0xFF && *bytes.get(at + 1)? == 0xFF {
            at += 1;
        }
        if *bytes.get(at)? != 0xFF {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        let length = usize::from(u16::from_be_bytes([
            *bytes.get(at + 2)?,
            *bytes.get(at + 3)?,
        ]));
        let end = at.checked_add(2)?.checked_add(length)?;
        let body = bytes.get(at + 4..end)?;
        match marker {
            // Start of frame; C4, C8 and CC are tables and a reserved code.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7 => {
                let &[precision, r1, r0, c1, c0, count, ref parts @ ..] = body else {
                    return None;
                };
                header.marker = marker;
                header.precision = precision;
                header.rows = usize::from(u16::from_be_bytes([r1, r0]));
                header.columns = usize::from(u16::from_be_bytes([c1, c0]));
                header.components = parts
                    .chunks_exact(3)
                    .filter_map(|part| part.first().copied())
                    .collect();
                if header.components.len() != usize::from(count) {
                    return None;
                }
            }
            0xDA => {
                header.point_transform = body.last()? & 0x0F;
                return (header.marker != 0).then_some(header);
            }
            0xEE if body.starts_with(b"Adobe") => header.adobe = body.get(11).copied(),
            _ => {}
        }
        at = end;
    }
}
