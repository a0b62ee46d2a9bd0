//! Looking ahead: when a slice has been segmented and nothing else is asked for, the trunk runs on its neighbours, so that
//! scrolling on finds their embeddings there. Any request ends it at once, between two blocks of the trunk.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use wasm_bindgen_futures::spawn_local;

use crate::event_loop::{breathe, sleep};
use crate::protocol::Backend;
use crate::session::{Session, pausing};
use crate::workspace::Ahead;

/// How long nothing must have been asked for.
const IDLE_MILLISECONDS: u32 = 400;

/// The look ahead that is under way.
#[derive(Default)]
pub struct Prefetch {
    handle: RefCell<Option<AbortHandle>>,
    running: Cell<bool>,
}

impl Session {
    /// Encodes the neighbours of a picture when nothing else is to be done. Only on a GPU: on the CPU a block of the full
    /// model would keep the worker from its messages.
    pub(crate) fn prefetch_around(self: &Rc<Self>, ahead: Ahead) {
        let on_gpu = |session: &Session| {
            let processor = session.processor.borrow();
            processor.as_ref().map(|processor| processor.backend) == Some(Backend::Webgpu)
        };
        if !on_gpu(self) || self.prefetch.running.get() {
            return;
        }
        let session = self.clone();
        let (work, handle) = abortable(async move { session.look_ahead(ahead).await });
        self.prefetch.handle.replace(Some(handle));
        self.prefetch.running.set(true);
        let session = self.clone();
        spawn_local(async move {
            let _ = work.await;
            session.prefetch.running.set(false);
        });
    }

    /// Ends a look ahead and waits until it has let go of the device.
    pub(crate) async fn stop_prefetch(&self) {
        if let Some(handle) = self.prefetch.handle.take() {
            handle.abort();
        }
        while self.prefetch.running.get() {
            breathe().await;
        }
    }

    async fn look_ahead(&self, ahead: Ahead) {
        sleep(IDLE_MILLISECONDS).await;
        for place in ahead.neighbours() {
            let Some(model) = self.model.borrow().clone() else {
                return;
            };
            let view = ahead.view(place);
            let bytes = model.segmenter.embedding_bytes();
            let room = model.embeddings.borrow().has_room_for(view, bytes);
            let current = self.workspace.is_in_view(&ahead);
            if !current || self.gpu_is_well().is_err() || !room {
                continue;
            }
            let Some(image) = ahead.picture(place) else {
                continue;
            };
            let Ok(embedding) = model.segmenter.embed(&image, &pausing()).await else {
                return;
            };
            model.embeddings.borrow_mut().keep(view, embedding);
        }
    }
}
