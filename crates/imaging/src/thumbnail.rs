//! Small pictures for lists: the mean of the pixels that become one, `[height, width, 3]` in and out.

use image::{ImageBuffer, Rgb};

use crate::Rgb8;

impl Rgb8 {
    /// The picture with a longer side of `side` pixels at most; a picture that is no larger stays as it is.
    #[must_use]
    pub fn thumbnail(self, side: usize) -> Self {
        let longer = self.width.max(self.height);
        if side == 0 || longer <= side {
            return self;
        }
        let scaled = |length: usize| (length * side).div_ceil(longer).max(1);
        let (width, height) = (scaled(self.width), scaled(self.height));
        let (columns, rows) = (self.width as u32, self.height as u32);
        let picture = ImageBuffer::<Rgb<u8>, Vec<u8>>::from_raw(columns, rows, self.pixels);
        let small = picture
            .map(|picture| image::imageops::thumbnail(&picture, width as u32, height as u32));
        Self {
            width,
            height,
            pixels: small.map_or_else(|| vec![0; width * height * 3], ImageBuffer::into_raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Rgb8;

    #[test]
    fn a_thumbnail_keeps_the_shape_and_the_mean() {
        let pixels = [[0u8; 3], [100; 3]].concat().repeat(32);
        let picture = Rgb8 {
            width: 8,
            height: 8,
            pixels,
        };
        let small = picture.clone().thumbnail(4);
        assert_eq!((small.width, small.height), (4, 4));
        assert!(small.pixels.iter().all(|&value| value == 50), "{small:?}");
        assert_eq!(picture.clone().thumbnail(8), picture);
        let wide = Rgb8 {
            width: 16,
            height: 4,
            pixels: vec![7; 16 * 4 * 3],
        };
        let small = wide.thumbnail(5);
        assert_eq!((small.width, small.height, small.pixels[0]), (5, 2, 7));
    }
}
