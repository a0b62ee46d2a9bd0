//! Why a segmentation could not be made, written or read: a stable code, what happened, and what to do
//! about it. No variant carries a file name or text from the patient's record.

use medsam3_imaging::ImagingError;
use thiserror::Error;

/// Every way in which this crate can fail.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SegmentationError {
    /// A mask of another size than the pictures of the series.
    #[error("The mask has {found:?} columns and rows, the picture {expected:?}.")]
    MaskSize {
        /// Of the picture.
        expected: [usize; 2],
        /// Of the mask.
        found: [usize; 2],
    },
    /// A slice or frame that the series does not have.
    #[error("Slice {slice}, frame {frame} is none of the series.")]
    NoSuchPicture {
        /// From 0.
        slice: usize,
        /// From 0.
        frame: usize,
    },
    /// A segment that is not there.
    #[error("There is no segment {index}.")]
    NoSuchSegment {
        /// From 0.
        index: usize,
    },
    /// A segment that may not be changed.
    #[error("The segment is locked.")]
    Locked,
    /// A run would overwrite what a person made.
    #[error("A segment of this prompt is locked or was corrected by hand.")]
    Protected,
    /// A step that is not at its end.
    #[error("The last step is a run that is under way.")]
    RunUnderWay,
    /// Nothing to write.
    #[error("No segment has a pixel: there is nothing to write.")]
    Empty,
    /// A format that needs what the series does not have.
    #[error("The series cannot be written as {format}: {detail}.")]
    NotWritable {
        /// `"DICOM SEG"`, `"RT Structure Set"`, `"NIfTI"`.
        format: &'static str,
        /// What is missing, in words of ours.
        detail: &'static str,
        /// Where it can go instead.
        next_step: &'static str,
    },
    /// Segments that overlap where each pixel can have one label.
    #[error("The segments overlap, and a label map gives every pixel to one of them.")]
    Overlap,
    /// More than the format can hold.
    #[error("The result is too large for {format}: {needed}, the limit is {limit}.")]
    TooLarge {
        /// Name of the format.
        format: &'static str,
        /// What it would need.
        needed: u64,
        /// What it holds.
        limit: u64,
    },
    /// A segmentation that is not of this series.
    #[error("The segmentation does not belong to the series: {detail}.")]
    OtherSeries {
        /// What does not fit, in words of ours.
        detail: &'static str,
    },
    /// A file that contradicts itself, or of a kind that is not read.
    #[error("The segmentation cannot be read: {detail}.")]
    Unreadable {
        /// What is wrong, in words of ours.
        detail: &'static str,
    },
    /// The output took no more bytes.
    #[error("Writing failed: {0}.")]
    Write(#[from] std::io::Error),
    /// Encoding failed, with the name of the part.
    #[error("The {part} cannot be encoded: {detail}.")]
    Encode {
        /// Which part of the object.
        part: &'static str,
        /// What the encoder says.
        detail: String,
    },
    /// A picture or file of the series could not be read.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
}

impl SegmentationError {
    /// The stable code of this failure, for the page and for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MaskSize { .. } => "SEGMENT-MASK-SIZE",
            Self::NoSuchPicture { .. } => "SEGMENT-NO-PICTURE",
            Self::NoSuchSegment { .. } => "SEGMENT-UNKNOWN",
            Self::Locked => "SEGMENT-LOCKED",
            Self::Protected => "SEGMENT-PROTECTED",
            Self::RunUnderWay => "RUN-UNDER-WAY",
            Self::Empty => "SEGMENT-EMPTY",
            Self::NotWritable { .. } => "SEGMENT-NOT-WRITABLE",
            Self::Overlap => "SEGMENT-OVERLAP",
            Self::TooLarge { .. } => "SEGMENT-TOO-LARGE",
            Self::OtherSeries { .. } => "SEGMENT-OTHER-SERIES",
            Self::Unreadable { .. } => "SEGMENT-UNREADABLE",
            Self::Write(_) => "SEGMENT-WRITE",
            Self::Encode { .. } => "SEGMENT-ENCODE",
            Self::Imaging(error) => error.code(),
        }
    }

    /// What the person can do next, as one sentence.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::MaskSize { .. } | Self::NoSuchPicture { .. } => {
                "Use masks of the series that the segmentation was made for."
            }
            Self::NoSuchSegment { .. } => "Choose one of the segments that are there.",
            Self::Locked => "Unlock it, or choose another one.",
            Self::Protected => "Say whether it may be replaced or a new one is made beside it.",
            Self::RunUnderWay => "Cancel the run, or wait for its end.",
            Self::Empty => "Lower the threshold, try another prompt, or draw the segment.",
            Self::NotWritable { next_step, .. } => next_step,
            Self::Overlap => "Write a binary segmentation, which keeps overlaps.",
            Self::TooLarge { .. } => "Write fewer segments or slices to one file.",
            Self::OtherSeries { .. } => {
                "Open the series that the segmentation was made on, or another segmentation."
            }
            Self::Unreadable { .. } => {
                "Write the file again from the program that made it, as DICOM SEG if it can."
            }
            Self::Write(_) => "Free some space, or choose another place to write to.",
            Self::Encode { .. } => "Report this: the text or number should have been encodable.",
            Self::Imaging(error) => error.next_step(),
        }
    }
}
