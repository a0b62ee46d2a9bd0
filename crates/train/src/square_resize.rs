//! Random square resize with padding (reference 5.4; `RandomResizeAPI` and `PadToSizeAPI` of the reference's transforms): the
//! picture is resized to a square of a random side, whatever its aspect, and laid at a random place of the full side. What is
//! around it is black, -1 once normalised, and takes part in attention like the picture.

use std::borrow::Cow;

use rand::{Rng, RngExt as _};

use crate::augment::View;
use crate::config::SquareResize;
use medsam3_corpus::Raster;

/// Where a picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Side of the picture in pixels.
    pub side: usize,
    /// Pixels left of it and above it.
    pub at: [usize; 2],
    /// Pixels of the whole.
    pub full: usize,
}

impl Placement {
    /// Draws a side and a place on a square of `full` pixels.
    pub fn random(rng: &mut impl Rng, config: &SquareResize, full: usize) -> Self {
        let steps = (config.of - config.smallest) / config.step;
        let stated = config.smallest + config.step * rng.random_range(0..=steps);
        // Rounded to the nearest pixel of the run's side.
        let side = ((2 * stated * full + config.of) / (2 * config.of)).clamp(1, full);
        let at = [0, 1].map(|_| rng.random_range(0..=full - side));
        Self { side, at, full }
    }

    /// `view` of a picture at this place, black around it, whatever of the picture the view leaves out: `[3, full, full]` in
    /// 0..1.
    pub fn image(&self, view: View, picture: &Raster<u8>) -> Vec<f32> {
        let mut image = self.whole(view).image(&self.shrink(picture), self.full);
        self.pad(&mut image);
        image
    }

    /// Makes black what is around the picture, `[3, full, full]`.
    pub fn pad(&self, image: &mut [f32]) {
        for plane in image.chunks_exact_mut(self.full * self.full) {
            self.clear(plane, self.full);
        }
    }

    /// The same of an index map, 0 around it: `[cells, cells]`.
    pub fn map<T: Copy + Default>(&self, view: View, map: &Raster<T>, cells: usize) -> Vec<T> {
        let mut map = self.whole(view).map(map, cells);
        self.clear(&mut map, cells);
        map
    }

    /// Clears the cells of a square map whose middles are not on the picture.
    fn clear<T: Default>(&self, map: &mut [T], cells: usize) {
        let on = |cell: usize, at: usize| {
            let middle = (2 * cell + 1) * self.full;
            (2 * cells * at..2 * cells * (at + self.side)).contains(&middle)
        };
        for (index, value) in map.iter_mut().enumerate() {
            if !(on(index % cells, self.at[0]) && on(index / cells, self.at[1])) {
                *value = T::default();
            }
        }
    }

    /// `view` of the whole square: what it shows on the picture's place is what it showed on all of it.
    fn whole(&self, view: View) -> View {
        let (side, full) = (self.side as f32, self.full as f32);
        // The middle of the whole, seen from the middle of the picture.
        let [u, v] = self.at.map(|at| (full / 2.0 - at as f32) / side - 0.5);
        let [a, b, c, d] = view.matrix;
        View {
            centre: [
                view.centre[0] + a * u + b * v,
                view.centre[1] + c * u + d * v,
            ],
            matrix: view.matrix.map(|m| m * full / side),
        }
    }

    /// The picture as small as it is shown, smoothed as the reference's resize does (a triangle as wide as a target pixel).
    fn shrink<'a>(&self, picture: &'a Raster<u8>) -> Cow<'a, Raster<u8>> {
        let side = (picture.side * self.side).div_ceil(self.full);
        if side >= picture.side {
            return Cow::Borrowed(picture);
        }
        Cow::Owned(picture.resized(side))
    }
}

#[cfg(test)]
mod tests;
