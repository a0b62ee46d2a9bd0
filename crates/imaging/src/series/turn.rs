//! A volume turned to the patient: axes swapped and reversed, nothing interpolated, so that columns grow
//! to the left, rows to the back and slices to the head as nearly as its own axes allow. An axial slice
//! then looks as a DICOM viewer shows it, however a NIfTI file stores the volume.

use super::{Volume, Voxels};
use crate::geometry::{Affine, StoredAxis, add_scaled};

impl Volume {
    /// The volume with its axes nearest to left, back and head; as it is where its place is unknown.
    #[must_use]
    pub fn turned_to_patient(self) -> Self {
        let Some(affine) = self.affine else {
            return self;
        };
        let [x, y, z, origin] = affine.steps();
        let steps = [x, y, z];
        let axes = affine.axes_to_patient();
        let sizes = [self.columns, self.rows, self.slices];
        let strides = [1, self.columns, self.columns.saturating_mul(self.rows)];
        let of = |list: [usize; 3], axis: StoredAxis| list.get(axis.stored).copied().unwrap_or(1);
        let [columns, rows, slices] = axes.map(|axis| of(sizes, axis));
        let mut start = 0usize;
        let mut origin = origin;
        let mut turned = [[0.0; 3]; 3];
        let mut moves = [0isize; 3];
        for ((axis, step), shift) in axes.into_iter().zip(&mut turned).zip(&mut moves) {
            let stored = steps.get(axis.stored).copied().unwrap_or_default();
            let last = of(sizes, axis).saturating_sub(1);
            let stride = of(strides, axis);
            if axis.reversed {
                origin = add_scaled(origin, last as f64, stored);
                start = start.saturating_add(last.saturating_mul(stride));
                *step = stored.map(|part| -part);
                *shift = -(stride as isize);
            } else {
                *step = stored;
                *shift = stride as isize;
            }
        }
        let [by_column, by_row, by_slice] = moves;
        let volume = columns.saturating_mul(rows).saturating_mul(slices);
        // Of every voxel in the new order, its place in the old one.
        let places = (0..self.frames).flat_map(move |frame| {
            (0..slices).flat_map(move |slice| {
                (0..rows).flat_map(move |row| {
                    (0..columns).map(move |column| {
                        (start + frame * volume)
                            .wrapping_add_signed(by_slice * slice as isize)
                            .wrapping_add_signed(by_row * row as isize)
                            .wrapping_add_signed(by_column * column as isize)
                    })
                })
            })
        });
        let voxels = match &self.voxels {
            Voxels::I16(values) => {
                Voxels::I16(places.filter_map(|at| values.get(at).copied()).collect())
            }
            Voxels::F32(values) => {
                Voxels::F32(places.filter_map(|at| values.get(at).copied()).collect())
            }
            Voxels::Rgb(values) => Voxels::Rgb(
                places
                    .filter_map(|at| values.get(at.saturating_mul(3)..)?.first_chunk::<3>())
                    .flatten()
                    .copied()
                    .collect(),
            ),
        };
        let [x, y, z] = turned;
        let spacing = |axis: StoredAxis| self.spacing_mm.get(axis.stored).copied().flatten();
        let [_, _, third] = axes;
        let missing = if third.stored != 2 {
            // Missing slices are now rows or columns.
            Vec::new()
        } else if third.reversed {
            let last = slices.saturating_sub(1);
            let reversed = self.missing.iter().rev();
            reversed.map(|slice| last.saturating_sub(*slice)).collect()
        } else {
            self.missing.clone()
        };
        Self {
            columns,
            rows,
            slices,
            frames: self.frames,
            voxels,
            affine: Some(Affine::from_steps(x, y, z, origin)),
            spacing_mm: axes.map(spacing),
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A volume stored with axes superior, right, anterior: `[2, 3, 4]` voxels, numbered.
    #[test]
    fn every_voxel_keeps_its_point() {
        let affine = Affine::from_steps(
            [0.1, 0.0, 3.0],
            [-2.0, 0.2, 0.0],
            [0.0, -1.0, 0.1],
            [5.0, 6.0, 7.0],
        );
        let numbers: Vec<f32> = (0..24).map(|number| number as f32).collect();
        let stored = Volume {
            columns: 2,
            rows: 3,
            slices: 4,
            frames: 1,
            voxels: Voxels::F32(numbers),
            affine: Some(affine),
            spacing_mm: [Some(3.0), Some(2.0), Some(1.0)],
            missing: Vec::new(),
        };
        let turned = stored.turned_to_patient();
        assert_eq!((turned.columns, turned.rows, turned.slices), (3, 4, 2));
        assert_eq!(turned.spacing_mm, [Some(2.0), Some(1.0), Some(3.0)]);
        let [x, y, z, _] = turned.affine.unwrap().steps();
        assert!(x[0] > 0.0 && y[1] > 0.0 && z[2] > 0.0);
        let Voxels::F32(values) = &turned.voxels else {
            panic!("another type");
        };
        assert_eq!(values.len(), 24);
        for (at, value) in values.iter().enumerate() {
            let number = *value as usize;
            let old = [number % 2, number / 2 % 3, number / 6].map(|index| index as f64);
            let new = [at % 3, at / 3 % 4, at / 12].map(|index| index as f64);
            let (old, new) = (affine.apply(old), turned.affine.unwrap().apply(new));
            assert!(
                old.iter().zip(new).all(|(a, b)| (a - b).abs() < 1e-9),
                "{at}"
            );
        }
        let again = turned.clone().turned_to_patient();
        assert_eq!(again.voxels, turned.voxels);
    }
}
