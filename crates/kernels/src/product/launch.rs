//! Launches of the product kernels on tensors of the CubeCL backend.

use super::quantised;
use super::tiling::{Activation, Plan, Tiling};
use super::with_last;
use super::{epilogue, register, shared};
use crate::launch::{UNITS, empty, workgroups};
use crate::pieces::{launched, pieces};
use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Workgroups along one axis that every adapter takes.
const MOST_WORKGROUPS: usize = 65_535;

/// Rows and columns of the tiles in shared memory.
const TILE: usize = 64;
/// Workgroups that keep a large GPU busy.
const BUSY: usize = 256;
/// Least inner dimension of a part: shorter ones cost more in the second sum than they gain.
const LEAST_PART: usize = 128;

/// Extents of a product: `batch` times `[m, segments * k] x [segments * k, n]`.
#[derive(Clone, Copy)]
struct Extents {
    batch: usize,
    m: usize,
    k: usize,
    n: usize,
    /// Whether every element of the batch has a right operand of its own.
    batched_right: bool,
    /// Height and width of the map, for a convolution.
    image: Option<(usize, usize)>,
}

impl Extents {
    fn operations(&self) -> u64 {
        let taps = if self.image.is_some() { 9 } else { 1 };
        (2 * self.batch * self.m * self.k * taps * self.n) as u64
    }
}

/// `x [.., k] x weight [k, n] (+ bias [n])`
pub(super) fn linear(
    x: CubeTensor,
    weight: CubeTensor,
    bias: Option<CubeTensor>,
    plan: Plan,
) -> CubeTensor {
    let [k, n] = matrix(&weight.shape());
    let shape = with_last(&x.shape(), n);
    let m = shape.num_elements() / n.max(1);
    let extents = Extents {
        batch: 1,
        m,
        k,
        n,
        batched_right: false,
        image: None,
    };
    product(x, weight, bias, shape, extents, plan)
}

/// `a [.., m, k] x b [.., k, n]` with equal leading dimensions.
pub(super) fn matmul(a: CubeTensor, b: CubeTensor, plan: Plan) -> CubeTensor {
    let shape = a.shape();
    let rank = shape.num_dims();
    let [k, n] = matrix(&b.shape());
    let m = shape[rank - 2];
    let extents = Extents {
        batch: shape[..rank - 2].iter().product(),
        m,
        k,
        n,
        batched_right: true,
        image: None,
    };
    product(a, b, None, with_last(&shape, n), extents, plan)
}

/// `x [batch, height, width, c]`, `weight [9 * c, n]`, `bias [n]`.
pub(super) fn conv3x3(
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    plan: Plan,
) -> CubeTensor {
    let shape = x.shape();
    let [rows, n] = matrix(&weight.shape());
    let extents = Extents {
        batch: shape[0],
        m: shape[1] * shape[2],
        k: rows / 9,
        n,
        batched_right: false,
        image: Some((shape[1], shape[2])),
    };
    product(x, weight, Some(bias), with_last(&shape, n), extents, plan)
}

