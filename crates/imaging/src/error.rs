//! Why an image could not be opened: a stable code, what happened, and what to do about it.
//! No variant carries a file name or text from the patient's record.

use thiserror::Error;

/// Every way in which opening or reading an image can fail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImagingError {
    /// The bytes are none of the formats known here.
    #[error("The file is not a DICOM, PNG or JPEG image.")]
    NotAnImage,
    /// A file of a known format that is not read here.
    #[error("The file is {format}, which is not read here.")]
    OtherFormat {
        /// Its name with an article.
        format: &'static str,
        /// What can be done about it.
        next_step: &'static str,
    },
    /// A PNG or JPEG that its decoder rejects.
    #[error("The {format} file is damaged and cannot be decoded.")]
    Damaged {
        /// `"PNG"` or `"JPEG"`.
        format: &'static str,
    },
    /// A size that would not fit the memory set aside for one image.
    #[error("The image is too large: {what} would be {needed}, the limit is {limit}.")]
    TooLarge {
        /// What was measured, with its unit.
        what: &'static str,
        /// The size that the file asks for.
        needed: u64,
        /// The largest size accepted.
        limit: u64,
    },
    /// A DICOM file that ends before its declared content does.
    #[error("The DICOM file is cut short: {expected} bytes are declared and {found} are there.")]
    DicomTruncated {
        /// Bytes that the file declares for the part that is cut.
        expected: u64,
        /// Bytes of it that are present.
        found: u64,
    },
    /// A DICOM file whose structure contradicts itself.
    #[error("The DICOM file is malformed: {detail}.")]
    DicomMalformed {
        /// What is wrong, in words of ours.
        detail: &'static str,
    },
    /// A DICOM object without an image, such as a report, a plan or a directory.
    #[error("The DICOM file holds no image: it has no pixel data.")]
    DicomNoPixels,
    /// Pixel data compressed in a way that this build does not decode.
    #[error("The DICOM file uses a compression that is not supported: {name} ({uid}).")]
    UnsupportedTransferSyntax {
        /// Transfer syntax UID.
        uid: String,
        /// Its name in the standard, or "unknown".
        name: String,
    },
    /// Pixels in a form that would be shown wrongly.
    #[error("The DICOM pixels are in a form that is not supported: {detail}.")]
    UnsupportedPixels {
        /// Which form, in words of ours.
        detail: &'static str,
    },
    /// One compressed frame that its decoder rejects.
    #[error("Frame {frame} of the DICOM file is damaged and cannot be decoded.")]
    DicomFrameDamaged {
        /// Index of the frame, from 0.
        frame: usize,
    },
    /// A frame that the file does not have.
    #[error("Frame {frame} was asked for, but the image has {count}.")]
    FrameOutOfRange {
        /// Index asked for, from 0.
        frame: usize,
        /// Number of frames in the file.
        count: usize,
    },
    /// Gray values of a colour image.
    #[error("The image is in colour and has no gray values.")]
    NotGray,
    /// Bytes that cannot be had: a file that vanished, a lack of permission.
    #[error("The file cannot be read: {detail}.")]
    Unreadable {
        /// What the system says, without the file's name.
        detail: String,
    },
    /// A zip archive that contradicts itself, is encrypted, or unpacks to too much.
    #[error("The archive cannot be unpacked: {detail}.")]
    Archive {
        /// What is wrong, in words of ours.
        detail: &'static str,
    },
    /// A NIfTI file that is damaged or of a kind that is not read.
    #[error("The NIfTI file cannot be read: {detail}.")]
    Nifti {
        /// What is wrong, in words of ours.
        detail: &'static str,
    },
    /// A DICOM object that is no segmentation of pixels.
    #[error("The DICOM file is no segmentation of pixels.")]
    NotASegmentation,
    /// A segmentation whose description contradicts itself or its pixels.
    #[error("The DICOM segmentation cannot be read: {detail}.")]
    SegmentationMalformed {
        /// What is wrong, in words of ours.
        detail: &'static str,
    },
    /// A series that makes no volume.
    #[error("The series is no volume: {detail}.")]
    NoVolume {
        /// Why, in words of ours.
        detail: &'static str,
    },
}

