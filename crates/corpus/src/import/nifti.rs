//! NIfTI volumes with label volumes on the same grid, cut into slices that are turned as a person reads them, whatever the order
//! of the axes in the file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::canvas::{Canvas, LabelSet};
use super::error::ImportError;
use super::files::{self, Found};
use super::manifest::{Manifest, MaskRule, Nifti, Plane};
use super::masks::{self, Rules};
use super::nifti_file::{self, Volume};
use super::notes::{Kind, Notes};
use super::unit::{Drawn, Image, Reader, join};
use super::window::{Scale, apply};
use crate::error::CorpusError;

/// What is shown black and white in a volume without a window, in percent of its values.
const PERCENTILES: [f32; 2] = [0.5, 99.5];

/// The volumes of a source folder.
pub(super) struct NiftiReader<'a> {
    manifest: &'a Manifest,
    plane: Plane,
    from: PathBuf,
    files: BTreeSet<String>,
    rules: Rules<'a>,
    volumes: Vec<Found>,
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
        let volumes = files::images(
            from,
            &files,
            layout.images.list(),
            &layout.exclude,
            layout.id.as_deref(),
            layout.subject.as_deref(),
        )?;
        Ok(Self {
            manifest,
            plane: layout.plane,
            from: from.to_owned(),
            rules: Rules::new(manifest, &layout.masks),
            files,
            volumes,
        })
    }

    fn label_volume(
        &self,
        name: &str,
        image: &Volume,
        image_path: &Path,
    ) -> Result<(PathBuf, Vec<u16>), CorpusError> {
        let path = join(&self.from, name);
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
        if self.plane != Plane::Stored && !same_place(&volume, image) {
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
        self.volumes.len()
    }

    fn volumes(&self) -> bool {
        true
    }

    fn objects(&self) -> bool {
        self.rules.objects()
    }

    fn read(&self, unit: usize) -> Result<Vec<Drawn>, CorpusError> {
        let Some(found) = self.volumes.get(unit) else {
            return Ok(Vec::new());
        };
        let path = join(&self.from, &found.path);
        let mut unlabelled = LabelSet::new();
        let mut jobs: Vec<(&MaskRule, Vec<String>)> = Vec::new();
        for rule in self.rules.list() {
            match files::masks_of(&self.from, &self.files, rule, &found.groups, &path)? {
                files::Masks::Files(names) => jobs.push((rule, names)),
                files::Masks::Background => {}
                files::Masks::Unlabelled => unlabelled.extend(self.rules.labels_of(rule)),
                files::Masks::Skip => return Ok(Vec::new()),
            }
        }
        let volume = nifti_file::read(&path)?;
        let mut labels = Vec::new();
        for (rule, names) in jobs {
            for name in names {
                labels.push((rule, self.label_volume(&name, &volume, &path)?));
            }
        }
        let scale = Scale::of(&self.manifest.images, &volume.values, Some(PERCENTILES));
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
                    &self.rules,
                    rule,
                    &cut.take(values, slice),
                    masks::Scale::VOLUME,
                    &mut canvas,
                )?;
            }
            let shown = apply(scale, &cut.take(&volume.values, slice));
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

/// Whether the corners of two grids of one size are within a tenth of a voxel.
fn same_place(one: &Volume, other: &Volume) -> bool {
    let far = |grid: &Volume, corner: usize, row: usize| -> f64 {
        let along = |axis: usize| {
            if corner >> axis & 1 == 1 {
                grid.dim[axis] as f64 - 1.0
            } else {
                0.0
            }
        };
        let step = grid.affine[row];
        step[0] * along(0) + step[1] * along(1) + step[2] * along(2) + step[3]
    };
    let length = |axis: usize| {
        (0..3)
            .map(|row| other.affine[row][axis].powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let voxel = (0..3).map(length).fold(f64::INFINITY, f64::min);
    (0..8).all(|corner| {
        (0..3).all(|row| (far(one, corner, row) - far(other, corner, row)).abs() <= 0.1 * voxel)
    })
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
                let [right, front, head] = orientation(&volume.affine);
                // Pixels go from the patient's right to the left, from front to back, from head to feet; slices grow with the world.
                let down = |(axis, grows): (usize, bool)| (axis, grows);
                let up = |(axis, grows): (usize, bool)| (axis, !grows);
                match plane {
                    Plane::Coronal => [down(right), down(head), up(front)],
                    Plane::Sagittal => [down(front), down(head), up(right)],
                    _ => [down(right), down(front), up(head)],
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

/// For right, anterior and superior the stored axis nearest to it, and whether it grows that way.
fn orientation(affine: &[[f64; 4]; 3]) -> [(usize, bool); 3] {
    let length = |axis: usize| {
        affine
            .iter()
            .map(|row| row[axis].powi(2))
            .sum::<f64>()
            .sqrt()
            .max(f64::MIN_POSITIVE)
    };
    let cosine = |world: usize, axis: usize| affine[world][axis] / length(axis);
    let mut found = [(0, true), (1, true), (2, true)];
    let (mut worlds, mut axes) = (vec![0, 1, 2], vec![0, 1, 2]);
    while !worlds.is_empty() {
        let pairs = worlds
            .iter()
            .flat_map(|world| axes.iter().map(move |axis| (*world, *axis)));
        let nearest =
            pairs.max_by(|a, b| cosine(a.0, a.1).abs().total_cmp(&cosine(b.0, b.1).abs()));
        let Some((world, axis)) = nearest else { break };
        found[world] = (axis, cosine(world, axis) >= 0.0);
        worlds.retain(|other| *other != world);
        axes.retain(|other| *other != axis);
    }
    found
}
