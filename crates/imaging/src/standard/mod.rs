//! PNG and JPEG through the `image` crate, TIFF in `tiff`: gray stays gray (16 bits included), everything else is
//! RGB; what is transparent lies on black. The orientation of all is honoured, as every viewer does, so that masks match
//! what is seen. Lossless and 12-bit JPEG, which that crate does not read, go through the codecs of DICOM.

pub(crate) mod tiff;

use std::io::Cursor;

use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::codecs::jpeg_header::FrameHeader;
use crate::codecs::{CodecError, Color, Geometry, jpeg, jpeg_scan};
use crate::limits::{self, MAX_FRAME_PIXELS};
use crate::outliers;
use crate::picture::{Description, Frame, OUTLIERS_LEFT_OUT};
use crate::{ImagingError, Picture, PictureKind, Window};

/// PNG, JPEG or TIFF by the first bytes, `None` for anything else.
pub(crate) fn sniff(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some(ImageFormat::Jpeg)
    } else if tiff::is_tiff(bytes) && bytes.get(128..132) != Some(b"DICM".as_slice()) {
        // A DICOM file may have a TIFF header in its preamble (PS3.10 7.1).
        Some(ImageFormat::Tiff)
    } else {
        None
    }
}

/// Decodes a PNG, JPEG or TIFF.
///
/// # Errors
///
/// [`ImagingError::TooLarge`], [`ImagingError::Damaged`] or [`ImagingError::OtherFormat`].
pub(crate) fn open(bytes: &[u8], format: ImageFormat) -> Result<Picture, ImagingError> {
    if format == ImageFormat::Tiff {
        return tiff::open(bytes);
    }
    let format_name = if format == ImageFormat::Png {
        "PNG"
    } else {
        "JPEG"
    };
    let failure = |error: ImageError| failure(&error, format_name);
    if format == ImageFormat::Jpeg {
        match FrameHeader::read(bytes) {
            Some(header) if header.marker >= 0xC3 || header.precision > 8 => {
                return other_process(bytes, &header);
            }
            _ => {}
        }
        // The decoder would fill what is missing or damaged with gray.
        if !jpeg_is_complete(bytes) || !jpeg_scan::is_whole(bytes) {
            return Err(ImagingError::Damaged {
                format: format_name,
            });
        }
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = Limits::default();
    // Four channels of two bytes at the most, and as much again for the decoder.
    bounds.max_alloc = Some(MAX_FRAME_PIXELS.saturating_mul(16));
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(failure)?;
    let (width, height) = decoder.dimensions();
    limits::frame_pixels(u64::from(width), u64::from(height))?;
    // An unreadable EXIF block is no reason to refuse the picture.
    let orientation = if format == ImageFormat::Jpeg {
        decoder.orientation().ok()
    } else {
        png_exif(bytes).and_then(Orientation::from_exif_chunk)
    };
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(failure)?;
    image.apply_orientation(orientation);
    Ok(picture(image, format_name))
}

/// The `eXIf` chunk of a PNG, which may stand behind the pixels (PNG 3, 11.3.4.5).
fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 8usize;
    loop {
        let length = u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?);
        let body = at.checked_add(8)?;
        let end = body.checked_add(usize::try_from(length).ok()?)?;
        match bytes.get(at.checked_add(4)?..body)? {
            b"eXIf" => return bytes.get(body..end),
            b"IEND" => return None,
            _ => at = end.checked_add(4)?,
        }
    }
}

