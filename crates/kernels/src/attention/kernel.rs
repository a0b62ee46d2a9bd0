//! The attention kernel. A thread owns a few queries of one head, holds them and their sums in registers, and streams
//! over the keys; the running maximum is updated every few keys.
//!
//! `N` channels make a vector, `lanes` vectors a head, `sizes.width` vectors a token. Sums are f32.

use cubecl::prelude::*;

/// Below every score, and still far from overflow when multiplied by log2(e).
pub(super) const LOWEST: f32 = -1.0e37;

/// The score of a key that is left out: below every score, above [`LOWEST`].
pub(super) const LEFT_OUT: f32 = -1.0e30;

/// What results are multiplied by: a build for the self-test's own test has a kernel that is wrong by two percent.
pub(super) const SPOILT: f32 = if cfg!(feature = "sabotage") {
    1.02
} else {
    1.0
};

/// Sizes that may change from call to call without compiling the kernel anew.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) heads: usize,
    /// Vectors of a token.
    pub(super) width: usize,
    /// Threads per head.
    pub(super) groups: usize,
    /// Of this dispatch, the first and the one behind the last.
    pub(super) first: usize,
    pub(super) threads: usize,
    /// Distance in the mask from one image, and from one query, to the next.
    pub(super) mask_batch: usize,
    pub(super) mask_query: usize,
    rows: usize,
    columns: usize,
    window_rows: usize,
    window_columns: usize,
}

/// What a thread holds: `rows` queries (scaled), their unnormalised results, maxima and sums of exponentials.
#[derive(CubeType)]
struct Running<N: Size> {
    query: Array<Vector<f32, N>>,
    result: Array<Vector<f32, N>>,
    largest: Array<f32>,
    total: Array<f32>,
}

/// Which queries a thread owns.
#[derive(CubeType, Clone, Copy)]
struct Place {
    batch: usize,
    head: usize,
    first: usize,
}

/// Every thread for itself: no barrier, no shared memory.
#[cube(launch_unchecked)]
pub(super) fn attention_registers<F: Float, M: Numeric, N: Size>(
    q: &[Vector<F, N>],
    k: &[Vector<F, N>],
    v: &[Vector<F, N>],
    bias: ComptimeOption<&[F]>,
    masked: ComptimeOption<&[M]>,
    out: &mut [Vector<F, N>],
    sizes: Sizes,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
    #[comptime] step: usize,
    #[comptime] windowed: bool,
    #[define(F, M)] _types: [ElemType; 2],
) {
    let thread = ABSOLUTE_POS + sizes.first;
    if thread >= sizes.threads {
        terminate!();
    }
    let place = place(thread, &sizes, rows);
    let mut running = begin::<F, N>(q, &place, &sizes, lanes, rows);
    let start = place.batch * sizes.keys * sizes.width + place.head * lanes;
    let steps = (sizes.keys + step - 1) / step;
    for i in 0..steps {
        let key = i * step;
        attend::<F, M, N>(
            k,
            v,
            start + key * sizes.width,
            sizes.width,
            key,
            bias,
            masked,
            &place,
            &sizes,
            &mut running,
            lanes,
            rows,
            step,
        );
    }
    finish::<F, N>(out, &running, &place, &sizes, lanes, rows, windowed);
}

