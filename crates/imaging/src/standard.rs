//! PNG and JPEG through the `image` crate: gray stays gray (16 bits included), everything else is RGB.
//! The EXIF orientation of a JPEG is honoured, as every viewer does, so masks match what is seen.

use std::io::Cursor;

use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::limits::{self, MAX_FRAME_PIXELS};
use crate::picture::{Description, Frame};
use crate::{ImagingError, Picture, PictureKind, Window};

/// PNG or JPEG by the first bytes, `None` for anything else.
pub(crate) fn sniff(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some(ImageFormat::Jpeg)
    } else {
        None
    }
}

/// Decodes a PNG or JPEG.
///
/// # Errors
///
/// [`ImagingError::TooLarge`] or [`ImagingError::Damaged`].
pub(crate) fn open(bytes: &[u8], format: ImageFormat) -> Result<Picture, ImagingError> {
    let format_name = if format == ImageFormat::Png {
        "PNG"
    } else {
        "JPEG"
    };
    let failure = |error: ImageError| failure(&error, format_name);
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        // The decoder would fill what is missing with gray.
        return Err(ImagingError::Damaged {
            format: format_name,
        });
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = Limits::default();
    // Four channels of two bytes at the most, and as much again for the decoder.
    bounds.max_alloc = Some(MAX_FRAME_PIXELS.saturating_mul(16));
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(failure)?;
    let (width, height) = decoder.dimensions();
    limits::frame_pixels(u64::from(width), u64::from(height))?;
    let orientation = if format == ImageFormat::Jpeg {
        // An unreadable EXIF block is no reason to refuse the picture.
        decoder.orientation().unwrap_or(Orientation::NoTransforms)
    } else {
        Orientation::NoTransforms
    };
    let mut image = DynamicImage::from_decoder(decoder).map_err(failure)?;
    image.apply_orientation(orientation);
    Ok(picture(image, format_name))
}

/// Whether an end-of-image marker follows the first scan. Entropy-coded data cannot hold one, and the
/// thumbnails that do stand in segments before the scan.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2usize;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at.saturating_add(4)) {
        if marker == 0xFF {
            at = at.saturating_add(1);
            continue;
        }
        at = at
            .saturating_add(2)
            .saturating_add(usize::from(u16::from_be_bytes([high, low])));
        if marker == 0xDA {
            let scan = bytes.get(at..).unwrap_or_default();
            return scan.windows(2).any(|pair| pair == [0xFF, 0xD9]);
        }
    }
    false
}

fn picture(image: DynamicImage, format: &'static str) -> Picture {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let describe = |kind| Description {
        width,
        height,
        kind,
        format,
        modality: None,
        spacing_mm: None,
        inverted: false,
    };
    match image {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageLumaA8(_) => {
            let values = image.into_luma8().into_raw();
            let frame = Frame::gray(values.into_iter().map(f32::from).collect());
            // 8-bit files are already display values.
            let window = Some(Window::from_range(0.0, 255.0));
            Picture::single(describe(PictureKind::Gray), frame, window)
        }
        DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
            let values = image.into_luma16().into_raw();
            let frame = Frame::gray(values.into_iter().map(f32::from).collect());
            let window = match &frame {
                Frame::Gray { range, .. } => range.map(|(low, high)| Window::from_range(low, high)),
                Frame::Rgb(_) => None,
            };
            Picture::single(describe(PictureKind::Gray), frame, window)
        }
        _ => {
            let frame = Frame::Rgb(image.into_rgb8().into_raw());
            Picture::single(describe(PictureKind::Rgb), frame, None)
        }
    }
}

fn failure(error: &ImageError, format: &'static str) -> ImagingError {
    match error {
        ImageError::Limits(limit)
            if !matches!(limit.kind(), LimitErrorKind::Unsupported { .. }) =>
        {
            ImagingError::TooLarge {
                what: "memory to decode it in bytes",
                needed: MAX_FRAME_PIXELS.saturating_mul(16).saturating_add(1),
                limit: MAX_FRAME_PIXELS.saturating_mul(16),
            }
        }
        _ => ImagingError::Damaged { format },
    }
}
