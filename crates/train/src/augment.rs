//! Random crops, rotations, flips and grey-level changes of one sample.
//!
//! A view maps the output square onto the source square; image, label map and instance map are read through the
//! same view, so that they stay on top of each other. Out: image `[3, side, side]` in -1..1, maps `[cells, cells]`.

use rand::{Rng, RngExt as _};

use crate::config::AugmentConfig;
use medsam3_corpus::{Raster, Sample};

/// Which symmetries a dataset allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetry {
    /// Small rotations alone: left and right mean something.
    None,
    /// Left-right mirroring too.
    Mirror,
    /// Any mirroring and quarter turns: there is no up.
    All,
}

/// An affine map from output to source, both in 0..1: `source = centre + matrix * (output - 0.5)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Source point under the middle of the output, x then y.
    pub centre: [f32; 2],
    /// Row-major 2 x 2.
    pub matrix: [f32; 4],
}

impl View {
    /// The whole picture, as the model sees it when it is used.
    pub const WHOLE: Self = Self {
        centre: [0.5, 0.5],
        matrix: [1.0, 0.0, 0.0, 1.0],
    };

    /// Draws a view. `focus` is a point of interest in source coordinates that some crops are laid around.
    pub fn random(
        rng: &mut impl Rng,
        config: &AugmentConfig,
        symmetry: Symmetry,
        focus: Option<[f32; 2]>,
    ) -> Self {
        let mut view = Self::WHOLE;
        if rng.random::<f32>() >= config.whole {
            let scale = rng.random_range(config.scale[0]..=config.scale[1]);
            let aspect = rng
                .random_range(-config.aspect..=config.aspect)
                .exp()
                .sqrt();
            let angle = rng
                .random_range(-config.rotate_degrees..=config.rotate_degrees)
                .to_radians();
            let (sin, cos) = angle.sin_cos();
            let (sx, sy) = (scale * aspect, scale / aspect);
            view.matrix = [cos * sx, -sin * sy, sin * sx, cos * sy];
            let slack = ((1.0 - scale) / 2.0).abs() + 0.03;
            view.centre = match focus {
                Some(point) if rng.random::<f32>() < config.focus => {
                    let low = 0.5 - slack;
                    point
                        .map(|p| (p + rng.random_range(-0.35..=0.35) * scale).clamp(low, 1.0 - low))
                }
                _ => [0, 1].map(|_| 0.5 + rng.random_range(-slack..=slack)),
            };
        }
        let [a, b, c, d] = view.matrix;
        if symmetry != Symmetry::None && rng.random::<bool>() {
            view.matrix = [-a, b, -c, d];
        }
        if symmetry == Symmetry::All {
            let [a, b, c, d] = view.matrix;
            if rng.random::<bool>() {
                view.matrix = [a, -b, c, -d];
            }
            let [a, b, c, d] = view.matrix;
            if rng.random::<bool>() {
                view.matrix = [b, a, d, c];
            }
        }
        view
    }

    fn source(&self, x: usize, y: usize, side: usize) -> [f32; 2] {
        let [u, v] = [x, y].map(|i| (i as f32 + 0.5) / side as f32 - 0.5);
        let [a, b, c, d] = self.matrix;
        [
            self.centre[0] + a * u + b * v,
            self.centre[1] + c * u + d * v,
        ]
    }

    /// Reads an image through the view: bilinear, black outside. Returns `[3, side, side]` in 0..1.
    pub fn image(&self, source: &Raster<u8>, side: usize) -> Vec<f32> {
        let plane = side * side;
        let mut out = vec![0.0; 3 * plane];
        for y in 0..side {
            for x in 0..side {
                let pixel = bilinear(source, self.source(x, y, side));
                for (channel, value) in pixel.into_iter().enumerate() {
                    out[channel * plane + y * side + x] = value / 255.0;
                }
            }
        }
        out
    }

    /// Reads an index map through the view: nearest, 0 outside. Returns `[cells, cells]`.
    pub fn map<T: Copy + Default>(&self, source: &Raster<T>, cells: usize) -> Vec<T> {
        let side = source.side as f32;
        let mut out = Vec::with_capacity(cells * cells);
        for y in 0..cells {
            for x in 0..cells {
                let [sx, sy] = self.source(x, y, cells).map(|p| (p * side).floor());
                let inside = (0.0..side).contains(&sx) && (0.0..side).contains(&sy);
                out.push(if inside {
                    source.values[sy as usize * source.side + sx as usize]
                } else {
                    T::default()
                });
            }
        }
        out
    }
}

