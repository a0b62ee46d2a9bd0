//! DICOMDIR (PS3.3 annex F, PS3.10 section 8): the files that a disc's directory names. What it says
//! about patients and series is not used: the files say it themselves, and directories go stale.

use dicom_dictionary_std::tags;

use super::attributes::{self, Attributes};
use super::layout::{guess, meta_group};
use super::nesting;
use super::reader::Reader;
use super::syntax::Encoding;
use crate::ImagingError;

/// The paths that a DICOMDIR names, in parts relative to its folder; `None` for any other file.
///
/// # Errors
///
/// [`ImagingError::DicomTruncated`] and [`ImagingError::DicomMalformed`] for a damaged directory.
pub(crate) fn referenced_files(bytes: &[u8]) -> Result<Option<Vec<Vec<String>>>, ImagingError> {
    if bytes.get(128..132) != Some(b"DICM".as_slice()) {
        return Ok(None);
    }
    let (_, mut at) = meta_group(bytes, 132);
    let encoding = guess(bytes, at).unwrap_or(Encoding::EXPLICIT);
    let reader = Reader::new(bytes, encoding);
    while bytes.len().saturating_sub(at) >= 8 {
        let element = reader.element(at)?;
        // Directories have nothing but group 0004 of interest, and it is their first.
        if element.tag.group() > 0x0004 {
            break;
        }
        let wanted = element.tag == tags::DIRECTORY_RECORD_SEQUENCE;
        let end = nesting::skip(reader, &element, 0, wanted)?;
        if wanted {
            let sequence = bytes.get(element.start..end).unwrap_or_default();
            let object = attributes::parse(sequence, encoding)?;
            let files = Attributes::new(&object)
                .items(tags::DIRECTORY_RECORD_SEQUENCE)
                .filter_map(|record| record.raw_text(tags::REFERENCED_FILE_ID))
                .filter_map(|path| parts(&path))
                .collect();
            return Ok(Some(files));
        }
        at = end;
    }
    Ok(None)
}

/// The parts of a file ID, `None` where one would leave the folder.
fn parts(path: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = path
        .split('\\')
        .map(|part| part.trim_matches([' ', '\0']).to_owned())
        .collect();
    let inside = |part: &String| {
        !part.is_empty() && part != "." && part != ".." && !part.contains(['/', ':', '\0'])
    };
    parts.iter().all(inside).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_path_stays_in_its_folder() {
        assert_eq!(parts("A\\B").unwrap(), ["A", "B"]);
        for bad in ["..\\passwd", "A\\..\\B", "/etc", "C:\\A", "", "A\\\\B"] {
            assert!(parts(bad).is_none(), "{bad}");
        }
    }
}
