//! Requests under way, so that a `cancel` can stop them at their next await.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The requests that can be cancelled, by id.
#[derive(Clone, Default)]
pub struct Jobs {
    running: Rc<RefCell<HashMap<u32, AbortHandle>>>,
}

impl Jobs {
    /// Runs `work` as request `id`; `None` when it was cancelled, in which case it has been dropped.
    pub async fn run<T>(&self, id: u32, work: impl Future<Output = T>) -> Option<T> {
        let (work, handle) = abortable(work);
        self.running.borrow_mut().insert(id, handle);
        let result = work.await;
        self.running.borrow_mut().remove(&id);
        result.ok()
    }

    /// Stops request `target`; one that has ended is left alone.
    pub fn cancel(&self, target: u32) {
        let handle = self.running.borrow().get(&target).cloned();
        if let Some(handle) = handle {
            handle.abort();
        }
    }
}

/// Lets the worker read its messages, such as a `cancel`: a resolved promise would not, a timer does.
pub async fn breathe() {
    sleep(0).await;
}

/// Returns after some milliseconds, during which the worker reads its messages.
pub async fn sleep(milliseconds: u32) {
    let global = js_sys::global();
    let timer = Reflect::get(&global, &JsValue::from_str("setTimeout")).ok();
    let Some(timer) = timer.and_then(|timer| timer.dyn_into::<Function>().ok()) else {
        return;
    };
    let promise = Promise::new(&mut |resolve, _| {
        let _ = timer.call2(
            &global,
            &resolve,
            &JsValue::from_f64(f64::from(milliseconds)),
        );
    });
    let _ = JsFuture::from(promise).await;
}
