//! Stored values from uncompressed bytes (PS3.5 section 8): bit fields, signs, byte order, planes.

use super::header::Header;

/// Swaps the bytes of every 16-bit word.
pub(super) fn swap_words(bytes: &mut [u8]) {
    for word in bytes.chunks_exact_mut(2) {
        word.reverse();
    }
}

/// Turns big-endian cells of `bytes_per_cell` into little-endian ones.
pub(super) fn swap_cells(bytes: &mut [u8], bytes_per_cell: usize) {
    if bytes_per_cell > 1 {
        for cell in bytes.chunks_exact_mut(bytes_per_cell) {
            cell.reverse();
        }
    }
}

/// `count` single bits from bit `start`, lowest bit of each byte first.
pub(super) fn unpack_bits(bytes: &[u8], start: u64, count: usize) -> Vec<u8> {
    (start..start.saturating_add(count as u64))
        .map(|bit| {
            let byte = bytes.get((bit / 8) as usize).copied().unwrap_or_default();
            (byte >> (bit % 8)) & 1
        })
        .collect()
}

/// Where single bits are set: first and one past the last of each run, counted from bit `start`. Bytes that are
/// all clear or all set, which nearly all are, take one step each.
pub(super) fn bit_runs(bytes: &[u8], start: u64, count: usize) -> Vec<[u32; 2]> {
    let mut runs = Vec::new();
    let mut open: Option<u32> = None;
    let mut at = 0;
    while at < count {
        let bit = start.saturating_add(at as u64);
        let byte = bytes.get((bit / 8) as usize).copied().unwrap_or_default();
        let whole = bit.is_multiple_of(8) && count - at >= 8 && matches!(byte, 0 | 0xFF);
        let (set, step) = if whole {
            (byte != 0, 8)
        } else {
            (byte >> (bit % 8) & 1 != 0, 1)
        };
        match (set, open) {
            (true, None) => open = Some(at as u32),
            (false, Some(first)) => {
                runs.push([first, at as u32]);
                open = None;
            }
            _ => {}
        }
        at += step;
    }
    if let Some(first) = open {
        runs.push([first, count as u32]);
    }
    runs
}

/// Planes `[3, pixels]` of `bytes_per_cell` to pixels `[pixels, 3]`.
pub(super) fn interleave(planes: &[u8], bytes_per_cell: usize) -> Vec<u8> {
    let plane_len = planes.len() / 3;
    let mut planes = planes.chunks_exact(plane_len.max(1));
    let (Some(red), Some(green), Some(blue)) = (planes.next(), planes.next(), planes.next()) else {
        return Vec::new();
    };
    let cells = red
        .chunks_exact(bytes_per_cell)
        .zip(green.chunks_exact(bytes_per_cell))
        .zip(blue.chunks_exact(bytes_per_cell));
    let mut pixels = Vec::with_capacity(plane_len.saturating_mul(3));
    for ((red, green), blue) in cells {
        pixels.extend_from_slice(red);
        pixels.extend_from_slice(green);
        pixels.extend_from_slice(blue);
    }
    pixels
}

/// Stored values of little-endian cells: shifted to bit 0, masked to Bits Stored, sign extended.
pub(super) fn stored_values<'a>(
    cells: &'a [u8],
    bytes_per_cell: usize,
    header: &Header,
) -> impl Iterator<Item = i64> + use<'a> {
    let (shift, bits, signed) = (header.shift, header.bits_stored, header.signed);
    let mask = (1i64 << bits) - 1;
    cells.chunks_exact(bytes_per_cell.max(1)).map(move |cell| {
        let raw = cell
            .iter()
            .rev()
            .fold(0i64, |value, &byte| (value << 8) | i64::from(byte));
        let value = (raw >> shift) & mask;
        if signed && value >> (bits - 1) != 0 {
            value - (1 << bits)
        } else {
            value
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{bit_runs, interleave, unpack_bits};

    #[test]
    fn runs_of_bits_are_those_of_their_bits() {
        let bytes = [0, 0xFF, 0xFF, 0b0110_0001, 0xFF, 0, 0b1000_0000, 0xFF];
        for start in 0..20 {
            for count in 0..=(64 - start as usize) {
                let mut expected = vec![0; count];
                for [first, last] in bit_runs(&bytes, start, count) {
                    expected[first as usize..last as usize].fill(1);
                }
                assert_eq!(
                    expected,
                    unpack_bits(&bytes, start, count),
                    "{start} {count}"
                );
            }
        }
    }

    #[test]
    fn planes_become_pixels() {
        assert_eq!(interleave(&[1, 2, 3, 4, 5, 6], 1), [1, 3, 5, 2, 4, 6]);
        assert_eq!(interleave(&[1, 2, 3, 4, 5, 6], 2), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn bits_start_at_the_lowest() {
        assert_eq!(unpack_bits(&[0b0000_0101, 0b1], 0, 4), [1, 0, 1, 0]);
        assert_eq!(unpack_bits(&[0b1000_0000, 0b1], 7, 2), [1, 1]);
    }
}
