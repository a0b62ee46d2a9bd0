//! NIfTI label maps on a series: every whole number but 0 is a segment. Voxels are matched by their places in
//! the patient, whatever the order of the axes; without places, by equal sizes.

use std::collections::BTreeMap;

use medsam3_imaging::series::Series;
use medsam3_imaging::{Affine, NiftiFile, Vector, add_scaled, dot};

use super::Imported;
use crate::document::{Place, Segment, Segmentation};
use crate::error::SegmentationError;
use crate::origin::Origin;
use crate::runs::{Run, Runs};

/// Part of a voxel by which grids may be moved against each other, of rounding.
const OFF_VOXEL: f64 = 0.1;

/// More labels than this are gray values.
const MAX_LABELS: usize = 1024;

/// Reads a label map onto a series. Its segments are called `name`, or `name N` where there are several
/// labels.
///
/// # Errors
///
/// [`SegmentationError::OtherSeries`] where its voxels are not those of the series,
/// [`SegmentationError::Unreadable`] for values that are no labels, and what is wrong with the file.
pub fn read_label_map(
    series: &Series,
    file: &NiftiFile,
    name: &str,
) -> Result<Imported, SegmentationError> {
    let [width, height, depth, volumes] = file.sizes();
    let other = |detail| SegmentationError::OtherSeries { detail };
    if volumes != 1 && volumes != series.frames() {
        return Err(other("it has another number of volumes"));
    }
    if volumes == 1 && series.frames() > 1 {
        return Err(other("it has one volume, and the series several"));
    }
    let mut document = Segmentation::new(series);
    let grid = document.grid();
    let map = match (file.affine(), series.affine()) {
        (Some(theirs), Some(ours)) => VoxelMap::between(&theirs, [width, height, depth], &ours)
            .ok_or_else(|| other("its voxels do not fall on the voxels of the series"))?,
        _ if [width, height, depth] == [grid.columns, grid.rows, grid.slices] => VoxelMap::IDENTITY,
        _ => return Err(other("it has another size")),
    };
    // Slices of the series by their index on its grid.
    let slices: BTreeMap<i64, usize> = (0..grid.slices)
        .map(|slice| {
            let place = series.places().get(slice);
            let index = place.and_then(|place| place.grid_index).unwrap_or(slice);
            (index as i64, slice)
        })
        .collect();
    let mut labels: BTreeMap<u32, BTreeMap<Place, Vec<u32>>> = BTreeMap::new();
    let mut left_out = 0;
    for frame in 0..volumes {
        for (index, &value) in file.values(frame)?.iter().enumerate() {
            if value == 0.0 {
                continue;
            }
            if value.fract() != 0.0 || !(0.0..=65535.0).contains(&value) {
                return Err(SegmentationError::Unreadable {
                    detail: "its values are no labels: they are not whole numbers from 0 to 65535",
                });
            }
            let at = [
                index % width,
                index / width % height,
                index / width / height,
            ];
            let [column, row, slice] = map.apply(at);
            let inside =
                |value: i64, size: usize| usize::try_from(value).ok().filter(|&v| v < size);
            let found = (|| {
                let column = inside(column, grid.columns)?;
                let row = inside(row, grid.rows)?;
                let slice = *slices.get(&slice)?;
                Some((Place { slice, frame }, (row * grid.columns + column) as u32))
            })();
            let Some((place, pixel)) = found else {
                left_out += 1;
                continue;
            };
            let pixels = labels.entry(value as u32).or_default();
            pixels.entry(place).or_default().push(pixel);
            if labels.len() > MAX_LABELS {
                return Err(SegmentationError::Unreadable {
                    detail: "it has more than a thousand values, which are no labels",
                });
            }
        }
    }
    if labels.is_empty() && left_out > 0 {
        return Err(other("none of its voxels lies on a slice of the series"));
    }
    let several = labels.len() > 1;
    for (label, masks) in labels {
        let name = if several {
            format!("{name} {label}")
        } else {
            name.to_owned()
        };
        let segment = document.add(Segment::new(name, Origin::of_person()));
        for (place, mut pixels) in masks {
            pixels.sort_unstable();
            let runs = Runs::of_sorted(pixels.into_iter().map(|start| Run {
                start,
                end: start + 1,
            }));
            document.set_runs(segment, place, runs)?;
        }
    }
    Ok(Imported {
        segmentation: document,
        left_out,
    })
}

/// How voxels of a grid lie on those of another: whole steps.
struct VoxelMap {
    start: [i64; 3],
    /// What a step along each axis adds.
    steps: [[i64; 3]; 3],
}

impl VoxelMap {
    const IDENTITY: Self = Self {
        start: [0; 3],
        steps: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    };

    fn between(from: &Affine, size: [usize; 3], to: &Affine) -> Option<Self> {
        let inverse = Inverse::of(to)?;
        let whole = |voxel: Vector| -> Option<[i64; 3]> {
            let near = |value: &f64| (value - value.round()).abs() <= OFF_VOXEL;
            voxel
                .iter()
                .all(near)
                .then(|| voxel.map(|value| value.round() as i64))
        };
        let start = whole(inverse.apply(from.apply([0.0; 3])))?;
        let mut steps = [[0; 3]; 3];
        for ((axis, step), side) in steps.iter_mut().enumerate().zip(size) {
            let count = side.saturating_sub(1).max(1) as f64;
            let mut end = [0.0; 3];
            if let Some(part) = end.get_mut(axis) {
                *part = count;
            }
            let end = whole(inverse.apply(from.apply(end)))?;
            for ((step, end), start) in step.iter_mut().zip(end).zip(start) {
                *step = ((end - start) as f64 / count).round() as i64;
            }
        }
        let [a, b, c] = steps;
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        (determinant.abs() == 1).then_some(Self { start, steps })
    }

    fn apply(&self, at: [usize; 3]) -> [i64; 3] {
        let mut voxel = self.start;
        for (count, step) in at.into_iter().zip(self.steps) {
            for (part, step) in voxel.iter_mut().zip(step) {
                *part += count as i64 * step;
            }
        }
        voxel
    }
}

/// The inverse of an affine.
struct Inverse {
    rows: [Vector; 3],
    origin: Vector,
}

impl Inverse {
    fn of(affine: &Affine) -> Option<Self> {
        let [a, b, c, origin] = affine.steps();
        let cross =
            |[p, q, r]: Vector, [x, y, z]: Vector| [q * z - r * y, r * x - p * z, p * y - q * x];
        let determinant = affine.determinant();
        let rows = [cross(b, c), cross(c, a), cross(a, b)];
        (determinant != 0.0 && determinant.is_finite()).then(|| Self {
            rows: rows.map(|row| row.map(|part| part / determinant)),
            origin,
        })
    }

    fn apply(&self, point: Vector) -> Vector {
        let step = add_scaled(point, -1.0, self.origin);
        self.rows.map(|row| dot(row, step))
    }
}
