//! DICOM: from the bytes of one file to a [`Picture`] (PS3.10 file format, PS3.5 encodings, PS3.3
//! C.7.6.3 image pixel). Only the attributes that decide pixels are read. No name is kept.
//! What would be decoded wrongly is refused by name.

mod attributes;
mod color;
mod data_set;
mod fragments;
mod frames;
mod functions;
mod groups;
mod header;
mod layout;
mod names;
mod native;
mod nesting;
mod reader;
mod scan;
mod segment;
mod spacing;
mod syntax;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod directory;
pub mod segmentation;
pub(crate) mod summary;

pub use data_set::dicom_attributes;

use crate::picture::Description;
use crate::{ImagingError, Picture, PictureKind};

/// Opens a DICOM file, with or without preamble and file meta group.
///
/// # Errors
///
/// [`ImagingError::NotAnImage`] for bytes that are no DICOM, else the typed reason.
pub(crate) fn open(bytes: &[u8]) -> Result<Picture, ImagingError> {
    let file = layout::read(bytes, &[])?;
    let header = header::read(&file)?;
    let source = frames::Frames::new(&file, &header)?;
    let description = Description {
        width: header.columns,
        height: header.rows,
        kind: if header.photometric.is_gray() {
            PictureKind::Gray
        } else {
            PictureKind::Rgb
        },
        format: "DICOM",
        modality: header.modality.clone(),
        spacing_mm: header.spacing.mm,
        inverted: header.photometric.is_inverted(),
    };
    let picture = Picture::from_source(description, header.frame_count, Box::new(source))?;
    Ok(picture.with_notes(header.notes()))
}
