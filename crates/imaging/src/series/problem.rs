//! What is to be said about a series: facts that change what may be done with it. The codes are stable;
//! `docs/series.md` explains each.

use serde::{Serialize, Serializer};

/// A fact about a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Problem {
    /// Slices are missing, or their steps are uneven.
    Gap,
    /// A slice position was sent more than once with the same content or meaning; the first one counts.
    Duplicate,
    /// Slices are moved against each other along their plane: the volume is sheared.
    Tilt,
    /// Pictures that are not parallel.
    MixedOrientation,
    /// Pictures of different size.
    MixedSize,
    /// Pictures whose pixels have different sizes.
    MixedSpacing,
    /// Pictures in one plane but at different places, such as the tiles of a slide.
    MixedPosition,
    /// Some slice positions have more pictures than others; what is common to all counts.
    UnevenFrames,
    /// A scout picture for planning.
    Localizer,
    /// The size of a pixel is not known: nothing can be measured in mm.
    NoSpacing,
    /// The place in the patient is not known.
    NoPosition,
    /// Files without Series Instance UID, taken as one series because they fit together.
    NoInstanceUid,
    /// One picture with the slices of a volume as its tiles, whose places the file does not say.
    Mosaic,
    /// The size of a pixel is that of the region of an ultrasound picture.
    SpacingFromUltrasoundRegion,
    /// The size of a pixel at the detector, divided by the magnification that the file estimates.
    SpacingFromMagnification,
    /// Only the shape of a pixel is known, not its size, and it is no square.
    PixelAspectRatio,
    /// The picture shows text, which may be the patient's name.
    BurnedInText,
}

impl Problem {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Duplicate => "duplicate",
            Self::Tilt => "tilt",
            Self::MixedOrientation => "mixed-orientation",
            Self::MixedSize => "mixed-size",
            Self::MixedSpacing => "mixed-spacing",
            Self::MixedPosition => "mixed-position",
            Self::UnevenFrames => "uneven-frames",
            Self::Localizer => "localizer",
            Self::NoSpacing => "no-spacing",
            Self::NoPosition => "no-position",
            Self::NoInstanceUid => "no-instance-uid",
            Self::Mosaic => "mosaic",
            Self::SpacingFromUltrasoundRegion => "spacing-from-ultrasound-region",
            Self::SpacingFromMagnification => "spacing-from-magnification",
            Self::PixelAspectRatio => "pixel-aspect-ratio",
            Self::BurnedInText => "burned-in-text",
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
