//! Format, rows and columns of a PNG or JPEG as [`crate::open`] gives them: from its header where that is
//! enough, else by opening it.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageReader};

use crate::{ImagingError, limits, standard};

/// Reads the size of a picture.
///
/// # Errors
///
/// [`ImagingError::NotAnImage`], [`ImagingError::TooLarge`] or [`ImagingError::Damaged`].
pub(super) fn read(bytes: &[u8]) -> Result<(&'static str, usize, usize), ImagingError> {
    let format = standard::sniff(bytes).ok_or(ImagingError::NotAnImage)?;
    if let Some((rows, columns)) = upright(bytes, format) {
        limits::frame_pixels(u64::from(columns), u64::from(rows))?;
        let name = if format == ImageFormat::Png {
            "PNG"
        } else {
            "JPEG"
        };
        return Ok((name, rows as usize, columns as usize));
    }
    // Turned by its EXIF block, or of a process that the header's reader does not know.
    let picture = crate::open(bytes)?;
    Ok((picture.format(), picture.height(), picture.width()))
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
