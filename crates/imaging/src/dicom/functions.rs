//! What turns stored values into what is shown: modality transform (PS3.3 C.11.1) and window (C.11.2), of the
//! image or, in enhanced multi-frame objects, of each frame (C.7.6.16.2.9 and C.7.6.16.2.10).

use dicom_dictionary_std::tags;

use super::attributes::Attributes;
use super::groups::{Group, Groups};
use crate::voi::{Voi, VoiTable};
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
    pub(super) voi: Option<Voi>,
    /// Rescale Slope is 0, which was read as 1.
    pub(super) zero_slope: bool,
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
    let groups = Groups::of(attributes);
    let of = |group: Group<'_>| -> Result<FrameFunctions, ImagingError> {
        let item = |sequence| group.item(sequence).unwrap_or(attributes);
        let transform = item(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        let modality = modality(transform, signed)?;
        let shown = item(tags::FRAME_VOILUT_SEQUENCE);
        let (window, voi) = match window(shown) {
            Some(window) => (Some(window), sigmoid(shown)),
            None => match voi_table(attributes, &modality, signed) {
                Some(table) => (Some(table.window()), Some(Voi::Table(table))),
                None => (None, None),
            },
        };
        Ok(FrameFunctions {
            modality,
            window,
            voi,
            zero_slope: transform.decimal(tags::RESCALE_SLOPE) == Some(0.0),
        })
    };
    let per_frame: Vec<_> = groups.frames().map(of).collect::<Result<_, _>>()?;
    if per_frame.is_empty() {
        Ok(vec![of(groups.all())?])
    } else {
        Ok(per_frame)
    }
}

fn modality(attributes: Attributes<'_>, signed: bool) -> Result<Modality, ImagingError> {
    if let Some(table) = attributes.items(tags::MODALITY_LUT_SEQUENCE).next()
        // An item of empty attributes, which some writers leave, is no table.
        && !(table.integers(tags::LUT_DESCRIPTOR).is_empty()
            && table.bytes(tags::LUT_DATA).is_none_or(|data| data.is_empty()))
    {
        let (first, values, _bits) =
            lookup_table(table, signed).ok_or(ImagingError::DicomMalformed {
                detail: "the modality lookup table is incomplete",
            })?;
        return Ok(Modality::Table { first, values });
    }
    // A slope of 0 would make every pixel the same; viewers and toolkits read it as 1.
    let slope = attributes
        .decimal(tags::RESCALE_SLOPE)
        .filter(|&slope| slope != 0.0);
    Ok(Modality::Linear {
        slope: slope.unwrap_or(1.0),
        intercept: attributes.decimal(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
    })
}

/// First value mapped, entries and bits per entry of a lookup table (C.11.1.1); `None` where it is incomplete.
fn lookup_table(table: Attributes<'_>, signed: bool) -> Option<(i64, Vec<u16>, i64)> {
    let descriptor = table.integers(tags::LUT_DESCRIPTOR);
    let &[count, first, bits] = descriptor.as_slice() else {
        return None;
    };
    let count = table_length(count);
    let data = table.bytes(tags::LUT_DATA)?;
    let words = data.chunks_exact(2).map(|word| {
        word.iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u16::from(byte))
    });
    let values: Vec<u16> = if words.len() < count && bits <= 8 {
        // Entries of eight bits, two to the word.
        data.iter()
            .map(|&byte| u16::from(byte))
            .take(count)
            .collect()
    } else {
        words.take(count).collect()
    };
    (values.len() == count).then(|| (as_stored(first, signed), values, bits))
}

/// The first table of the VOI LUT Sequence, for an image without a window.
fn voi_table(attributes: Attributes<'_>, modality: &Modality, signed: bool) -> Option<VoiTable> {
    let item = attributes.items(tags::VOILUT_SEQUENCE).next()?;
    // Its input is what the modality transform gives, which may be negative though pixels are not.
    let signed = match modality {
        Modality::Linear { intercept, .. } => signed || *intercept < 0.0,
        Modality::Table { .. } => false,
    };
    let (first, values, bits) = lookup_table(item, signed)?;
    let bits = u32::try_from(bits)
        .ok()
        .filter(|bits| (1..=16).contains(bits));
    let white = u16::MAX >> (16 - bits?);
    // Some writers name more bits than the entries use, or fewer.
    let highest = values.iter().copied().max()?;
    Some(VoiTable {
        first,
        values,
        white: white.max(highest),
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
    // PS3.3 C.11.2.1.3.2: LINEAR_EXACT is LINEAR with both numbers moved.
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

fn sigmoid(attributes: Attributes<'_>) -> Option<Voi> {
    let function = attributes.text(tags::VOILUT_FUNCTION);
    (function.as_deref() == Some("SIGMOID")).then_some(Voi::Sigmoid)
}

/// Reads a 16-bit attribute whose signedness follows the pixels (VR "US or SS").
pub(super) fn as_stored(value: i64, signed: bool) -> i64 {
    match (signed, value) {
        (true, 0x8000..=0xFFFF) => value - 0x1_0000,
        (false, -0x8000..=-1) => value + 0x1_0000,
        _ => value,
    }
}
