//! Seconds that a kernel takes on a device that works on its own, without a timer on it: some runs are submitted, the
//! first value of the last one is awaited, and what waiting alone takes is taken off.

use burn::tensor::{Device, Tensor};
use web_time::Instant;

/// A run shorter than this measures submission, not the kernel.
const SECONDS_TO_MEASURE: f64 = 0.02;
/// A run must take this many times as long as waiting alone: a single run of a fast adapter is mostly waiting and says
/// nothing, for or against a kernel.
const TIMES_THE_WAIT: f64 = 4.0;
/// Most repetitions in one run.
const MOST_REPEATS: u32 = 1024;

/// Times kernels on one device.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Seconds of waiting for the device when it has next to nothing to do, which every run contains once.
    wait: f64,
}

impl Clock {
    /// Measures what waiting for `device` takes.
    pub(crate) async fn of(device: &Device) -> Self {
        let mut wait = f64::INFINITY;
        for _ in 0..4 {
            let start = Instant::now();
            // An addition, so that there is something to wait for: a constant could be answered without the device.
            let one = Tensor::<1>::ones([4], device) + 1.0;
            if first(one).await.is_some() {
                wait = wait.min(start.elapsed().as_secs_f64());
            }
        }
        Self {
            wait: if wait.is_finite() { wait } else { 0.0 },
        }
    }

    /// Seconds of one `run`, whose kernel is compiled; `None` if it never ends. No more are timed once one takes longer
    /// than `hopeless` seconds.
    pub(crate) async fn seconds<const D: usize>(
        self,
        run: impl Fn() -> Tensor<D>,
        hopeless: f64,
    ) -> Option<f64> {
        let mut repeats = 1;
        loop {
            let start = Instant::now();
            for _ in 1..repeats {
                let _ = run();
            }
            first(run()).await?;
            let taken = start.elapsed().as_secs_f64();
            let each = (taken - self.wait).max(0.0) / f64::from(repeats);
            let tells = taken > TIMES_THE_WAIT * self.wait;
            if repeats >= MOST_REPEATS || tells && (taken > SECONDS_TO_MEASURE || each > hopeless) {
                return Some(each);
            }
            repeats *= 4;
        }
    }
}

/// The first value of `result`, and with it the end of the work that gives it.
pub(crate) async fn first<const D: usize>(result: Tensor<D>) -> Option<f32> {
    let one = result.slice(core::array::from_fn::<_, D, _>(|_| 0..1));
    let data = one.into_data_async().await.ok()?;
    data.iter::<f32>().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    /// A kernel of known duration on the CPU, which answers at once.
    #[test]
    fn a_run_that_is_mostly_waiting_is_repeated_until_it_tells() {
        let device = Device::flex();
        let wait = Duration::from_millis(10);
        let clock = Clock {
            wait: wait.as_secs_f64(),
        };
        let runs = Cell::new(0);
        let kernel = || {
            // The wait is that of the last run: here of the first one of every batch.
            runs.set(runs.get() + 1);
            std::thread::sleep(Duration::from_millis(3));
            Tensor::<1>::ones([1], &device)
        };
        let seconds = pollster::block_on(clock.seconds(kernel, f64::INFINITY)).unwrap_or(0.0);
        // 1 + 4 + 16 runs: 16 times 3 ms is the first to exceed four waits.
        assert_eq!(runs.get(), 21);
        assert!((0.002..0.02).contains(&seconds), "{seconds}");
    }
}
