//! Deflated Image Frame Compression (PS3.5 A.4.13): one raw deflate stream (RFC 1951) per frame, of the bytes
//! that the frame would have uncompressed. In: the stream and their number. Out: exactly that many bytes.

use std::io::Read;

use super::CodecError;

/// Unpacks one frame of `length` bytes; a byte that makes the length even is dropped.
///
/// # Errors
///
/// [`CodecError::Damaged`] where the stream is broken or too short.
pub(crate) fn decode(stream: &[u8], length: usize) -> Result<Vec<u8>, CodecError> {
    let mut unpacked = Vec::new();
    flate2::read::DeflateDecoder::new(stream)
        .take(length as u64)
        .read_to_end(&mut unpacked)
        .map_err(|_cause| CodecError::Damaged)?;
    if unpacked.len() == length {
        Ok(unpacked)
    } else {
        Err(CodecError::Damaged)
    }
}
