//! Progress and cancellation of long work, checked between stages: a stage on the device cannot be interrupted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::EngineError;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Checking the files of the model; counted in bytes.
    VerifyingWeights,
    /// Moving tensors to the device; counted in bytes there.
    ReadingWeights,
    /// Trunk and neck, once per image; counted in steps.
    EncodingImage,
    /// The text encoder, once per string.
    EncodingPrompt,
    /// Boxes, scores and mask logits, once per prompt.
    Grounding,
    /// Masks at the image's own size; counted in instances.
    Masks,
}

/// How far a stage is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How much of it is done, in the stage's unit; equal to `total` once, at its end.
    pub done: u64,
    /// How much there is.
    pub total: u64,
    /// The tensor that is being moved, by its canonical name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

/// Asks the work to stop; clones share the wish. May be set from another thread.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token nobody has pulled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Forgets the wish, before new work.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the work was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A future that the work awaits at each of its steps.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a caller hears of a piece of work and can do to it. Work may be moved between threads, and its control with it.
#[derive(Clone, Default)]
pub struct Control {
    /// Stops the work at the next step.
    pub cancel: CancelToken,
    listener: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    pause: Option<Arc<dyn Fn() -> Pause + Send + Sync>>,
}

impl Control {
    /// No listener, nothing cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `listener` at each step.
    #[must_use]
    pub fn on_progress(mut self, listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Awaits `pause` at each step. In a browser a worker hears its messages, a cancel among them, only when it
    /// returns to the event loop, which work on the CPU never does by itself.
    #[must_use]
    pub fn with_pause(mut self, pause: impl Fn() -> Pause + Send + Sync + 'static) -> Self {
        self.pause = Some(Arc::new(pause));
        self
    }

    /// Cancels through `cancel`, which the caller keeps a clone of.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    pub(crate) fn report(&self, stage: Stage, done: u64, total: u64) {
        self.tell(stage, done, total, None);
    }

    /// As [`Control::report`], with the tensor that is being moved.
    pub(crate) fn report_part(&self, stage: Stage, done: u64, total: u64, part: &str) {
        self.tell(stage, done, total, Some(part));
    }

    fn tell(&self, stage: Stage, done: u64, total: u64, part: Option<&str>) {
        if let Some(listener) = &self.listener {
            listener(Progress {
                stage,
                done,
                total,
                part: part.map(str::to_owned),
            });
        }
    }

    /// Tells, pauses, and ends with [`EngineError::Cancelled`] if asked to.
    pub(crate) async fn step(
        &self,
        stage: Stage,
        done: u64,
        total: u64,
    ) -> Result<(), EngineError> {
        self.report(stage, done, total);
        if let Some(pause) = &self.pause {
            pause().await;
        }
        self.check()
    }

    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        Ok(())
    }
}
