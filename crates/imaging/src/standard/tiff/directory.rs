//! The directories of a TIFF file (TIFF 6.0 sections 2 and 8, BigTIFF): of each page what decides how its pixels
//! are read.

use std::cell::Cell;
use std::collections::HashSet;

use crate::ImagingError;
use crate::limits::{self, MAX_FRAMES};

/// Values of one tag that are read at most: a palette of 16 bits has 3 x 2^16, strips and tiles are as many.
const MAX_VALUES: u64 = 1 << 20;

/// Entries of one directory that are looked at.
const MAX_ENTRIES: u64 = 4096;

/// What a page says about its pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bits of every sample.
    pub(super) bits: usize,
    pub(super) samples: usize,
    pub(super) photometric: u64,
    pub(super) compression: u64,
    /// 1 unsigned, 2 signed, 3 floating point.
    pub(super) sample_format: u64,
    /// 1 none, 2 differences along a row, 3 the same of floats.
    pub(super) predictor: u64,
    /// Samples of one pixel lie in planes of their own.
    pub(super) planar: bool,
    /// Of each sample beyond the colour: 1 is alpha that colours were multiplied with, 2 alpha alone.
    pub(super) extra_samples: Vec<u64>,
    /// As in EXIF, 1 to 8.
    pub(super) orientation: u64,
    /// Bits of a byte are stored in reverse.
    pub(super) reversed_bits: bool,
    /// Columns and rows of a tile; `None` where the page is cut into strips.
    pub(super) tile: Option<[usize; 2]>,
    pub(super) rows_per_strip: usize,
    /// Offset and bytes of every strip or tile, row by row, plane by plane.
    pub(super) chunks: Vec<(u64, u64)>,
    /// Red, green, blue of all indices, one colour after the other.
    pub(super) palette: Vec<u64>,
}

/// Byte order and size of offsets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) big_endian: bool,
    /// Offsets of eight bytes (BigTIFF).
    pub(super) long: bool,
}

impl Layout {
    /// Reads the first bytes, `None` for what is no TIFF.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let (big_endian, long) = match bytes.get(..4)? {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return None,
        };
        Some(Self { big_endian, long })
    }

    fn number(self, bytes: &[u8], at: u64, size: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        let add = |number, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    }
}

/// The pages of a file, without previews and masks.
///
/// # Errors
///
/// [`ImagingError::Damaged`] for directories that are cut or lead in a circle, [`ImagingError::TooLarge`] for
/// pages that are too large and files of too many.
pub(super) fn pages(bytes: &[u8]) -> Result<Vec<Page>, ImagingError> {
    const DAMAGED: ImagingError = ImagingError::Damaged { format: "TIFF" };
    let layout = Layout::of(bytes).ok_or(ImagingError::NotAnImage)?;
    let (at, size) = if layout.long { (8, 8) } else { (4, 4) };
    let mut next = layout.number(bytes, at, size).ok_or(DAMAGED)?;
    // What all directories together may cost: more than any that do not lie on one another need.
    let steps = Cell::new(
        (bytes.len() as u64)
            .saturating_mul(32)
            .saturating_add(1 << 16),
    );
    let mut seen = HashSet::new();
    let mut pages = Vec::new();
    while next != 0 {
        if !seen.insert(next) {
            return Err(DAMAGED);
        }
        if seen.len() as u64 > MAX_FRAMES {
            return Err(ImagingError::TooLarge {
                what: "the number of pages",
                needed: seen.len() as u64,
                limit: MAX_FRAMES,
            });
        }
        let directory = Directory {
            bytes,
            layout,
            offset: next,
            steps: &steps,
        };
        // Bit 0 is a smaller copy of another page, bit 2 a mask for one.
        let secondary = directory.value(254).unwrap_or_default() & 5 != 0;
        if !secondary {
            let page = directory.page().ok_or(DAMAGED)?;
            limits::frame_pixels(page.width as u64, page.height as u64)?;
            pages.push(page);
        }
        next = directory.next().ok_or(DAMAGED)?;
    }
    if pages.is_empty() {
        return Err(DAMAGED);
    }
    Ok(pages)
}

/// One directory.
struct Directory<'a> {
    bytes: &'a [u8],
    layout: Layout,
    offset: u64,
    /// Entries and values that may still be read.
    steps: &'a Cell<u64>,
}

/// One entry: type and number of its values, and the place of the first one.
struct Entry {
    kind: u64,
    count: u64,
    values: u64,
}

