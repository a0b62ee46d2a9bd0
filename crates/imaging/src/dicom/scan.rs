//! One pass over the top level of a data set: checks every declared length against the file, copies the
//! few attributes that decide pixels, and finds the pixel data. Names, dates and private elements are
//! stepped over, never copied, so a broken or hostile element among them costs nothing.

use std::borrow::Cow;
use std::ops::Range;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::nesting::{self, ITEM, SEQUENCE_DELIMITER, dictionary_vr};
use super::reader::{Element, Reader, has_short_length};
use super::syntax::Encoding;
use crate::ImagingError;

/// Bytes of copied attributes beyond which a file is refused; lookup tables take 400 kB at the most,
/// functional groups of thousands of frames a few MB.
const MAX_HEADER_BYTES: usize = 64 << 20;

/// Where the pixels are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PixelData {
    /// One value; `declared` bytes from `start`, of which the file may hold fewer.
    Native { start: usize, declared: usize },
    /// Items: the basic offset table, then fragments. `cut` where the file ends inside one.
    Encapsulated {
        offset_table: Range<usize>,
        fragments: Vec<Range<usize>>,
        cut: Option<ImagingError>,
    },
}

/// What one pass finds.
#[derive(Debug)]
pub(super) struct Scan {
    /// The wanted elements, encoded as in the file.
    pub(super) header: Vec<u8>,
    pub(super) pixels: Option<PixelData>,
    /// Whether the pixel data is declared as 16-bit words (VR OW), which big endian swaps.
    pub(super) pixels_are_words: bool,
    /// Pixels as floating point numbers (parametric maps), which are not read here.
    pub(super) has_float_pixels: bool,
    /// Top-level elements seen.
    pub(super) elements: usize,
}

/// Scans a data set from `start` and copies the elements of the lists in `wanted`.
///
/// # Errors
///
/// [`ImagingError::DicomTruncated`] where an element is longer than the file,
/// [`ImagingError::DicomMalformed`] where sequences do not nest.
pub(super) fn scan(
    bytes: &[u8],
    start: usize,
    encoding: Encoding,
    wanted: &[&[Tag]],
) -> Result<Scan, ImagingError> {
    let reader = Reader::new(bytes, encoding);
    let mut scan = Scan {
        header: Vec::new(),
        pixels: None,
        pixels_are_words: false,
        has_float_pixels: false,
        elements: 0,
    };
    let mut at = start;
    // Fewer than eight bytes hold no element: padding after the last one.
    while bytes.len().saturating_sub(at) >= 8 {
        let element = reader.element(at)?;
        if element.tag == tags::PIXEL_DATA {
            scan.pixels = Some(pixel_data(reader, &element)?);
            scan.pixels_are_words = element.vr == Some(VR::OW);
            scan.elements += 1;
            break;
        }
        let wanted = wanted.iter().any(|tags| tags.contains(&element.tag));
        let end = nesting::skip(reader, &element, 0, wanted)?;
        if wanted {
            let copied = copy(reader, &element, end);
            if scan.header.len().saturating_add(copied.len()) > MAX_HEADER_BYTES {
                return Err(ImagingError::TooLarge {
                    what: "attributes in bytes",
                    needed: scan.header.len().saturating_add(copied.len()) as u64,
                    limit: MAX_HEADER_BYTES as u64,
                });
            }
            scan.header.extend_from_slice(&copied);
        }
        scan.has_float_pixels |=
            element.tag == tags::FLOAT_PIXEL_DATA || element.tag == tags::DOUBLE_FLOAT_PIXEL_DATA;
        scan.elements += 1;
        at = end;
    }
    Ok(scan)
}

/// The bytes of an element for the header. One whose representation is declared unknown gets the one
/// that the dictionary gives its tag: archives write known attributes that way.
fn copy<'a>(reader: Reader<'a>, element: &Element, end: usize) -> Cow<'a, [u8]> {
    let whole = reader.bytes.get(element.start..end).unwrap_or_default();
    let known = dictionary_vr(element.tag).filter(|&vr| {
        has_short_length(vr)
            && nesting::is_whole(&Element {
                vr: Some(vr),
                ..*element
            })
    });
    let (Some(VR::UN), Some(vr), Ok(length)) = (
        element.vr,
        known,
        u16::try_from(element.length.unwrap_or(usize::MAX)),
    ) else {
        return Cow::Borrowed(whole);
    };
    let tag = whole.get(..4).unwrap_or_default();
    let value = reader.bytes.get(element.value..end).unwrap_or_default();
    let length = if reader.encoding.big_endian {
        length.to_be_bytes()
    } else {
        length.to_le_bytes()
    };
    Cow::Owned([tag, vr.to_string().as_bytes(), &length, value].concat())
}

/// Native value or fragments (PS3.5 A.4).
fn pixel_data(reader: Reader<'_>, element: &Element) -> Result<PixelData, ImagingError> {
    if let Some(declared) = element.length {
        return Ok(PixelData::Native {
            start: element.value,
            declared,
        });
    }
    let mut items = Vec::new();
    let mut cut = None;
    let mut at = element.value;
    // Files without the closing delimiter are common; what is cut shows in the fragments.
    while let Ok(item) = reader.element(at) {
        match item.end() {
            Some(end) if item.tag == ITEM && end <= reader.bytes.len() => {
                items.push(item.value..end);
                at = end;
            }
            Some(_) if item.tag == ITEM => {
                cut = Some(reader.truncated(item.value, item.length.unwrap_or_default()));
                break;
            }
            _ if item.tag == SEQUENCE_DELIMITER => break,
            _ => {
                return Err(ImagingError::DicomMalformed {
                    detail: "the compressed pixels hold something that is no fragment",
                });
            }
        }
    }
    let mut items = items.into_iter();
    let offset_table = items.next().unwrap_or(at..at);
    Ok(PixelData::Encapsulated {
        offset_table,
        fragments: items.collect(),
        cut,
    })
}
