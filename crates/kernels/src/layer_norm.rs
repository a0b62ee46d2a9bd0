//! Layer norm in one pass over a row held in caches, with the sum of a residual connection in front of it.
//!
//! `[.., width]` in and out. Sixteen threads share a row: each sums a part, the parts meet in shared memory. Mean first,
//! then squares of the differences, as the reference's framework does it; a sum of squares alone loses digits.

use crate::gradient;
use crate::launch::empty;
use crate::route::{Kernel, Route, route};
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::module::layer_norm as burn_layer_norm;
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Threads of a row.
const LANES: usize = 16;
/// Rows of a workgroup.
const ROWS: usize = 4;
/// Rows that a grid of one axis holds on every adapter.
const MOST_ROWS: usize = 65_535 * ROWS;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    if !suits(&x) {
        return on_cpu(x, gamma, beta, epsilon);
    }
    Tensor::from_dispatch(Dispatch::norm_custom(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon as f32,
    ))
}

/// `x + y`, and the layer norm of it.
pub fn add_layer_norm<const D: usize>(
    x: Tensor<D>,
    y: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> (Tensor<D>, Tensor<D>) {
    if !suits(&x) || x.dims() != y.dims() {
        let sum = x + y;
        let normed = on_cpu(sum.clone(), gamma, beta, epsilon);
        return (sum, normed);
    }
    let (sum, normed) = Dispatch::add_norm_custom(
        x.into_dispatch(),
        y.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon as f32,
    );
    (Tensor::from_dispatch(sum), Tensor::from_dispatch(normed))
}

/// The operation that the CPU differentiates whole, or Burn's.
fn on_cpu<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    gradient::layer_norm(&x, &gamma, &beta, epsilon)
        .unwrap_or_else(|| burn_layer_norm(x, gamma, Some(beta), epsilon))
}

fn suits<const D: usize>(x: &Tensor<D>) -> bool {
    let rows: usize = x.dims()[..D - 1].iter().product();
    route(Kernel::LayerNorm, &x.device()) == Route::Custom
        && x.dtype() == DType::F32
        && (1..=MOST_ROWS).contains(&rows)
}