fn product(
    a: CubeTensor,
    b: CubeTensor,
    bias: Option<CubeTensor>,
    shape: Shape,
    extents: Extents,
    plan: Plan,
) -> CubeTensor {
    let (a, b, bias) = (
        into_contiguous(a),
        into_contiguous(b),
        bias.map(into_contiguous),
    );
    let out = empty(&a, shape, DType::F32);
    let Extents { batch, m, k, n, .. } = extents;
    if batch * m * n == 0 {
        return out;
    }
    let split = parts(extents, plan.tiling);
    if split > 1 {
        return product_in_parts(a, b, bias, out, extents, plan, split);
    }
    let lanes = |extent: usize| if extent.is_multiple_of(4) { 4 } else { 1 };
    let (across_k, across_n) = (lanes(k), lanes(n));
    // Shared tiles are cut in vectors of four; what does not divide goes through registers.
    let tiling = if plan.tiling.is_shared() && across_k * across_n != 16 {
        Tiling::Register4x4
    } else {
        plan.tiling
    };
    let (rows, columns) = tiling.per_thread();
    let (threads_x, threads_y) = tiling.workgroup();
    let (k, n) = (k / across_k, n / across_n);
    let dim = CubeDim::new_2d(threads_x as u32, threads_y as u32);
    let (height, width) = extents.image.unwrap_or((1, 1));
    let image = extents.image.is_some();
    let b_batch = if extents.batched_right {
        k * across_k * n
    } else {
        0
    };
    let client = out.client.clone();
    let (across, down) = (
        n.div_ceil(threads_x * columns),
        m.div_ceil(threads_y * rows),
    );
    let operations = extents.operations();
    for piece in pieces(operations, down) {
        let count = CubeCount::Static(across as u32, piece.len() as u32, batch as u32);
        let first_workgroup = piece.start as u32;
        let (a, b) = (a.clone().into_buffer_arg(), b.clone().into_buffer_arg());
        let bias = bias.clone().map(CubeTensor::into_buffer_arg);
        let out = out.clone().into_buffer_arg();
        // In bounds by construction: past the edges the kernels repeat the last row or column and store nothing.
        unsafe {
            if tiling.is_shared() {
                shared::product::launch_unchecked(
                    &client,
                    count,
                    dim,
                    4,
                    a,
                    b,
                    bias.into(),
                    out,
                    m as u32,
                    k as u32,
                    n as u32,
                    k as u32,
                    (m * k) as u32,
                    b_batch as u32,
                    first_workgroup,
                    height as u32,
                    width as u32,
                    rows,
                    columns,
                    threads_x,
                    threads_y,
                    image,
                    plan.activation,
                );
            } else {
                register::product::launch_unchecked(
                    &client,
                    count,
                    dim,
                    across_k,
                    across_n,
                    a,
                    b,
                    bias.into(),
                    out,
                    m as u32,
                    k as u32,
                    n as u32,
                    b_batch as u32,
                    first_workgroup,
                    height as u32,
                    width as u32,
                    rows,
                    columns,
                    image,
                    plan.activation,
                );
            }
        }
        launched(&client, operations * piece.len() as u64 / down as u64);
    }
    out
}

/// In how many parts the inner dimension is summed. A product of few rows and columns has few tiles, and most of a large
/// GPU would wait for the few workgroups that own them; parts of the inner dimension give the others something to do.
fn parts(extents: Extents, tiling: Tiling) -> usize {
    let Extents { batch, m, k, n, .. } = extents;
    let cuts = tiling.is_shared()
        && batch == 1
        && extents.image.is_none()
        && n.is_multiple_of(4)
        && k.is_multiple_of(4);
    if !cuts {
        return 1;
    }
    let tiles = m.div_ceil(TILE) * n.div_ceil(TILE);
    let most = (BUSY / tiles).min(k / LEAST_PART);
    let mut parts = 1;
    while 2 * parts <= most && (k / 4).is_multiple_of(2 * parts) {
        parts *= 2;
    }
    parts
}

/// Sums parts of the inner dimension side by side, then the parts.
fn product_in_parts(
    a: CubeTensor,
    b: CubeTensor,
    bias: Option<CubeTensor>,
    out: CubeTensor,
    extents: Extents,
    plan: Plan,
    parts: usize,
) -> CubeTensor {
    let Extents { m, k, n, .. } = extents;
    let (rows, columns) = plan.tiling.per_thread();
    let (threads_x, threads_y) = plan.tiling.workgroup();
    let sums = empty(&a, [parts, m, n], DType::F32);
    let (k, n) = (k / 4, n / 4);
    let part = k / parts;
    let count = CubeCount::Static(
        n.div_ceil(threads_x * columns) as u32,
        m.div_ceil(threads_y * rows) as u32,
        parts as u32,
    );
    let client = out.client.clone();
    // In bounds as in `product`; the parts divide the inner dimension.
    unsafe {
        shared::product::launch_unchecked(
            &client,
            count,
            CubeDim::new_2d(threads_x as u32, threads_y as u32),
            4,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            None.into(),
            sums.clone().into_buffer_arg(),
            m as u32,
            part as u32,
            n as u32,
            k as u32,
            part as u32,
            (part * 4 * n) as u32,
            0,
            1,
            1,
            rows,
            columns,
            threads_x,
            threads_y,
            false,
            Activation::None,
        );
        epilogue::add_parts::launch_unchecked(
            &client,
            workgroups(&out, m * n),
            CubeDim::new_1d(UNITS),
            4,
            sums.into_buffer_arg(),
            bias.map(CubeTensor::into_buffer_arg).into(),
            out.clone().into_buffer_arg(),
            parts as u32,
            (m * n) as u32,
            n as u32,
            plan.activation,
        );
    }
    launched(&client, extents.operations());
    out
}

