//! The strips or tiles of a TIFF page put together (TIFF 6.0 sections 3, 7 to 9, 13 to 15; predictor 3 of Adobe's
//! Technical Note 3): rows of packed samples in little endian, plane by plane. LZW is unpacked by `weezl`, deflate
//! by `flate2`. The crate `tiff` is not used: it knows no palettes and loses its place in LZW tiles at an edge.

use std::io::Read;

use weezl::BitOrder;
use weezl::decode::Configuration;

use super::directory::Page;
use super::refusal;
use crate::{ImagingError, limits};

/// Bytes out of one beyond what any of the compressions can do.
const MAX_RATIO: u64 = 4096;

const DAMAGED: ImagingError = ImagingError::Damaged { format: "TIFF" };

/// How a page is cut, in pixels.
#[derive(Debug, Clone, Copy)]
struct Grid {
    width: usize,
    height: usize,
    across: usize,
    down: usize,
    /// Samples of a pixel within one chunk.
    samples: usize,
    planes: usize,
}

impl Grid {
    fn of(page: &Page) -> Result<Self, ImagingError> {
        let (width, height) = match page.tile {
            Some([width, height]) => (width, height),
            None => (page.width, page.rows_per_strip.min(page.height)),
        };
        if width == 0 || height == 0 {
            return Err(DAMAGED);
        }
        limits::frame_pixels(width as u64, height as u64)?;
        let (samples, planes) = if page.planar {
            (1, page.samples)
        } else {
            (page.samples, 1)
        };
        Ok(Self {
            width,
            height,
            across: page.width.div_ceil(width),
            down: page.height.div_ceil(height),
            samples,
            planes,
        })
    }

    /// Bytes of `columns` pixels of a row.
    fn row_bytes(&self, page: &Page, columns: usize) -> usize {
        columns
            .saturating_mul(self.samples)
            .saturating_mul(page.bits)
            .div_ceil(8)
    }
}

/// All samples of a page: planes, rows, and the samples of a row in as few bytes as they fit.
///
/// # Errors
///
/// [`ImagingError::Damaged`], [`ImagingError::TooLarge`] or [`ImagingError::OtherFormat`].
pub(super) fn read(file: &[u8], big_endian: bool, page: &Page) -> Result<Vec<u8>, ImagingError> {
    let grid = Grid::of(page)?;
    let chunks = grid
        .across
        .saturating_mul(grid.down)
        .saturating_mul(grid.planes);
    if page.chunks.len() != chunks {
        return Err(DAMAGED);
    }
    if grid.across > 1 && !(grid.width * grid.samples * page.bits).is_multiple_of(8) {
        return Err(refusal("a TIFF image whose tiles share bytes"));
    }
    let row_bytes = grid.row_bytes(page, page.width);
    let plane_bytes = row_bytes.saturating_mul(page.height);
    let chunk_row = grid.row_bytes(page, grid.width);
    let present: u64 = page.chunks.iter().map(|&(_, length)| length).sum();
    if plane_bytes.saturating_mul(grid.planes) as u64 / MAX_RATIO > present {
        return Err(DAMAGED);
    }
    let mut samples = vec![0; plane_bytes.saturating_mul(grid.planes)];
    for (index, &(offset, length)) in page.chunks.iter().enumerate() {
        let (plane, index) = (
            index / (grid.across * grid.down),
            index % (grid.across * grid.down),
        );
        let (down, right) = (index / grid.across, index % grid.across);
        let (first_row, first_column) = (down * grid.height, right * grid.width);
        let rows = grid.height.min(page.height - first_row);
        // A strip ends with the page; a tile is whole, what is beyond the page included.
        let stored_rows = if page.tile.is_some() {
            grid.height
        } else {
            rows
        };
        let packed = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(length).ok())
            .and_then(|(offset, length)| file.get(offset..offset.checked_add(length)?))
            .ok_or(DAMAGED)?;
        let mut chunk = unpack(
            packed,
            page.compression,
            chunk_row.saturating_mul(stored_rows),
        )?;
        let columns = grid.width.min(page.width - first_column);
        let used = grid.row_bytes(page, columns);
        let start = grid.row_bytes(page, first_column);
        for (row, bytes) in chunk.chunks_exact_mut(chunk_row).take(rows).enumerate() {
            restore(bytes, page, grid.samples, big_endian)?;
            let at = plane * plane_bytes + (first_row + row) * row_bytes + start;
            let target = samples
                .get_mut(at..at.saturating_add(used))
                .ok_or(DAMAGED)?;
            target.copy_from_slice(bytes.get(..used).ok_or(DAMAGED)?);
        }
    }
    Ok(samples)
}

