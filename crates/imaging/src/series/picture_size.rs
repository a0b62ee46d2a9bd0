//! Format, rows, columns and number of pages of a PNG, JPEG or TIFF as [`crate::open`] gives them: from its
//! header where that is enough, else by opening it.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageReader};

use crate::{ImagingError, limits, standard};

/// What a file says about its pictures.
pub(super) struct PictureSize {
    pub(super) format: &'static str,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) pages: usize,
}

/// Reads the size of a picture.
///
/// # Errors
///
/// [`ImagingError::NotAnImage`], and whatever opening the file gives.
pub(super) fn read(bytes: &[u8]) -> Result<PictureSize, ImagingError> {
    let format = standard::sniff(bytes).ok_or(ImagingError::NotAnImage)?;
    if format == ImageFormat::Tiff {
        let (rows, columns, pages) = standard::tiff::size(bytes)?;
        return Ok(PictureSize {
            format: "TIFF",
            rows,
            columns,
            pages,
        });
    }
    if let Some((rows, columns)) = upright(bytes, format) {
        limits::frame_pixels(u64::from(columns), u64::from(rows))?;
        let name = if format == ImageFormat::Png {
            "PNG"
        } else {
            "JPEG"
        };
        return Ok(PictureSize {
            format: name,
            rows: rows as usize,
            columns: columns as usize,
            pages: 1,
        });
    }
    // Turned by its EXIF block, or of a process that the header's reader does not know.
    let picture = crate::open(bytes)?;
    Ok(PictureSize {
        format: picture.format(),
        rows: picture.height(),
        columns: picture.width(),
        pages: picture.frame_count(),
    })
}

/// Rows and columns of a picture that is shown as it is stored.
fn upright(bytes: &[u8], format: ImageFormat) -> Option<(u32, u32)> {
    // The block of a PNG may stand behind the pixels, where its header's reader does not see it.
    if format == ImageFormat::Png && bytes.windows(4).any(|name| name == b"eXIf") {
        return None;
    }
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format)
        .into_decoder()
        .ok()?;
    let (columns, rows) = decoder.dimensions();
    let turned = !matches!(decoder.orientation(), Ok(Orientation::NoTransforms));
    (!turned).then_some((rows, columns))
}
