//! A series as one array of modality values (HU for CT), `[frame, slice, row, column]`, with its affine.
//! Only what is a volume becomes one: a sheared or irregular series is refused with the reason. Where
//! slices are missing, their places are filled with the smallest value and named.

use super::{Kind, Pixels, Place, Problem, Series};
use crate::geometry::Affine;
use crate::nifti::Slice;
use crate::{ImagingError, PictureKind};

/// Most bytes of one volume.
const MAX_BYTES: u64 = if cfg!(target_arch = "wasm32") {
    1 << 30
} else {
    1 << 34
};

/// Slices of the grid per slice that is there, beyond which a series is too sparse to be a volume.
const MAX_SPARSENESS: usize = 3;

/// The values of a volume.
#[derive(Debug, Clone, PartialEq)]
pub enum Voxels {
    /// All values are integers of 16 bits.
    I16(Vec<i16>),
    /// Values of any size.
    F32(Vec<f32>),
    /// Red, green, blue.
    Rgb(Vec<u8>),
}

/// A volume: `index = ((frame * slices + slice) * rows + row) * columns + column`.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Of a slice.
    pub columns: usize,
    /// Of a slice.
    pub rows: usize,
    /// On the grid of the affine, missing ones counted.
    pub slices: usize,
    /// Pictures per slice.
    pub frames: usize,
    /// The values.
    pub voxels: Voxels,
    /// Voxel (column, row, slice) to patient LPS in mm.
    pub affine: Option<Affine>,
    /// Between columns, rows, slices, in mm.
    pub spacing_mm: [Option<f64>; 3],
    /// Slices that no picture was there for; they hold the smallest value.
    pub missing: Vec<usize>,
}

impl Series {
    /// Reads all pictures into one volume.
    ///
    /// # Errors
    ///
    /// [`ImagingError::NoVolume`] for a tilted series and for one that makes no regular grid,
    /// [`ImagingError::TooLarge`], and whatever reading and decoding gives.
    pub fn volume(&self) -> Result<Volume, ImagingError> {
        self.check_volume()?;
        let grid: Vec<usize> = (0..self.slices)
            .map(|slice| {
                let place = self.places.get(slice);
                place.and_then(|place| place.grid_index).unwrap_or(slice)
            })
            .collect();
        let slices = grid.last().map_or(1, |last| last + 1);
        if slices > self.slices.saturating_mul(MAX_SPARSENESS) {
            return Err(ImagingError::NoVolume {
                detail: "most of its slices are missing",
            });
        }
        let pixels = self.rows.saturating_mul(self.columns);
        let count = [pixels, slices, self.frames]
            .iter()
            .fold(1u64, |product, &size| product.saturating_mul(size as u64));
        if count.saturating_mul(4) > MAX_BYTES {
            return Err(ImagingError::TooLarge {
                what: "the volume in bytes",
                needed: count.saturating_mul(4),
                limit: MAX_BYTES,
            });
        }
        let mut builder = Builder {
            pixels,
            count: count as usize,
            voxels: None,
            smallest: f32::INFINITY,
        };
        let target = |slice: usize, frame: usize| {
            let slice = grid.get(slice).copied().unwrap_or(slice);
            frame.saturating_mul(slices).saturating_add(slice)
        };
        match &self.pixels {
            Pixels::Files { .. } => {
                let mut reader = self.reader();
                for Place { slice, frame } in self.reading_order() {
                    let target = target(slice, frame);
                    let (picture, frame) = reader.picture(slice, frame)?;
                    match picture.kind() {
                        PictureKind::Gray => builder.gray(picture.gray_values(frame)?, target)?,
                        PictureKind::Rgb => {
                            builder.rgb(&picture.render(frame, None)?.pixels, target)?;
                        }
                    }
                }
            }
            Pixels::Nifti { file, .. } => {
                file.check_length()?;
                for frame in 0..self.frames {
                    for slice in 0..self.slices {
                        match file.slice(slice, frame)? {
                            Slice::Gray(values) => builder.gray(&values, target(slice, frame))?,
                            Slice::Rgb(values) => builder.rgb(&values, target(slice, frame))?,
                        }
                    }
                }
            }
        }
        let missing: Vec<usize> = (0..slices)
            .filter(|slice| grid.binary_search(slice).is_err())
            .collect();
        for frame in 0..self.frames {
            for &slice in &missing {
                builder.fill(frame.saturating_mul(slices).saturating_add(slice));
            }
        }
        Ok(Volume {
            columns: self.columns,
            rows: self.rows,
            slices,
            frames: self.frames,
            voxels: builder.voxels.unwrap_or(Voxels::I16(Vec::new())),
            affine: self.affine,
            spacing_mm: self.spacing_mm().unwrap_or_default(),
            missing,
        })
    }

