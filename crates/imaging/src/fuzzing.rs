//! Entry points of `fuzz/`, behind a feature of their own. The first eight bytes are the geometry, the rest is the
//! stream: rows, columns (16 bits each), components, bits allocated, bits stored, sign and colour.

use crate::codecs::{self, CodecError, Color, Geometry, Samples};
use crate::segmentation_file::SegmentationFile;

/// A codec by name.
#[derive(Debug, Clone, Copy)]
pub enum Codec {
    /// DCT and lossless JPEG.
    Jpeg,
    /// JPEG-LS.
    JpegLs,
    /// JPEG 2000.
    Jpeg2000,
    /// RLE Lossless.
    Rle,
    /// Deflated frames.
    Deflated,
}

/// Decodes one stream; what comes out has the size that the geometry says.
///
/// # Panics
///
/// Where a codec gives another number of samples than it was asked for.
pub fn decode(codec: Codec, input: &[u8]) {
    let Some((&[r1, r0, c1, c0, components, allocated, stored, flags], stream)) =
        input.split_first_chunk::<8>()
    else {
        return;
    };
    let side = |high, low| usize::from(u16::from_be_bytes([high, low]) % 1025);
    let bits_allocated = match allocated % 4 {
        0 => 1,
        1 => 8,
        2 => 16,
        _ => 32,
    };
    let geometry = Geometry {
        rows: side(r1, r0).max(1),
        columns: side(c1, c0).max(1),
        components: usize::from(components % 4).max(1),
        bits_allocated,
        bits_stored: u16::from(stored).clamp(1, bits_allocated),
        signed: flags & 1 != 0,
        color: if flags & 2 != 0 {
            Color::Rgb
        } else {
            Color::Ycc
        },
    };
    let decoded: Result<Samples, CodecError> = match codec {
        Codec::Jpeg => codecs::jpeg::decode(stream, &geometry),
        Codec::JpegLs => codecs::jpeg_ls::decode(stream, &geometry),
        Codec::Jpeg2000 => codecs::jpeg2000::decode(stream, &geometry),
        Codec::Rle | Codec::Deflated => {
            let pixels = geometry.pixels();
            let bytes = usize::from(bits_allocated.div_ceil(8));
            let cells = if matches!(codec, Codec::Rle) {
                codecs::rle::decode(stream, pixels, geometry.components, bytes)
            } else {
                codecs::deflated::decode(stream, geometry.samples() * bytes)
            };
            cells.map(|cells| Samples {
                cells,
                bytes_per_cell: bytes,
                is_rgb: false,
            })
        }
    };
    if let Ok(samples) = decoded {
        assert_eq!(
            samples.cells.len(),
            geometry.samples() * samples.bytes_per_cell
        );
    }
}

/// Most frames of one file that are decoded.
const FRAMES: usize = 8;

/// Reads a file as a segmentation; the first frames are decoded, and as masks of all segments.
///
/// # Panics
///
/// Where a frame has another number of values than rows and columns say.
pub fn segmentation(input: &[u8]) {
    let Ok(file) = SegmentationFile::open(input) else {
        return;
    };
    assert!(!file.frames.is_empty());
    for frame in 0..file.frames.len().min(FRAMES) {
        let Ok(values) = file.values(frame) else {
            continue;
        };
        assert_eq!(values.len(), file.rows * file.columns);
        for segment in file.segments.iter().take(FRAMES) {
            let mask = file.mask(frame, segment.number).map(|mask| mask.bits.len());
            assert_eq!(mask, Ok(values.len()));
        }
    }
}
