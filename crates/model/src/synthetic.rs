//! Deterministic weights and images that a few lines regenerate anywhere, so that parity with the reference can be
//! shown at full size without moving gigabytes: FNV-1a of the tensor's name seeds a splitmix64 sequence.

use std::f64::consts::TAU;

/// FNV-1a, 64 bit.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Element `index` of the uniform sequence in -1..1 that `seed` starts.
pub(crate) fn uniform(seed: u64, index: u64) -> f64 {
    let z = mix(seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    (z >> 40) as f64 / (1u64 << 23) as f64 - 1.0
}

/// splitmix64's last steps: every bit of the result depends on every bit of `z`.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Values of the tensor `name` in the layout of the checkpoint that the name belongs to: biases are small, other
/// vectors near one, matrices scaled by their fan-in.
pub fn weights(name: &str, shape: &[usize]) -> Vec<f32> {
    let seed = fnv1a(name);
    let count: usize = shape.iter().product();
    let fan_in: usize = shape.iter().skip(1).product();
    let (centre, scale) = match shape.len() {
        0 | 1 if name.ends_with("bias") => (0.0, 0.02),
        0 | 1 => (1.0, 0.1),
        _ => (0.0, (3.0 / fan_in as f64).sqrt() as f32),
    };
    (0..count as u64)
        .map(|i| centre + scale * uniform(seed, i) as f32)
        .collect()
}

/// A normalised image of smooth waves, `[3, height, width]`.
pub fn image(height: usize, width: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(3 * height * width);
    for c in 0..3 {
        let c = c as f64;
        for y in 0..height {
            let y = y as f64;
            for x in 0..width {
                let x = x as f64;
                let value = 0.5 * (0.013 * (c + 1.0) * x + 0.7 * c).sin()
                    + 0.3 * (0.017 * y * (c + 1.0) + 0.002 * x).cos()
                    + 0.2 * (0.31 * x + 0.29 * y + c).sin();
                values.push(value as f32);
            }
        }
    }
    values
}

/// `count` values in -1..1 of the sequence that `key` starts.
pub fn unit(key: &str, count: usize) -> Vec<f32> {
    let seed = fnv1a(key);
    (0..count as u64).map(|i| uniform(seed, i) as f32).collect()
}

/// A smooth mask's logits, `[height, width]`: `a sin(2 pi (fx u + fy v) + p) + b cos(2 pi (gx u - gy v)) + c` at the
/// centres of the cells, `u` and `v` in 0..1.
#[derive(Debug, Clone, Copy)]
pub struct Waves {
    /// Height and phase of the first wave.
    pub a: (f64, f64),
    /// Its frequencies along u and v.
    pub f: [f64; 2],
    /// Height of the second wave.
    pub b: f64,
    /// Its frequencies along u and v.
    pub g: [f64; 2],
    /// What is added.
    pub c: f64,
}

impl Waves {
    /// The mask's logits.
    pub fn values(&self, height: usize, width: usize) -> Vec<f32> {
        let Self { a, f, b, g, c } = *self;
        let at = |u: f64, v: f64| {
            let first = a.0 * (TAU * (f[0] * u + f[1] * v) + a.1).sin();
            (first + b * (TAU * (g[0] * u - g[1] * v)).cos() + c) as f32
        };
        cells(height, width, at)
    }
}

/// One within an ellipse, zero outside, `[height, width]`; centre and radii as shares of the sides, x first.
pub fn ellipse(centre: [f64; 2], radii: [f64; 2], height: usize, width: usize) -> Vec<f32> {
    cells(height, width, |u, v| {
        let (x, y) = ((u - centre[0]) / radii[0], (v - centre[1]) / radii[1]);
        f32::from(u8::from(x * x + y * y < 1.0))
    })
}

fn cells(height: usize, width: usize, at: impl Fn(f64, f64) -> f32) -> Vec<f32> {
    let mut values = Vec::with_capacity(height * width);
    for y in 0..height {
        for x in 0..width {
            let u = (x as f64 + 0.5) / width as f64;
            values.push(at(u, (y as f64 + 0.5) / height as f64));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check values of the generator's specification.
    #[test]
    fn sequence_and_image_have_the_published_values() {
        assert_eq!(
            fnv1a("detector.transformer.decoder.norm.weight"),
            0xfaee_7d15_0661_b70e
        );
        let seed = fnv1a("detector.transformer.decoder.norm.weight");
        let expected = [-0.841_293_693, -0.769_734_144, 0.398_451_447, 0.624_488_235];
        for (i, value) in expected.into_iter().enumerate() {
            assert!((uniform(seed, i as u64) - value).abs() < 1e-8);
        }
        let seed = fnv1a("detector.backbone.vision_backbone.trunk.patch_embed.proj.weight");
        assert_eq!(seed, 0xe88c_03bc_c1bd_5ac3);
        assert!((uniform(seed, 2) - -0.525_144_577).abs() < 1e-8);

        let image = image(1008, 1008);
        let at = |c: usize, y: usize, x: usize| f64::from(image[(c * 1008 + y) * 1008 + x]);
        assert!((at(0, 0, 0) - 0.3).abs() < 1e-6);
        assert!((at(1, 10, 20) - 0.623_134_9).abs() < 1e-6);
        assert!((at(2, 1007, 1007) - -0.190_937_5).abs() < 1e-6);
    }
}
