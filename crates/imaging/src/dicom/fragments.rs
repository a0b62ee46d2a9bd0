//! Fragments of compressed pixel data (PS3.5 A.4) to one stream per frame: one to one, by the basic offset
//! table, or by where streams start.

use super::syntax::Codec;
use crate::ImagingError;
use crate::codecs::jpeg2000;

/// Joins fragments into one stream per frame.
///
/// # Errors
///
/// [`ImagingError::DicomTruncated`] where there are fewer fragments than frames,
/// [`ImagingError::DicomMalformed`] where they do not add up.
pub(super) fn to_frames(
    fragments: &[&[u8]],
    offset_table: &[u8],
    count: usize,
    codec: Codec,
) -> Result<Vec<Vec<u8>>, ImagingError> {
    let missing = |found: usize| ImagingError::DicomTruncated {
        expected: count as u64,
        found: found as u64,
    };
    if fragments.is_empty() {
        return Err(missing(0));
    }
    if count == 1 {
        return Ok(vec![fragments.concat()]);
    }
    if fragments.len() == count {
        return Ok(fragments.iter().map(|fragment| fragment.to_vec()).collect());
    }
    if count > fragments.len() {
        return Err(missing(fragments.len()));
    }
    let offsets: Vec<usize> = offset_table
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok())
        .map(|word| u32::from_le_bytes(word) as usize)
        .collect();
    let mut frames: Vec<Vec<u8>> = Vec::with_capacity(count);
    let mut at = 0usize;
    for fragment in fragments {
        let begins = if offsets.len() == count {
            // Offsets count the eight bytes of each item header.
            offsets.get(frames.len()) == Some(&at)
        } else {
            match codec {
                Codec::Jpeg | Codec::JpegLs => fragment.starts_with(&[0xFF, 0xD8]),
                Codec::Jpeg2000 => jpeg2000::starts(fragment),
                Codec::Native | Codec::Rle | Codec::Deflated => false,
            }
        };
        if begins || frames.is_empty() {
            frames.push(fragment.to_vec());
        } else if let Some(frame) = frames.last_mut() {
            frame.extend_from_slice(fragment);
        }
        at = at.saturating_add(8).saturating_add(fragment.len());
    }
    if frames.len() == count {
        Ok(frames)
    } else {
        Err(ImagingError::DicomMalformed {
            detail: "the fragments of the compressed pixels do not add up to the frames",
        })
    }
}
