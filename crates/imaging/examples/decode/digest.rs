//! What one file decodes to, in a line: SHA-256 over every value of every frame, or the code of its refusal.

use std::sync::Arc;

use medsam3_imaging::series::{MemorySource, find};
use medsam3_imaging::{ImagingError, Picture, PictureKind, open};
use sha2::{Digest, Sha256};

/// Transfer syntax and digest, or format and code.
pub fn line(bytes: &[u8]) -> String {
    let decoded = open(bytes).and_then(|mut picture| digest(&mut picture));
    let syntax = syntax(bytes);
    match decoded {
        Ok(digest) => format!("{syntax} {digest}"),
        Err(error) => format!("{syntax} {}", error.code()),
    }
}

/// Transfer Syntax UID, of objects that are no series too; empty where there is none.
fn syntax(bytes: &[u8]) -> String {
    let name = b"\x02\0\x10\0UI";
    let start = bytes.get(..2048).unwrap_or(bytes);
    let declared = start
        .windows(name.len())
        .position(|window| window == name)
        .and_then(|at| {
            let length = bytes.get(at + 6..at + 8)?;
            let end = at + 8 + usize::from(u16::from_le_bytes(length.try_into().ok()?));
            let uid = std::str::from_utf8(bytes.get(at + 8..end)?).ok()?;
            Some(uid.trim_matches(['\0', ' ']).to_owned())
        });
    declared.unwrap_or_else(|| {
        let listing = find(vec![Arc::new(MemorySource::new("file", bytes.to_vec()))]);
        let series = listing.series.first();
        let syntax = series.and_then(|series| series.transfer_syntaxes().first());
        syntax.cloned().unwrap_or_default()
    })
}

/// Gray values as f32 in little endian, colours as bytes.
fn digest(picture: &mut Picture) -> Result<String, ImagingError> {
    let mut hash = Sha256::new();
    for frame in 0..picture.frame_count() {
        match picture.kind() {
            PictureKind::Gray => {
                for value in picture.gray_values(frame)? {
                    hash.update(value.to_le_bytes());
                }
            }
            PictureKind::Rgb => hash.update(picture.render(frame, None)?.pixels),
        }
        picture.release_frames();
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
