//! The libraries' types as the page reads them.

use medsam3_imaging::{ImagingError, Picture, PictureKind};

use crate::protocol::{Failure, PictureInfo, PixelKind, WindowLevel};

/// An imaging error as the page gets it.
pub fn imaging_failure(error: &ImagingError) -> Failure {
    Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        next_step: error.next_step().to_owned(),
    }
}

/// What the page needs to know of a picture to show it.
pub fn picture_info(picture: &Picture) -> PictureInfo {
    PictureInfo {
        width: picture.width() as u32,
        height: picture.height() as u32,
        frames: picture.frame_count() as u32,
        pixels: match picture.kind() {
            PictureKind::Gray => PixelKind::Gray,
            PictureKind::Rgb => PixelKind::Rgb,
        },
        format: picture.format().to_owned(),
        modality: picture.modality().map(str::to_owned),
        spacing_mm: picture.pixel_spacing_mm(),
        window: picture
            .default_window()
            .map(|window| WindowLevel { center: window.center, width: window.width }),
        inverted: picture.inverted(),
    }
}
