//! The private CSA header of Siemens MR images (0029,1010): named values as text. Two layouts, CSA2 with the mark
//! `SV10` and the older CSA1 (nibabel, "Siemens format DICOM with CSA header").

/// Entries of a header that are looked at; there are about a hundred.
const MAX_ENTRIES: u32 = 1000;

/// The texts of one entry, `None` where the header is damaged or has none of this name.
pub(super) fn values(header: &[u8], name: &str) -> Option<Vec<String>> {
    let mut at = if header.starts_with(b"SV10") { 8 } else { 0 };
    let count = number(header, &mut at)?;
    // The number 77 follows.
    number(header, &mut at)?;
    for _ in 0..count.min(MAX_ENTRIES) {
        let title = take(header, &mut at, 64)?;
        // Multiplicity, representation, type.
        take(header, &mut at, 12)?;
        let items = number(header, &mut at)?;
        number(header, &mut at)?;
        let wanted = text(title) == name;
        let mut texts = Vec::new();
        for _ in 0..items {
            // The second of four numbers is the length, in both layouts (dcm2niix, `xx2_Len`).
            let sizes = take(header, &mut at, 16)?;
            let length = number(sizes, &mut 4)?;
            let length = usize::try_from(length).ok()?;
            let value = take(header, &mut at, length.checked_next_multiple_of(4)?)?;
            if wanted {
                let value = text(value.get(..length)?);
                texts.push(value.trim().to_owned());
            }
        }
        if wanted {
            texts.retain(|text| !text.is_empty());
            return Some(texts);
        }
    }
    None
}

fn take<'a>(header: &'a [u8], at: &mut usize, length: usize) -> Option<&'a [u8]> {
    let end = at.checked_add(length)?;
    let bytes = header.get(*at..end)?;
    *at = end;
    Some(bytes)
}

fn number(header: &[u8], at: &mut usize) -> Option<u32> {
    let bytes = take(header, at, 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// What stands before the first zero.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let end = bytes.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default())
}
