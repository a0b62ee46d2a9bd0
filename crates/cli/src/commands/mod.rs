//! One file per command: its arguments with their help, and what it does with them.

pub mod bench;
pub mod convert;
pub mod evaluate;
pub mod export;
pub mod import;
pub mod inspect;
pub mod inspect_images;
pub mod measure;
pub mod nifti;
pub mod parity;
pub mod segment;
pub mod serve;
pub mod train;
