//! The way out: posts responses and their buffers to the page.

use js_sys::{Array, Function, Uint8Array};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;

use crate::protocol::{Failure, Response, Stage};

/// Posts responses through the function that the worker's shell handed in.
#[derive(Clone)]
pub struct Outbox {
    post: Function,
}

impl Outbox {
    /// `post(message, buffers)` must send both to the page.
    pub fn new(post: Function) -> Self {
        Self { post }
    }

    /// Sends a response without buffers.
    pub fn send(&self, response: &Response) {
        self.send_with(response, &[]);
    }

    /// Sends a response and copies `buffers` out of the module's memory beside it.
    pub fn send_with(&self, response: &Response, buffers: &[&[u8]]) {
        // JSON's `null` for what is absent, as the generated TypeScript says.
        let serializer = Serializer::json_compatible();
        let Ok(message) = response.serialize(&serializer) else {
            return;
        };
        let copies: Array = buffers
            .iter()
            .map(|bytes| JsValue::from(Uint8Array::from(*bytes)))
            .collect();
        // Posting fails only when the worker is being ended: nobody is left to tell.
        let _ = self.post.call2(&JsValue::NULL, &message, &copies);
    }

    /// Sends progress.
    pub fn progress(&self, id: u32, stage: Stage, fraction: Option<f32>) {
        self.progress_of(id, stage, fraction, None, None);
    }

    /// Sends progress with the stage's bytes and the part of the model that it is at.
    pub fn progress_of(
        &self,
        id: u32,
        stage: Stage,
        fraction: Option<f32>,
        bytes: Option<[f64; 2]>,
        part: Option<String>,
    ) {
        self.send(&Response::Progress {
            id,
            stage,
            fraction,
            bytes,
            part,
        });
    }

    /// Sends a failure.
    pub fn fail(&self, id: u32, error: Failure) {
        self.send(&Response::Error { id, error });
    }
}
