//! A cursor over encoded data elements (PS3.5 section 7): tags, value representations, lengths.
//! Every read is checked against the end of the bytes; nothing is allocated here.

use dicom_core::{Tag, VR};

use super::syntax::Encoding;
use crate::ImagingError;

/// The length that says "until the delimiter".
const UNDEFINED: u32 = 0xFFFF_FFFF;

/// Header of one data element or item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) tag: Tag,
    /// `None` in implicit encodings, for items, and where the two letters are no VR.
    pub(super) vr: Option<VR>,
    /// Offset of the header.
    pub(super) start: usize,
    /// Offset of the value.
    pub(super) value: usize,
    /// Bytes of the value, `None` where undefined.
    pub(super) length: Option<usize>,
}

impl Element {
    /// Offset after the value; `None` where its length is undefined.
    pub(super) fn end(&self) -> Option<usize> {
        self.value.checked_add(self.length?)
    }
}

/// Reads elements of one encoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) encoding: Encoding,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Self { bytes, encoding }
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], ImagingError> {
        at.checked_add(N)
            .and_then(|end| self.bytes.get(at..end))
            .and_then(|slice| slice.try_into().ok())
            .ok_or_else(|| self.truncated(at, N))
    }

    fn u16(&self, at: usize) -> Result<u16, ImagingError> {
        let bytes = self.array(at)?;
        Ok(if self.encoding.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&self, at: usize) -> Result<u32, ImagingError> {
        let bytes = self.array(at)?;
        Ok(if self.encoding.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// The error for `needed` bytes at `at`.
    pub(super) fn truncated(&self, at: usize, needed: usize) -> ImagingError {
        ImagingError::DicomTruncated {
            expected: needed as u64,
            found: self.bytes.len().saturating_sub(at) as u64,
        }
    }

    /// The header at `at`.
    pub(super) fn element(&self, at: usize) -> Result<Element, ImagingError> {
        let tag = Tag(self.u16(at)?, self.u16(at.saturating_add(2))?);
        let after_tag = at.saturating_add(4);
        let (vr, length, value) = if !self.encoding.explicit || tag.group() == 0xFFFE {
            (None, self.u32(after_tag)?, at.saturating_add(8))
        } else {
            let vr = VR::from_binary(self.array(after_tag)?);
            if vr.is_some_and(has_short_length) {
                let length = self.u16(at.saturating_add(6))?;
                (vr, u32::from(length), at.saturating_add(8))
            } else {
                (vr, self.u32(at.saturating_add(8))?, at.saturating_add(12))
            }
        };
        Ok(Element {
            tag,
            vr,
            start: at,
            value,
            length: (length != UNDEFINED).then_some(length as usize),
        })
    }
}

/// Whether an explicit VR has a 16-bit length field (PS3.5 table 7.1-2).
pub(super) fn has_short_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::AE
            | VR::AS
            | VR::AT
            | VR::CS
            | VR::DA
            | VR::DS
            | VR::DT
            | VR::FL
            | VR::FD
            | VR::IS
            | VR::LO
            | VR::LT
            | VR::PN
            | VR::SH
            | VR::SL
            | VR::SS
            | VR::ST
            | VR::TM
            | VR::UI
            | VR::UL
            | VR::US
    )
}
