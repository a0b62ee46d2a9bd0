//! A binary mask on the pixels of an image, `[height, width]`, and what is measured on it.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::components::connected_components;

/// Objects drawn in an image: `[height, width]`, 0 is background, any other number an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMap {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row-major.
    pub ids: Vec<u16>,
}

/// One bit per pixel, row-major, row 0 at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width]`, 0 or 1.
    pub bits: Vec<u8>,
}

/// The smallest upright rectangle around a mask, in pixels; `right` and `bottom` are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundingBox {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// One past the last column.
    pub right: usize,
    /// One past the last row.
    pub bottom: usize,
}

impl Mask {
    /// A mask with nothing in it.
    pub fn empty(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            bits: vec![0; width.saturating_mul(height)],
        }
    }

    /// Number of pixels inside.
    pub fn area_px(&self) -> usize {
        self.bits.iter().filter(|&&bit| bit != 0).count()
    }

    /// Area in mm², from the distances of rows and of columns in mm.
    pub fn area_mm2(&self, spacing_mm: [f64; 2]) -> f64 {
        let [row, column] = spacing_mm;
        self.area_px() as f64 * row * column
    }

    /// The rectangle around the mask, `None` where it is empty.
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        let mut around: Option<BoundingBox> = None;
        for (y, row) in self.bits.chunks_exact(self.width.max(1)).enumerate() {
            let Some(left) = row.iter().position(|&bit| bit != 0) else {
                continue;
            };
            let right = row.iter().rposition(|&bit| bit != 0).unwrap_or(left) + 1;
            around = Some(match around {
                None => BoundingBox {
                    left,
                    top: y,
                    right,
                    bottom: y + 1,
                },
                Some(so_far) => BoundingBox {
                    left: so_far.left.min(left),
                    top: so_far.top,
                    right: so_far.right.max(right),
                    bottom: y + 1,
                },
            });
        }
        around
    }

    /// The number of the separate region (8-connected) that each pixel belongs to, from 1; 0 outside. `[height, width]`.
    pub fn region_ids(&self) -> Vec<u16> {
        let inside: Vec<bool> = self.bits.iter().map(|&bit| bit != 0).collect();
        connected_components(&inside, self.width)
    }

    /// Number of separate regions.
    pub fn regions(&self) -> usize {
        self.region_ids().into_iter().max().map_or(0, usize::from)
    }

    /// Every separate region as a mask of its own, in the order of their first pixels.
    pub fn split_regions(&self) -> Vec<Self> {
        let ids = self.region_ids();
        let count = ids.iter().copied().max().unwrap_or(0);
        let region = |number| Self {
            width: self.width,
            height: self.height,
            bits: ids.iter().map(|&id| u8::from(id == number)).collect(),
        };
        (1..=count).map(region).collect()
    }

    /// Adds the pixels of `other`. Masks of different sizes share no grid: the call then changes
    /// nothing and returns `false`.
    pub fn union_with(&mut self, other: &Self) -> bool {
        if !self.same_grid(other) {
            return false;
        }
        for (bit, &more) in self.bits.iter_mut().zip(&other.bits) {
            *bit |= more;
        }
        true
    }

    /// Dice coefficient, `2|A∩B| / (|A|+|B|)`; 1 for two empty masks, 0 for masks of different sizes.
    pub fn dice(&self, other: &Self) -> f64 {
        if !self.same_grid(other) {
            return 0.0;
        }
        let both = self
            .bits
            .iter()
            .zip(&other.bits)
            .filter(|&(&a, &b)| a != 0 && b != 0)
            .count();
        let sum = self.area_px() + other.area_px();
        if sum == 0 {
            1.0
        } else {
            2.0 * both as f64 / sum as f64
        }
    }

    /// The mask as an 8-bit gray PNG, 0 outside and 255 inside.
    ///
    /// Empty bytes for a mask without pixels, which PNG cannot express.
    pub fn to_png(&self) -> Vec<u8> {
        let pixels: Vec<u8> = self
            .bits
            .iter()
            .map(|&bit| if bit == 0 { 0 } else { 255 })
            .collect();
        let (Ok(width), Ok(height)) = (u32::try_from(self.width), u32::try_from(self.height))
        else {
            return Vec::new();
        };
        if pixels.is_empty() || pixels.len() != self.width * self.height {
            return Vec::new();
        }
        let mut png = Vec::new();
        match PngEncoder::new(&mut png).write_image(&pixels, width, height, ExtendedColorType::L8) {
            Ok(()) => png,
            // Writing to memory fails for sizes alone, and those were checked.
            Err(_) => Vec::new(),
        }
    }

    fn same_grid(&self, other: &Self) -> bool {
        self.width == other.width
            && self.height == other.height
            && self.bits.len() == other.bits.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{BoundingBox, Mask};
    use crate::open;

    /// 4 x 3, an L: column 1 of rows 1 and 2, and column 2 of row 2.
    fn ell() -> Mask {
        Mask {
            width: 4,
            height: 3,
            bits: vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0],
        }
    }

    #[test]
    fn measures() {
        let mask = ell();
        assert_eq!(mask.area_px(), 3);
        assert!((mask.area_mm2([0.5, 0.25]) - 0.375).abs() < 1e-12);
        assert_eq!(
            mask.bounding_box(),
            Some(BoundingBox {
                left: 1,
                top: 1,
                right: 3,
                bottom: 3
            })
        );
        assert_eq!(Mask::empty(4, 3).bounding_box(), None);
    }

    #[test]
    fn regions_are_what_hangs_together() {
        let mut mask = ell();
        assert_eq!(mask.regions(), 1);
        mask.bits[3] = 1;
        assert_eq!(mask.regions(), 2);
        let parts = mask.split_regions();
        assert_eq!(
            parts.iter().map(Mask::area_px).collect::<Vec<_>>(),
            [1, 3],
            "the corner's first pixel comes first"
        );
        assert_eq!(parts[1], ell());
        assert_eq!(Mask::empty(4, 3).regions(), 0);
    }

    #[test]
    fn union_and_dice() {
        let mut mask = Mask::empty(4, 3);
        mask.bits[5] = 1;
        mask.bits[0] = 1;
        assert!((mask.dice(&ell()) - 0.4).abs() < 1e-12);
        assert!(mask.union_with(&ell()));
        assert_eq!(mask.area_px(), 4);
        assert!(!mask.union_with(&Mask::empty(3, 4)));
        assert_eq!(mask.dice(&Mask::empty(3, 4)), 0.0);
        assert_eq!(Mask::empty(2, 2).dice(&Mask::empty(2, 2)), 1.0);
    }

    #[test]
    fn png_comes_back_as_it_was() {
        let picture = open(&ell().to_png()).unwrap();
        assert_eq!((picture.width(), picture.height()), (4, 3));
        let expected: Vec<f32> = ell().bits.iter().map(|&b| f32::from(b) * 255.0).collect();
        assert_eq!(picture.gray_values(0).unwrap(), expected);
        assert!(Mask::empty(0, 0).to_png().is_empty());
    }
}
