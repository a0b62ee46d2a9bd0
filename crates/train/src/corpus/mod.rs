//! The corpus on disk: `index.json`, one `dataset.json` per folder, 8-bit images and label-index masks.
//!
//! Reads the format as it is and decides what a mask says about a prompt: positive, absent, or unknown.
//! Nothing here touches a tensor.

mod format;
mod store;

pub use format::{Dataset, Item, Labelling, Licence, Prompt, Split, load_datasets};
pub use store::{Raster, Sample, load_samples};
