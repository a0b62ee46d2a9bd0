//! Rotary embedding fused with the split of a fused projection into queries, keys and values, by windows (SAM 3's trunk,
//! reference: `vitdet.py`, `apply_rotary_enc` and `window_partition`).
//!
//! `[batch, rows, columns, 3 * width]` becomes three tensors `[batch * windows, window_rows * window_columns, width]`.
//! Cells that a window has beyond the grid hold what the projection gives for a token of zeros: its bias.

use crate::cpu;
use crate::launch::{UNITS, element, empty, workgroups};
use crate::route::{Kernel, Route, route};
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{FloatDType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::*;

/// Rotary tables of one window: token `t` of a window turns the pair `(2j, 2j + 1)` of each head by one angle.
#[derive(Debug, Clone)]
pub struct Rope {
    /// Cosine at both places of a pair, `[window_rows * window_columns, head_dim]`.
    pub cos: Tensor<2>,
    /// Sine at both places of a pair, `[window_rows * window_columns, head_dim]`.
    pub sin: Tensor<2>,
    /// Signed permutation `[head_dim, head_dim]` that takes (u, v) to (-v, u) in each pair, for the plain path.
    pub turn: Tensor<2>,
}

/// Splits `qkv`, `[batch, rows, columns, 3 * width]`, by windows of `window` = (rows, columns) into `[q, k, v]`, each
/// `[batch * windows, window tokens, width]`, and turns q and k by `rope`. `bias`, `[3 * width]`, fills what windows
/// have beyond the grid. Windows are in the order of rows.
pub fn rope_qkv(
    qkv: Tensor<4>,
    bias: Tensor<1>,
    rope: &Rope,
    window: (usize, usize),
) -> [Tensor<3>; 3] {
    match route(Kernel::RopeQkv, &qkv.device()) {
        Route::Custom => {
            let dtype = FloatDType::from(qkv.dtype());
            let (q, k, v) = Dispatch::rope_qkv_custom(
                qkv.into_dispatch(),
                // Weights may be stored in another precision than is computed in.
                bias.cast(dtype).into_dispatch(),
                rope.cos.clone().cast(FloatDType::F32).into_dispatch(),
                rope.sin.clone().cast(FloatDType::F32).into_dispatch(),
                window.0,
                window.1,
            );
            [q, k, v].map(Tensor::from_dispatch)
        }
        Route::Plain => cpu::rope_qkv(&qkv, &bias, rope, window)
            .unwrap_or_else(|| plain(qkv, bias, rope, window)),
    }
}

/// The same by plain tensor operations.
pub fn plain(
    qkv: Tensor<4>,
    bias: Tensor<1>,
    rope: &Rope,
    (high, wide): (usize, usize),
) -> [Tensor<3>; 3] {
    let [b, rows, columns, channels] = qkv.dims();
    let width = channels / 3;
    let (down, across) = (rows.div_ceil(high), columns.div_ceil(wide));
    let filler = |shape: [usize; 4]| bias.clone().reshape([1, 1, 1, channels]).expand(shape);
    let mut padded = qkv;
    if down * high > rows {
        padded = Tensor::cat(
            vec![padded, filler([b, down * high - rows, columns, channels])],
            1,
        );
    }
    if across * wide > columns {
        let shape = [b, down * high, across * wide - columns, channels];
        padded = Tensor::cat(vec![padded, filler(shape)], 2);
    }
    let (windows, tokens) = (b * down * across, high * wide);
    let parts = padded
        .reshape([b, down, high, across, wide, channels])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([windows, tokens, channels]);
    // Queries and keys turn together: they lie side by side.
    let qk = rotate(parts.clone().narrow(2, 0, 2 * width), rope);
    [
        qk.clone().narrow(2, 0, width),
        qk.narrow(2, width, width),
        parts.narrow(2, 2 * width, width),
    ]
}

/// Turns every head of `x`, `[windows, tokens, heads * head_dim]`.
fn rotate(x: Tensor<3>, rope: &Rope) -> Tensor<3> {
    let [windows, tokens, width] = x.dims();
    let [_, head_dim] = rope.cos.dims();
    let heads = width / head_dim;
    let turned = x
        .clone()
        .reshape([windows * tokens * heads, head_dim])
        .matmul(rope.turn.clone())
        .reshape([windows, tokens, heads, head_dim]);
    let table = |table: &Tensor<2>| table.clone().reshape([1, tokens, 1, head_dim]);
    let x = x.reshape([windows, tokens, heads, head_dim]);
    (x * table(&rope.cos) + turned * table(&rope.sin)).reshape([windows, tokens, width])
}

/// The kernel as an operation of a back end.
#[backend_extension(Cube, Fusion)]
pub trait RopeQkvOps: Backend {
    /// See [`rope_qkv`].
    #[fusion(meta = split)]
    fn rope_qkv_custom(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        window_rows: usize,
        window_columns: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Shapes of the outputs, known before the operation runs.
fn split(
    qkv: &TensorSpec,
    _bias: &TensorSpec,
    _cos: &TensorSpec,
    _sin: &TensorSpec,
    window_rows: &usize,
    window_columns: &usize,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    let shape = Grid::new(&qkv.shape, *window_rows, *window_columns).output();
    let spec = TensorSpec::new(shape, qkv.dtype);
    (spec.clone(), spec.clone(), spec)
}

/// A batch of token grids cut into windows.
struct Grid {
    batch: usize,
    rows: usize,
    columns: usize,
    width: usize,
    window_rows: usize,
    window_columns: usize,
}

impl Grid {
    fn new(qkv: &Shape, window_rows: usize, window_columns: usize) -> Self {
        Self {
            batch: qkv[0],
            rows: qkv[1],
            columns: qkv[2],
            width: qkv[3] / 3,
            window_rows,
            window_columns,
        }
    }

    /// `[batch * windows, window tokens, width]`
    fn output(&self) -> Shape {
        let down = self.rows.div_ceil(self.window_rows);
        let across = self.columns.div_ceil(self.window_columns);
        let tokens = self.window_rows * self.window_columns;
        Shape::new([self.batch * down * across, tokens, self.width])
    }
}

impl RopeQkvOps for CubeBackend {
    fn rope_qkv_custom(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        window_rows: usize,
        window_columns: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [qkv, bias, cos, sin] = [qkv, bias, cos, sin].map(into_contiguous);
        let grid = Grid::new(qkv.meta.shape(), window_rows, window_columns);
        let head_dim = cos.meta.shape()[1];
        // Pairs turn together, so a vector holds one or two of them.
        let lanes = if head_dim.is_multiple_of(4) { 4 } else { 2 };
        let shape = grid.output();
        let threads = shape.num_elements() / lanes;
        let out = [(); 3].map(|()| empty(&qkv, shape.clone(), qkv.dtype));
        let [q, k, v] = out.clone().map(|tensor| tensor.into_buffer_arg());
        let dtype = element(&qkv);
        // SAFETY: the kernel leaves when its position is not below `threads`, and all its indices follow from `grid`.
        unsafe {
            rope_qkv_kernel::launch_unchecked(
                &out[0].client,
                workgroups(&out[0], threads),
                CubeDim::new_1d(UNITS),
                lanes,
                qkv.into_buffer_arg(),
                bias.into_buffer_arg(),
                cos.into_buffer_arg(),
                sin.into_buffer_arg(),
                q,
                k,
                v,
                WindowedLaunch::new(
                    grid.rows,
                    grid.columns,
                    window_rows,
                    window_columns,
                    grid.width / lanes,
                    head_dim / lanes,
                    threads,
                ),
                lanes,
                dtype,
            );
        }
        let [q, k, v] = out;
        (q, k, v)
    }
}

/// The grid as the kernel sees it; `width` and `head` count vectors.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Windowed {
    rows: usize,
    columns: usize,
    window_rows: usize,
    window_columns: usize,
    width: usize,
    head: usize,
    threads: usize,
}

/// A thread writes one vector of q, k and v.
#[cube(launch_unchecked)]
fn rope_qkv_kernel<F: Float, N: Size>(
    qkv: &[Vector<F, N>],
    bias: &[Vector<F, N>],
    cos: &[Vector<f32, N>],
    sin: &[Vector<f32, N>],
    q: &mut [Vector<F, N>],
    k: &mut [Vector<F, N>],
    v: &mut [Vector<F, N>],
    grid: Windowed,
    #[comptime] lanes: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= grid.threads {
        terminate!();
    }
    let channel = ABSOLUTE_POS % grid.width;
    let token = ABSOLUTE_POS / grid.width;
    let area = grid.window_rows * grid.window_columns;
    let cell = token % area;
    let window = token / area;
    let down = (grid.rows + grid.window_rows - 1) / grid.window_rows;
    let across = (grid.columns + grid.window_columns - 1) / grid.window_columns;
    let image = window / (down * across);
    let place = window % (down * across);
    let row = (place / across) * grid.window_rows + cell / grid.window_columns;
    let column = (place % across) * grid.window_columns + cell % grid.window_columns;

    let mut query = bias[channel];
    let mut key = bias[grid.width + channel];
    let mut value = bias[2 * grid.width + channel];
    if row < grid.rows && column < grid.columns {
        let source = ((image * grid.rows + row) * grid.columns + column) * 3 * grid.width + channel;
        query = qkv[source];
        key = qkv[source + grid.width];
        value = qkv[source + 2 * grid.width];
    }

    let angle = cell * grid.head + channel % grid.head;
    let c = cos[angle];
    let s = sin[angle];
    q[ABSOLUTE_POS] = turn::<F, N>(query, c, s, lanes);
    k[ABSOLUTE_POS] = turn::<F, N>(key, c, s, lanes);
    v[ABSOLUTE_POS] = value;
}

/// Turns the pairs of a vector.
#[cube]
fn turn<F: Float, N: Size>(
    x: Vector<F, N>,
    cos: Vector<f32, N>,
    sin: Vector<f32, N>,
    #[comptime] lanes: usize,
) -> Vector<F, N> {
    let x = Vector::<f32, N>::cast_from(x);
    let mut turned = Vector::<f32, N>::zeroed();
    #[unroll]
    for pair in 0..lanes / 2 {
        turned.insert(2 * pair, -x.extract(2 * pair + 1));
        turned.insert(2 * pair + 1, x.extract(2 * pair));
    }
    Vector::<F, N>::cast_from(x * cos + turned * sin)
}
