//! The wasm-bindgen surface of Medical SAM3. It runs in a dedicated worker of the page, which has no
//! network of its own: the compiled module, the model and the picture all reach it by message.
//!
//! `host` takes messages, `session` answers them, `source` reads model folders, `prefetch` looks ahead when nothing is
//! asked, `backend` chooses the processor, `jobs` cancels.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

// Its fields say in their names what they are; units and shapes that they cannot say are documented.
#[allow(missing_docs)]
pub mod protocol;

#[cfg(target_arch = "wasm32")]
mod answers;
#[cfg(target_arch = "wasm32")]
mod backend;
#[cfg(target_arch = "wasm32")]
mod constructors;
#[cfg(target_arch = "wasm32")]
mod failure;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod jobs;
#[cfg(target_arch = "wasm32")]
mod outbox;
#[cfg(target_arch = "wasm32")]
mod prefetch;
#[cfg(target_arch = "wasm32")]
mod self_test;
#[cfg(target_arch = "wasm32")]
mod session;
#[cfg(target_arch = "wasm32")]
mod source;
