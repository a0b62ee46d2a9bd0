//! NIfTI volumes with label volumes on the same grid, cut into slices that are turned as a person reads them, whatever the order
//! of the axes in the file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::canvas::Canvas;
use super::error::ImportError;
use super::manifest::{Manifest, Nifti, Plane};
use super::masked::{Asked, Masked};
use super::masks;
use super::nifti_file::{self, Volume};
use super::notes::{Kind, Notes};
use super::unit::{Drawn, Image, Reader};
use super::window;
use crate::error::CorpusError;

/// What is shown black and white in a volume without a window, in percent of its values.
const PERCENTILES: [f32; 2] = [0.5, 99.5];

/// The volumes of a source folder.
pub(super) struct NiftiReader<'a> {
    manifest: &'a Manifest,
    volumes: Masked<'a>,
    plane: Plane,
}

impl<'a> NiftiReader<'a> {
    /// Finds the volumes.
    ///
    /// # Errors
    /// A pattern that nothing fits.
    pub(super) fn new(
        manifest: &'a Manifest,
        layout: &'a Nifti,
        from: &Path,
        files: BTreeSet<String>,
    ) -> Result<Self, ImportError> {
        Ok(Self {
            manifest,
            volumes: Masked::new(manifest, layout.files(), from, files)?,
            plane: layout.plane,
        })
    }

    fn label_volume(
        &self,
        name: &str,
        image: &Volume,
        image_path: &Path,
    ) -> Result<(PathBuf, Vec<u16>), CorpusError> {
        let path = self.volumes.path(name);
        let volume = nifti_file::read(&path)?;
        let bad = |reason: String| ImportError::Source {
            path: path.clone(),
            reason,
        };
        if volume.count > 1 {
            return Err(bad(format!(
                "it has {} volumes (more than three axes), a label volume has one",
                volume.count
            ))
            .into());
        }
        if volume.dim != image.dim {
            return Err(bad(format!(
                "it has {:?} voxels, {} has {:?}",
                volume.dim,
                image_path.display(),
                image.dim
            ))
            .into());
        }
        if self.plane != Plane::Stored && !volume.affine.is_same_grid(&image.affine, image.dim) {
            return Err(bad(format!(
                "its voxels lie elsewhere than those of {}",
                image_path.display()
            ))
            .into());
        }
        let whole = |value: f32| {
            let rounded = value.round();
            let fits = (value - rounded).abs() < 1e-3 && (0.0..=65535.0).contains(&rounded);
            fits.then_some(rounded as u16)
        };
        let values = volume.values.iter().map(|value| {
            whole(*value)
                .ok_or_else(|| bad(format!("the value {value} is no label from 0 to 65535")))
        });
        let values = values.collect::<Result<Vec<u16>, _>>()?;
        Ok((path, values))
    }
}

impl Reader for NiftiReader<'_> {
    fn units(&self) -> usize {
        self.volumes.found.len()
    }

    fn volumes(&self) -> bool {
        true
    }

    fn objects(&self) -> bool {
        self.volumes.rules.objects()
    }

    fn read(&self, unit: usize) -> Result<Vec<Drawn>, CorpusError> {
        let Some(found) = self.volumes.found.get(unit) else {
            return Ok(Vec::new());
        };
        let path = self.volumes.path(&found.path);
        let Some(Asked { masks, unlabelled }) = self.volumes.masks_of(found)? else {
            return Ok(Vec::new());
        };
        let volume = nifti_file::read(&path)?;
        let mut labels = Vec::new();
        for (rule, name) in masks {
            labels.push((rule, self.label_volume(&name, &volume, &path)?));
        }
        let scale = window::scale(&self.manifest.images, &volume.values, Some(PERCENTILES));
        let mut notes = Notes::default();
        if volume.count > 1 {
            notes.add(Kind::FirstVolume, &found.path);
        }
        for (rule, (file, values)) in &labels {
            if masks::is_below_threshold(rule, values, masks::Scale::VOLUME) {
                notes.add(Kind::BelowThreshold, &file.display().to_string());
            }
        }
        let cut = Cut::new(&volume, self.plane);
        let mut drawn = Vec::with_capacity(cut.slices);
        for slice in 0..cut.slices {
            let mut canvas = Canvas::new(cut.width, cut.height);
            for (rule, (file, values)) in &labels {
                masks::numbers(
                    file,
                    &self.volumes.rules,
                    rule,
                    &cut.take(values, slice),
                    masks::Scale::VOLUME,
                    &mut canvas,
                )?;
            }
            let shown = scale.apply(&cut.take(&volume.values, slice));
            drawn.push(Drawn {
                id: format!("{}-{slice:04}", found.id),
                subject: found.subject.clone(),
                groups: found.groups.clone(),
                path: path.clone(),
                image: Image::gray(cut.width, cut.height, shown),
                canvas,
                unlabelled: unlabelled.clone(),
                notes: if slice == 0 {
                    notes.clone()
                } else {
                    Notes::default()
                },
            });
        }
        Ok(drawn)
    }
}

/// How the voxels of a volume become the pixels of its slices.
struct Cut {
    width: usize,
    height: usize,
    slices: usize,
    /// Where the first pixel of the first slice lies, and the steps to the next column, row and slice.
    first: isize,
    steps: [isize; 3],
}

impl Cut {
    fn new(volume: &Volume, plane: Plane) -> Self {
        let dim = volume.dim;
        let strides = [1, dim[0] as isize, (dim[0] * dim[1]) as isize];
        // Column, row and slice as a stored axis, and whether it is walked from its end.
        let axes: [(usize, bool); 3] = match plane {
            Plane::Stored => [(0, false), (1, false), (2, false)],
            _ => {
                // Pixels go from the patient's right to the left, from front to back, from head to feet; slices grow to the
                // right, to the front or to the head.
                let [left, back, head] = volume
                    .affine
                    .axes_to_patient()
                    .map(|axis| (axis.stored, axis.reversed));
                let against = |(axis, reversed): (usize, bool)| (axis, !reversed);
                match plane {
                    Plane::Coronal => [left, against(head), against(back)],
                    Plane::Sagittal => [back, against(head), against(left)],
                    _ => [left, back, head],
                }
            }
        };
        let mut first = 0;
        let steps = axes.map(|(axis, from_end)| {
            if from_end {
                first += strides[axis] * (dim[axis] as isize - 1);
                -strides[axis]
            } else {
                strides[axis]
            }
        });
        let [width, height, slices] = axes.map(|(axis, _)| dim[axis]);
        Self {
            width,
            height,
            slices,
            first,
            steps,
        }
    }

    /// The pixels of a slice, `[height, width]`.
    fn take<T: Copy>(&self, values: &[T], slice: usize) -> Vec<T> {
        let [column, row, step] = self.steps;
        let start = self.first + step * slice as isize;
        let rows = (0..self.height as isize).map(|y| start + row * y);
        rows.flat_map(|row| (0..self.width as isize).map(move |x| row + column * x))
            .filter_map(|place| values.get(usize::try_from(place).ok()?).copied())
            .collect()
    }
}
