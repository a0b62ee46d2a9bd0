//! Compressed frames to samples. Every codec has one signature: the bytes of one frame and the geometry that
//! the file's header promises go in, [`Samples`] `[rows, columns, components]` come out. A stream of another
//! size than promised is refused before anything is allocated for it, and no codec panics on any bytes.

pub(crate) mod deflated;
pub(crate) mod jpeg;
mod jpeg12;
pub(crate) mod jpeg2000;
pub(crate) mod jpeg_header;
pub(crate) mod jpeg_ls;
pub(crate) mod jpeg_scan;
pub(crate) mod rle;

/// What the header says about a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) components: usize,
    pub(crate) bits_allocated: u16,
    pub(crate) bits_stored: u16,
    pub(crate) signed: bool,
    /// What three components are where the stream itself does not say.
    pub(crate) color: Color,
}

impl Geometry {
    pub(crate) fn pixels(&self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    /// Number of samples of the frame.
    pub(crate) fn samples(&self) -> usize {
        self.pixels().saturating_mul(self.components)
    }

    /// Bytes of a cell that holds a sample of `precision` bits and what the header allocates.
    fn cell_bytes(&self, precision: u16) -> usize {
        match precision.max(self.bits_allocated) {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        }
    }

    /// A sample of a lossy stream, which may lie beyond Bits Stored: the nearest value that does not. Where
    /// stream and header disagree on the sign, the bits are left as they are.
    fn clamp(&self, value: i64, stream_signed: bool) -> i64 {
        let bits = self.bits_stored.clamp(1, 32);
        match (self.signed, stream_signed) {
            (false, false) => value.clamp(0, (1 << bits) - 1),
            (true, true) => value.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            _ => value,
        }
    }
}

/// What three components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Rgb,
    /// Luma and chroma, full range.
    Ycc,
}

/// One decoded frame.
#[derive(Debug)]
pub(crate) struct Samples {
    /// Interleaved, little endian, two's complement.
    pub(crate) cells: Vec<u8>,
    pub(crate) bytes_per_cell: usize,
    /// Red, green and blue, whatever the header says: the codec undid its colour transform.
    pub(crate) is_rgb: bool,
}

/// Why a frame was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodecError {
    /// The stream contradicts its own format, or ends early.
    Damaged,
    /// The stream holds an image of another size or number of components than the header.
    OtherSize,
    /// The stream is in a form that would not be decoded right.
    Unsupported(&'static str),
}

/// Appends the low bytes of a value, little endian.
fn push_cell(cells: &mut Vec<u8>, bytes_per_cell: usize, value: i64) {
    cells.extend(value.to_le_bytes().into_iter().take(bytes_per_cell));
}
