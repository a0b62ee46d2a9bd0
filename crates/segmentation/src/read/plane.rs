//! Pictures as planes in the patient, and how the pixels of one lie on those of another.

use std::collections::HashMap;

use medsam3_imaging::series::Series;
use medsam3_imaging::{Orientation, Vector, add_scaled, cross, dot};

use crate::document::Place;
use crate::runs::{Run, Runs};

/// Part of a pixel by which grids may be moved against each other, of rounding.
const OFF_PIXEL: f64 = 0.1;

/// Part of the distance of slices within which a plane is that of a slice.
const OFF_SLICE: f64 = 0.25;

/// A picture in the patient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane {
    /// Centre of the first pixel in mm.
    pub(super) origin: Vector,
    pub(super) orientation: Orientation,
    /// Between columns, between rows.
    pub(super) spacing: [f64; 2],
}

impl Plane {
    /// Column and row of a point (whole at pixel centres), and its distance from the plane in mm.
    pub(super) fn of_point(&self, point: Vector) -> [f64; 3] {
        let step = add_scaled(point, -1.0, self.origin);
        let [across, down] = self.spacing;
        let Orientation { row, column } = self.orientation;
        [
            dot(step, row) / across,
            dot(step, column) / down,
            dot(step, cross(row, column)),
        ]
    }

    fn point(&self, [column, row]: [f64; 2]) -> Vector {
        let [across, down] = self.spacing;
        let along = self.orientation.row.map(|part| part * column * across);
        let below = self.orientation.column.map(|part| part * row * down);
        let [[x, y, z], [a, b, c], [d, e, f]] = [self.origin, along, below];
        [x + a + d, y + b + e, z + c + f]
    }
}

/// The pictures of a series by identity and by place.
pub(super) struct Pictures<'a> {
    pub(super) series: &'a Series,
    /// Of each slice; empty where the series has no places in the patient.
    planes: Vec<Plane>,
    /// Of each SOP Instance UID the pictures of the file: frame in the file, from 0, and place. The tiles of a
    /// mosaic are of one frame.
    by_instance: HashMap<&'a str, Vec<(usize, Place)>>,
    tolerance_mm: f64,
}

impl<'a> Pictures<'a> {
    pub(super) fn of(series: &'a Series) -> Self {
        let mut planes = Vec::new();
        let mut by_instance: HashMap<&str, Vec<(usize, Place)>> = HashMap::new();
        let spacing = match series.spacing_mm() {
            Some([Some(column), Some(row), _]) => Some([column, row]),
            _ => None,
        };
        for slice in 0..series.slices() {
            for frame in 0..series.frames() {
                let Some(picture) = series.picture_info(slice, frame) else {
                    continue;
                };
                if !picture.sop_instance.is_empty() {
                    let of_file = by_instance.entry(picture.sop_instance).or_default();
                    of_file.push((picture.frame, Place { slice, frame }));
                }
                let placed = picture.position.zip(picture.orientation).zip(spacing);
                if let Some(((origin, orientation), spacing)) = placed
                    && frame == 0
                    && picture.in_patient
                {
                    planes.push(Plane {
                        origin,
                        orientation,
                        spacing,
                    });
                }
            }
        }
        if planes.len() != series.slices() {
            planes.clear();
        }
        let step = series.spacing_mm().and_then(|[.., slice]| slice);
        Self {
            series,
            planes,
            by_instance,
            tolerance_mm: step.map_or(0.5, |step| step * OFF_SLICE),
        }
    }

    /// Whether the series has a picture of this identity.
    pub(super) fn knows(&self, sop_instance: &str) -> bool {
        self.by_instance.contains_key(sop_instance)
    }

    /// The pictures of an instance: of one of its frames, or of all.
    pub(super) fn find(
        &self,
        sop_instance: &str,
        frame: Option<usize>,
    ) -> impl Iterator<Item = Place> {
        let of_file = self.by_instance.get(sop_instance).into_iter().flatten();
        of_file.filter_map(move |&(number, place)| {
            frame.is_none_or(|wanted| wanted == number).then_some(place)
        })
    }

    pub(super) fn plane(&self, slice: usize) -> Option<&Plane> {
        self.planes.get(slice)
    }

    /// The slice that all of some points lie on: the nearest one to the first.
    pub(super) fn slice_of(&self, points: &[Vector]) -> Option<usize> {
        let first = *points.first()?;
        let (slice, plane) = self.planes.iter().enumerate().min_by(|(_, a), (_, b)| {
            let distance = |plane: &Plane| plane.of_point(first)[2].abs();
            distance(a).total_cmp(&distance(b))
        })?;
        let near = |point: &Vector| plane.of_point(*point)[2].abs() <= self.tolerance_mm;
        points.iter().all(near).then_some(slice)
    }
}

/// How the pixels of a picture lie on those of another: whole steps, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelMap {
    /// Where the first pixel lies: column, row.
    start: [i64; 2],
    /// What a step to the next column adds to column and row.
    across: [i64; 2],
    /// What a step to the next row adds.
    down: [i64; 2],
}

impl PixelMap {
    /// From `from`, with `[columns, rows]`, to `to`; `None` where pixels do not fall on pixels.
    pub(super) fn between(from: &Plane, size: [usize; 2], to: &Plane) -> Option<Self> {
        let at = |column: f64, row: f64| {
            let [u, v, _] = to.of_point(from.point([column, row]));
            [u, v]
        };
        let [width, height] = size.map(|side| side.saturating_sub(1).max(1) as f64);
        let (start, right, below) = (at(0.0, 0.0), at(width, 0.0), at(0.0, height));
        let whole = |value: f64| {
            let round = value.round();
            ((value - round).abs() <= OFF_PIXEL).then_some(round as i64)
        };
        let step = |from: [f64; 2], to: [f64; 2], count: f64| {
            let steps = [(to[0] - from[0]) / count, (to[1] - from[1]) / count];
            // The far end, too, falls on a pixel.
            whole(to[0])?;
            whole(to[1])?;
            Some([steps[0].round() as i64, steps[1].round() as i64])
        };
        let map = Self {
            start: [whole(start[0])?, whole(start[1])?],
            across: step(start, right, width)?,
            down: step(start, below, height)?,
        };
        let determinant = map.across[0] * map.down[1] - map.across[1] * map.down[0];
        (determinant.abs() == 1).then_some(map)
    }

    /// Whether pixels keep their column and row.
    fn is_identity(&self) -> bool {
        (self.start, self.across, self.down) == ([0, 0], [1, 0], [0, 1])
    }

    /// A mask on pictures `width` wide, on pictures of `to` columns and rows; what falls outside is cut off.
    pub(super) fn apply(&self, runs: &Runs, width: usize, to: [usize; 2]) -> Runs {
        let [columns, rows] = to;
        if self.is_identity() && width == columns {
            return runs.clone();
        }
        let mut pixels: Vec<u32> = runs
            .pixels()
            .filter_map(|pixel| {
                let (x, y) = ((pixel % width) as i64, (pixel / width) as i64);
                let column = self.start[0] + x * self.across[0] + y * self.down[0];
                let row = self.start[1] + x * self.across[1] + y * self.down[1];
                let (column, row) = (usize::try_from(column).ok()?, usize::try_from(row).ok()?);
                (column < columns && row < rows).then_some((row * columns + column) as u32)
            })
            .collect();
        pixels.sort_unstable();
        Runs::of_sorted(pixels.into_iter().map(|start| Run {
            start,
            end: start + 1,
        }))
    }
}
