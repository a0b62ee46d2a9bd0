//! Sharing work out among the threads of the host; one after the other in WebAssembly.

/// Calls `work` with the index and the values of each chunk of `chunk` values.
pub(super) fn for_chunks(
    values: &mut [f32],
    chunk: usize,
    work: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    if values.is_empty() || chunk == 0 {
        return;
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        values
            .par_chunks_mut(chunk)
            .enumerate()
            .for_each(|(i, part)| work(i, part));
    }
    #[cfg(target_arch = "wasm32")]
    for (i, part) in values.chunks_mut(chunk).enumerate() {
        work(i, part);
    }
}

/// Results of `work` for each index below `count`, in order.
pub(super) fn map<R: Send>(count: usize, work: impl Fn(usize) -> R + Send + Sync) -> Vec<R> {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().map(work).collect()
    }
    #[cfg(target_arch = "wasm32")]
    {
        (0..count).map(work).collect()
    }
}

/// Threads that work at once.
pub(super) fn count() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    {
        rayon::current_num_threads()
    }
    #[cfg(target_arch = "wasm32")]
    {
        1
    }
}