impl Directory<'_> {
    /// Takes some of the steps, `None` where there are not as many.
    fn spend(&self, steps: u64) -> Option<()> {
        self.steps.set(self.steps.get().checked_sub(steps)?);
        Some(())
    }

    fn number(&self, at: u64, size: usize) -> Option<u64> {
        self.layout.number(self.bytes, at, size)
    }

    /// Bytes of the number of entries, of one entry, and of an offset.
    fn sizes(&self) -> (usize, u64, usize) {
        if self.layout.long {
            (8, 20, 8)
        } else {
            (2, 12, 4)
        }
    }

    fn count(&self) -> Option<u64> {
        let (size, ..) = self.sizes();
        self.number(self.offset, size)
            .filter(|&count| count <= MAX_ENTRIES)
    }

    /// Where the next directory is, 0 behind the last.
    fn next(&self) -> Option<u64> {
        let (head, entry, offset) = self.sizes();
        let entries = self.count()?.checked_mul(entry)?;
        let at = self.offset.checked_add(head as u64)?.checked_add(entries)?;
        // Some writers leave the last offset out at the end of the file.
        Some(self.number(at, offset).unwrap_or_default())
    }

    fn entry(&self, tag: u64) -> Option<Entry> {
        let (head, size, offset) = self.sizes();
        let first = self.offset.checked_add(head as u64)?;
        let count = self.count()?;
        self.spend(count)?;
        for index in 0..count {
            let at = first.checked_add(index.checked_mul(size)?)?;
            if self.number(at, 2)? != tag {
                continue;
            }
            let kind = self.number(at.checked_add(2)?, 2)?;
            let count = self.number(at.checked_add(4)?, offset)?;
            let inline = at.checked_add(4 + offset as u64)?;
            let values = if count.checked_mul(bytes_of(kind)? as u64)? <= offset as u64 {
                inline
            } else {
                self.number(inline, offset)?
            };
            return Some(Entry {
                kind,
                count,
                values,
            });
        }
        None
    }

    /// The numbers of a tag, none where it is absent.
    fn values(&self, tag: u64) -> Option<Vec<u64>> {
        let Some(entry) = self.entry(tag) else {
            return Some(Vec::new());
        };
        let size = bytes_of(entry.kind)?;
        let count = entry.count.min(MAX_VALUES);
        self.spend(count)?;
        (0..count)
            .map(|index| {
                let at = entry.values.checked_add(index.checked_mul(size as u64)?)?;
                self.number(at, size)
            })
            .collect()
    }

    fn value(&self, tag: u64) -> Option<u64> {
        self.values(tag)?.first().copied()
    }

    fn size(&self, tag: u64) -> Option<usize> {
        usize::try_from(self.value(tag)?).ok()
    }

    /// `None` where what every page must say is not there.
    fn page(&self) -> Option<Page> {
        let first_of = |tag, default| Some(self.values(tag)?.first().copied().unwrap_or(default));
        let tile = match (self.size(322), self.size(323)) {
            (Some(columns), Some(rows)) => Some([columns, rows]),
            _ => None,
        };
        let (offsets, lengths) = if tile.is_some() {
            (324, 325)
        } else {
            (273, 279)
        };
        let (width, height) = (self.size(256)?, self.size(257)?);
        if width == 0 || height == 0 {
            return None;
        }
        let samples = usize::try_from(first_of(277, 1)?).ok()?;
        let offsets = self.values(offsets)?;
        let mut lengths = self.values(lengths)?;
        if lengths.is_empty() && offsets.len() == 1 {
            // Old writers leave the length of a single strip out.
            let start = offsets.first().copied().unwrap_or_default();
            lengths.push((self.bytes.len() as u64).checked_sub(start)?);
        }
        if offsets.len() != lengths.len() {
            return None;
        }
        let bits = self.values(258)?;
        let formats = self.values(339)?;
        let alike = |values: &[u64]| values.windows(2).all(|pair| pair.first() == pair.last());
        Some(Page {
            width,
            height,
            // Samples of different sizes or kinds are refused as none that is read.
            bits: match alike(&bits) {
                true => usize::try_from(first_of(258, 1)?).ok()?,
                false => 0,
            },
            samples,
            photometric: self.value(262)?,
            compression: first_of(259, 1)?,
            sample_format: if alike(&formats) {
                first_of(339, 1)?
            } else {
                0
            },
            predictor: first_of(317, 1)?,
            planar: samples > 1 && self.value(284) == Some(2),
            extra_samples: self.values(338)?,
            orientation: first_of(274, 1)?,
            reversed_bits: self.value(266) == Some(2),
            tile,
            rows_per_strip: usize::try_from(first_of(278, u64::from(u32::MAX))?).ok()?,
            chunks: offsets.into_iter().zip(lengths).collect(),
            palette: self.values(320)?,
        })
    }
}

/// Bytes of one value of a type of whole numbers.
fn bytes_of(kind: u64) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 13 => Some(4),
        16..=18 => Some(8),
        _ => None,
    }
}
