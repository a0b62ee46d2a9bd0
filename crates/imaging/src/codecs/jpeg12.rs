//! 12-bit sequential DCT JPEG (ITU-T T.81 extended process) through openreadout-codecs, whose inverse DCT is
//! exact. Values that overflow Bits Stored are clamped to it, as an encoder's own decoder would.

use openreadout_codecs::{JpegColor, jpeg_decode_tiff_limited};

use super::jpeg_header::FrameHeader;
use super::{CodecError, Color, Geometry, Samples, push_cell};

/// The stream with the end of its spectral selection at 63, the one value that a sequential scan can have:
/// archives hold streams that say 0 there.
pub(super) fn with_whole_spectrum(bytes: &[u8], jpeg: &FrameHeader) -> Vec<u8> {
    let mut stream = bytes.to_vec();
    let count = stream.get(jpeg.scan).copied().map_or(0, usize::from);
    let end = jpeg.scan.saturating_add(2).saturating_add(2 * count);
    if let Some(last) = stream.get_mut(end) {
        *last = 63;
    }
    stream
}

/// Decodes one frame whose header is `jpeg`.
///
/// # Errors
///
/// [`CodecError`]; subsampled chroma is unsupported.
pub(super) fn decode(
    bytes: &[u8],
    jpeg: &FrameHeader,
    geometry: &Geometry,
) -> Result<Samples, CodecError> {
    if jpeg.is_subsampled() {
        return Err(CodecError::Unsupported(
            "JPEG of more than 8 bits with subsampled chroma",
        ));
    }
    let color = if jpeg.components.len() == 3 && jpeg.color(geometry.color) == Color::Ycc {
        JpegColor::ToRgb
    } else {
        JpegColor::AsCoded
    };
    let limit = geometry.samples().saturating_mul(2);
    let raster = jpeg_decode_tiff_limited(bytes, None, color, limit)
        .map_err(|_cause| CodecError::Damaged)?;
    if raster.data.len() != limit {
        return Err(CodecError::Damaged);
    }
    let bytes_per_cell = geometry.cell_bytes(12);
    let mut cells = Vec::with_capacity(geometry.samples().saturating_mul(bytes_per_cell));
    for word in raster.data.chunks_exact(2) {
        let value = word
            .iter()
            .rev()
            .fold(0, |value, &b| value << 8 | i64::from(b));
        push_cell(&mut cells, bytes_per_cell, geometry.clamp(value, false));
    }
    Ok(Samples {
        cells,
        bytes_per_cell,
        is_rgb: jpeg.components.len() == 3,
    })
}
