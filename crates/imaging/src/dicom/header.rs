//! The image pixel description (PS3.3 C.7.6.3) and pixel measures (C.7.6.2, C.7.6.16.2.1), checked
//! before any pixel is touched.

use dicom_dictionary_std::tags;

use super::attributes::{self, Attributes};
use super::color::Palette;
use super::functions::{self, FrameFunctions, as_stored};
use super::layout::File;
use super::spacing::{self, Spacing};
use super::syntax::Codec;
use crate::ImagingError;
use crate::limits;

/// Photometric interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    Monochrome1,
    Monochrome2,
    Palette,
    Rgb,
    YbrFull,
    YbrFull422,
    /// Luma and chroma in the range of video, 4:2:2; retired.
    YbrPartial422,
    /// The same with chroma for every pixel, which is not in the standard.
    YbrPartial,
    /// The reversible and irreversible transform of JPEG 2000, which its decoder undoes.
    YbrCodec,
}

impl Photometric {
    pub(super) fn is_gray(self) -> bool {
        matches!(self, Self::Monochrome1 | Self::Monochrome2)
    }

    /// Two pixels share their chroma where the pixels are not compressed.
    pub(super) fn is_422(self) -> bool {
        matches!(self, Self::YbrFull422 | Self::YbrPartial422)
    }

    pub(super) fn is_inverted(self) -> bool {
        self == Self::Monochrome1
    }

    fn samples(self) -> u16 {
        if self.is_gray() || self == Self::Palette {
            1
        } else {
            3
        }
    }
}

/// Everything needed to turn stored bytes into a picture.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) frame_count: usize,
    pub(super) samples: u16,
    pub(super) photometric: Photometric,
    pub(super) planar: bool,
    pub(super) bits_allocated: u16,
    pub(super) bits_stored: u16,
    /// Lowest bit of a stored value.
    pub(super) shift: u16,
    pub(super) signed: bool,
    /// Inclusive range of stored values that are padding.
    pub(super) padding: Option<(i64, i64)>,
    pub(super) modality: Option<String>,
    pub(super) spacing: Spacing,
    pub(super) palette: Option<Palette>,
    /// One for all frames, or one per frame.
    pub(super) functions: Vec<FrameFunctions>,
}

impl Header {
    pub(super) fn pixels(&self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    /// What should be said about the image.
    pub(super) fn notes(&self) -> Vec<&'static str> {
        let zero_slope = self.functions.iter().any(|functions| functions.zero_slope);
        let slope = zero_slope.then_some("The file's Rescale Slope of 0 is read as 1.");
        self.spacing.basis.note().into_iter().chain(slope).collect()
    }

    pub(super) fn functions(&self, frame: usize) -> Option<&FrameFunctions> {
        self.functions.get(frame).or_else(|| self.functions.first())
    }
}