    /// Whether the series is a volume in right angles.
    fn check_volume(&self) -> Result<(), ImagingError> {
        self.why_no_volume()
            .map_or(Ok(()), |detail| Err(ImagingError::NoVolume { detail }))
    }

    /// Why its pictures make no volume in right angles, as the end of a sentence; `None` where they do, and for a
    /// single picture and a cine.
    pub fn why_no_volume(&self) -> Option<&'static str> {
        let has = |problem| self.problems.contains(&problem);
        let detail = if has(Problem::Tilt) {
            "its slices are tilted against their direction, as with a tilted gantry"
        } else if has(Problem::MixedOrientation) {
            "its pictures are not parallel"
        } else if has(Problem::MixedSize) {
            "its pictures have different sizes"
        } else if self.kind == Kind::Stack && has(Problem::Gap) {
            "its slices are unevenly spaced"
        } else if self.kind == Kind::Stack && has(Problem::NoSpacing) {
            "the size of a pixel is not known"
        } else if self.kind == Kind::Stack {
            "the places of its pictures are not known, or on no common grid"
        } else {
            return None;
        };
        Some(detail)
    }
}

/// Collects pictures in the narrowest type that holds them all.
struct Builder {
    pixels: usize,
    count: usize,
    voxels: Option<Voxels>,
    smallest: f32,
}

impl Builder {
    fn range(&self, target: usize) -> std::ops::Range<usize> {
        let start = target.saturating_mul(self.pixels);
        start..start.saturating_add(self.pixels)
    }

    fn gray(&mut self, values: &[f32], target: usize) -> Result<(), ImagingError> {
        if values.len() != self.pixels {
            return Err(another_kind());
        }
        let is_short = |value: f32| {
            value.fract() == 0.0 && (f32::from(i16::MIN)..=f32::from(i16::MAX)).contains(&value)
        };
        self.smallest = values.iter().copied().fold(self.smallest, f32::min);
        let range = self.range(target);
        let count = self.count;
        let voxels = self
            .voxels
            .get_or_insert_with(|| Voxels::I16(vec![0; count]));
        if let Voxels::I16(shorts) = voxels
            && !values.iter().copied().all(is_short)
        {
            *voxels = Voxels::F32(shorts.iter().map(|&value| f32::from(value)).collect());
        }
        match voxels {
            Voxels::I16(all) => {
                for (target, &value) in all
                    .get_mut(range)
                    .unwrap_or_default()
                    .iter_mut()
                    .zip(values)
                {
                    *target = value as i16;
                }
            }
            Voxels::F32(all) => {
                if let Some(target) = all.get_mut(range) {
                    target.copy_from_slice(values);
                }
            }
            Voxels::Rgb(_) => return Err(another_kind()),
        }
        Ok(())
    }

    fn rgb(&mut self, pixels: &[u8], target: usize) -> Result<(), ImagingError> {
        let range = self.range(target);
        let bytes = self.count.saturating_mul(3);
        let voxels = self
            .voxels
            .get_or_insert_with(|| Voxels::Rgb(vec![0; bytes]));
        let range = range.start.saturating_mul(3)..range.end.saturating_mul(3);
        match voxels {
            Voxels::Rgb(all) if pixels.len() == range.len() => {
                if let Some(target) = all.get_mut(range) {
                    target.copy_from_slice(pixels);
                }
                Ok(())
            }
            _ => Err(another_kind()),
        }
    }

    /// Gives a missing slice the smallest value; black in colour.
    fn fill(&mut self, target: usize) {
        let range = self.range(target);
        let smallest = self.smallest;
        match &mut self.voxels {
            Some(Voxels::I16(all)) => {
                all.get_mut(range).unwrap_or_default().fill(smallest as i16);
            }
            Some(Voxels::F32(all)) => {
                let smallest = if smallest.is_finite() { smallest } else { 0.0 };
                all.get_mut(range).unwrap_or_default().fill(smallest);
            }
            _ => {}
        }
    }
}

fn another_kind() -> ImagingError {
    ImagingError::NoVolume {
        detail: "its pictures differ in size or in colour",
    }
}
