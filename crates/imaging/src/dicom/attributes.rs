//! The attributes that decide pixels (PS3.3 C.7.6.3, C.11.1, C.11.2, C.7.6.16), and typed access to them.
//! An attribute that is absent, empty or unreadable is `None`; the caller knows what that means.

use std::io::Cursor;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::syntax::Encoding;
use crate::ImagingError;

/// What is read of a data set; everything else is stepped over.
pub(super) const WANTED: &[Tag] = &[
    tags::MODALITY,
    tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR,
    tags::IMAGER_PIXEL_SPACING,
    tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::PLANAR_CONFIGURATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::PIXEL_SPACING,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
    tags::PIXEL_SPACING_CALIBRATION_TYPE,
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::VOILUT_FUNCTION,
    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::MODALITY_LUT_SEQUENCE,
    tags::VOILUT_SEQUENCE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
];

/// One data set or one item of a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a>(&'a InMemDicomObject);

/// Parses the copied elements.
///
/// # Errors
///
/// [`ImagingError::DicomMalformed`] where dicom-rs cannot read them.
pub(super) fn parse(header: &[u8], encoding: Encoding) -> Result<InMemDicomObject, ImagingError> {
    let malformed = ImagingError::DicomMalformed {
        detail: "the attributes of the image cannot be read",
    };
    let Some(syntax) = TransferSyntaxRegistry.get(encoding.uid()) else {
        return Err(malformed);
    };
    InMemDicomObject::read_dataset_with_ts(Cursor::new(header), syntax)
        // The cause may quote the file, so it ends here.
        .map_err(|_cause| malformed)
}

impl<'a> Attributes<'a> {
    pub(super) fn new(object: &'a InMemDicomObject) -> Self {
        Self(object)
    }

    /// The first number of an integer attribute.
    pub(super) fn integer(self, tag: Tag) -> Option<i64> {
        self.integers(tag).first().copied()
    }

    /// All numbers of an integer attribute, none where it is absent.
    pub(super) fn integers(self, tag: Tag) -> Vec<i64> {
        self.0
            .get(tag)
            .and_then(|element| element.to_multi_int::<i64>().ok())
            .unwrap_or_default()
    }

    /// The finite numbers of a decimal attribute, none where it is absent or holds no number.
    pub(super) fn decimals(self, tag: Tag) -> Vec<f64> {
        self.0
            .get(tag)
            .and_then(|element| element.to_multi_float64().ok())
            .filter(|numbers| numbers.iter().all(|number| number.is_finite()))
            .unwrap_or_default()
    }

    /// The first number of a decimal attribute.
    pub(super) fn decimal(self, tag: Tag) -> Option<f64> {
        self.decimals(tag).first().copied()
    }

    /// A text attribute without padding, `None` where it is empty.
    pub(super) fn text(self, tag: Tag) -> Option<String> {
        let text = self.0.get(tag)?.to_str().ok()?;
        let text = text.trim_matches(['\0', ' ']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// All values of a text attribute, with the backslashes between them.
    pub(super) fn raw_text(self, tag: Tag) -> Option<String> {
        let text = self.0.get(tag)?.to_str().ok()?;
        Some(text.trim_matches(['\0', ' ']).to_owned())
    }

    /// A value of words as little-endian bytes.
    pub(super) fn bytes(self, tag: Tag) -> Option<Vec<u8>> {
        // Both targets, x86-64 or ARM natively and wasm32, are little endian, as `to_bytes` is there.
        Some(self.0.get(tag)?.to_bytes().ok()?.into_owned())
    }

    /// The items of a sequence, none where it is absent.
    pub(super) fn items(self, tag: Tag) -> impl Iterator<Item = Attributes<'a>> {
        self.0
            .get(tag)
            .and_then(|element| element.items())
            .unwrap_or_default()
            .iter()
            .map(Attributes)
    }
}
