//! Requests under way, so that a `cancel` can stop them at their next await, and a `pause` halt them there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use web_time::Instant;

use crate::event_loop::{breathe, sleep};

/// How long a halted request waits before it looks again.
const PAUSE_MILLISECONDS: u32 = 30;

/// The requests that are under way, by id.
#[derive(Clone, Default)]
pub struct Jobs {
    running: Rc<RefCell<HashMap<u32, Job>>>,
}

struct Job {
    handle: AbortHandle,
    /// Set for a request that can be halted.
    pausable: bool,
    paused: bool,
}

impl Jobs {
    /// Runs `work` as request `id`; `None` when it was cancelled, in which case it has been dropped.
    pub async fn run<T>(
        &self,
        id: u32,
        pausable: bool,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let (work, handle) = abortable(work);
        let job = Job {
            handle,
            pausable,
            paused: false,
        };
        self.running.borrow_mut().insert(id, job);
        let result = work.await;
        self.running.borrow_mut().remove(&id);
        result.ok()
    }

    /// Stops request `target`; one that has ended is left alone.
    pub fn cancel(&self, target: u32) {
        let running = self.running.borrow();
        let handle = running.get(&target).map(|job| job.handle.clone());
        drop(running);
        if let Some(handle) = handle {
            handle.abort();
        }
    }

    /// Halts request `target` at its next step, or lets it go on; says whether it is one that can.
    pub fn set_paused(&self, target: u32, paused: bool) -> bool {
        match self.running.borrow_mut().get_mut(&target) {
            Some(job) if job.pausable => {
                job.paused = paused;
                true
            }
            _ => false,
        }
    }

    /// Lets the worker read its messages, and waits while request `id` is halted. Gives the seconds that it was.
    pub async fn step(&self, id: u32) -> f64 {
        breathe().await;
        if !self.is_paused(id) {
            return 0.0;
        }
        let start = Instant::now();
        while self.is_paused(id) {
            sleep(PAUSE_MILLISECONDS).await;
        }
        start.elapsed().as_secs_f64()
    }

    fn is_paused(&self, id: u32) -> bool {
        self.running.borrow().get(&id).is_some_and(|job| job.paused)
    }
}
