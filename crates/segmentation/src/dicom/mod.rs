//! DICOM objects that refer to a series: segmentations, structure sets and reports of measurements. What they share is here: options,
//! identity, patient and study (taken from the series, as the standard asks), and the writing of a file.

mod color;
mod element;
mod file;
mod header;
mod pixels;
mod reference;
mod rtstruct;
mod seg;
mod source;
mod sr;
mod stamp;

pub(crate) use color::rgb;
pub use header::DicomOptions;
pub use rtstruct::write_rtstruct;
pub use seg::write_seg;
pub use sr::write_sr;
pub use stamp::Stamp;