/// Reads and checks the description of an image.
///
/// # Errors
///
/// [`ImagingError::DicomNoPixels`], [`ImagingError::DicomMalformed`],
/// [`ImagingError::UnsupportedPixels`], [`ImagingError::TooLarge`].
pub(super) fn read(file: &File<'_>) -> Result<Header, ImagingError> {
    if file.scan.has_float_pixels && file.scan.pixels.is_none() {
        return Err(ImagingError::UnsupportedPixels {
            detail: "floating point numbers",
        });
    }
    let object = attributes::parse(&file.scan.header, file.syntax.encoding)?;
    let attributes = Attributes::new(&object);
    if file.scan.pixels.is_none() {
        return Err(missing_pixels(attributes));
    }
    let dimension = |tag, detail| {
        attributes
            .integer(tag)
            .and_then(|value| u64::try_from(value).ok())
            .filter(|&value| value > 0)
            .ok_or(ImagingError::DicomMalformed { detail })
    };
    let rows = dimension(tags::ROWS, "the number of rows is missing or zero")?;
    let columns = dimension(tags::COLUMNS, "the number of columns is missing or zero")?;
    limits::frame_pixels(columns, rows)?;
    let frame_count = attributes
        .integer(tags::NUMBER_OF_FRAMES)
        .unwrap_or(1)
        .max(1);
    let frame_count = u64::try_from(frame_count).unwrap_or(1);
    if frame_count > limits::MAX_FRAMES {
        return Err(ImagingError::TooLarge {
            what: "the number of frames",
            needed: frame_count,
            limit: limits::MAX_FRAMES,
        });
    }

    let samples = attributes.integer(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    let photometric = photometric(attributes, samples)?;
    if i64::from(photometric.samples()) != samples {
        return Err(ImagingError::DicomMalformed {
            detail: "samples per pixel and photometric interpretation contradict each other",
        });
    }
    let bits = Bits::read(attributes, photometric)?;
    if bits.allocated == 1 && matches!(file.syntax.codec, Codec::Jpeg | Codec::JpegLs) {
        return Err(ImagingError::UnsupportedPixels {
            detail: "single bits compressed as JPEG or JPEG-LS",
        });
    }
    if photometric == Photometric::YbrCodec && file.syntax.codec != Codec::Jpeg2000 {
        return Err(ImagingError::UnsupportedPixels {
            detail: "the colour transform of JPEG 2000 outside of JPEG 2000",
        });
    }
    let palette = if photometric == Photometric::Palette {
        Some(Palette::read(attributes)?)
    } else {
        None
    };
    Ok(Header {
        rows: rows as usize,
        columns: columns as usize,
        frame_count: frame_count as usize,
        samples: photometric.samples(),
        photometric,
        planar: attributes.integer(tags::PLANAR_CONFIGURATION) == Some(1),
        padding: padding(attributes, &bits),
        bits_allocated: bits.allocated,
        bits_stored: bits.stored,
        shift: bits.shift,
        signed: bits.signed,
        modality: attributes
            .text(tags::MODALITY)
            .filter(|text| text.len() <= 16 && text.chars().all(|c| c.is_ascii_alphanumeric())),
        spacing: spacing::read(attributes),
        palette,
        functions: functions::functions(attributes, bits.signed)?,
    })
}

/// A report has no pixels; an image that describes them and has none was cut before them.
fn missing_pixels(attributes: Attributes<'_>) -> ImagingError {
    let number = |tag| {
        let value = attributes.integer(tag).unwrap_or_default();
        u64::try_from(value).unwrap_or_default()
    };
    let bits = [tags::ROWS, tags::COLUMNS, tags::BITS_ALLOCATED]
        .into_iter()
        .fold(1u64, |product, tag| product.saturating_mul(number(tag)));
    if bits == 0 {
        return ImagingError::DicomNoPixels;
    }
    ImagingError::DicomTruncated {
        expected: bits.div_ceil(8),
        found: 0,
    }
}

fn photometric(attributes: Attributes<'_>, samples: i64) -> Result<Photometric, ImagingError> {
    let name = attributes.text(tags::PHOTOMETRIC_INTERPRETATION);
    match name.as_deref() {
        Some("MONOCHROME1") => Ok(Photometric::Monochrome1),
        Some("MONOCHROME2") => Ok(Photometric::Monochrome2),
        Some("PALETTE COLOR") => Ok(Photometric::Palette),
        Some("RGB") => Ok(Photometric::Rgb),
        Some("YBR_FULL") => Ok(Photometric::YbrFull),
        Some("YBR_FULL_422") => Ok(Photometric::YbrFull422),
        Some("YBR_PARTIAL_422") => Ok(Photometric::YbrPartial422),
        Some("YBR_RCT" | "YBR_ICT") => Ok(Photometric::YbrCodec),
        None if samples == 1 => Ok(Photometric::Monochrome2),
        None if samples == 3 => Ok(Photometric::Rgb),
        _ => Err(ImagingError::UnsupportedPixels {
            detail: "a photometric interpretation other than MONOCHROME, PALETTE COLOR, RGB and YBR",
        }),
    }
}

/// How a stored value sits in its cell.
struct Bits {
    allocated: u16,
    stored: u16,
    shift: u16,
    signed: bool,
}

impl Bits {
    fn read(attributes: Attributes<'_>, photometric: Photometric) -> Result<Self, ImagingError> {
        let integer = |tag| {
            attributes
                .integer(tag)
                .and_then(|value| u16::try_from(value).ok())
        };
        let allocated = integer(tags::BITS_ALLOCATED).ok_or(ImagingError::DicomMalformed {
            detail: "the number of bits per sample is missing",
        })?;
        let fits = match photometric.samples() {
            1 => matches!(allocated, 1 | 8 | 16 | 32),
            _ => matches!(allocated, 8 | 16 | 32),
        };
        if !fits {
            return Err(ImagingError::UnsupportedPixels {
                detail: "a number of bits per sample other than 1, 8, 16 or 32",
            });
        }
        let stored = integer(tags::BITS_STORED)
            .filter(|stored| (1..=allocated).contains(stored))
            .unwrap_or(allocated);
        let high = integer(tags::HIGH_BIT)
            .filter(|&high| high < allocated && high + 1 >= stored)
            .unwrap_or(stored - 1);
        Ok(Self {
            allocated,
            stored,
            shift: high + 1 - stored,
            signed: attributes.integer(tags::PIXEL_REPRESENTATION) == Some(1),
        })
    }
}

fn padding(attributes: Attributes<'_>, bits: &Bits) -> Option<(i64, i64)> {
    let value = as_stored(attributes.integer(tags::PIXEL_PADDING_VALUE)?, bits.signed);
    let limit = attributes
        .integer(tags::PIXEL_PADDING_RANGE_LIMIT)
        .map_or(value, |limit| as_stored(limit, bits.signed));
    Some((value.min(limit), value.max(limit)))
}
