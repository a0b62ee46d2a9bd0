//! Time for the worker's messages: work that never returns to the event loop hears of no `cancel`.

#[cfg(target_arch = "wasm32")]
pub use browser::sleep;
#[cfg(not(target_arch = "wasm32"))]
pub use native::sleep;

/// Lets the worker read its messages, such as a `cancel`: a resolved promise would not, a timer does.
pub async fn breathe() {
    sleep(0).await;
}

#[cfg(target_arch = "wasm32")]
mod browser {
    use js_sys::Promise;
    use wasm_bindgen::prelude::wasm_bindgen;
    use wasm_bindgen_futures::JsFuture;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_name = setTimeout)]
        fn set_timeout(callback: &js_sys::Function, milliseconds: f64) -> f64;
    }

    /// Returns after some milliseconds, during which the worker reads its messages.
    pub async fn sleep(milliseconds: u32) {
        let promise = Promise::new(&mut |resolve, _| {
            set_timeout(&resolve, f64::from(milliseconds));
        });
        let _ = JsFuture::from(promise).await;
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::task::Poll;

    /// Lets whoever is polled beside it go first, however long they take: natively there are tests alone.
    pub async fn sleep(_milliseconds: u32) {
        let mut waited = false;
        std::future::poll_fn(|context| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}
