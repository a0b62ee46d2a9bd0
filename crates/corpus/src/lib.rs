//! The corpus on disk: `index.json`, one `dataset.json` per folder, 8-bit images and label-index masks.
//!
//! Reads the format as it is and decides what a mask says about a prompt: positive, absent, or unknown.
//! [`import`] makes it of published datasets. Nothing here touches a tensor.

mod error;
mod format;
pub mod import;
mod store;
mod survey;
mod truth;

pub use medsam3_imaging::connected_components;

pub use error::CorpusError;
pub use format::{
    Dataset, Item, Labelling, Licence, OwnPrompt, Prompt, Split, load_datasets, load_to_measure,
};
pub use store::{Raster, Sample, load_samples};
pub use survey::{Selection, Survey, first_of_each, keep_prompts, survey, training_images};
pub use truth::{Truth, questions, read_image};
