//! Bits and Huffman codes of a JPEG scan (ITU-T T.81 F.2.2): an FF in the data is followed by 00, else it
//! starts a marker, which ends the data.

/// A Huffman table as a lookup by the next 16 bits: length of the code in the upper byte, 0 for none.
pub(super) struct Table(Vec<u16>);

impl Table {
    /// From the number of codes of each length and their values; `None` where the codes do not fit.
    pub(super) fn new(lengths: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut lookup = vec![0; 1 << 16];
        let mut values = values.iter();
        let mut from = 0usize;
        for (length, &count) in (1u16..).zip(lengths) {
            for _ in 0..count {
                let to = from + (1 << (16 - length));
                let entry = length << 8 | u16::from(*values.next()?);
                lookup.get_mut(from..to)?.fill(entry);
                from = to;
            }
        }
        Some(Self(lookup))
    }
}

/// Reads bits up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits read ahead, highest first.
    ahead: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            ahead: 0,
            count: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 48 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return;
            };
            if byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.count += 8;
            self.ahead |= u64::from(byte) << (64 - self.count);
        }
    }

    fn drop_bits(&mut self, count: u32) -> Option<()> {
        self.count = self.count.checked_sub(count)?;
        self.ahead <<= count;
        Some(())
    }

    /// The next `count` bits as a number, at most 16; `None` at the end.
    pub(super) fn number(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        if self.count < count {
            self.fill();
        }
        let value = (self.ahead >> (64 - count)) as u32;
        self.drop_bits(count)?;
        Some(value)
    }

    /// The next code's value; `None` where it is none of the table or cut.
    pub(super) fn code(&mut self, table: &Table) -> Option<u8> {
        if self.count < 16 {
            self.fill();
        }
        let entry = *table.0.get((self.ahead >> 48) as usize)?;
        let [length, value] = entry.to_be_bytes();
        if length == 0 {
            return None;
        }
        self.drop_bits(u32::from(length))?;
        Some(value)
    }

    /// Steps to the end of the data: the offset of the marker there, if at most `slack` bytes were left.
    pub(super) fn end(&mut self, slack: usize) -> Option<usize> {
        // Read ahead but not used; stuffed bytes make it one more at the most per byte.
        let unused = (self.count / 8) as usize;
        let mut left = unused;
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == 0xFF && self.bytes.get(self.at + 1).is_some_and(|&next| next != 0) {
                break;
            }
            left += usize::from(byte != 0xFF);
            self.at += 1;
        }
        (left <= slack).then_some(self.at)
    }

    /// Steps over the restart marker of this turn.
    pub(super) fn restart(&mut self, turn: u8, slack: usize) -> Option<()> {
        let mut at = self.end(slack)?;
        while self.bytes.get(at + 1) == Some(&0xFF) {
            at += 1;
        }
        if self.bytes.get(at..at + 2)? != [0xFF, 0xD0 | turn] {
            return None;
        }
        *self = Self {
            bytes: self.bytes,
            at: at + 2,
            ahead: 0,
            count: 0,
        };
        Some(())
    }
}
