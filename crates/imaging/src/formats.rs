//! Files that people try to open and that are none of the formats read here: named by their first bytes, with
//! what to do about each, in place of "not an image".

use crate::ImagingError;

const UNPACK: &str = "Unpack it and open the files in it.";
const AS_PNG: &str = "Save it as PNG, without changing its size.";
const EXPORT: &str = "Export the image from the document as PNG.";

/// First bytes, name with article, next step.
const SIGNATURES: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a ZIP archive", UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", UNPACK),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", UNPACK),
    (b"GIF8", "a GIF image", AS_PNG),
    (b"BM", "a BMP image", AS_PNG),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 stream", AS_PNG),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", AS_PNG),
    (b"\xff\x0a", "a JPEG XL image", AS_PNG),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", AS_PNG),
    (b"%PDF", "a PDF document", EXPORT),
    (b"NRRD", "an NRRD volume", "Convert it to NIfTI or DICOM."),
    (
        b"\x89HDF",
        "an HDF5 file",
        "Convert its image to NIfTI or PNG.",
    ),
];

/// The failure for bytes that no reader took: by name where the bytes tell one.
pub(crate) fn named(bytes: &[u8], error: ImagingError) -> ImagingError {
    if error != ImagingError::NotAnImage {
        return error;
    }
    let known = SIGNATURES
        .iter()
        .find(|(signature, ..)| bytes.starts_with(signature))
        .map(|&(_, format, next_step)| (format, next_step))
        .or_else(|| match bytes.get(4..12)? {
            b"ftypheic" | b"ftypheix" | b"ftypmif1" => Some(("a HEIC image", AS_PNG)),
            b"ftypavif" => Some(("an AVIF image", AS_PNG)),
            _ => (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"))
                .then_some(("a WebP image", AS_PNG)),
        });
    known.map_or(error, |(format, next_step)| ImagingError::OtherFormat {
        format,
        next_step,
    })
}
