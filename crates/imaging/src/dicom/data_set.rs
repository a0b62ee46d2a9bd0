//! Attributes of a DICOM file that decide no pixels, for who writes objects that refer to it (patient and
//! study) and for objects without pixels (structure sets). Under the same guards as every image.

use dicom_core::Tag;
use dicom_object::InMemDicomObject;

use super::{attributes, summary};
use crate::ImagingError;
use crate::series::Source;

/// The elements of a file that have one of the wanted tags, without its pixels; absent ones are left out.
/// Texts are decoded where Specific Character Set is among the wanted tags.
///
/// # Errors
///
/// [`ImagingError::NotAnImage`] for what is no DICOM, else what is wrong with the file.
pub fn dicom_attributes(
    source: &dyn Source,
    wanted: &[Tag],
) -> Result<InMemDicomObject, ImagingError> {
    let (elements, encoding, _uid) = summary::select(source, wanted)?;
    attributes::parse(&elements.header, encoding)
}
