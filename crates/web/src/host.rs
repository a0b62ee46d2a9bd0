//! The object that the worker's shell drives: one `handle` per message from the page.

use std::rc::Rc;

use js_sys::{Array, Function, Uint8Array};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure;
use crate::jobs::Jobs;
use crate::outbox::Outbox;
use crate::protocol::{Request, Response};
use crate::session::Session;

/// The engine behind the worker.
#[wasm_bindgen]
pub struct Host {
    out: Outbox,
    jobs: Jobs,
    session: Rc<Session>,
}

#[wasm_bindgen]
impl Host {
    /// `post(message, buffers)` sends to the page.
    #[wasm_bindgen(constructor)]
    pub fn new(post: Function) -> Self {
        console_error_panic_hook::set_once();
        let out = Outbox::new(move |response, buffers| send(&post, response, buffers));
        let jobs = Jobs::default();
        Self {
            session: Rc::new(Session::new(out.clone(), jobs.clone())),
            jobs,
            out,
        }
    }

    /// Answers one request. Several may be under way: a `cancel` comes in while a run waits for the GPU, and
    /// pixels are asked for meanwhile.
    pub async fn handle(&self, message: JsValue, buffers: Array) {
        let Ok(request) = serde_wasm_bindgen::from_value::<Request>(message) else {
            return self.out.fail(0, failure::unreadable_message());
        };
        match request {
            Request::Cancel { target, .. } => return self.jobs.cancel(target),
            Request::Pause { target, .. } => return self.pause(target, true),
            Request::Resume { target, .. } => return self.pause(target, false),
            _ => {}
        }
        let id = request.id();
        let is_run = matches!(request, Request::SegmentSeries { .. });
        let buffers: Vec<JsValue> = buffers.iter().collect();
        let work = self.session.clone().answer(request, buffers);
        match self.jobs.run(id, is_run, work).await {
            None => self.out.send(&Response::Cancelled { id }),
            Some(Err(error)) => self.out.fail(id, error),
            Some(Ok(())) => {}
        }
    }
}

impl Host {
    fn pause(&self, target: u32, paused: bool) {
        if self.jobs.set_paused(target, paused) {
            self.out.send(&Response::RunState { id: target, paused });
        }
    }
}

/// Posts a response, and copies its buffers out of the module's memory beside it.
fn send(post: &Function, response: &Response, buffers: &[&[u8]]) {
    // JSON's `null` for what is absent, as the generated TypeScript says.
    let Ok(message) = response.serialize(&Serializer::json_compatible()) else {
        return;
    };
    let copies: Array = buffers
        .iter()
        .map(|bytes| JsValue::from(Uint8Array::from(*bytes)))
        .collect();
    // Posting fails only when the worker is being ended: nobody is left to tell.
    let _ = post.call2(&JsValue::NULL, &message, &copies);
}
