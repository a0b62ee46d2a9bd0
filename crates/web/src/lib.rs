//! The wasm-bindgen surface of Medical SAM3. It runs in a dedicated worker of the page, which has no
//! network of its own: the compiled module, the model and the picture all reach it by message.
//!
//! `host` takes messages, `session` answers those that need a model, `workspace` those about series and segmentations;
//! `source` reads model folders, `blob` files, `prefetch` looks ahead when nothing is asked, `backend` chooses the
//! processor, `jobs` cancels and halts. What needs no browser is built and tested natively too.

// In a browser sources of bytes belong to one thread (`imaging::series::Shareable`).
#![cfg_attr(target_arch = "wasm32", allow(clippy::arc_with_non_send_sync))]
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

#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, unused_imports))]
mod answers;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, unused_imports))]
mod event_loop;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, unused_imports))]
mod failure;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, unused_imports))]
mod jobs;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, unused_imports))]
mod outbox;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, unused_imports))]
mod workspace;

#[cfg(target_arch = "wasm32")]
mod backend;
#[cfg(target_arch = "wasm32")]
mod blob;
#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
mod constructors;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod prefetch;
#[cfg(target_arch = "wasm32")]
mod self_test;
#[cfg(target_arch = "wasm32")]
mod session;
#[cfg(target_arch = "wasm32")]
mod source;
