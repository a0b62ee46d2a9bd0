//! A data set as a file (PS3.10 section 7): preamble, file meta group, elements in explicit little endian.
//! Pixels are not part of the data set: their element is last, and follows as it is made.

use std::io::Write;

use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use crate::error::SegmentationError;

/// Our Implementation Class UID: a UUID of its own.
const IMPLEMENTATION: &str = "2.25.233116524379128366263452311946208214101";

fn failed(part: &'static str) -> impl Fn(&dyn std::fmt::Display) -> SegmentationError {
    move |error| SegmentationError::Encode {
        part,
        detail: error.to_string(),
    }
}

/// Writes everything but the pixels.
pub(super) fn write(
    data_set: &InMemDicomObject,
    output: &mut impl Write,
) -> Result<(), SegmentationError> {
    let text = |tag| {
        let element = data_set.get(tag);
        let text = element.and_then(|element| element.to_str().ok());
        text.unwrap_or_default().into_owned()
    };
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(text(tags::SOP_CLASS_UID))
        .media_storage_sop_instance_uid(text(tags::SOP_INSTANCE_UID))
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(IMPLEMENTATION)
        .implementation_version_name("MEDSAM3")
        .build()
        .map_err(|error| failed("file meta group")(&error))?;
    let syntax = TransferSyntaxRegistry
        .get(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .ok_or_else(|| failed("data set")(&"explicit little endian is not known"))?;
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM");
    meta.write(&mut bytes)
        .map_err(|error| failed("file meta group")(&error))?;
    data_set
        .write_dataset_with_ts(&mut bytes, syntax)
        .map_err(|error| failed("data set")(&error))?;
    output.write_all(&bytes)?;
    Ok(())
}

/// Writes the header of the pixels' element, whose `length` bytes follow.
pub(super) fn write_pixel_header(
    length: u32,
    output: &mut impl Write,
) -> Result<(), SegmentationError> {
    output.write_all(&[0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0])?;
    output.write_all(&length.to_le_bytes())?;
    Ok(())
}
