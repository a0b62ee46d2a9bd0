//! Encode an image, ask for what is in it: the one surface that the page, the command line and the evaluation call.
//! Joins imaging (pixels), weights (a model folder) and model (tensors). The model is shared and never changes; what it
//! makes of an image is a handle that the caller keeps.

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
mod embedding;
mod embedding_cache;
mod error;
#[cfg(any(test, feature = "fixture"))]
#[allow(clippy::unwrap_used)]
pub mod fixture;
mod load;
mod prompt_features;
mod prompts;
mod readback;
mod segmenter;
mod selection;
mod slice_order;
mod slice_run;
mod tokenizer;
mod vocabulary;
mod warning;

pub use clean::{clean, is_empty_prompt};
pub use control::{CancelToken, Control, Progress, Stage};
pub use embedding::{Embedding, EncodedImage};
pub use embedding_cache::{EmbeddingCache, EmbeddingUse, View};
pub use error::EngineError;
pub use load::{Hold, LoadOptions};
pub use medsam3_imaging as imaging;
pub use medsam3_model as model;
pub use medsam3_model::kernels::choice as kernels;
pub use medsam3_model::self_test;
pub use medsam3_weights as weights;
pub use prompt_features::encode_prompts;
pub use prompts::split_prompts;
pub use segmenter::{Instance, PromptOptions, PromptResult, Seconds, Segmenter, Semantic, Work};
pub use selection::{DEFAULT_MASK_THRESHOLD, DEFAULT_THRESHOLD, Thresholds};
pub use slice_order::outward;
pub use slice_run::{SliceError, SliceRequest, SliceResult, SliceRun, view_frame};
pub use tokenizer::{Tokenizer, Tokens};
pub use warning::Warning;
