//! Picture files of published datasets (PNG, JPEG, TIFF, BMP, GIF) as images of 8 bits and as masks of whole numbers.

use std::io::{BufReader, Seek as _};
use std::path::Path;

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ExtendedColorType, ImageDecoder as _, ImageFormat, ImageReader,
};

use super::error::ImportError;
use super::manifest::ImageRule;
use super::orientation::Exif;
use super::unit::Image;
use super::window;
use crate::error::CorpusError;

/// A mask file, `[height, width]`.
#[derive(Debug)]
pub(super) struct MaskFile {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Values,
    /// Largest value that the format can hold.
    pub(super) range: u16,
    /// Values may be off by a little, as in JPEG.
    pub(super) lossy: bool,
    /// EXIF turned it: it lies on the upright picture.
    pub(super) turned: bool,
}

/// Its pixels.
#[derive(Debug)]
pub(super) enum Values {
    /// Grey; a picture whose channels are all equal is grey as well.
    Gray(Vec<u16>),
    /// Red, green, blue.
    Colour(Vec<[u8; 3]>),
}

struct Decoded {
    image: DynamicImage,
    format: Option<ImageFormat>,
    /// As the file holds it, before decoding.
    colour: ExtendedColorType,
    turn: Orientation,
}

fn decode(path: &Path) -> Result<Decoded, CorpusError> {
    let read = |source| CorpusError::Read {
        path: path.to_owned(),
        source,
    };
    let failed = |source| CorpusError::Decode {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(std::fs::File::open(path).map_err(read)?);
    file.rewind().map_err(read)?;
    // By content: names such as `.tif` and `.jpg` are not always right.
    let reader = ImageReader::new(file).with_guessed_format().map_err(read)?;
    let format = reader.format();
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let turn = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let colour = decoder.original_color_type();
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Decoded {
        image,
        format,
        colour,
        turn,
    })
}

/// An image of 8 bits: its own file where it can be copied as it is. `seen` decides by the stored size and the EXIF orientation
/// whether it is turned.
///
/// # Errors
/// A file that cannot be read or decoded, and what `seen` says.
pub(super) fn read_image(
    path: &Path,
    rule: &ImageRule,
    seen: impl FnOnce((usize, usize), Orientation) -> Result<Exif, ImportError>,
) -> Result<Image, CorpusError> {
    let Decoded {
        mut image,
        format,
        colour,
        turn,
    } = decode(path)?;
    let size = (image.width() as usize, image.height() as usize);
    let turned = turn != Orientation::NoTransforms;
    if seen(size, turn)? == Exif::Upright {
        image.apply_orientation(turn);
    }
    let deep = matches!(
        image.color(),
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16
    );
    let gray = !image.color().has_color();
    if gray && (rule.window.is_some() || rule.percentiles.is_some()) {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let values: Vec<f32> = if deep {
            image
                .into_luma16()
                .into_raw()
                .into_iter()
                .map(f32::from)
                .collect()
        } else {
            image
                .into_luma8()
                .into_raw()
                .into_iter()
                .map(f32::from)
                .collect()
        };
        let shown = window::scale(rule, &values, None).apply(&values);
        return Ok(Image::gray(width, height, shown));
    }
    // A turned JPEG is written anew, without its orientation: viewers would turn the image alone and not its mask.
    // One whose name is of another format is written anew too: the corpus is read by names.
    let kept = format.is_some_and(|format| Some(format) == ImageFormat::from_path(path).ok())
        && matches!(format, Some(ImageFormat::Png | ImageFormat::Jpeg))
        && matches!(colour, ExtendedColorType::L8 | ExtendedColorType::Rgb8)
        && !turned;
    let pixels = if gray {
        DynamicImage::ImageLuma8(image.into_luma8())
    } else {
        DynamicImage::ImageRgb8(image.into_rgb8())
    };
    Ok(Image {
        pixels,
        file: kept.then(|| path.to_owned()),
    })
}

/// A mask file.
///
/// # Errors
/// A file that cannot be read or decoded, or holds fractions.
pub(super) fn read_mask(path: &Path) -> Result<MaskFile, CorpusError> {
    let Decoded {
        mut image,
        format,
        turn,
        ..
    } = decode(path)?;
    image.apply_orientation(turn);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (values, range) = match image {
        DynamicImage::ImageLuma8(map) => (Values::Gray(widened(map.into_raw())), 255),
        DynamicImage::ImageLumaA8(map) => (
            Values::Gray(map.pixels().map(|p| u16::from(p.0[0])).collect()),
            255,
        ),
        DynamicImage::ImageLuma16(map) => (Values::Gray(map.into_raw()), u16::MAX),
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => {
            (colours(image.into_rgb8().into_raw()), 255)
        }
        _ => {
            return Err(CorpusError::MaskKind {
                path: path.to_owned(),
            });
        }
    };
    Ok(MaskFile {
        width,
        height,
        values,
        range,
        lossy: format == Some(ImageFormat::Jpeg),
        turned: turn != Orientation::NoTransforms,
    })
}

fn widened(values: Vec<u8>) -> Vec<u16> {
    values.into_iter().map(u16::from).collect()
}

fn colours(values: Vec<u8>) -> Values {
    let (pixels, _) = values.as_chunks::<3>();
    if pixels.iter().all(|[r, g, b]| r == g && g == b) {
        Values::Gray(pixels.iter().map(|[r, ..]| u16::from(*r)).collect())
    } else {
        Values::Colour(pixels.to_vec())
    }
}
