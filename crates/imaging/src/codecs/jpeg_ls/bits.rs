//! Bits of a JPEG-LS scan (T.87 A.1 and C.1): highest first, and seven to the byte that follows an FF.

/// Reads bits up to the marker that ends the scan.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits read ahead, lowest `count` of it.
    ahead: u32,
    count: u32,
    after_ff: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            ahead: 0,
            count: 0,
            after_ff: false,
        }
    }

    /// Bytes taken so far.
    pub(super) fn used(&self) -> usize {
        self.at
    }

    /// The next bit, `None` at the end of the scan.
    pub(super) fn bit(&mut self) -> Option<u32> {
        if self.count == 0 {
            let byte = *self.bytes.get(self.at)?;
            if self.after_ff && byte >= 0x80 {
                return None;
            }
            self.at += 1;
            self.count = if self.after_ff { 7 } else { 8 };
            self.ahead = u32::from(byte);
            self.after_ff = byte == 0xFF;
        }
        self.count -= 1;
        Some((self.ahead >> self.count) & 1)
    }

    /// The next `count` bits as a number, at most 31.
    pub(super) fn number(&mut self, count: u32) -> Option<i32> {
        let mut value = 0;
        for _ in 0..count {
            value = (value << 1) | self.bit()?;
        }
        i32::try_from(value).ok()
    }

    /// A length-limited Golomb code (A.5.3): `parameter` is k, `limit` the longest code, `bits` the width of a
    /// value that would be longer.
    pub(super) fn golomb(&mut self, parameter: u32, limit: i32, bits: u32) -> Option<i32> {
        let longest = u32::try_from(limit).ok()?.checked_sub(bits + 1)?;
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > longest {
                return None;
            }
        }
        if zeros == longest {
            self.number(bits)?.checked_add(1)
        } else {
            let low = self.number(parameter)?;
            // Fewer than 64 zeros and at most 16 bits.
            i32::try_from((i64::from(zeros) << parameter) | i64::from(low)).ok()
        }
    }
}
