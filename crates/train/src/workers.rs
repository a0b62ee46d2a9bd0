//! Threads that each train a share of the batch, and the mean of what they found.

use crate::error::TrainError;

/// One single-threaded pool per worker. Many tensor operations of the CPU back end run on one core; a share of the batch
/// per core keeps all of them busy, and a pool of one keeps a worker's parallel operations on its own core.
pub(crate) struct Workers(Vec<rayon::ThreadPool>);

impl Workers {
    /// Starts `count` of them.
    pub(crate) fn new(count: usize) -> Result<Self, TrainError> {
        (0..count)
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|error| TrainError::Other {
                context: "starting the workers",
                reason: error.to_string(),
            })
    }

    /// Runs `job` on every worker; results in their order.
    pub(crate) fn map<R: Send>(&self, job: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let job = &job;
        std::thread::scope(|scope| {
            let handles: Vec<_> = self
                .0
                .iter()
                .enumerate()
                .map(|(worker, pool)| scope.spawn(move || pool.install(|| job(worker))))
                .collect();
            handles
                .into_iter()
                .map(|handle| {
                    handle
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }
}

/// The mean of gradients in the order of the slots; an empty one counts as zero.
pub(crate) fn mean_gradients(mut all: Vec<Vec<Vec<f32>>>) -> Vec<Vec<f32>> {
    let share = 1.0 / all.len().max(1) as f32;
    let mut sum = all.pop().unwrap_or_default();
    for other in all {
        for (into, from) in sum.iter_mut().zip(other) {
            if into.is_empty() {
                *into = from;
            } else {
                into.iter_mut()
                    .zip(from)
                    .for_each(|(into, from)| *into += from);
            }
        }
    }
    sum.iter_mut().flatten().for_each(|value| *value *= share);
    sum
}
