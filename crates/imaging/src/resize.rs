//! The model's preprocessing (`Sam3Processor`): torchvision v2 `Resize((side, side))` on uint8, bilinear
//! with antialias, then `(x / 255 - 0.5) / 0.5`. In `[height, width, 3]` u8, out `[side, side, 3]` u8
//! and `[3, side, side]` f32. Follows the arithmetic of ATen's uint8 path bit for bit: separable,
//! horizontal then vertical, 16-bit fixed-point weights, each pass rounded to u8.

use crate::Rgb8;

/// Resizes to a square without keeping the aspect, as torchvision does for the model.
///
/// An image without pixels, or `side` 0, gives an image without pixels.
pub fn resize_square(image: &Rgb8, side: usize) -> Rgb8 {
    let (width, height) = (image.width, image.height);
    if side == 0 || width == 0 || height == 0 || image.pixels.len() != width * height * 3 {
        return Rgb8 {
            width: 0,
            height: 0,
            pixels: Vec::new(),
        };
    }
    let horizontal = if width == side {
        image.pixels.clone()
    } else {
        resize_rows(&image.pixels, width, &Weights::new(width, side))
    };
    let pixels = if height == side {
        horizontal
    } else {
        resize_columns(&horizontal, side * 3, &Weights::new(height, side))
    };
    Rgb8 {
        width: side,
        height: side,
        pixels,
    }
}

/// Maps 0..255 to -1..1, channels first: `[3, height, width]`.
pub fn normalise(image: &Rgb8) -> Vec<f32> {
    let mut channels = Vec::with_capacity(image.pixels.len());
    for channel in 0..3 {
        channels.extend(
            image
                .pixels
                .iter()
                .skip(channel)
                .step_by(3)
                .map(|&value| f32::from(value) / 127.5 - 1.0),
        );
    }
    channels
}

/// Where one output sample reads from and with what fixed-point weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The taps of every output sample along one axis.
struct Weights {
    taps: Vec<Taps>,
    /// Weights are multiples of `2^-precision`.
    precision: u32,
}

impl Weights {
    /// ATen's triangle filter: support of one source pixel per side, widened by the scale when shrinking.
    fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let (support, inverse_scale) = if scale >= 1.0 {
            (scale, 1.0 / scale)
        } else {
            (1.0, 1.0)
        };
        let mut largest = 0.0_f64;
        let real: Vec<(usize, Vec<f64>)> = (0..output)
            .map(|index| {
                let center = scale * (index as f64 + 0.5);
                // Casts of negative numbers saturate at 0, which is the bound wanted.
                let first = (center - support + 0.5) as usize;
                let end = ((center + support + 0.5) as usize).min(input);
                let mut weights: Vec<f64> = (first..end)
                    .map(|source| {
                        let distance = (source as f64 - center + 0.5) * inverse_scale;
                        (1.0 - distance.abs()).max(0.0)
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                if total != 0.0 {
                    for weight in &mut weights {
                        *weight /= total;
                        largest = largest.max(*weight);
                    }
                }
                (first, weights)
            })
            .collect();
        // The finest precision at which the largest weight still fits a signed 16-bit number.
        let mut precision = 0;
        while precision < 22 && 0.5 + largest * f64::from(1u32 << (precision + 1)) < 32768.0 {
            precision += 1;
        }
        let one = f64::from(1u32 << precision);
        let taps = real
            .into_iter()
            .map(|(first, weights)| Taps {
                first,
                weights: weights.iter().map(|w| (0.5 + w * one) as i32).collect(),
            })
            .collect();
        Self { taps, precision }
    }

    fn rounding(&self) -> i32 {
        (1 << self.precision) >> 1
    }
}

/// `[rows, width, 3]` to `[rows, output, 3]`.
fn resize_rows(pixels: &[u8], width: usize, weights: &Weights) -> Vec<u8> {
    let rows = pixels.len() / (width * 3);
    let mut output = Vec::with_capacity(rows * weights.taps.len() * 3);
    for row in pixels.chunks_exact(width * 3) {
        for taps in &weights.taps {
            let mut sums = [weights.rounding(); 3];
            let source = row.chunks_exact(3).skip(taps.first);
            for (pixel, &weight) in source.zip(&taps.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            output.extend(sums.map(|sum| to_u8(sum, weights.precision)));
        }
    }
    output
}

/// `[height, stride]` to `[output, stride]`.
fn resize_columns(pixels: &[u8], stride: usize, weights: &Weights) -> Vec<u8> {
    let mut output = Vec::with_capacity(weights.taps.len() * stride);
    let mut sums = vec![0i32; stride];
    for taps in &weights.taps {
        sums.fill(weights.rounding());
        let rows = pixels.chunks_exact(stride).skip(taps.first);
        for (row, &weight) in rows.zip(&taps.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        output.extend(sums.iter().map(|&sum| to_u8(sum, weights.precision)));
    }
    output
}

fn to_u8(sum: i32, precision: u32) -> u8 {
    (sum >> precision).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::{normalise, resize_square};
    use crate::Rgb8;

    #[test]
    fn normalise_is_channel_major_from_minus_one_to_one() {
        let image = Rgb8 {
            width: 2,
            height: 1,
            pixels: vec![0, 51, 255, 255, 102, 0],
        };
        let expected = [-1.0, 1.0, -0.6, -0.2, 1.0, -1.0];
        for (value, expected) in normalise(&image).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn equal_size_is_the_identity_and_nothing_gives_nothing() {
        let image = Rgb8 {
            width: 2,
            height: 2,
            pixels: (0..12).collect(),
        };
        assert_eq!(resize_square(&image, 2), image);
        assert!(resize_square(&image, 0).pixels.is_empty());
        let broken = Rgb8 {
            width: 5,
            height: 5,
            pixels: vec![0; 3],
        };
        assert!(resize_square(&broken, 4).pixels.is_empty());
    }
}