impl ImagingError {
    /// The stable code of this failure, for the page and for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnImage => "IMAGE-UNKNOWN",
            Self::OtherFormat { .. } => "IMAGE-FORMAT",
            Self::Damaged { .. } => "IMAGE-DAMAGED",
            Self::TooLarge { .. } => "IMAGE-TOO-LARGE",
            Self::DicomTruncated { .. } => "DICOM-TRUNCATED",
            Self::DicomMalformed { .. } => "DICOM-MALFORMED",
            Self::DicomNoPixels => "DICOM-NO-PIXELS",
            Self::UnsupportedTransferSyntax { .. } => "DICOM-TRANSFER-SYNTAX",
            Self::UnsupportedPixels { .. } => "DICOM-PIXEL-FORMAT",
            Self::DicomFrameDamaged { .. } => "DICOM-FRAME-DAMAGED",
            Self::FrameOutOfRange { .. } => "FRAME-OUT-OF-RANGE",
            Self::NotGray => "IMAGE-NOT-GRAY",
            Self::Unreadable { .. } => "FILE-UNREADABLE",
            Self::Archive { .. } => "ARCHIVE-DAMAGED",
            Self::Nifti { .. } => "NIFTI-UNREADABLE",
            Self::NotASegmentation => "DICOM-NOT-SEG",
            Self::SegmentationMalformed { .. } => "DICOM-SEG-MALFORMED",
            Self::NoVolume { .. } => "SERIES-NO-VOLUME",
        }
    }

    /// What the person can do next, as one sentence.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NotAnImage => "Choose a DICOM, PNG or JPEG file.",
            Self::OtherFormat { next_step, .. } => next_step,
            Self::Damaged { .. } | Self::DicomFrameDamaged { .. } => {
                "Export or download the file again; if it still fails, the original is damaged."
            }
            Self::TooLarge { .. } => "Crop the image or export it at a lower resolution.",
            Self::DicomTruncated { .. } => {
                "Copy or download the file again: the transfer stopped early."
            }
            Self::DicomMalformed { .. } => {
                "Export the file again from its source, or convert it with a DICOM toolkit."
            }
            Self::DicomNoPixels => {
                "Choose an image of the series; reports, plans and DICOMDIR files hold none."
            }
            Self::UnsupportedTransferSyntax { uid, .. } => advice(uid),
            Self::UnsupportedPixels { .. } => {
                "Export the image as 8 or 16 bit gray, or as 8 bit RGB."
            }
            Self::FrameOutOfRange { .. } => "Ask for a frame below the number of frames.",
            Self::Unreadable { .. } => "Check that the file is still there and may be read.",
            Self::Archive { .. } => {
                "Unpack the archive with another program, and choose its folder."
            }
            Self::Nifti { .. } => "Save the volume again as NIfTI-1 with real numbers.",
            Self::NotASegmentation => {
                "Choose a DICOM SEG file; surfaces and structure sets are other objects."
            }
            Self::SegmentationMalformed { .. } => {
                "Export the segmentation again from the program that made it."
            }
            Self::NoVolume { .. } => "Use its slices one by one.",
            Self::NotGray => "Use the rendered colours; windowing applies to gray images alone.",
        }
    }
}

/// A way out of a compression that is not read here; of the retired ones no common tool knows any.
fn advice(uid: &str) -> &'static str {
    let family = uid
        .strip_prefix("1.2.840.10008.1.2.4.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|rest| rest.parse::<u16>().ok());
    match family {
        Some(100..=109) => {
            "It is a video: export the frames as images from the system that made it."
        }
        Some(201..=203) => {
            "Convert it with pydicom and pylibjpeg-openjpeg (`Dataset.decompress`), or export it uncompressed."
        }
        _ => {
            "Export the image uncompressed (Explicit VR Little Endian) from the system that holds it."
        }
    }
}
