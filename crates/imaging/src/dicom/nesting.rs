//! Elements within elements (PS3.5 section 7.5): steps over values, sequences and items, checking that every
//! length stays inside what holds it.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::reader::{Element, Reader};
use super::syntax::Encoding;
use crate::ImagingError;

pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(super) const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);
const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);

/// Nesting of sequences beyond which a file is refused.
const MAX_DEPTH: usize = 32;

/// Offset after an element. With `nested`, the lengths inside defined-length sequences are checked too,
/// which is needed where another parser will read them.
pub(super) fn skip(
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
pub(super) fn is_whole(element: &Element) -> bool {
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

/// The representation that the standard's dictionary gives a tag.
pub(super) fn dictionary_vr(tag: Tag) -> Option<VR> {
    let entry = StandardDataDictionary.by_tag(tag)?;
    Some(entry.vr().relaxed())
}
