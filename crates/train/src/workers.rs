//! Threads that each train a share of the batch, and the sum of what they found.

use crate::error::TrainError;

/// A pool per worker, with its share of the cores. Many tensor operations of the CPU back end run on one core; a share of the
/// batch per core keeps all of them busy, and a pool of its own keeps a worker's parallel operations on its own cores.
pub(crate) struct Workers(Vec<rayon::ThreadPool>);

impl Workers {
    /// Starts `count` of them.
    pub(crate) fn new(count: usize) -> Result<Self, TrainError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (cores / count.max(1)).max(1);
        (0..count)
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(threads).build())
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

/// Adds gradients in the order of the slots, `from` to `into`; an empty one counts as zero.
pub(crate) fn add(into: &mut Vec<Vec<f32>>, from: Vec<Vec<f32>>) {
    if into.is_empty() {
        *into = from;
        return;
    }
    for (into, from) in into.iter_mut().zip(from) {
        if into.is_empty() {
            *into = from;
        } else {
            into.iter_mut()
                .zip(from)
                .for_each(|(into, from)| *into += from);
        }
    }
}

/// Divides a sum of `count` gradients by their number.
pub(crate) fn divide(sum: &mut [Vec<f32>], count: usize) {
    if count > 1 {
        let share = 1.0 / count as f32;
        sum.iter_mut().flatten().for_each(|value| *value *= share);
    }
}