/// `x [.., k]` times the `n` rows of int8 blocks `[.., k]` from `first` on (+ bias `[n]`).
pub(super) fn linear_q8(
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    (first, n): (usize, usize),
    in_tile: bool,
    plan: Plan,
) -> CubeTensor {
    let [_, k] = matrix(&weight.shape());
    let (words, scales) = weight
        .quantized_handles()
        .expect("the weight is stored in blocks");
    let shape = with_last(&x.shape(), n);
    if !in_tile || !n.is_multiple_of(4) {
        let weight = expand(&words, &scales, k, (first, n));
        return linear(x, weight, Some(bias), plan);
    }
    let (x, bias) = (into_contiguous(x), Some(into_contiguous(bias)));
    let m = shape.num_elements() / n.max(1);
    let out = empty(&x, shape, DType::F32);
    if m * n == 0 {
        return out;
    }
    let (rows, columns) = plan.tiling.per_thread();
    let (threads_x, threads_y) = plan.tiling.workgroup();
    let count = CubeCount::Static(
        (n / 4).div_ceil(threads_x * columns) as u32,
        m.div_ceil(threads_y * rows) as u32,
        1,
    );
    let dim = CubeDim::new_2d(threads_x as u32, threads_y as u32);
    let client = out.client.clone();
    let bias = bias.map(CubeTensor::into_buffer_arg);
    // In bounds as above; the packer refuses inner dimensions that blocks do not divide.
    unsafe {
        if plan.tiling.is_shared() {
            quantised::shared_product::launch_unchecked(
                &client,
                count,
                dim,
                4,
                x.into_buffer_arg(),
                words.into_buffer_arg(),
                scales.into_buffer_arg(),
                bias.into(),
                out.clone().into_buffer_arg(),
                m as u32,
                (k / 4) as u32,
                (n / 4) as u32,
                first as u32,
                rows,
                columns,
                threads_x,
                threads_y,
                plan.activation,
            );
        } else {
            quantised::register_product::launch_unchecked(
                &client,
                count,
                dim,
                4,
                x.into_buffer_arg(),
                words.into_buffer_arg(),
                scales.into_buffer_arg(),
                bias.into(),
                out.clone().into_buffer_arg(),
                m as u32,
                (k / 4) as u32,
                (n / 4) as u32,
                first as u32,
                rows,
                columns,
                plan.activation,
            );
        }
    }
    out
}

/// The weight's `n` rows from `first` on in f32, `[k, n]`.
fn expand(
    words: &CubeTensor,
    scales: &CubeTensor,
    k: usize,
    (first, n): (usize, usize),
) -> CubeTensor {
    let out = empty(words, [k, n], DType::F32);
    let steps = k / 4;
    let count = CubeCount::Static(n.div_ceil(16) as u32, steps.div_ceil(16) as u32, 1);
    // In bounds: every thread compares its place with the extents.
    unsafe {
        quantised::expand::launch_unchecked(
            &out.client.clone(),
            count,
            CubeDim::new_2d(16, 16),
            words.clone().into_buffer_arg(),
            scales.clone().into_buffer_arg(),
            out.clone().into_buffer_arg(),
            steps as u32,
            n as u32,
            first as u32,
        );
    }
    out
}

/// Whether the grid of a product fits what every adapter takes.
pub(super) fn fits(batch: usize, m: usize, n: usize) -> bool {
    // The smallest tiles: 32 rows, 8 columns.
    batch <= MOST_WORKGROUPS
        && m.div_ceil(32) <= MOST_WORKGROUPS
        && n.div_ceil(8) <= MOST_WORKGROUPS
}

/// The last two extents.
fn matrix(shape: &Shape) -> [usize; 2] {
    let rank = shape.num_dims();
    [shape[rank - 2], shape[rank - 1]]
}