/// Threads of a workgroup own queries of one head and hold `tile` keys and values together.
#[cube(launch_unchecked)]
pub(super) fn attention_shared<F: Float, M: Numeric, N: Size>(
    q: &[Vector<F, N>],
    k: &[Vector<F, N>],
    v: &[Vector<F, N>],
    bias: ComptimeOption<&[F]>,
    masked: ComptimeOption<&[M]>,
    out: &mut [Vector<F, N>],
    sizes: Sizes,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
    #[comptime] step: usize,
    #[comptime] tile: usize,
    #[comptime] windowed: bool,
    #[define(F, M)] _types: [ElemType; 2],
) {
    // A whole number of workgroups: all threads of one leave, or none.
    if CUBE_POS * CUBE_DIM as usize + sizes.first >= sizes.threads {
        terminate!();
    }
    let place = place(ABSOLUTE_POS + sizes.first, &sizes, rows);
    let mut running = begin::<F, N>(q, &place, &sizes, lanes, rows);
    let mut keys = Shared::<[Vector<F, N>]>::new_slice(tile * lanes);
    let mut values = Shared::<[Vector<F, N>]>::new_slice(tile * lanes);
    let start = place.batch * sizes.keys * sizes.width + place.head * lanes;
    let tiles = (sizes.keys + tile - 1) / tile;
    for i in 0..tiles {
        let first = i * tile;
        let mut load = UNIT_POS as usize;
        while load < tile * lanes {
            let key = min(first + load / lanes, sizes.keys - 1);
            let from = start + key * sizes.width + load % lanes;
            keys[load] = k[from];
            values[load] = v[from];
            load += CUBE_DIM as usize;
        }
        sync_cube();
        let here = min(tile, sizes.keys - first);
        let steps = (here + step - 1) / step;
        for j in 0..steps {
            let key = j * step;
            attend::<F, M, N>(
                keys.inner_ref(),
                values.inner_ref(),
                key * lanes,
                lanes,
                first + key,
                bias,
                masked,
                &place,
                &sizes,
                &mut running,
                lanes,
                rows,
                step,
            );
        }
        sync_cube();
    }
    finish::<F, N>(out, &running, &place, &sizes, lanes, rows, windowed);
}

/// The queries of a thread.
#[cube]
fn place(thread: usize, sizes: &Sizes, #[comptime] rows: usize) -> Place {
    let pair = thread / sizes.groups;
    Place {
        batch: pair / sizes.heads,
        head: pair % sizes.heads,
        first: (thread % sizes.groups) * rows,
    }
}

/// Loads and scales the queries. Those beyond the last are the last once more, and are not written.
#[cube]
fn begin<F: Float, N: Size>(
    q: &[Vector<F, N>],
    place: &Place,
    sizes: &Sizes,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
) -> Running<N> {
    let mut query = Array::<Vector<f32, N>>::new(rows * lanes);
    let mut result = Array::<Vector<f32, N>>::new(rows * lanes);
    let mut largest = Array::<f32>::new(rows);
    let mut total = Array::<f32>::new(rows);
    let scale = Vector::<f32, N>::new(f32::new(comptime!(1.0 / ((lanes * 4) as f32).sqrt())));
    #[unroll]
    for r in 0..rows {
        let row = min(place.first + r, sizes.queries - 1);
        let from = (place.batch * sizes.queries + row) * sizes.width + place.head * lanes;
        largest[r] = f32::new(LOWEST);
        total[r] = f32::new(0.0);
        #[unroll]
        for l in 0..lanes {
            query[r * lanes + l] = Vector::<f32, N>::cast_from(q[from + l]) * scale;
            result[r * lanes + l] = Vector::<f32, N>::zeroed();
        }
    }
    Running::<N> {
        query,
        result,
        largest,
        total,
    }
}

