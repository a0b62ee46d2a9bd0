//! RLE Lossless (PS3.5 annex G): one fragment to interleaved little-endian samples. Written here because
//! the adapter of dicom-rs indexes past the end of damaged fragments, which would end the program.

use super::CodecError;

/// Segments that a fragment can name.
const MAX_SEGMENTS: usize = 15;

/// Decodes a frame of `pixels` pixels.
///
/// # Errors
///
/// [`CodecError::Damaged`].
pub(crate) fn decode(
    fragment: &[u8],
    pixels: usize,
    samples: usize,
    bytes_per_sample: usize,
) -> Result<Vec<u8>, CodecError> {
    let damaged = CodecError::Damaged;
    let word = |index: usize| -> Option<usize> {
        let bytes = fragment.get(index * 4..index * 4 + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let segments = samples * bytes_per_sample;
    if word(0) != Some(segments) || segments > MAX_SEGMENTS {
        return Err(damaged);
    }
    // Two bytes hold a run of 128 at the most.
    if pixels.saturating_mul(segments) / 64 > fragment.len() {
        return Err(damaged);
    }
    let mut cells = vec![0; pixels.saturating_mul(segments)];
    for segment in 0..segments {
        let (start, end) = match (word(segment + 1), word(segment + 2)) {
            (Some(start), Some(end)) if segment + 1 < segments => (start, end),
            (Some(start), _) => (start, fragment.len()),
            _ => return Err(damaged),
        };
        let Some(packed) = fragment.get(start..end) else {
            return Err(damaged);
        };
        // Segments go sample by sample, and within a sample from the highest byte down.
        let (sample, from_top) = (segment / bytes_per_sample, segment % bytes_per_sample);
        let offset = sample * bytes_per_sample + (bytes_per_sample - 1 - from_top);
        let plane = cells.iter_mut().skip(offset).step_by(segments);
        if !unpack(packed, plane) {
            return Err(damaged);
        }
    }
    Ok(cells)
}

/// PackBits (G.3.1). Says whether `output` was filled.
fn unpack<'a>(packed: &[u8], mut output: impl ExactSizeIterator<Item = &'a mut u8>) -> bool {
    let mut input = packed.iter();
    while output.len() > 0 {
        let Some(&control) = input.next() else {
            return false;
        };
        match control.cast_signed() {
            -128 => {}
            count @ 0.. => {
                for _ in 0..=count {
                    // The last run may reach beyond the frame, to an even length.
                    match (input.next(), output.next()) {
                        (Some(&value), Some(cell)) => *cell = value,
                        (None, _) => return false,
                        (_, None) => return true,
                    }
                }
            }
            count => {
                let Some(&value) = input.next() else {
                    return false;
                };
                for cell in output.by_ref().take(1 + usize::from(count.unsigned_abs())) {
                    *cell = value;
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::decode;

    /// The example of the Macintosh technical note 1023 that annex G builds on.
    const PACKED: [u8; 15] = [
        0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA,
    ];

    fn fragment(segments: &[&[u8]]) -> Vec<u8> {
        let mut words = [0u32; 16];
        words[0] = segments.len() as u32;
        let mut at = 64;
        for (word, segment) in words[1..].iter_mut().zip(segments) {
            *word = at;
            at += segment.len() as u32;
        }
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(segments.concat());
        bytes
    }

    #[test]
    fn unpacks_runs_and_literals() {
        let expected = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        assert_eq!(decode(&fragment(&[&PACKED]), 24, 1, 1).unwrap(), expected);
    }

    #[test]
    fn sixteen_bits_come_high_byte_first() {
        let bytes = fragment(&[&[0x01, 0x12, 0x56], &[0x01, 0x34, 0x78]]);
        assert_eq!(decode(&bytes, 2, 1, 2).unwrap(), [0x34, 0x12, 0x78, 0x56]);
    }

    #[test]
    fn cut_fragments_are_errors() {
        let bytes = fragment(&[&PACKED]);
        for end in 0..bytes.len() - 1 {
            assert!(decode(&bytes[..end], 24, 1, 1).is_err(), "{end}");
        }
        assert!(decode(&bytes, 25, 1, 1).is_err());
    }
}
