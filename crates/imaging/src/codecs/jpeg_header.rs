//! The segments of a JPEG before its first scan (ITU-T T.81 annex B): process, size, components, and what the
//! stream says about its colours. Nothing is decoded and nothing allocated.

use super::Color;

/// What the JPEG says about itself before its first scan.
#[derive(Debug, Default)]
pub(crate) struct FrameHeader {
    /// Second byte of the start of frame: C0 baseline, C1 extended, C2 progressive, C3 lossless.
    pub(crate) marker: u8,
    pub(crate) precision: u8,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) components: Vec<Component>,
    pub(crate) point_transform: u8,
    /// Offset of the body of the first scan header.
    pub(crate) scan: usize,
    /// Transform flag of the Adobe segment.
    adobe: Option<u8>,
    jfif: bool,
}

/// One component of the frame header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Horizontal sampling factor in the upper half, vertical in the lower.
    pub(crate) sampling: u8,
}

impl FrameHeader {
    /// What three components are: the Adobe segment says so, else identifiers that spell RGB, else a JFIF
    /// segment or subsampled chroma, which only luma and chroma have, else the DICOM header.
    pub(crate) fn color(&self, otherwise: Color) -> Color {
        let spells = self.components.iter().map(|c| c.id).eq(*b"RGB");
        let subsampled = self.is_subsampled();
        match self.adobe {
            Some(1) => Color::Ycc,
            Some(_) => Color::Rgb,
            None if spells => Color::Rgb,
            None if self.jfif || subsampled => Color::Ycc,
            None => otherwise,
        }
    }

    pub(crate) fn is_subsampled(&self) -> bool {
        let first = self.components.first().map(|c| c.sampling);
        self.components.iter().any(|c| Some(c.sampling) != first)
    }

    /// Reads up to the first scan, `None` where the structure is broken.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        if bytes.get(..2)? != [0xFF, 0xD8] {
            return None;
        }
        let mut at = 2usize;
        loop {
            // Markers may be preceded by any number of fill bytes.
            while *bytes.get(at)? == 0xFF && *bytes.get(at + 1)? == 0xFF {
                at += 1;
            }
            let &[0xFF, marker, high, low] = bytes.get(at..at.checked_add(4)?)? else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let end = at.checked_add(2)?.checked_add(length)?;
            let body = bytes.get(at + 4..end)?;
            match marker {
                // Start of frame; C4, C8 and CC are tables and a reserved code.
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7 => {
                    header.start_of_frame(marker, body)?;
                }
                0xDA => {
                    header.point_transform = body.last()? & 0x0F;
                    header.scan = at + 4;
                    return (header.marker != 0).then_some(header);
                }
                0xE0 if body.starts_with(b"JFIF\0") => header.jfif = true,
                0xEE if body.starts_with(b"Adobe") => header.adobe = body.get(11).copied(),
                _ => {}
            }
            at = end;
        }
    }

    fn start_of_frame(&mut self, marker: u8, body: &[u8]) -> Option<()> {
        let &[precision, r1, r0, c1, c0, count, ref parts @ ..] = body else {
            return None;
        };
        self.marker = marker;
        self.precision = precision;
        self.rows = usize::from(u16::from_be_bytes([r1, r0]));
        self.columns = usize::from(u16::from_be_bytes([c1, c0]));
        self.components = parts
            .chunks_exact(3)
            .filter_map(|part| match part {
                &[id, sampling, _] => Some(Component { id, sampling }),
                _ => None,
            })
            .collect();
        (self.components.len() == usize::from(count)).then_some(())
    }
}
