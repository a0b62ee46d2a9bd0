//! The pixels of DICOM SEG (PS3.3 C.8.20.2): one bit a pixel, frames without a gap between them, or shares of a largest value.

use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::open_file;

use super::dicom_file::{integer, text};
use super::error::ImportError;

/// Pixels of every frame.
#[derive(Debug)]
pub(super) struct SegPixels {
    bytes: Vec<u8>,
    /// Pixels of a frame.
    area: usize,
    /// Smallest share that is inside, where a byte is a share.
    least: Option<u8>,
}

/// Reads a segmentation's pixels.
///
/// # Errors
/// A file that is damaged, compressed or of another type, by name.
pub(super) fn read(path: &Path, area: usize) -> Result<SegPixels, ImportError> {
    let bad = |reason: String| ImportError::Source {
        path: path.to_owned(),
        reason,
    };
    let object = open_file(path).map_err(|error| bad(error.to_string()))?;
    let least = match text(&object, tags::SEGMENTATION_TYPE).as_deref() {
        Some("BINARY") => None,
        Some("FRACTIONAL") => {
            let most = integer(&object, tags::MAXIMUM_FRACTIONAL_VALUE)
                .unwrap_or(255)
                .clamp(1, 255);
            // Half and more is inside.
            Some(u8::try_from((most + 1) / 2).unwrap_or(128))
        }
        other => {
            return Err(bad(format!(
                "segmentations of the type {} cannot be read",
                other.unwrap_or("?")
            )));
        }
    };
    let pixels = object
        .get(tags::PIXEL_DATA)
        .ok_or_else(|| bad("it has no pixels".to_owned()))?;
    let bytes = pixels.to_bytes().map_err(|_cause| {
        bad("its pixels are compressed; save it as Explicit VR Little Endian".to_owned())
    })?;
    Ok(SegPixels {
        bytes: bytes.into_owned(),
        area,
        least,
    })
}

impl SegPixels {
    /// Places of the pixels inside of a frame; `None` where the file ends before it.
    pub(super) fn frame(&self, frame: usize) -> Option<Vec<usize>> {
        let start = frame * self.area;
        if let Some(least) = self.least {
            let values = self.bytes.get(start..start + self.area)?;
            return Some(
                (0..self.area)
                    .filter(|at| values.get(*at).is_some_and(|value| *value >= least))
                    .collect(),
            );
        }
        let bit = |at: usize| self.bytes.get(at / 8).map(|byte| byte >> (at % 8) & 1 == 1);
        bit(start + self.area.checked_sub(1)?)?;
        Some(
            (0..self.area)
                .filter(|at| bit(start + at) == Some(true))
                .collect(),
        )
    }
}
