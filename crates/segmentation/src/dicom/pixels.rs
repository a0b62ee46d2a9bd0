//! Frames as pixel data: one bit per pixel, the first in the lowest bit, frames without gaps between them
//! (PS3.5 8.1.1 and annex D), or one number per pixel.

use std::io::{self, Write};

use crate::runs::Runs;

/// Bytes of frames of one bit per pixel, padded to an even number.
pub(super) fn packed_length(frames: usize, pixels: usize) -> u64 {
    let bits = (frames as u64).saturating_mul(pixels as u64);
    bits.div_ceil(8).next_multiple_of(2)
}

/// Writes frames one after another.
pub(super) struct Packer<W> {
    output: W,
    pixels: usize,
    /// Bits of the byte that is not full yet.
    rest: u8,
    rest_bits: usize,
    written: u64,
}

impl<W: Write> Packer<W> {
    pub(super) fn new(output: W, pixels: usize) -> Self {
        Self {
            output,
            pixels,
            rest: 0,
            rest_bits: 0,
            written: 0,
        }
    }

    pub(super) fn frame(&mut self, runs: &Runs) -> io::Result<()> {
        let bits = self.rest_bits + self.pixels;
        let mut bytes = vec![0u8; bits.div_ceil(8)];
        if let Some(first) = bytes.first_mut() {
            *first = self.rest;
        }
        for run in runs.iter() {
            let start = run.start as usize + self.rest_bits;
            let end = run.end as usize + self.rest_bits;
            set(&mut bytes, start, end);
        }
        let whole = bits / 8;
        self.rest_bits = bits % 8;
        self.rest = bytes.get(whole).copied().unwrap_or_default();
        self.output
            .write_all(bytes.get(..whole).unwrap_or_default())?;
        self.written += whole as u64;
        Ok(())
    }

    /// Writes what is left, and pads to an even number of bytes.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rest_bits > 0 {
            self.output.write_all(&[self.rest])?;
            self.written += 1;
        }
        if !self.written.is_multiple_of(2) {
            self.output.write_all(&[0])?;
        }
        self.output.flush()
    }
}

/// Sets bits from `start` up to `end`.
fn set(bytes: &mut [u8], start: usize, end: usize) {
    if start >= end {
        return;
    }
    let (first, last) = (start / 8, (end - 1) / 8);
    let head = 0xFFu8 << (start % 8);
    let tail = 0xFFu8 >> (7 - (end - 1) % 8);
    if first == last {
        if let Some(byte) = bytes.get_mut(first) {
            *byte |= head & tail;
        }
        return;
    }
    if let Some(byte) = bytes.get_mut(first) {
        *byte |= head;
    }
    bytes
        .get_mut(first + 1..last)
        .unwrap_or_default()
        .fill(0xFF);
    if let Some(byte) = bytes.get_mut(last) {
        *byte |= tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_without_gaps() {
        // numpy.packbits(bits, bitorder="little") of the frames one after another.
        let bits = [
            1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1,
        ];
        for pixels in [3, 7, 21] {
            let mut bytes = Vec::new();
            let mut packer = Packer::new(&mut bytes, pixels);
            for frame in bits.chunks(pixels) {
                let runs = Runs::of_bits(frame.iter().map(|&bit| bit == 1));
                packer.frame(&runs).unwrap();
            }
            packer.finish().unwrap();
            assert_eq!(
                bytes,
                [0b1000_1101, 0b1111_0111, 0b0001_0011, 0],
                "{pixels}"
            );
            assert_eq!(packed_length(bits.len() / pixels, pixels), 4);
        }
    }
}
