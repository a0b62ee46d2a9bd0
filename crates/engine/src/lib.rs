//! Open an image, ask for what is in it: the one surface that the page, the command line and the evaluation call.
//! Joins imaging (pixels), weights (a model folder) and model (tensors); the work per image is done once and kept.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod clean;
mod control;
mod embeddings;
mod error;
mod load;
mod prompt_features;
mod prompts;
mod readback;
mod segmenter;
mod selection;
mod tokenizer;
mod vocabulary;
mod warning;

pub use clean::{clean, is_empty_prompt};
pub use control::{CancelToken, Control, Progress, Stage};
pub use embeddings::{EmbeddingUse, View};
pub use error::EngineError;
pub use load::{Hold, LoadOptions};
pub use medsam3_imaging as imaging;
pub use medsam3_model as model;
pub use medsam3_model::kernels::choice as kernels;
pub use medsam3_model::self_test;
pub use medsam3_weights as weights;
pub use prompt_features::encode_prompts;
pub use prompts::split_prompts;
pub use segmenter::{Instance, PromptOptions, PromptResult, Seconds, Segmenter, Work};
pub use selection::{DEFAULT_MASK_THRESHOLD, DEFAULT_THRESHOLD, Thresholds};
pub use tokenizer::{Tokenizer, Tokens};
pub use warning::Warning;
