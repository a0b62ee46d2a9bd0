//! What turns stored values into what is shown: modality transform (PS3.3 C.11.1) and window (C.11.2), of the
//! image or, in enhanced multi-frame objects, of each frame (C.7.6.16.2.9 and C.7.6.16.2.10).

use dicom_dictionary_std::tags;

use super::attributes::Attributes;
use crate::{ImagingError, Window};

/// Stored values to modality values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Modality {
    Linear {
        slope: f64,
        intercept: f64,
    },
    /// First stored value mapped, and the table.
    Table {
        first: i64,
        values: Vec<u16>,
    },
}

/// What may differ from frame to frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FrameFunctions {
    pub(super) modality: Modality,
    pub(super) window: Option<Window>,
}

impl Modality {
    /// Modality value of a stored value.
    pub(super) fn apply(&self, stored: i64) -> f32 {
        match self {
            Self::Linear { slope, intercept } => (stored as f64 * slope + intercept) as f32,
            Self::Table { first, values } => {
                // Values outside the table take its nearest entry (PS3.3 C.11.1.1.1).
                let last = values.len().saturating_sub(1);
                let index = stored.saturating_sub(*first).max(0);
                let index = usize::try_from(index).unwrap_or(last).min(last);
                values.get(index).map_or(0.0, |&value| f32::from(value))
            }
        }
    }
}

/// Modality transform and window: of the frame, else of all frames, else of the image.
pub(super) fn functions(
    attributes: Attributes<'_>,
    signed: bool,
) -> Result<Vec<FrameFunctions>, ImagingError> {
    let shared = attributes
        .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
        .next();
    let of = |group: Option<Attributes<'_>>| -> Result<FrameFunctions, ImagingError> {
        let item = |sequence| {
            [group, shared]
                .into_iter()
                .flatten()
                .find_map(|group| group.items(sequence).next())
                .unwrap_or(attributes)
        };
        Ok(FrameFunctions {
            modality: modality(item(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE), signed)?,
            window: window(item(tags::FRAME_VOILUT_SEQUENCE)),
        })
    };
    let per_frame: Vec<_> = attributes
        .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        .map(|group| of(Some(group)))
        .collect::<Result<_, _>>()?;
    if per_frame.is_empty() {
        Ok(vec![of(None)?])
    } else {
        Ok(per_frame)
    }
}

fn modality(attributes: Attributes<'_>, signed: bool) -> Result<Modality, ImagingError> {
    if let Some(table) = attributes.items(tags::MODALITY_LUT_SEQUENCE).next() {
        let malformed = ImagingError::DicomMalformed {
            detail: "the modality lookup table is incomplete",
        };
        let descriptor = table.integers(tags::LUT_DESCRIPTOR);
        let &[count, first, _bits] = descriptor.as_slice() else {
            return Err(malformed);
        };
        let count = table_length(count);
        let values: Vec<u16> = table
            .integers(tags::LUT_DATA)
            .into_iter()
            .map(|value| as_stored(value, false) as u16)
            .collect();
        if values.len() < count {
            return Err(malformed);
        }
        return Ok(Modality::Table {
            first: as_stored(first, signed),
            values,
        });
    }
    Ok(Modality::Linear {
        slope: attributes.decimal(tags::RESCALE_SLOPE).unwrap_or(1.0),
        intercept: attributes.decimal(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
    })
}

/// Number of entries of a lookup table: 0 stands for 65536 (PS3.3 C.11.1.1).
pub(super) fn table_length(count: i64) -> usize {
    match as_stored(count, false) {
        0 => 1 << 16,
        count => usize::try_from(count).unwrap_or_default(),
    }
}

/// The first window of a data set or item.
fn window(attributes: Attributes<'_>) -> Option<Window> {
    let center = attributes.decimal(tags::WINDOW_CENTER)?;
    let width = attributes.decimal(tags::WINDOW_WIDTH)?;
    if width <= 0.0 {
        return None;
    }
    // PS3.3 C.11.2.1.3.2: LINEAR_EXACT is LINEAR with both numbers moved; a sigmoid is shown as its tangent.
    let exact = attributes.text(tags::VOILUT_FUNCTION).as_deref() == Some("LINEAR_EXACT");
    let (center, width) = if exact {
        (center + 0.5, width + 1.0)
    } else {
        (center, width)
    };
    Some(Window {
        center: center as f32,
        width: width as f32,
    })
}

/// Reads a 16-bit attribute whose signedness follows the pixels (VR "US or SS").
pub(super) fn as_stored(value: i64, signed: bool) -> i64 {
    match (signed, value) {
        (true, 0x8000..=0xFFFF) => value - 0x1_0000,
        (false, -0x8000..=-1) => value + 0x1_0000,
        _ => value,
    }
}