/// A JPEG of another process than 8-bit DCT: decoded by the codecs of DICOM, or refused by name.
fn other_process(bytes: &[u8], header: &FrameHeader) -> Result<Picture, ImagingError> {
    limits::frame_pixels(header.columns as u64, header.rows as u64)?;
    let refused = |format| ImagingError::OtherFormat {
        format,
        next_step: "Save it as PNG, without changing its size.",
    };
    let components = header.components.len();
    if header.rows == 0 || header.columns == 0 || !matches!(components, 1 | 3) {
        return Err(refused("a JPEG in a form that is rare"));
    }
    let precision = u16::from(header.precision);
    let geometry = Geometry {
        rows: header.rows,
        columns: header.columns,
        components,
        bits_allocated: if precision > 8 { 16 } else { 8 },
        bits_stored: precision,
        signed: false,
        color: Color::Ycc,
    };
    let samples = jpeg::decode(bytes, &geometry).map_err(|error| match error {
        CodecError::Unsupported(_) if header.marker == 0xF7 => refused("a JPEG-LS image"),
        CodecError::Unsupported(detail) => refused(detail),
        CodecError::Damaged | CodecError::OtherSize => ImagingError::Damaged { format: "JPEG" },
    })?;
    let values: Vec<u16> = samples
        .cells
        .chunks_exact(samples.bytes_per_cell)
        .map(|cell| {
            cell.iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | u16::from(byte))
        })
        .collect();
    let (width, height) = (header.columns as u32, header.rows as u32);
    let damaged = ImagingError::Damaged { format: "JPEG" };
    let image =
        match (components, precision > 8) {
            (1, true) => {
                image::ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLuma16)
            }
            (1, false) => image::ImageBuffer::from_raw(width, height, samples.cells)
                .map(DynamicImage::ImageLuma8),
            (_, true) => {
                image::ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb16)
            }
            (_, false) => image::ImageBuffer::from_raw(width, height, samples.cells)
                .map(DynamicImage::ImageRgb8),
        };
    Ok(picture(image.ok_or(damaged)?, "JPEG"))
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
        regions: Vec::new(),
        inverted: false,
    };
    let image = on_black(image);
    match image {
        DynamicImage::ImageLuma8(image) => {
            let frame = Frame::gray(image.into_raw().into_iter().map(f32::from).collect());
            // 8-bit files are already display values.
            let window = Some(Window::from_range(0.0, 255.0));
            Picture::single(describe(PictureKind::Gray), frame, window)
        }
        DynamicImage::ImageLuma16(image) => {
            let values: Vec<f32> = image.into_raw().into_iter().map(f32::from).collect();
            let frame = Frame::gray(values);
            let window = match &frame {
                Frame::Gray { values, range } => range.map(|range| outliers::window(values, range)),
                Frame::Rgb(_) => None,
            };
            let left_out = window.is_some_and(|(_, left_out)| left_out);
            let window = window.map(|(window, _)| window);
            Picture::single(describe(PictureKind::Gray), frame, window)
                .with_notes(left_out.then_some(OUTLIERS_LEFT_OUT))
        }
        DynamicImage::ImageRgb16(image) => {
            let (pixels, note) = eight_bits(&image.into_raw());
            Picture::single(describe(PictureKind::Rgb), Frame::Rgb(pixels), None).with_notes(note)
        }
        _ => {
            let frame = Frame::Rgb(image.into_rgb8().into_raw());
            Picture::single(describe(PictureKind::Rgb), frame, None)
        }
    }
}

/// Values of a pixel on black. None is larger than it was, so every one fits its type again.
fn over<const N: usize>(pixel: [u32; N], alpha: u32, white: u32) -> [u32; N] {
    // Two numbers of 16 bits fit 32 bits.
    pixel.map(|value| (value * alpha + white / 2) / white)
}

/// The image without its alpha channel, over black.
fn on_black(image: DynamicImage) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    let eight = u32::from(u8::MAX);
    let sixteen = u32::from(u16::MAX);
    match image {
        DynamicImage::ImageLumaA8(from) => {
            DynamicImage::ImageLuma8(image::ImageBuffer::from_fn(width, height, |x, y| {
                let [value, alpha] = from.get_pixel(x, y).0.map(u32::from);
                image::Luma(over([value], alpha, eight).map(|value| value as u8))
            }))
        }
        DynamicImage::ImageLumaA16(from) => {
            DynamicImage::ImageLuma16(image::ImageBuffer::from_fn(width, height, |x, y| {
                let [value, alpha] = from.get_pixel(x, y).0.map(u32::from);
                image::Luma(over([value], alpha, sixteen).map(|value| value as u16))
            }))
        }
        DynamicImage::ImageRgba8(from) => {
            DynamicImage::ImageRgb8(image::ImageBuffer::from_fn(width, height, |x, y| {
                let [red, green, blue, alpha] = from.get_pixel(x, y).0.map(u32::from);
                image::Rgb(over([red, green, blue], alpha, eight).map(|value| value as u8))
            }))
        }
        DynamicImage::ImageRgba16(from) => {
            DynamicImage::ImageRgb16(image::ImageBuffer::from_fn(width, height, |x, y| {
                let [red, green, blue, alpha] = from.get_pixel(x, y).0.map(u32::from);
                image::Rgb(over([red, green, blue], alpha, sixteen).map(|value| value as u16))
            }))
        }
        other => other,
    }
}

/// Colours of 16 bits as 8. Cameras write 10, 12 or 14 bits into them unscaled, which would be nearly black: the
/// brightest value tells how many there are.
fn eight_bits(values: &[u16]) -> (Vec<u8>, Option<&'static str>) {
    let brightest = values.iter().copied().max().unwrap_or_default();
    let bits = [10u32, 12, 14]
        .into_iter()
        .find(|&bits| u32::from(brightest) < 1 << bits)
        .unwrap_or(16);
    let white = (1u32 << bits) - 1;
    let pixels = values
        .iter()
        .map(|&value| ((u32::from(value) * 255 + white / 2) / white) as u8)
        .collect();
    let note = "The colours use fewer bits than the file has and are shown brighter than it says.";
    (pixels, (bits < 16).then_some(note))
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
