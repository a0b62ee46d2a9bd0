//! Where voxels lie: vectors in mm and the affine from voxel indices (column, row, slice) to the patient.
//! The patient's axes are those of DICOM (PS3.3 C.7.6.2.1.1): x grows to the left, y to the back, z to the
//! head (LPS). NIfTI's axes (RAS) differ in the sign of x and y alone.

use serde::{Deserialize, Serialize};

/// A point or direction.
pub type Vector = [f64; 3];

/// Inner product.
pub fn dot(a: Vector, b: Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Cross product.
pub fn cross([a, b, c]: Vector, [x, y, z]: Vector) -> Vector {
    [b * z - c * y, c * x - a * z, a * y - b * x]
}

/// `a + factor * b`.
pub fn add_scaled([a, b, c]: Vector, factor: f64, [x, y, z]: Vector) -> Vector {
    [a + factor * x, b + factor * y, c + factor * z]
}

/// Euclidean length.
pub(crate) fn length(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

/// The direction of a vector, `None` for one without.
pub(crate) fn unit(a: Vector) -> Option<Vector> {
    let length = length(a);
    (length.is_finite() && length > 1e-12).then(|| a.map(|part| part / length))
}

/// How a picture lies in the patient: its two directions, of length 1 and at right angles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orientation {
    /// Along a row: in which direction the column index grows.
    pub row: Vector,
    /// Along a column: in which direction the row index grows.
    pub column: Vector,
}

impl Orientation {
    /// The six numbers of Image Orientation (Patient), `None` where they are no two directions at right
    /// angles. Rounded cosines are made whole again.
    pub(crate) fn from_cosines(cosines: &[f64]) -> Option<Self> {
        let &[a, b, c, x, y, z] = cosines else {
            return None;
        };
        let (row, column) = (unit([a, b, c])?, unit([x, y, z])?);
        // Rounding to three digits stays below this.
        (dot(row, column).abs() < 0.01).then_some(Self { row, column })
    }

    /// The direction in which slices are counted.
    pub(crate) fn normal(self) -> Vector {
        let normal = cross(self.row, self.column);
        unit(normal).unwrap_or(normal)
    }

    /// Whether both directions are the same but for rounding.
    pub fn is_close_to(self, other: Self) -> bool {
        let near = |a: Vector, b: Vector| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        near(self.row, other.row) && near(self.column, other.column)
    }
}

/// Which axis of a stored volume becomes an axis of the patient, and whether it is counted from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredAxis {
    /// 0, 1 or 2: columns, rows, slices.
    pub stored: usize,
    /// Whether it runs against the patient's axis.
    pub reversed: bool,
}

/// All ways in which three axes follow one another.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// An affine map from voxel indices (column, row, slice), at voxel centres, to mm: four rows of four
/// numbers, the last row `0 0 0 1`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Affine(pub [[f64; 4]; 4]);

impl Affine {
    /// The map whose columns are the steps between neighbouring columns, rows and slices, and the origin.
    pub fn from_steps(column: Vector, row: Vector, slice: Vector, origin: Vector) -> Self {
        let [[a, b, c], [d, e, f], [g, h, i], [x, y, z]] = [column, row, slice, origin];
        Self([
            [a, d, g, x],
            [b, e, h, y],
            [c, f, i, z],
            [0.0, 0.0, 0.0, 1.0],
        ])
    }

    /// The step between neighbouring columns, rows and slices, and the centre of the first voxel, in mm.
    pub fn steps(&self) -> [Vector; 4] {
        let [[a, d, g, x], [b, e, h, y], [c, f, i, z], _] = self.0;
        [[a, b, c], [d, e, f], [g, h, i], [x, y, z]]
    }

    /// The point of a voxel, in mm.
    pub fn apply(&self, [column, row, slice]: Vector) -> Vector {
        let [columns, rows, slices, origin] = self.steps();
        let point = add_scaled(origin, column, columns);
        add_scaled(add_scaled(point, row, rows), slice, slices)
    }

    /// Distances of neighbouring columns, rows and slices: the lengths of the steps.
    pub fn spacing_mm(&self) -> Vector {
        let [column, row, slice, _] = self.steps();
        [length(column), length(row), length(slice)]
    }

