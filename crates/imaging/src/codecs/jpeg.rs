//! JPEG (ITU-T T.81): 8-bit sequential and progressive DCT and lossless through jpeg-decoder, 12-bit DCT in
//! `jpeg12`. The header is read here first, so that what a decoder would get wrong or abort on never reaches it,
//! and the scans are checked: jpeg-decoder fills what it cannot read with gray and says nothing.

use jpeg_decoder::{ColorTransform, Decoder};

use super::jpeg_header::FrameHeader;
use super::{CodecError, Color, Geometry, Samples, jpeg_scan, jpeg12};

/// Decodes one frame.
///
/// # Errors
///
/// [`CodecError`]; arithmetic coding and hierarchical processes are unsupported.
pub(crate) fn decode(bytes: &[u8], geometry: &Geometry) -> Result<Samples, CodecError> {
    let jpeg = FrameHeader::read(bytes).ok_or(CodecError::Damaged)?;
    if (jpeg.rows, jpeg.columns) != (geometry.rows, geometry.columns)
        || jpeg.components.len() != geometry.components
    {
        return Err(CodecError::OtherSize);
    }
    let lossless = jpeg.marker == 0xC3;
    match (jpeg.marker, jpeg.precision) {
        (0xC0..=0xC2, 8) => {}
        (0xC1, 12) => {
            // After the check: the decoder reads on with zeros where a scan ends early.
            let patched = jpeg12::with_whole_spectrum(bytes, &jpeg);
            if !jpeg_scan::is_whole(&patched) {
                return Err(CodecError::Damaged);
            }
            return jpeg12::decode(&patched, &jpeg, geometry);
        }
        (0xC0..=0xC2, _) => {
            return Err(CodecError::Unsupported(
                "progressive JPEG with more than 8 bits",
            ));
        }
        // The decoder makes room for all samples first; each takes a bit at the least.
        (0xC3, 2..=16) if geometry.samples() / 8 > bytes.len() => return Err(CodecError::Damaged),
        (0xC3, 2..=16) if jpeg.point_transform == 0 => {}
        (0xC3, _) => {
            return Err(CodecError::Unsupported(
                "lossless JPEG with a point transform",
            ));
        }
        (0xC9..=0xCF, _) => {
            return Err(CodecError::Unsupported("JPEG with arithmetic coding"));
        }
        (0xF7, _) => return Err(CodecError::Unsupported("JPEG-LS declared as JPEG")),
        _ => return Err(CodecError::Unsupported("hierarchical JPEG")),
    }
    if !lossless && !jpeg_scan::is_whole(bytes) {
        return Err(CodecError::Damaged);
    }
    let is_ycc =
        !lossless && jpeg.components.len() == 3 && jpeg.color(geometry.color) == Color::Ycc;
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(geometry.pixels().saturating_mul(6));
    if jpeg.components.len() == 3 {
        decoder.set_color_transform(if is_ycc {
            ColorTransform::YCbCr
        } else {
            ColorTransform::RGB
        });
    }
    let mut cells = decoder.decode().map_err(|_cause| CodecError::Damaged)?;
    // Lossless samples of any precision but 8 come as two bytes, in the order of the machine.
    let bytes_per_cell = if lossless && jpeg.precision != 8 {
        2
    } else {
        1
    };
    if cells.len() != geometry.samples().saturating_mul(bytes_per_cell) {
        return Err(CodecError::Damaged);
    }
    if !lossless && geometry.bits_stored < 8 && !geometry.signed {
        for cell in &mut cells {
            // Clamped to at most what a byte holds.
            *cell = geometry.clamp(i64::from(*cell), false) as u8;
        }
    }
    // Three DCT components that were not transformed are RGB, whatever the DICOM header says.
    let is_rgb = !lossless && jpeg.components.len() == 3;
    Ok(Samples {
        cells,
        bytes_per_cell,
        is_rgb,
    })
}
