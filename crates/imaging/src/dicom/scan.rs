//! One pass over the top level of a data set: checks every declared length against the file, copies the
//! few attributes that decide pixels, and finds the pixel data. Names, dates and private elements are
//! stepped over, never copied, so a broken or hostile element among them costs nothing.

use std::borrow::Cow;
use std::ops::Range;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use super::attributes::WANTED;
use super::reader::{Element, Reader, has_short_length};
use super::syntax::Encoding;
use crate::ImagingError;

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);

/// Nesting of sequences beyond which a file is refused.
const MAX_DEPTH: usize = 32;

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

/// Scans a data set from `start`.
///
/// # Errors
///
/// [`ImagingError::DicomTruncated`] where an element is longer than the file,
/// [`ImagingError::DicomMalformed`] where sequences do not nest.
pub(super) fn scan(bytes: &[u8], start: usize, encoding: Encoding) -> Result<Scan, ImagingError> {
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
        let wanted = WANTED.contains(&element.tag);
        let end = skip(reader, &element, 0, wanted)?;
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
            && is_whole(&Element {
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

fn dictionary_vr(tag: Tag) -> Option<VR> {
    let entry = StandardDataDictionary.by_tag(tag)?;
    Some(entry.vr().relaxed())
}

/// Offset after an element. With `nested`, the lengths inside defined-length sequences are checked too,
/// which is needed where another parser will read them.
fn skip(
    reader: Reader<'_>,
    element: &Element,
    depth: usize,
    nested: bool,
) -> Result<usize, ImagingError> {
    if depth > MAX_DEPTH {
        return Err(ImagingError::DicomMalformed {
            detail: "sequences are nested too deeply",
        });
    }
    match element.end() {
        Some(end) if end <= reader.bytes.len() => {
            if nested && !is_whole(element) {
                return Err(ImagingError::DicomMalformed {
                    detail: "an attribute of the image holds a part of a number",
                });
            }
            if nested && is_sequence(element) {
                items(reader, element, Some(end), depth, nested)?;
            }
            Ok(end)
        }
        None if element.length.is_none() => {
            let inner = if element.vr == Some(VR::UN) {
                unknown_items(reader, element)
            } else {
                reader
            };
            if nested && inner.encoding != reader.encoding {
                // dicom-rs would read on in the encoding of the file, and lose its place.
                return Err(ImagingError::DicomMalformed {
                    detail: "the functional groups hold a sequence of unknown representation",
                });
            }
            items(inner, element, None, depth, nested)
        }
        _ => Err(reader.truncated(element.value, element.length.unwrap_or(usize::MAX))),
    }
}

/// Whether the value is a whole number of binary numbers. dicom-rs leaves a remainder unread and takes it
/// for the next header, whose length it then allocates.
fn is_whole(element: &Element) -> bool {
    let size = match element.vr.or_else(|| dictionary_vr(element.tag)) {
        Some(VR::US | VR::SS | VR::OW) => 2,
        Some(VR::UL | VR::SL | VR::FL | VR::AT | VR::OF | VR::OL) => 4,
        Some(VR::FD | VR::OD | VR::OV | VR::UV | VR::SV) => 8,
        _ => 1,
    };
    element.length.unwrap_or_default().is_multiple_of(size)
}

/// A reader for the items of an unknown value of undefined length: implicit by PS3.5 6.2.2, but some
/// writers keep the encoding of the file, which the first element shows.
fn unknown_items<'a>(reader: Reader<'a>, sequence: &Element) -> Reader<'a> {
    let first = sequence.value.saturating_add(8);
    match reader.element(first) {
        Ok(element) if element.vr.is_some() => reader,
        _ => Reader::new(reader.bytes, Encoding::IMPLICIT),
    }
}

fn is_sequence(element: &Element) -> bool {
    match element.vr {
        Some(vr) => vr == VR::SQ,
        None => dictionary_vr(element.tag) == Some(VR::SQ),
    }
}

/// Steps over the items of a sequence up to `end`, or up to its delimiter.
fn items(
    reader: Reader<'_>,
    sequence: &Element,
    end: Option<usize>,
    depth: usize,
    nested: bool,
) -> Result<usize, ImagingError> {
    let mut at = sequence.value;
    while end.is_none_or(|end| at < end) {
        let item = reader.element(at)?;
        match (item.tag, item.end()) {
            (SEQUENCE_DELIMITER, _) => {
                at = item.value;
                break;
            }
            (ITEM, Some(item_end)) => {
                if item_end > reader.bytes.len() {
                    return Err(reader.truncated(item.value, item.length.unwrap_or_default()));
                }
                if nested {
                    elements(reader, item.value, Some(item_end), depth, nested)?;
                }
                at = item_end;
            }
            (ITEM, None) => at = elements(reader, item.value, None, depth, nested)?,
            _ => {
                return Err(ImagingError::DicomMalformed {
                    detail: "a sequence holds something that is no item",
                });
            }
        }
    }
    inside(at, end)
}

/// Steps over the elements of an item up to `end`, or up to its delimiter.
fn elements(
    reader: Reader<'_>,
    start: usize,
    end: Option<usize>,
    depth: usize,
    nested: bool,
) -> Result<usize, ImagingError> {
    let mut at = start;
    while end.is_none_or(|end| at < end) {
        let element = reader.element(at)?;
        if element.tag == ITEM_DELIMITER {
            at = element.value;
            break;
        }
        at = skip(reader, &element, depth + 1, nested)?;
    }
    inside(at, end)
}

fn inside(at: usize, end: Option<usize>) -> Result<usize, ImagingError> {
    match end {
        Some(end) if at > end => Err(ImagingError::DicomMalformed {
            detail: "an element reaches beyond the sequence that holds it",
        }),
        _ => Ok(end.unwrap_or(at)),
    }
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
