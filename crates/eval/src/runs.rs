//! A mask as the lengths of its runs, row-major, outside first: thousands of masks fit into memory for the report's pictures.

use medsam3_imaging::Mask;

/// A mask, packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    width: usize,
    height: usize,
    lengths: Vec<u32>,
}

impl Runs {
    /// Packs.
    pub fn new(mask: &Mask) -> Self {
        let (mut lengths, mut inside, mut length) = (Vec::new(), false, 0);
        for &bit in &mask.bits {
            if (bit != 0) != inside {
                lengths.push(length);
                (inside, length) = (!inside, 0);
            }
            length += 1;
        }
        lengths.push(length);
        Self {
            width: mask.width,
            height: mask.height,
            lengths,
        }
    }

    /// Unpacks.
    pub fn mask(&self) -> Mask {
        let bits =
            self.lengths.iter().enumerate().flat_map(|(at, &length)| {
                std::iter::repeat_n(u8::from(at % 2 == 1), length as usize)
            });
        Mask {
            width: self.width,
            height: self.height,
            bits: bits.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_come_back() {
        for bits in [vec![0, 0, 1, 1, 0, 1], vec![1; 6], vec![0; 6]] {
            let mask = Mask {
                width: 3,
                height: 2,
                bits,
            };
            assert_eq!(Runs::new(&mask).mask(), mask);
        }
    }
}
