//! Pictures of a series one after the other. A file of many frames is read and parsed once, and one decoded frame is
//! kept at a time: neighbours cost one decoding each, and memory does not grow with the series.

use super::{Pixels, Series};
use crate::{ImagingError, Picture};

/// Reads pictures of one series.
#[derive(Debug)]
pub struct SeriesReader<'a> {
    series: &'a Series,
    /// The file that was opened last, by its place among the files.
    opened: Option<(usize, Picture)>,
}

impl Series {
    /// A reader that keeps the file opened last.
    pub fn reader(&self) -> SeriesReader<'_> {
        SeriesReader {
            series: self,
            opened: None,
        }
    }
}

impl SeriesReader<'_> {
    /// Reads a picture: the opened file, and which of its frames is meant.
    ///
    /// # Errors
    ///
    /// [`ImagingError::FrameOutOfRange`], and whatever reading and decoding the file gives.
    pub fn open(&mut self, slice: usize, frame: usize) -> Result<(&Picture, usize), ImagingError> {
        let index = self.series.index(slice, frame)?;
        match &self.series.pixels {
            Pixels::Files { files, pictures } => {
                let missing = ImagingError::FrameOutOfRange {
                    frame: index,
                    count: pictures.len(),
                };
                let &(number, frame) = pictures.get(index).ok_or_else(|| missing.clone())?;
                let file = files.get(number).ok_or(missing)?;
                let picture = match self.opened.take() {
                    Some((opened, mut picture)) if opened == number => {
                        picture.release_frames();
                        picture
                    }
                    _ => file.open()?,
                };
                let (_, picture) = self.opened.insert((number, picture));
                Ok((picture, frame))
            }
            Pixels::Nifti { file, .. } => {
                let picture = file.picture(slice, frame)?;
                let (_, picture) = self.opened.insert((index, picture));
                Ok((picture, 0))
            }
        }
    }
}
