//! Siemens mosaics: one picture whose tiles, row by row, are the parallel slices of a volume. How many and in
//! which direction is in the private header alone; a mosaic without it stays the picture that it is.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::attributes::Attributes;
use super::csa;
use super::summary::FramePlace;
use crate::geometry::{add_scaled, dot, unit};
use crate::picture::{Description, Frame, FrameSource};
use crate::voi::Voi;
use crate::{ImagingError, Picture, PictureKind, Window};

/// Private creator, and the header of an image in its block.
pub(super) const CSA_CREATOR: Tag = Tag(0x0029, 0x0010);
pub(super) const CSA_IMAGE_HEADER: Tag = Tag(0x0029, 0x1010);

/// How a picture is cut: `tiles` of `[rows, columns]`, `across` of them in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mosaic {
    pub(crate) tiles: usize,
    pub(crate) across: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// The tiles of a picture of `rows` x `columns` and where each lies; `whole` is the place of the picture. `None`
/// where the header does not say all of it.
pub(super) fn read(
    attributes: Attributes<'_>,
    [rows, columns]: [usize; 2],
    whole: &FramePlace,
) -> Option<(Mosaic, Vec<FramePlace>)> {
    if attributes.text(CSA_CREATOR).as_deref() != Some("SIEMENS CSA HEADER") {
        return None;
    }
    let header = attributes.bytes(CSA_IMAGE_HEADER)?;
    let tiles: usize = csa::values(&header, "NumberOfImagesInMosaic")?
        .first()?
        .parse()
        .ok()?;
    if !(1..=rows.min(columns)).contains(&tiles.isqrt()) {
        return None;
    }
    // A square of tiles of which the last ones may be empty.
    let across = (tiles - 1).isqrt() + 1;
    if !rows.is_multiple_of(across) || !columns.is_multiple_of(across) {
        return None;
    }
    let mosaic = Mosaic {
        tiles,
        across,
        rows: rows / across,
        columns: columns / across,
    };
    let normal: Vec<f64> = csa::values(&header, "SliceNormalVector")?
        .iter()
        .map(|text| text.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect::<Option<_>>()?;
    let normal = unit(<[f64; 3]>::try_from(normal).ok()?)?;
    let step = attributes
        .decimal(tags::SPACING_BETWEEN_SLICES)
        .filter(|&step| step > 0.0)?;
    let (position, orientation) = (whole.position?, whole.orientation?);
    let [column_mm, row_mm] = whole.spacing_mm?;
    // Across the picture or against: slices of sagittal mosaics run from right to left. The cross product is the more exact.
    let cosine = dot(normal, orientation.normal());
    if (cosine.abs() - 1.0).abs() > 1e-3 {
        return None;
    }
    let step = step * cosine.signum();
    // The position is that of a picture as large as the mosaic around the centre of the slice.
    let surplus = |whole: usize, tile: usize| (whole - tile) as f64 / 2.0;
    let position = add_scaled(
        position,
        surplus(columns, mosaic.columns) * column_mm,
        orientation.row,
    );
    let position = add_scaled(
        position,
        surplus(rows, mosaic.rows) * row_mm,
        orientation.column,
    );
    let places = (0..tiles)
        .map(|tile| FramePlace {
            position: Some(add_scaled(
                position,
                step * tile as f64,
                orientation.normal(),
            )),
            ..whole.clone()
        })
        .collect();
    Some((mosaic, places))
}

/// The tiles of an opened mosaic as frames.
#[derive(Debug)]
struct Tiles {
    whole: Picture,
    mosaic: Mosaic,
}

/// Cuts a picture into its tiles.
///
/// # Errors
///
/// [`ImagingError::DicomMalformed`] for a picture of another size than its header says, and whatever decoding gives.
pub(crate) fn cut(whole: Picture, mosaic: Mosaic) -> Result<Picture, ImagingError> {
    let across = [mosaic.rows, mosaic.columns].map(|side| side.saturating_mul(mosaic.across));
    if [whole.height(), whole.width()] != across {
        return Err(ImagingError::DicomMalformed {
            detail: "the mosaic has another size than its header says",
        });
    }
    let description = Description {
        width: mosaic.columns,
        height: mosaic.rows,
        kind: whole.kind(),
        format: whole.format(),
        modality: whole.modality().map(str::to_owned),
        spacing_mm: whole.pixel_spacing_mm(),
        regions: Vec::new(),
        inverted: whole.inverted(),
    };
    let notes = whole.notes().to_vec();
    let tiles = Tiles { whole, mosaic };
    Ok(Picture::from_source(description, mosaic.tiles, Box::new(tiles))?.with_notes(notes))
}

impl Tiles {
    /// The values of one tile, `channels` to the pixel.
    fn tile<T: Copy>(&self, values: &[T], frame: usize, channels: usize) -> Vec<T> {
        let Mosaic {
            across,
            rows,
            columns,
            ..
        } = self.mosaic;
        let (down, right) = (frame / across, frame % across);
        (0..rows)
            .flat_map(|row| {
                let start = ((down * rows + row) * across + right) * columns * channels;
                let end = start + columns * channels;
                values.get(start..end).unwrap_or_default()
            })
            .copied()
            .collect()
    }
}

impl FrameSource for Tiles {
    fn decode(&self, frame: usize) -> Result<Frame, ImagingError> {
        Ok(match self.whole.kind() {
            PictureKind::Gray => Frame::gray(self.tile(self.whole.gray_values(0)?, frame, 1)),
            PictureKind::Rgb => {
                Frame::Rgb(self.tile(&self.whole.render(0, None)?.pixels, frame, 3))
            }
        })
    }

    /// One window for all slices: the file's, else that of the whole picture.
    fn window(&self, _frame: usize) -> Option<Window> {
        self.whole.default_window()
    }

    fn voi(&self, _frame: usize) -> Option<&Voi> {
        self.whole.voi()
    }
}
