//! NIfTI-1 and NIfTI-2 (nifti1.h, nifti2.h): volumes in, volumes out. One file or a pair of header and
//! values, plain or gzipped, told by content and never by name. Own code: the crate `nifti` takes memory
//! by what a header claims, reads no 64-bit integers as values and has no limits.

mod header;
mod read;
mod values;
mod write;

pub use read::NiftiFile;
pub use write::write_nifti;

pub(crate) use header::{Part, sniff};
pub(crate) use read::unpacked_start;
pub(crate) use values::Slice;
