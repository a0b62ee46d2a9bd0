//! Where a slice lies, whatever its file says it in, and which side of the patient a direction leads to, in the letters
//! of Patient Orientation (0020,0020; PS3.3 C.7.6.1.1.1).

use super::Series;
use crate::geometry::{Orientation, Vector, unit};

/// Cosines below this are what rounding makes of a right angle.
const LEAST_COSINE: f64 = 1e-4;

/// Where a slice lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane {
    /// Centre of the first voxel in mm.
    pub position: Vector,
    /// Directions of rows and columns.
    pub orientation: Orientation,
    /// Whether both are in the patient's axes, and not in those of a probe.
    pub in_patient: bool,
}

impl Series {
    /// The plane of a picture: of DICOM its file's, of NIfTI that of the affine. `None` where its place is unknown.
    pub fn plane(&self, slice: usize, frame: usize) -> Option<Plane> {
        let info = self.picture_info(slice, frame)?;
        if let (Some(position), Some(orientation)) = (info.position, info.orientation) {
            return Some(Plane {
                position,
                orientation,
                in_patient: info.in_patient,
            });
        }
        if self.format() != "NIfTI" {
            return None;
        }
        let affine = self.affine()?;
        let [column, row, ..] = affine.steps();
        Some(Plane {
            position: affine.apply([0.0, 0.0, slice as f64]),
            // Along a row the column index grows.
            orientation: Orientation {
                row: unit(column)?,
                column: unit(row)?,
            },
            in_patient: true,
        })
    }
}

/// The letters of a direction in the patient, the nearest axis first: `"L"`, and `"LPH"` for one between three.
pub fn direction_letters(direction: Vector) -> String {
    let mut axes: Vec<(f64, char)> = direction
        .into_iter()
        .zip([('L', 'R'), ('P', 'A'), ('H', 'F')])
        .map(|(part, (toward, away))| (part.abs(), if part < 0.0 { away } else { toward }))
        .filter(|(size, _)| *size > LEAST_COSINE)
        .collect();
    axes.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    axes.into_iter().map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::direction_letters;

    #[test]
    fn letters_are_those_of_the_standard() {
        // PS3.3 C.7.6.1.1.1: L is +x, P is +y, H is +z.
        assert_eq!(direction_letters([1.0, 0.0, 0.0]), "L");
        assert_eq!(direction_letters([-1.0, 0.0, 1e-6]), "R");
        assert_eq!(direction_letters([0.0, -1.0, 0.0]), "A");
        assert_eq!(direction_letters([0.0, 0.2, -0.979_8]), "FP");
        assert_eq!(direction_letters([0.5, 0.6, 0.624_5]), "HPL");
        assert_eq!(direction_letters([0.0; 3]), "");
    }
}