/// The first `length` bytes of what was compressed.
fn unpack(packed: &[u8], compression: u64, length: usize) -> Result<Vec<u8>, ImagingError> {
    if length as u64 / MAX_RATIO > packed.len() as u64 {
        return Err(DAMAGED);
    }
    match compression {
        1 => packed.get(..length).map(<[u8]>::to_vec).ok_or(DAMAGED),
        5 => lzw(packed, length),
        8 | 32946 => {
            let mut bytes = vec![0; length];
            flate2::read::ZlibDecoder::new(packed)
                .read_exact(&mut bytes)
                .map_err(|_cause| DAMAGED)?;
            Ok(bytes)
        }
        32773 => pack_bits(packed, length),
        _ => Err(refusal("a TIFF image in a compression that is rare")),
    }
}

fn lzw(packed: &[u8], length: usize) -> Result<Vec<u8>, ImagingError> {
    // The codes of writers before TIFF 6.0 begin with the lowest bit: a clear code then reads 00 01.
    if packed.starts_with(&[0x00, 0x01]) {
        return Err(refusal(
            "a TIFF image in the LZW compression of old writers",
        ));
    }
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    let mut bytes = vec![0; length];
    let (mut read, mut written) = (0, 0);
    while written < length {
        let input = packed.get(read..).unwrap_or_default();
        let output = bytes.get_mut(written..).unwrap_or_default();
        let result = decoder.decode_bytes(input, output);
        read += result.consumed_in;
        written += result.consumed_out;
        let moved = result.consumed_in > 0 || result.consumed_out > 0;
        match result.status {
            Ok(weezl::LzwStatus::Ok) if moved => {}
            // The end before the last byte.
            Ok(_) if written < length => return Err(DAMAGED),
            Ok(_) => {}
            Err(_cause) => return Err(DAMAGED),
        }
    }
    Ok(bytes)
}

/// Runs of one byte and of different ones (TIFF 6.0 section 9).
fn pack_bits(packed: &[u8], length: usize) -> Result<Vec<u8>, ImagingError> {
    let mut bytes = Vec::with_capacity(length);
    let mut rest = packed;
    while bytes.len() < length {
        let (&count, after) = rest.split_first().ok_or(DAMAGED)?;
        rest = after;
        match i8::from_le_bytes([count]) {
            -128 => {}
            count @ 0.. => {
                let count = usize::from(count.unsigned_abs()) + 1;
                bytes.extend(rest.get(..count).ok_or(DAMAGED)?);
                rest = rest.get(count..).unwrap_or_default();
            }
            count => {
                let (&value, after) = rest.split_first().ok_or(DAMAGED)?;
                rest = after;
                let repeated = usize::from(count.unsigned_abs()) + 1;
                bytes.extend(std::iter::repeat_n(value, repeated));
            }
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Undoes predictor and byte order of one row.
fn restore(
    row: &mut [u8],
    page: &Page,
    samples: usize,
    big_endian: bool,
) -> Result<(), ImagingError> {
    let size = page.bits / 8;
    if page.predictor == 3 {
        return restore_floats(row, samples, size);
    }
    if big_endian && size > 1 {
        for value in row.chunks_exact_mut(size) {
            value.reverse();
        }
    }
    match (page.predictor, size) {
        (1, _) => {}
        (2, 1) => {
            for at in samples..row.len() {
                let left = row.get(at - samples).copied().unwrap_or_default();
                if let Some(value) = row.get_mut(at) {
                    *value = value.wrapping_add(left);
                }
            }
        }
        (2, 2) => {
            let mut left = vec![0u16; samples];
            for pixel in row.chunks_exact_mut(2 * samples) {
                for (value, left) in pixel.chunks_exact_mut(2).zip(&mut left) {
                    if let &mut [low, high] = value {
                        *left = left.wrapping_add(u16::from_le_bytes([low, high]));
                    }
                    value.copy_from_slice(&left.to_le_bytes());
                }
            }
        }
        _ => return Err(refusal("a TIFF image with a predictor that is rare")),
    }
    Ok(())
}

/// Predictor 3: bytes of equal significance together, the highest first, as differences.
fn restore_floats(row: &mut [u8], samples: usize, size: usize) -> Result<(), ImagingError> {
    if size != 4 {
        return Err(refusal("a TIFF image with a predictor that is rare"));
    }
    for at in samples..row.len() {
        let left = row.get(at - samples).copied().unwrap_or_default();
        if let Some(value) = row.get_mut(at) {
            *value = value.wrapping_add(left);
        }
    }
    let differences = row.to_vec();
    let count = row.len() / size;
    for (index, value) in row.chunks_exact_mut(size).enumerate() {
        for (significance, byte) in value.iter_mut().rev().enumerate() {
            let from = differences.get(significance * count + index);
            *byte = from.copied().unwrap_or_default();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn runs_are_unpacked() {
        let packed = [
            0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7,
            0xAA,
        ];
        let plain = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        assert_eq!(pack_bits(&packed, 24).unwrap(), plain);
        assert_eq!(pack_bits(&packed, 25).unwrap_err(), DAMAGED);
    }
}