/// Takes in `step` keys from `key` on, whose vectors lie from `from` on with `stride` between keys. Keys beyond the last
/// are the last once more, with no weight.
#[cube]
fn attend<F: Float, M: Numeric, N: Size>(
    keys: &[Vector<F, N>],
    values: &[Vector<F, N>],
    from: usize,
    stride: usize,
    key: usize,
    bias: ComptimeOption<&[F]>,
    masked: ComptimeOption<&[M]>,
    place: &Place,
    sizes: &Sizes,
    running: &mut Running<N>,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
    #[comptime] step: usize,
) {
    let last = sizes.keys - 1 - key;
    let mut score = Array::<f32>::new(rows * step);
    #[unroll]
    for t in 0..step {
        let offset = min(t, last);
        let at = from + offset * stride;
        let mut product = Array::<Vector<f32, N>>::new(rows);
        #[unroll]
        for r in 0..rows {
            product[r] = Vector::<f32, N>::zeroed();
        }
        #[unroll]
        for l in 0..lanes {
            let channel = Vector::<f32, N>::cast_from(keys[at + l]);
            #[unroll]
            for r in 0..rows {
                product[r] += running.query[r * lanes + l] * channel;
            }
        }
        #[unroll]
        for r in 0..rows {
            let p = product[r];
            let mut s =
                p.extract(0usize) + p.extract(1usize) + (p.extract(2usize) + p.extract(3usize));
            let row = min(place.first + r, sizes.queries - 1);
            // The marker keeps the choice where the kernel is built.
            #[comptime]
            let added = match bias {
                ComptimeOption::Some(bias) => {
                    let pair = place.batch * sizes.heads + place.head;
                    f32::cast_from(bias[(pair * sizes.queries + row) * sizes.keys + key + offset])
                }
                ComptimeOption::None => f32::new(0.0),
            };
            #[comptime]
            let is_left_out = match masked {
                ComptimeOption::Some(masked) => {
                    let flag = masked
                        [place.batch * sizes.mask_batch + row * sizes.mask_query + key + offset];
                    u32::cast_from(flag) != 0
                }
                ComptimeOption::None => false.runtime(),
            };
            s = select(is_left_out, f32::new(LEFT_OUT), s + added);
            score[r * step + t] = select(t <= last, s, f32::new(LOWEST));
        }
    }
    #[unroll]
    for r in 0..rows {
        let before = running.largest[r];
        let mut largest = before;
        #[unroll]
        for t in 0..step {
            largest = max(largest, score[r * step + t]);
        }
        let shrink = (before - largest).exp();
        let mut total = running.total[r] * shrink;
        #[unroll]
        for t in 0..step {
            let weight = (score[r * step + t] - largest).exp();
            score[r * step + t] = weight;
            total += weight;
        }
        running.largest[r] = largest;
        running.total[r] = total;
        let shrink = Vector::<f32, N>::new(shrink);
        #[unroll]
        for l in 0..lanes {
            running.result[r * lanes + l] = running.result[r * lanes + l] * shrink;
        }
    }
    #[unroll]
    for t in 0..step {
        let at = from + min(t, last) * stride;
        #[unroll]
        for l in 0..lanes {
            let channel = Vector::<f32, N>::cast_from(values[at + l]);
            #[unroll]
            for r in 0..rows {
                running.result[r * lanes + l] = running.result[r * lanes + l]
                    + Vector::<f32, N>::new(score[r * step + t]) * channel;
            }
        }
    }
}

/// Writes the results; those of a window to their place on the grid.
#[cube]
fn finish<F: Float, N: Size>(
    out: &mut [Vector<F, N>],
    running: &Running<N>,
    place: &Place,
    sizes: &Sizes,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
    #[comptime] windowed: bool,
) {
    #[unroll]
    for r in 0..rows {
        let (to, is_there) = grid_row(place.batch, place.first + r, sizes, windowed);
        if is_there {
            let scale = Vector::<f32, N>::new(f32::new(SPOILT) / running.total[r]);
            #[unroll]
            for l in 0..lanes {
                out[to * sizes.width + place.head * lanes + l] =
                    Vector::<F, N>::cast_from(running.result[r * lanes + l] * scale);
            }
        }
    }
}

/// Where query `row` of `batch` is written, in tokens, and whether there is such a query; that of a window at its place
/// on the grid.
#[cube]
pub(super) fn grid_row(
    batch: usize,
    row: usize,
    sizes: &Sizes,
    #[comptime] windowed: bool,
) -> (usize, bool) {
    let mut to = batch * sizes.queries + row;
    let mut is_there = row < sizes.queries;
    if comptime!(windowed) {
        let down = (sizes.rows + sizes.window_rows - 1) / sizes.window_rows;
        let across = (sizes.columns + sizes.window_columns - 1) / sizes.window_columns;
        let window = batch % (down * across);
        let y = (window / across) * sizes.window_rows + row / sizes.window_columns;
        let x = (window % across) * sizes.window_columns + row % sizes.window_columns;
        let image = batch / (down * across);
        to = (image * sizes.rows + y) * sizes.columns + x;
        is_there = is_there && y < sizes.rows && x < sizes.columns;
    }
    (to, is_there)
}
