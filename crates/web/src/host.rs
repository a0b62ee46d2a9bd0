//! The object that the worker's shell drives: one `handle` per message from the page.

use std::rc::Rc;

use js_sys::{Array, Function};
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
        let out = Outbox::new(post);
        Self {
            session: Rc::new(Session::new(out.clone())),
            jobs: Jobs::default(),
            out,
        }
    }

    /// Answers one request. Several may be under way: a `cancel` comes in while a `segment` waits for
    /// the GPU.
    pub async fn handle(&self, message: JsValue, buffers: Array) {
        let Ok(request) = serde_wasm_bindgen::from_value::<Request>(message) else {
            return self.out.fail(0, failure::unreadable_message());
        };
        if let Request::Cancel { target, .. } = request {
            return self.jobs.cancel(target);
        }
        let id = request.id();
        let buffers: Vec<JsValue> = buffers.iter().collect();
        let work = self.session.clone().answer(request, buffers);
        match self.jobs.run(id, work).await {
            None => self.out.send(&Response::Cancelled { id }),
            Some(Err(error)) => self.out.fail(id, error),
            Some(Ok(())) => {}
        }
    }
}
