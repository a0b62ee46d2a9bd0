//! The way out: responses and their buffers, to the page or to a test.

use std::rc::Rc;

use crate::protocol::{Failure, Response, Stage};

type Post = dyn Fn(&Response, &[&[u8]]);

/// Sends responses through the function that it was made with.
#[derive(Clone)]
pub struct Outbox {
    post: Rc<Post>,
}

impl Outbox {
    /// `post(response, buffers)` must send both, and copy the buffers.
    pub fn new(post: impl Fn(&Response, &[&[u8]]) + 'static) -> Self {
        Self {
            post: Rc::new(post),
        }
    }

    /// Sends a response without buffers.
    pub fn send(&self, response: &Response) {
        self.send_with(response, &[]);
    }

    /// Sends a response with buffers beside it.
    pub fn send_with(&self, response: &Response, buffers: &[&[u8]]) {
        (self.post)(response, buffers);
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
