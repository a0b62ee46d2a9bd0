//! Images in, masks out: opens DICOM, NIfTI, PNG, JPEG and TIFF by content, renders a frame through a window,
//! prepares it for the model as torchvision does, and turns mask logits into measured masks.
//! Knows no tensor, no file name and no network; everything is a byte slice or a row-major buffer
//! (`index = row * width + column`, row 0 at the top), never flipped between the file and the mask.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]
// In a browser sources belong to one thread; natively the same code shares them (`series::Shareable`).
#![cfg_attr(target_arch = "wasm32", allow(clippy::arc_with_non_send_sync))]

mod codecs;
mod components;
mod dicom;
mod error;
mod formats;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gray_scale;
mod limits;
mod mask;
mod outliers;
mod picture;
mod resize;
mod standard;
mod thumbnail;
mod upsample;
mod voi;
mod window;

mod geometry;
mod nifti;
pub mod series;

pub use dicom::segmentation as segmentation_file;

pub use components::connected_components;
pub use dicom::dicom_attributes;
pub use error::ImagingError;
pub use gray_scale::GrayScale;
pub use mask::{BoundingBox, Mask, ObjectMap};
pub use picture::{Picture, PictureKind, Region, Rgb8};
pub use resize::{normalise, resize_square};
pub use upsample::mask_from_logits;
pub use window::Window;

pub use geometry::{Affine, Orientation, StoredAxis, Vector, add_scaled, cross, dot};
pub use nifti::{NiftiFile, write_nifti};

/// Opens one file by its content: DICOM (with or without preamble and file meta group), PNG,
/// JPEG or TIFF.
///
/// The first frame is decoded at once, so that a file that cannot be shown fails here and not later.
///
/// # Errors
///
/// [`ImagingError::NotAnImage`] for anything else, and the typed reason for an image that is damaged,
/// too large, or in a form that this crate would not decode correctly.
pub fn open(bytes: &[u8]) -> Result<Picture, ImagingError> {
    match standard::sniff(bytes) {
        Some(format) => standard::open(bytes, format),
        None => dicom::open(bytes).map_err(|error| formats::named(bytes, error)),
    }
}
