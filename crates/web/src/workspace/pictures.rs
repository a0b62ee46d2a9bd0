//! Pixels of series for the page: modality values of a slice, and small pictures for the list.

use medsam3_imaging::PictureKind;

use super::Workspace;
use crate::answers::{imaging_failure, window_level};
use crate::protocol::{Failure, PicturePlace, Response, Samples};

impl Workspace {
    /// Sends the pixels of a picture of the open series.
    ///
    /// # Errors
    ///
    /// No series is open, or the picture cannot be decoded.
    pub fn slice(&self, id: u32, place: PicturePlace, compact: bool) -> Result<(), Failure> {
        let listed = self.opened()?;
        let mut reader = listed.reader.borrow_mut();
        let (picture, frame) = reader
            .picture(place.slice as usize, place.frame as usize)
            .map_err(|error| imaging_failure(&error))?;
        let (minimum, maximum) = match picture.kind() {
            PictureKind::Gray => picture.value_range(frame).unwrap_or((0.0, 1.0)),
            PictureKind::Rgb => (0.0, 255.0),
        };
        let answer = |samples| Response::Slice {
            id,
            place,
            columns: picture.width() as u32,
            rows: picture.height() as u32,
            samples,
            minimum,
            maximum,
            window: picture.shown_window(frame, None).map(window_level),
            spacing_mm: picture.pixel_spacing_mm(),
        };
        if picture.kind() == PictureKind::Rgb {
            let rendered = picture.render(frame, None);
            let rendered = rendered.map_err(|error| imaging_failure(&error))?;
            self.out
                .send_with(&answer(Samples::Rgb8), &[&rendered.pixels]);
            return Ok(());
        }
        let values = picture.gray_values(frame);
        let values = values.map_err(|error| imaging_failure(&error))?;
        match compact.then(|| as_i16(values)).flatten() {
            Some(values) => self
                .out
                .send_with(&answer(Samples::I16), &[bytemuck::cast_slice(&values)]),
            None => self
                .out
                .send_with(&answer(Samples::F32), &[bytemuck::cast_slice(values)]),
        }
        Ok(())
    }

    /// Sends a small picture of the middle of a series.
    ///
    /// # Errors
    ///
    /// There is no such series, or the picture cannot be decoded.
    pub fn thumbnail(&self, id: u32, index: u32, side: u32) -> Result<(), Failure> {
        let listed = self.listed(index)?;
        let slice = listed.series.slices() / 2;
        let frame = listed.series.frames() / 2;
        // The file of the slice in view is likely to be asked for again, this one is not.
        let picture = listed.series.open(slice, frame);
        let (picture, frame) = picture.map_err(|error| imaging_failure(&error))?;
        let rendered = picture.render(frame, None);
        let rendered = rendered.map_err(|error| imaging_failure(&error))?;
        let small = rendered.thumbnail(side as usize);
        let (pixels, _) = small.pixels.as_chunks::<3>();
        let rgba: Vec<u8> = pixels
            .iter()
            .flat_map(|&[red, green, blue]| [red, green, blue, 255])
            .collect();
        self.out.send_with(
            &Response::Thumbnail {
                id,
                series: index,
                width: small.width as u32,
                height: small.height as u32,
            },
            &[&rgba],
        );
        Ok(())
    }
}

/// The values as 16-bit integers, if they all are such.
fn as_i16(values: &[f32]) -> Option<Vec<i16>> {
    let range = f32::from(i16::MIN)..=f32::from(i16::MAX);
    let fits = |&value: &f32| value.fract() == 0.0 && range.contains(&value);
    values
        .iter()
        .all(fits)
        .then(|| values.iter().map(|&value| value as i16).collect())
}