fn bilinear(source: &Raster<u8>, [u, v]: [f32; 2]) -> [f32; 3] {
    let side = source.side as f32;
    if !(0.0..=1.0).contains(&u) || !(0.0..=1.0).contains(&v) {
        return [0.0; 3];
    }
    let [x, y] = [u, v].map(|p| (p * side - 0.5).clamp(0.0, side - 1.0));
    let (fx, fy) = (x.fract(), y.fract());
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(source.side - 1), (y0 + 1).min(source.side - 1));
    let at = |x: usize, y: usize, channel: usize| {
        f32::from(
            source.values
                [(y * source.side + x) * source.channels + channel.min(source.channels - 1)],
        )
    };
    let mut pixel = [0.0; 3];
    for (channel, value) in pixel.iter_mut().enumerate().take(source.channels) {
        let top = at(x0, y0, channel) * (1.0 - fx) + at(x1, y0, channel) * fx;
        let bottom = at(x0, y1, channel) * (1.0 - fx) + at(x1, y1, channel) * fx;
        *value = top * (1.0 - fy) + bottom * fy;
    }
    if source.channels == 1 {
        pixel = [pixel[0]; 3];
    }
    pixel
}

/// Changes brightness, contrast and gamma of an image in 0..1, in place.
pub fn change_levels(image: &mut [f32], rng: &mut impl Rng, config: &AugmentConfig) {
    let gain = 1.0 + rng.random_range(-config.contrast..=config.contrast);
    let offset = rng.random_range(-config.brightness..=config.brightness);
    let gamma = rng.random_range(-config.gamma..=config.gamma).exp();
    for value in image {
        *value = ((value.powf(gamma) - 0.5) * gain + 0.5 + offset).clamp(0.0, 1.0);
    }
}

/// A random point of the sample whose label is in `indices`, in source coordinates.
pub fn focus_point(sample: &Sample, indices: &[u8], rng: &mut impl Rng) -> Option<[f32; 2]> {
    let labels = &sample.labels;
    let hits: Vec<usize> = (0..labels.values.len())
        .filter(|&at| indices.contains(&labels.values[at]))
        .collect();
    let at = *hits.get(rng.random_range(0..hits.len().max(1)))?;
    Some([at % labels.side, at / labels.side].map(|p| (p as f32 + 0.5) / labels.side as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    fn config() -> AugmentConfig {
        AugmentConfig::default()
    }

    fn ramp(side: usize) -> Raster<u8> {
        let values = (0..side * side).map(|at| (at % 251) as u8).collect();
        Raster {
            side,
            channels: 1,
            values,
        }
    }

    #[test]
    fn the_whole_view_changes_nothing() {
        let source = ramp(16);
        let image = View::WHOLE.image(&source, 16);
        for (at, value) in image.iter().enumerate() {
            assert!((value * 255.0 - f32::from(source.values[at % 256])).abs() < 1e-3);
        }
        assert_eq!(View::WHOLE.map(&source, 16), source.values);
    }

    #[test]
    fn image_and_map_stay_on_top_of_each_other() {
        // The label map is the image itself, thresholded: after any view they must still agree but for the edge.
        let side = 64;
        let disc = |x: usize, y: usize| {
            let (dx, dy) = (x as f32 - 20.0, y as f32 - 30.0);
            dx * dx / 2.0 + dy * dy < 90.0
        };
        let values: Vec<u8> = (0..side * side)
            .map(|at| if disc(at % side, at / side) { 200 } else { 0 })
            .collect();
        let source = Raster {
            side,
            channels: 1,
            values,
        };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for symmetry in [Symmetry::None, Symmetry::Mirror, Symmetry::All] {
            for _ in 0..20 {
                let view = View::random(&mut rng, &config(), symmetry, Some([0.3, 0.5]));
                let image = view.image(&source, 48);
                let map = view.map(&source, 48);
                let wrong = (0..48 * 48)
                    .filter(|&at| (image[at] > 0.4) != (map[at] > 0))
                    .count();
                assert!(
                    wrong < 48 * 48 / 50,
                    "{wrong} cells disagree under {view:?}"
                );
            }
        }
    }

    #[test]
    fn laterality_is_never_mirrored() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let [a, b, c, d] = View::random(&mut rng, &config(), Symmetry::None, None).matrix;
            assert!(a * d - b * c > 0.0 && a > 0.0 && d > 0.0);
        }
        let mirrored = (0..200)
            .map(|_| View::random(&mut rng, &config(), Symmetry::Mirror, None).matrix)
            .filter(|[a, b, c, d]| a * d - b * c < 0.0)
            .count();
        assert!((60..140).contains(&mirrored));
    }
}
