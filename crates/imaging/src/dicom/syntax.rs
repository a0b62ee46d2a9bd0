//! Transfer syntaxes (PS3.5 section 10, PS3.6 annex A): how the data set is written and how its pixels are.

use dicom_dictionary_std::uids;

use super::names;
use crate::ImagingError;

/// Retired from the standard, not from the archives.
const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Retired too: processes 6 and 8, and 10 and 12.
const JPEG_SPECTRAL_SELECTION: &str = "1.2.840.10008.1.2.4.53";
const JPEG_FULL_PROGRESSION: &str = "1.2.840.10008.1.2.4.55";

/// How the elements of a data set are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) explicit: bool,
    pub(super) big_endian: bool,
}

impl Encoding {
    pub(super) const IMPLICIT: Self = Self {
        explicit: false,
        big_endian: false,
    };
    pub(super) const EXPLICIT: Self = Self {
        explicit: true,
        big_endian: false,
    };
    pub(super) const EXPLICIT_BIG: Self = Self {
        explicit: true,
        big_endian: true,
    };

    /// The transfer syntax that names this encoding alone.
    pub(super) fn uid(self) -> &'static str {
        match self {
            Self {
                big_endian: true, ..
            } => EXPLICIT_VR_BIG_ENDIAN,
            Self { explicit: true, .. } => uids::EXPLICIT_VR_LITTLE_ENDIAN,
            Self { .. } => uids::IMPLICIT_VR_LITTLE_ENDIAN,
        }
    }
}

/// How pixels are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// Not at all.
    Native,
    /// RLE Lossless.
    Rle,
    /// Deflated Image Frame Compression.
    Deflated,
    /// Processes 1, 2 and 4 (.50 and .51), the retired progressive ones (.53 and .55), and 14 (.57 and .70).
    Jpeg,
    /// Lossless (.80) and near-lossless (.81).
    JpegLs,
    /// Reversible (.90) and either (.91).
    Jpeg2000,
}

/// One transfer syntax that this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) encoding: Encoding,
    pub(super) codec: Codec,
    pub(super) deflated: bool,
}

impl Syntax {
    /// A data set that is neither compressed nor deflated.
    pub(super) fn native(encoding: Encoding) -> Self {
        Self {
            encoding,
            codec: Codec::Native,
            deflated: false,
        }
    }
}

/// The syntax of a UID.
///
/// # Errors
///
/// [`ImagingError::UnsupportedTransferSyntax`] for any that is not in the table.
pub(super) fn from_uid(uid: &str) -> Result<Syntax, ImagingError> {
    let compressed = |codec| Syntax {
        encoding: Encoding::EXPLICIT,
        codec,
        deflated: false,
    };
    Ok(match uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => Syntax::native(Encoding::IMPLICIT),
        uids::EXPLICIT_VR_LITTLE_ENDIAN => Syntax::native(Encoding::EXPLICIT),
        EXPLICIT_VR_BIG_ENDIAN => Syntax::native(Encoding::EXPLICIT_BIG),
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => Syntax {
            deflated: true,
            ..Syntax::native(Encoding::EXPLICIT)
        },
        uids::RLE_LOSSLESS => compressed(Codec::Rle),
        uids::DEFLATED_IMAGE_FRAME_COMPRESSION => compressed(Codec::Deflated),
        uids::JPEG_BASELINE8_BIT
        | uids::JPEG_EXTENDED12_BIT
        | JPEG_SPECTRAL_SELECTION
        | JPEG_FULL_PROGRESSION
        | uids::JPEG_LOSSLESS
        | uids::JPEG_LOSSLESS_SV1 => compressed(Codec::Jpeg),
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => compressed(Codec::JpegLs),
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => compressed(Codec::Jpeg2000),
        other => return Err(unsupported(other)),
    })
}

/// The refusal that names a transfer syntax.
pub(super) fn unsupported(uid: &str) -> ImagingError {
    // The UID comes from the file: anything but digits and dots stays out of the message.
    let uid: String = uid
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == '.')
        .take(64)
        .collect();
    ImagingError::UnsupportedTransferSyntax {
        name: names::of(&uid).to_owned(),
        uid,
    }
}