    /// The stored axes that run nearest to the patient's left, back and head.
    pub fn axes_to_patient(&self) -> [StoredAxis; 3] {
        let [x, y, z, _] = self.steps();
        let steps = [x, y, z];
        let spacing = self.spacing_mm();
        let part = |order: [usize; 3], axis: usize| -> f64 {
            let stored = order.get(axis).copied().unwrap_or_default();
            let step = steps.get(stored).and_then(|step| step.get(axis));
            let length = spacing.get(stored).copied().unwrap_or(1.0);
            step.copied().unwrap_or_default() / length.max(1e-12)
        };
        let sum = |order: [usize; 3]| -> f64 { (0..3).map(|axis| part(order, axis).abs()).sum() };
        // The first of equals, so that a volume at 45 degrees keeps its axes.
        let best = ORDERS.into_iter().fold([0, 1, 2], |best, order| {
            if sum(order) > sum(best) + 1e-9 {
                order
            } else {
                best
            }
        });
        let mut axes = best.map(|stored| StoredAxis {
            stored,
            reversed: false,
        });
        for (axis, turned) in axes.iter_mut().enumerate() {
            turned.reversed = part(best, axis) < 0.0;
        }
        axes
    }

    /// Whether the voxels of two grids of `sizes` lie at the same places: their corners within a tenth of a voxel.
    pub fn is_same_grid(&self, other: &Self, sizes: [usize; 3]) -> bool {
        let smallest = other.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
        (0..8).all(|corner| {
            let mut index = sizes.map(|size| size.saturating_sub(1) as f64);
            for (axis, place) in index.iter_mut().enumerate() {
                if corner >> axis & 1 == 0 {
                    *place = 0.0;
                }
            }
            let (here, there) = (self.apply(index), other.apply(index));
            here.iter()
                .zip(there)
                .all(|(a, b)| (a - b).abs() <= 0.1 * smallest)
        })
    }

    /// Negative where the axes are mirrored.
    pub fn determinant(&self) -> f64 {
        let [column, row, slice, _] = self.steps();
        dot(cross(column, row), slice)
    }

    /// From patient axes LPS to RAS, or back.
    #[must_use]
    pub fn lps_to_ras(&self) -> Self {
        let [x, y, z, w] = self.0;
        // Zero keeps its sign, so that `-0` is never printed.
        let negative = |row: [f64; 4]| row.map(|value| if value == 0.0 { 0.0 } else { -value });
        Self([negative(x), negative(y), z, w])
    }

    /// Whether the three steps are at right angles, which a rotation with spacings can say.
    pub fn is_orthogonal(&self) -> bool {
        let [column, row, slice, _] = self.steps();
        let cosine = |a, b| match (unit(a), unit(b)) {
            (Some(a), Some(b)) => dot(a, b).abs(),
            _ => 1.0,
        };
        [
            cosine(column, row),
            cosine(row, slice),
            cosine(column, slice),
        ]
        .into_iter()
        .all(|cosine| cosine < 1e-4)
    }

    /// Whether every number is finite and no axis is without extent.
    pub fn is_regular(&self) -> bool {
        let finite = self.0.iter().flatten().all(|value| value.is_finite());
        let [column, row, slice] = self.spacing_mm();
        finite
            && self.determinant().abs() > 1e-9 * column * row * slice
            && column * row * slice > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_of_an_axial_picture_points_to_the_head() {
        let axial = Orientation::from_cosines(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).unwrap();
        assert_eq!(axial.normal(), [0.0, 0.0, 1.0]);
        assert!(Orientation::from_cosines(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).is_none());
        assert!(Orientation::from_cosines(&[0.0; 6]).is_none());
        assert!(Orientation::from_cosines(&[f64::NAN; 6]).is_none());
    }

    #[test]
    fn an_affine_takes_indices_to_points_and_changes_axes() {
        let affine = Affine::from_steps(
            [2.0, 0.0, 0.0],
            [0.0, 3.0, 0.0],
            [0.0, 1.0, 5.0],
            [-10.0, 20.0, 30.0],
        );
        assert_eq!(affine.apply([1.0, 2.0, 3.0]), [-8.0, 29.0, 45.0]);
        assert_eq!(affine.spacing_mm()[1], 3.0);
        assert_eq!(affine.determinant(), 30.0);
        assert!(!affine.is_orthogonal() && affine.is_regular());
        assert_eq!(
            affine.lps_to_ras().apply([1.0, 2.0, 3.0]),
            [8.0, -29.0, 45.0]
        );
        assert_eq!(affine.lps_to_ras().lps_to_ras(), affine);
    }
}
