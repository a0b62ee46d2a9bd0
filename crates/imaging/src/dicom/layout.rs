//! The outside of a DICOM file (PS3.10 section 7): preamble, file meta group, transfer syntax, data set.
//! Lenient where files in the wild are: over-long application titles in the meta group, a missing
//! preamble, a missing meta group, a declared encoding that is not the written one.

use std::borrow::Cow;
use std::io::Read;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::attributes::WANTED;
use super::reader::Reader;
use super::scan::{self, Scan};
use super::syntax::{self, Codec, Encoding, Syntax};
use crate::ImagingError;
use crate::limits::MAX_INFLATED_BYTES;

/// A DICOM file taken apart; offsets in `scan` count from the start of `bytes`.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) syntax: Syntax,
    pub(super) scan: Scan,
}

/// Takes a file apart, and copies the attributes of its picture and those of the list `more`.
///
/// # Errors
///
/// [`ImagingError::NotAnImage`] for bytes that are no DICOM, [`ImagingError::UnsupportedTransferSyntax`],
/// [`ImagingError::DicomTruncated`], [`ImagingError::DicomMalformed`].
pub(super) fn read<'a>(bytes: &'a [u8], more: &[Tag]) -> Result<File<'a>, ImagingError> {
    let wanted: &[&[Tag]] = &[WANTED, more];
    let marked = bytes.get(128..132) == Some(b"DICM".as_slice());
    let start = if marked { 132 } else { 0 };
    let (uid, data_start) = meta_group(bytes, start);
    if !marked && data_start == 0 && guess(bytes, 0).is_none() {
        return Err(ImagingError::NotAnImage);
    }
    let declared = match &uid {
        Some(uid) => Some(syntax::from_uid(uid)?),
        None => None,
    };
    if let Some(syntax) = declared
        && syntax.deflated
    {
        let bytes = inflate(bytes.get(data_start..).unwrap_or_default())?;
        let scan = scan::scan(&bytes, 0, syntax.encoding, wanted)?;
        return Ok(File {
            bytes: Cow::Owned(bytes),
            syntax,
            scan,
        });
    }
    // What is written goes before what is declared: writers get the declaration wrong.
    let encoding = guess(bytes, data_start)
        .or(declared.map(|syntax| syntax.encoding))
        .unwrap_or(Encoding::IMPLICIT);
    let syntax = Syntax {
        encoding,
        codec: declared.map_or(Codec::Native, |syntax| syntax.codec),
        deflated: false,
    };
    let scan = match scan::scan(bytes, data_start, encoding, wanted) {
        Err(_) if !marked && uid.is_none() && !looks_like_data_set(bytes, encoding) => {
            return Err(ImagingError::NotAnImage);
        }
        other => other?,
    };
    if !marked && uid.is_none() && scan.elements < 3 {
        return Err(ImagingError::NotAnImage);
    }
    Ok(File {
        bytes: Cow::Borrowed(bytes),
        syntax,
        scan,
    })
}

/// Reads group 0002, which is explicit little endian: the transfer syntax and the offset after it.
///
/// The group length is not used: it is missing or wrong too often, and the group number says as much.
pub(super) fn meta_group(bytes: &[u8], start: usize) -> (Option<String>, usize) {
    let reader = Reader::new(bytes, Encoding::EXPLICIT);
    let mut uid = None;
    let mut at = start;
    while let Ok(element) = reader.element(at) {
        let Some(end) = element.end() else { break };
        if element.tag.group() != 0x0002 || element.vr.is_none() || end > bytes.len() {
            break;
        }
        // The first counts: some files hold a second group 0002 with another.
        if element.tag == tags::TRANSFER_SYNTAX_UID && uid.is_none() {
            let text = bytes.get(element.value..end).unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            uid = Some(text.trim_matches(['\0', ' ']).to_owned()).filter(|uid| !uid.is_empty());
        }
        at = end;
    }
    (uid, at)
}

/// The encoding in which the bytes at `at` are a plausible first element, `None` where they are in none.
pub(super) fn guess(bytes: &[u8], at: usize) -> Option<Encoding> {
    let plausible =
        |tag: Tag| (0x0000..=0x0020).contains(&tag.group()) && tag.group().is_multiple_of(2);
    for encoding in [Encoding::EXPLICIT, Encoding::EXPLICIT_BIG] {
        if let Ok(element) = Reader::new(bytes, encoding).element(at)
            && plausible(element.tag)
            && element.tag.group() != 0
            && element.vr.is_some()
        {
            return Some(encoding);
        }
    }
    let element = Reader::new(bytes, Encoding::IMPLICIT).element(at).ok()?;
    // The first element of an image is short, whatever it is.
    let short = element.length.is_some_and(|length| length < 1 << 16);
    let known = matches!(element.tag.group(), 0x0002 | 0x0008 | 0x0010);
    (known && short).then_some(Encoding::IMPLICIT)
}

/// Whether at least three elements follow each other with rising tags.
fn looks_like_data_set(bytes: &[u8], encoding: Encoding) -> bool {
    let reader = Reader::new(bytes, encoding);
    let mut at = 0;
    let mut last = None;
    for _ in 0..3 {
        let Ok(element) = reader.element(at) else {
            return false;
        };
        let Some(end) = element.end().filter(|&end| end <= bytes.len()) else {
            return false;
        };
        if last.is_some_and(|last| last >= element.tag) {
            return false;
        }
        last = Some(element.tag);
        at = end;
    }
    true
}

/// Unpacks a deflated data set (PS3.5 A.5), a stream without zlib header.
fn inflate(bytes: &[u8]) -> Result<Vec<u8>, ImagingError> {
    let mut unpacked = Vec::new();
    let mut stream = flate2::read::DeflateDecoder::new(bytes).take(MAX_INFLATED_BYTES + 1);
    let result = stream.read_to_end(&mut unpacked);
    if unpacked.len() as u64 > MAX_INFLATED_BYTES {
        return Err(ImagingError::TooLarge {
            what: "unpacked data set in bytes",
            needed: MAX_INFLATED_BYTES.saturating_add(1),
            limit: MAX_INFLATED_BYTES,
        });
    }
    match result {
        Ok(_) => Ok(unpacked),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(ImagingError::DicomTruncated {
                expected: bytes.len() as u64 + 1,
                found: bytes.len() as u64,
            })
        }
        Err(_) => Err(ImagingError::DicomMalformed {
            detail: "the deflated data set cannot be unpacked",
        }),
    }
}
