//! The pictures of a series one after the other, every file opened and parsed once: a file of many frames is kept
//! until another one is asked for, with one decoded frame at a time.

use std::ops::Deref;

use super::{Pixels, Place, Series};
use crate::{ImagingError, Picture};

/// Reads pictures of a series that it borrows, see [`Series::reader`], or has a share of.
#[derive(Debug)]
pub struct PictureReader<S: Deref<Target = Series>> {
    series: S,
    /// The open file by its place in the series.
    opened: Option<(usize, Picture)>,
    /// Files opened so far.
    files_opened: usize,
}

impl Series {
    /// A reader of its pictures. In [`Series::reading_order`] it opens every file once.
    pub fn reader(&self) -> PictureReader<&Self> {
        PictureReader::new(self)
    }

    /// Every picture, those of one file together, in the order in which the file has them.
    pub fn reading_order(&self) -> Vec<Place> {
        let mut order: Vec<usize> = (0..self.slices.saturating_mul(self.frames)).collect();
        if let Pixels::Files { pictures, .. } = &self.pixels {
            order.sort_by_key(|&index| pictures.get(index).copied());
        }
        let frames = self.frames.max(1);
        order
            .into_iter()
            .map(|index| Place {
                slice: index / frames,
                frame: index % frames,
            })
            .collect()
    }
}

impl<S: Deref<Target = Series>> PictureReader<S> {
    /// A reader that has opened nothing yet.
    pub fn new(series: S) -> Self {
        Self {
            series,
            opened: None,
            files_opened: 0,
        }
    }

    /// The series.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// A picture: the opened file, and which of its frames is meant.
    ///
    /// # Errors
    ///
    /// As [`Series::open`].
    pub fn picture(
        &mut self,
        slice: usize,
        frame: usize,
    ) -> Result<(&Picture, usize), ImagingError> {
        let series: &Series = &self.series;
        let index = series.index(slice, frame)?;
        let (file, frame) = match &series.pixels {
            Pixels::Files { pictures, .. } => {
                let missing = ImagingError::FrameOutOfRange {
                    frame: index,
                    count: pictures.len(),
                };
                *pictures.get(index).ok_or(missing)?
            }
            // Every slice of a NIfTI file is a picture of its own.
            Pixels::Nifti { .. } => (index, 0),
        };
        let picture = match self.opened.take() {
            Some((open, mut picture)) if open == file => {
                picture.release_frames();
                picture
            }
            _ => {
                self.files_opened = self.files_opened.saturating_add(1);
                series.open_file(file)?
            }
        };
        let (_, picture) = self.opened.insert((file, picture));
        Ok((picture, frame))
    }

    /// How many files were opened, each one counted as often as it was.
    pub fn files_opened(&self) -> usize {
        self.files_opened
    }
}

impl Series {
    /// Opens a file by its place; of NIfTI a slice by its place among all.
    fn open_file(&self, place: usize) -> Result<Picture, ImagingError> {
        match &self.pixels {
            Pixels::Files { files, .. } => {
                let missing = ImagingError::FrameOutOfRange {
                    frame: place,
                    count: files.len(),
                };
                let file = files.get(place).ok_or(missing)?;
                file.open()
            }
            Pixels::Nifti { file, .. } => {
                let frames = self.frames.max(1);
                file.picture(place / frames, place % frames)
            }
        }
    }

    /// Reads and decodes a picture: the opened file, and which of its frames is meant. For several pictures use
    /// [`Series::reader`], which keeps a file of many frames open.
    ///
    /// # Errors
    ///
    /// [`ImagingError::FrameOutOfRange`], and whatever reading and decoding the file gives.
    pub fn open(&self, slice: usize, frame: usize) -> Result<(Picture, usize), ImagingError> {
        let mut reader = self.reader();
        let (_, frame) = reader.picture(slice, frame)?;
        match reader.opened {
            Some((_, picture)) => Ok((picture, frame)),
            None => Err(ImagingError::FrameOutOfRange { frame, count: 0 }),
        }
    }
}
