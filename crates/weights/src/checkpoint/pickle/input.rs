//! The bytes of a pickle, read forwards; every read can end the reading, none can panic.

use super::super::CheckpointError;

pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::Pickle {
            at: self.at,
            reason: reason.into(),
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], CheckpointError> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.wrong("it ends in the middle of an instruction"))?;
        self.at += len;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let taken = self.take(N)?;
        let wrong = |_| self.wrong("it ends in the middle of an instruction");
        taken.try_into().map_err(wrong)
    }

    pub(super) fn byte(&mut self) -> Result<u8, CheckpointError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<usize, CheckpointError> {
        self.array()
            .map(|bytes| usize::from(u16::from_le_bytes(bytes)))
    }

    pub(super) fn u32(&mut self) -> Result<usize, CheckpointError> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    pub(super) fn u64(&mut self) -> Result<usize, CheckpointError> {
        let value = u64::from_le_bytes(self.array()?);
        usize::try_from(value).map_err(|e| self.wrong(e.to_string()))
    }

    /// A line without its end.
    pub(super) fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| self.wrong("a line does not end"))?;
        let line = self.text(end)?;
        self.at += 1;
        Ok(line)
    }

    pub(super) fn text(&mut self, len: usize) -> Result<&'a str, CheckpointError> {
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|e| self.wrong(e.to_string()))
    }

    /// A little-endian two's complement number of any length; `None` where it does not fit 64 bits.
    pub(super) fn long(&mut self, len: usize) -> Result<Option<i64>, CheckpointError> {
        let bytes = self.take(len)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        if bytes.len() > wide.len() {
            return Ok(None);
        }
        for (to, from) in wide.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Some(i64::from_le_bytes(wide)))
    }
}
