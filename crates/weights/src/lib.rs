//! A model as a folder: `manifest.json`, safetensors shards of at most 64 MiB, `tokenizer.json` and
//! `MODEL_CARD.md`. Written whole or not at all; read strictly, each file's SHA-256 checked before any of its
//! tensors is used, one tensor or a range of it in memory at a time. Knows names, shapes and bytes, not the model.

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

#[cfg(not(target_arch = "wasm32"))]
mod checkpoint;
#[cfg(not(target_arch = "wasm32"))]
mod convert;
#[cfg(not(target_arch = "wasm32"))]
mod day;
mod error;
mod hash;
pub mod huggingface;
mod index;
mod layout;
mod manifest;
mod pick;
mod quantise;
mod reader;
mod source;
#[cfg(not(target_arch = "wasm32"))]
mod vocabulary;
#[cfg(not(target_arch = "wasm32"))]
mod writer;

#[cfg(not(target_arch = "wasm32"))]
pub use checkpoint::{Checkpoint, CheckpointError};
#[cfg(not(target_arch = "wasm32"))]
pub use convert::{CheckpointLayout, NeededTensor, Plan};
#[cfg(not(target_arch = "wasm32"))]
pub use day::today;
pub use error::{Misshapen, WeightsError};
pub use hash::{RunningHash, sha256_hex};
pub use index::TensorInfo;
pub use manifest::{
    FORMAT_VERSION, FileEntry, MANIFEST_FILE, MODEL_CARD_FILE, Manifest, MaskRule,
    OLDEST_FORMAT_VERSION, Part, Precision, PromptEntry, Provenance, Q8_BLOCK, SHARD_LIMIT_BYTES,
    TOKENIZER_FILE, TensorEntry, scales_shape,
};
pub use reader::Reader;
#[cfg(not(target_arch = "wasm32"))]
pub use source::DirectorySource;
pub use source::{MemorySource, Source};
#[cfg(not(target_arch = "wasm32"))]
pub use vocabulary::{
    VOCABULARY_FEATURES_FILE, VOCABULARY_FILE, VOCABULARY_TENSOR, VocabularyBuilder,
};
#[cfg(not(target_arch = "wasm32"))]
pub use writer::{ModelDescription, Sealed, Writer, check_model_target};
