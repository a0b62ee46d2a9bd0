//! Files and folders that are whole or not there. The one place where this workspace writes results.
//!
//! * [`atomic_write`]: a file takes its name only once it is complete and on the disk.
//! * [`ScratchFolder`]: the same for a folder.
//! * [`Lock`]: one process at a time where a file is shared.
//! * [`check_output_folder`]: permissions and space, tried before the work and not after it.
//!
//! Temporary names are unique per call, start with [`TEMPORARY_PREFIX`] and are locked while they are in use, so
//! that what a killed process left behind can be told from what another process is writing.

mod atomic;
mod leftovers;
mod lock;
mod output_folder;
mod scratch_folder;

pub use atomic::{Existing, atomic_write, atomic_write_at, atomic_write_bytes, follow_links};
pub use leftovers::remove_leftovers;
pub use lock::Lock;
pub use output_folder::check_output_folder;
pub use scratch_folder::ScratchFolder;

/// How every temporary file and folder begins.
pub const TEMPORARY_PREFIX: &str = ".medsam3-";
