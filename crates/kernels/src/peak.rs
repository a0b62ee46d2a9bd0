//! The adapter's own peak: multiply-adds on registers, nothing else. What the share of a kernel is a share of.

use crate::launch::empty;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Tensor};
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;
use web_time::Instant;

/// Independent chains of a thread, so that none waits for the one before.
const CHAINS: usize = 8;
/// Threads of a workgroup.
const WORKGROUP: usize = 64;
/// Threads of a run.
const THREADS: usize = 1 << 15;

/// The kernel as an operation of a back end.
#[backend_extension(Cube, Fusion)]
pub trait PeakOps: Backend {
    /// Runs `steps` multiply-adds in every chain of every thread; `seed` is one value.
    #[fusion(dtype = seed, shape = { let mut shape = seed.clone(); shape[0] = THREADS; shape })]
    fn peak_run(seed: FloatTensor<Self>, steps: u32) -> FloatTensor<Self>;
}

impl PeakOps for CubeBackend {
    fn peak_run(seed: FloatTensor<Self>, steps: u32) -> FloatTensor<Self> {
        let out = empty(&seed, [THREADS, 4], DType::F32);
        // SAFETY: there are exactly as many threads as vectors in `out`.
        unsafe {
            multiply_add::launch_unchecked(
                &out.client.clone(),
                CubeCount::Static((THREADS / WORKGROUP) as u32, 1, 1),
                CubeDim::new_1d(WORKGROUP as u32),
                4,
                seed.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                steps,
            );
        }
        out
    }
}

#[cube(launch_unchecked)]
fn multiply_add<V: Size>(seed: &[Vector<f32, V>], out: &mut [Vector<f32, V>], steps: u32) {
    let factor = seed[0];
    let mut chains = Array::<Vector<f32, V>>::new(CHAINS);
    #[unroll]
    for i in 0..CHAINS {
        chains[i] = factor * Vector::new(comptime!(i as f32));
    }
    for _ in 0..steps {
        #[unroll]
        for i in 0..CHAINS {
            chains[i] = chains[i] * factor + factor;
        }
    }
    let mut sum = chains[0];
    #[unroll]
    for i in 1..CHAINS {
        sum += chains[i];
    }
    out[ABSOLUTE_POS] = sum;
}

/// Floating point operations per second that `device`, a GPU, reaches with operands in registers, and the sum that
/// the run gave, so that nothing of it can be left out.
pub async fn peak(device: &Device) -> Option<f64> {
    let seed = Tensor::<2>::full([1, 4], 0.5, device);
    let run = async |steps: u32| {
        let start = Instant::now();
        let out = Dispatch::peak_run(seed.clone().into_dispatch(), steps);
        let out = Tensor::<2>::from_dispatch(out).slice([0..1, 0..1]);
        let value = out.into_data_async().await.ok()?.iter::<f32>().next()?;
        value.is_finite().then(|| start.elapsed().as_secs_f64())
    };
    run(1).await?;
    let mut steps = 64;
    loop {
        // The difference of two runs leaves out what a submission costs.
        let short = run(steps).await?;
        let long = run(3 * steps).await?;
        if long - short > 0.2 || steps >= 1 << 20 {
            let operations = THREADS * 4 * CHAINS * 2 * 2;
            return Some(operations as f64 * f64::from(steps) / (long - short));
        }
        steps *= 4;
    }
}
