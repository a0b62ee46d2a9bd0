//! The adapter's own peak: multiply-adds on registers, nothing else. What the share of a kernel is a share of.

use crate::clock::first;
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
/// Threads of a run: enough for the largest GPUs, which hold some hundred thousand at once.
const THREADS: usize = 1 << 19;

/// The kernel as an operation of a back end.
#[backend_extension(Cube, Fusion)]
pub trait PeakOps: Backend {
    /// Runs `steps` multiply-adds in every chain of every thread, each as one instruction where `fused`; `seed` is one
    /// vector.
    #[fusion(dtype = seed, shape = { let mut shape = seed.clone(); shape[0] = THREADS; shape })]
    fn peak_run(seed: FloatTensor<Self>, steps: u32, fused: bool) -> FloatTensor<Self>;
}

impl PeakOps for CubeBackend {
    fn peak_run(seed: FloatTensor<Self>, steps: u32, fused: bool) -> FloatTensor<Self> {
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
                fused,
            );
        }
        out
    }
}

#[cube(launch_unchecked)]
fn multiply_add<V: Size>(
    seed: &[Vector<f32, V>],
    out: &mut [Vector<f32, V>],
    steps: u32,
    #[comptime] fused: bool,
) {
    let factor = seed[0];
    let mut chains = Array::<Vector<f32, V>>::new(CHAINS);
    #[unroll]
    for i in 0..CHAINS {
        chains[i] = factor * Vector::new(comptime!(i as f32));
    }
    for _ in 0..steps {
        #[unroll]
        for i in 0..CHAINS {
            chains[i] = if comptime!(fused) {
                fma(chains[i], factor, factor)
            } else {
                chains[i] * factor + factor
            };
        }
    }
    let mut sum = chains[0];
    #[unroll]
    for i in 1..CHAINS {
        sum += chains[i];
    }
    out[ABSOLUTE_POS] = sum;
}

/// Floating-point operations per second that `device`, a GPU, reaches with operands in registers: the better of
/// multiply-adds written as one instruction and as two, which the adapter's compiler may fuse.
pub async fn peak(device: &Device) -> Option<f64> {
    let two = peak_as(device, false).await?;
    let fused = peak_as(device, true).await.unwrap_or(0.0);
    Some(two.max(fused))
}

async fn peak_as(device: &Device, fused: bool) -> Option<f64> {
    let seed = Tensor::<2>::full([1, 4], 0.5, device);
    let run = async |steps: u32| {
        let start = Instant::now();
        let out = Dispatch::peak_run(seed.clone().into_dispatch(), steps, fused);
        // Reading a result means that none of it could be left out.
        let value = first(Tensor::<2>::from_dispatch(out)).await?;
        value.is_finite().then(|| start.elapsed().as_secs_f64())
    };
    run(1).await?;
    let mut steps = 16;
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
