//! Which pixels the annotator saw of a picture that EXIF turns: as stored, or upright as viewers show it. The size that the
//! annotations were made on decides; where both sizes are the same only the manifest can.

use std::path::Path;

use image::metadata::Orientation;
use serde::Deserialize;

use super::error::ImportError;

/// How pictures with an EXIF orientation were seen when they were annotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exif {
    /// Turned, as browsers and viewers show them.
    Upright,
    /// As the pixels are stored.
    Stored,
}

/// The width and height of a turned picture.
pub(super) fn turned_size((width, height): (usize, usize), turn: Orientation) -> (usize, usize) {
    match turn {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

/// How the picture at `path`, stored with `size`, was seen by who drew on `drawn_on` pixels (`None`: not known).
///
/// # Errors
/// [`ImportError::OtherPixels`] where the sizes do not fit, or do not tell.
pub(super) fn seen(
    path: &Path,
    size: (usize, usize),
    turn: Orientation,
    drawn_on: Option<(usize, usize)>,
    rule: Option<Exif>,
) -> Result<Exif, ImportError> {
    let bad = |reason: String| ImportError::OtherPixels {
        path: path.to_owned(),
        reason,
    };
    let upright = turned_size(size, turn);
    let is_turned = turn != Orientation::NoTransforms;
    let fits = |seen: Exif| {
        let own = if seen == Exif::Upright { upright } else { size };
        drawn_on.is_none_or(|drawn| drawn == own)
    };
    let chosen = match (rule, fits(Exif::Stored), fits(Exif::Upright)) {
        (Some(rule), ..) if fits(rule) => Some(rule),
        (None, true, _) if !is_turned => Some(Exif::Stored),
        (None, true, false) => Some(Exif::Stored),
        (None, false, true) => Some(Exif::Upright),
        (None, true, true) => {
            return Err(bad(format!(
                "EXIF turns it (orientation {}), and its size does not tell whether it was annotated \
                 turned or as stored",
                turn.to_exif()
            )));
        }
        _ => None,
    };
    chosen.ok_or_else(|| {
        let (width, height) = size;
        let (columns, rows) = drawn_on.unwrap_or_default();
        bad(format!(
            "it has {width} x {height} pixels, and its annotations are of {columns} x {rows}"
        ))
    })
}
