//! Segmented palettes (PS3.3 C.7.9.2): runs of entries, ramps, and repeated segments, in words of 16 or 8 bits. Out:
//! the upper eight bits of every entry.

/// Expands a table to `count` entries; `None` where the segments contradict themselves or reach beyond.
pub(super) fn expand(bytes: &[u8], wide: bool, count: usize) -> Option<Vec<u8>> {
    let words: Vec<u16> = if wide {
        let pairs = bytes.chunks_exact(2);
        pairs
            .filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)))
            .collect()
    } else {
        bytes.iter().map(|&byte| u16::from(byte)).collect()
    };
    let mut entries = Vec::new();
    let mut at = 0;
    // The last word may be padding.
    while at + 1 < words.len() && entries.len() < count {
        at = segment(&words, at, wide, count, &mut entries, true)?;
    }
    let shift = if wide { 8 } else { 0 };
    Some(entries.iter().map(|entry| (entry >> shift) as u8).collect())
}

/// Appends the segment at word `at`; gives where the next one is.
fn segment(
    words: &[u16],
    at: usize,
    wide: bool,
    count: usize,
    entries: &mut Vec<u16>,
    may_refer: bool,
) -> Option<usize> {
    let &[kind, length, ..] = words.get(at..)? else {
        return None;
    };
    let (start, length) = (at + 2, usize::from(length));
    let next = match kind {
        // Discrete.
        0 => {
            entries.extend(words.get(start..start + length)?);
            start + length
        }
        // Linear: from the entry before to the one given.
        1 => {
            let from = f64::from(*entries.last()?);
            let to = f64::from(*words.get(start)?);
            for step in 1..=length {
                let part = step as f64 / length as f64;
                // Between two 16-bit values.
                entries.push((from + (to - from) * part).round() as u16);
            }
            start + 1
        }
        // Indirect: segments from an offset in bytes, which must not be indirect themselves.
        2 if may_refer => {
            let bits = if wide { 16 } else { 8 };
            let size = bits / 8;
            let parts = if wide { 2 } else { 4 };
            let offset = words.get(start..start + parts)?;
            let offset = offset
                .iter()
                .rev()
                .fold(0usize, |sum, &word| sum << bits | usize::from(word));
            let mut from = offset / size;
            for _ in 0..length {
                from = segment(words, from, wide, count, entries, false)?;
            }
            start + parts
        }
        _ => return None,
    };
    (entries.len() <= count).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn runs_ramps_and_references_expand() {
        let words: [u16; 14] = [
            0, 2, 0x0100, 0x0200, // two entries
            1, 2, 0x0400, // a ramp of two
            2, 1, 8, 0, // the ramp again, from its offset in bytes
            0, 1, 0xFF00,
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let entries = [1, 2, 3, 4, 4, 4, 0xFF];
        assert_eq!(expand(&bytes, true, 7).unwrap(), entries);
        // A ramp beyond the end of the table.
        assert_eq!(expand(&bytes, true, 3), None);
        assert_eq!(expand(&[1, 0, 5, 0, 9, 0], true, 5), None);
    }
}