/// The kernel as operations of a back end.
#[backend_extension(Cube, Fusion)]
pub trait LayerNormOps: Backend {
    /// See [`layer_norm`].
    #[fusion(dtype = x, shape = x)]
    fn norm_custom(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// See [`add_layer_norm`].
    #[fusion(meta = twice)]
    fn add_norm_custom(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

fn twice(
    x: &TensorSpec,
    _y: &TensorSpec,
    _gamma: &TensorSpec,
    _beta: &TensorSpec,
    _epsilon: &f32,
) -> (TensorSpec, TensorSpec) {
    (x.clone(), x.clone())
}

impl LayerNormOps for CubeBackend {
    fn norm_custom(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let [x, gamma, beta] = [x, gamma, beta].map(into_contiguous);
        let grid = Grid::of(&x);
        let out = empty(&x, x.meta.shape().clone(), DType::F32);
        // SAFETY: rows past the last repeat it and store nothing, a row's vectors are counted by `width`.
        unsafe {
            norm::launch_unchecked(
                &out.client.clone(),
                grid.count(),
                CubeDim::new_2d(LANES as u32, ROWS as u32),
                grid.lanes,
                x.into_buffer_arg(),
                gamma.into_buffer_arg(),
                beta.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                grid.rows as u32,
                (grid.width / grid.lanes) as u32,
                epsilon,
            );
        }
        out
    }

    fn add_norm_custom(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [x, y, gamma, beta] = [x, y, gamma, beta].map(into_contiguous);
        let grid = Grid::of(&x);
        let [sum, out] = [(); 2].map(|()| empty(&x, x.meta.shape().clone(), DType::F32));
        // SAFETY: as above.
        unsafe {
            add_norm::launch_unchecked(
                &out.client.clone(),
                grid.count(),
                CubeDim::new_2d(LANES as u32, ROWS as u32),
                grid.lanes,
                x.into_buffer_arg(),
                y.into_buffer_arg(),
                gamma.into_buffer_arg(),
                beta.into_buffer_arg(),
                sum.clone().into_buffer_arg(),
                out.clone().into_buffer_arg(),
                grid.rows as u32,
                (grid.width / grid.lanes) as u32,
                epsilon,
            );
        }
        (sum, out)
    }
}

/// Rows, their width and the vectors that divide it.
struct Grid {
    rows: usize,
    width: usize,
    lanes: usize,
}

impl Grid {
    fn of(x: &CubeTensor) -> Self {
        let shape = x.meta.shape();
        let width = shape[shape.num_dims() - 1];
        Self {
            rows: shape.num_elements() / width.max(1),
            width,
            lanes: if width.is_multiple_of(4) { 4 } else { 1 },
        }
    }

    fn count(&self) -> CubeCount {
        CubeCount::Static(self.rows.div_ceil(ROWS) as u32, 1, 1)
    }
}

#[cube(launch_unchecked)]
fn norm<V: Size>(
    x: &[Vector<f32, V>],
    gamma: &[Vector<f32, V>],
    beta: &[Vector<f32, V>],
    out: &mut [Vector<f32, V>],
    rows: u32,
    width: u32,
    epsilon: f32,
) {
    let mut parts = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    let row = CUBE_POS_X * comptime!(ROWS as u32) + UNIT_POS_Y;
    let start = min(row, rows - 1u32) * width;
    let lanes = V::value();
    let count = f32::cast_from(width * comptime!(lanes as u32));

    let mut part = Vector::<f32, V>::new(0.0f32);
    for i in range_stepped(UNIT_POS_X, width, comptime!(LANES as u32)) {
        part += x[(start + i) as usize];
    }
    let mean = Vector::new(total::<V>(part, &mut parts) / count);
    let mut part = Vector::<f32, V>::new(0.0f32);
    for i in range_stepped(UNIT_POS_X, width, comptime!(LANES as u32)) {
        let difference = x[(start + i) as usize] - mean;
        part += difference * difference;
    }
    let variance = total::<V>(part, &mut parts) / count;
    let scale = Vector::new(1.0f32 / (variance + epsilon).sqrt());
    if row < rows {
        for i in range_stepped(UNIT_POS_X, width, comptime!(LANES as u32)) {
            let normed = (x[(start + i) as usize] - mean) * scale;
            out[(start + i) as usize] = normed * gamma[i as usize] + beta[i as usize];
        }
    }
}

#[cube(launch_unchecked)]
fn add_norm<V: Size>(
    x: &[Vector<f32, V>],
    y: &[Vector<f32, V>],
    gamma: &[Vector<f32, V>],
    beta: &[Vector<f32, V>],
    sum: &mut [Vector<f32, V>],
    out: &mut [Vector<f32, V>],
    rows: u32,
    width: u32,
    epsilon: f32,
) {
    let mut parts = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    let row = CUBE_POS_X * comptime!(ROWS as u32) + UNIT_POS_Y;
    let start = min(row, rows - 1u32) * width;
    let lanes = V::value();
    let count = f32::cast_from(width * comptime!(lanes as u32));

    let mut part = Vector::<f32, V>::new(0.0f32);
    for i in range_stepped(UNIT_POS_X, width, comptime!(LANES as u32)) {
        let value = x[(start + i) as usize] + y[(start + i) as usize];
        if row < rows {
            sum[(start + i) as usize] = value;
        }
        part += value;
    }
    let mean = Vector::new(total::<V>(part, &mut parts) / count);
    let mut part = Vector::<f32, V>::new(0.0f32);
    for i in range_stepped(UNIT_POS_X, width, comptime!(LANES as u32)) {
        let difference = x[(start + i) as usize] + y[(start + i) as usize] - mean;
        part += difference * difference;
    }
    let variance = total::<V>(part, &mut parts) / count;
    let scale = Vector::new(1.0f32 / (variance + epsilon).sqrt());
    if row < rows {
        for i in range_stepped(UNIT_POS_X, width, comptime!(LANES as u32)) {
            let difference = x[(start + i) as usize] + y[(start + i) as usize] - mean;
            out[(start + i) as usize] = difference * scale * gamma[i as usize] + beta[i as usize];
        }
    }
}

/// The sum of a row's parts, for all of its threads.
#[cube]
fn total<V: Size>(part: Vector<f32, V>, parts: &mut Shared<[f32]>) -> f32 {
    let mut own = part.extract(0usize);
    #[unroll]
    for lane in 1..V::value() {
        own += part.extract(lane);
    }
    // What was read of an earlier sum must have been read by all.
    sync_cube();
    parts[UNIT_POS as usize] = own;
    sync_cube();
    let first = UNIT_POS_Y * comptime!(LANES as u32);
    let mut sum = 0.0f32;
    #[unroll]
    for lane in 0..LANES {
        sum += parts[(first + comptime!(lane as u32)) as usize];
    }
    sum
}
