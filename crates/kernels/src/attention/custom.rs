//! The attention kernel as an operation of a back end, and its launch.

use super::kernel::{SizesLaunch, attention_registers, attention_shared};
use super::tiled::{self, attention_tiled};
use super::{Form, Variant, WindowGrid, chosen};
use crate::launch::{UNITS, element, empty, workgroups};
use crate::pieces::{launched, pieces};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, ExtensionType, backend_extension};
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::prelude::*;

/// Channels of a vector.
const LANES: usize = 4;

/// Most keys that a workgroup holds at once: 16 KiB of keys and values of 64 channels, what every WebGPU adapter has. It
/// holds a whole number of steps.
const SHARED_KEYS: usize = 32;

/// Queries of a thread in the smallest tiles.
const FEWEST_ROWS: usize = 4;

/// What is done to the scores.
#[derive(ExtensionType)]
#[extension_type(fusion)]
pub enum Extra<B: Backend> {
    /// Nothing.
    Nothing,
    /// Something is added, `[batch, heads, queries, keys]`.
    Bias(FloatTensor<B>),
    /// Keys are left out, `[batch | 1, 1, queries | 1, keys]`.
    Masked(BoolTensor<B>),
    /// Both.
    Both {
        /// As in `Bias`.
        bias: FloatTensor<B>,
        /// As in `Masked`.
        masked: BoolTensor<B>,
    },
}

/// The kernel as an operation of a back end.
#[backend_extension(Cube, Fusion)]
pub trait AttentionOps: Backend {
    /// See [`super::attention`] and, with a grid, [`super::window_attention`].
    #[fusion(dtype = q, shape = output_shape(q, grid))]
    fn attention_custom(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        #[extension_type] extra: Extra<Self>,
        heads: usize,
        grid: Option<WindowGrid>,
    ) -> FloatTensor<Self>;
}

fn output_shape(q: &Shape, grid: &Option<WindowGrid>) -> Shape {
    match grid {
        None => q.clone(),
        Some(grid) => Shape::new([q[0] / grid.windows(), grid.rows, grid.columns, q[2]]),
    }
}

impl AttentionOps for CubeBackend {
    fn attention_custom(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        extra: Extra<Self>,
        heads: usize,
        grid: Option<WindowGrid>,
    ) -> FloatTensor<Self> {
        let [q, k, v] = [q, k, v].map(into_contiguous);
        let (bias, masked) = match extra {
            Extra::Nothing => (None, None),
            Extra::Bias(bias) => (Some(bias), None),
            Extra::Masked(masked) => (None, Some(masked)),
            Extra::Both { bias, masked } => (Some(bias), Some(masked)),
        };
        let bias = bias.map(into_contiguous);
        let masked = masked.map(into_contiguous);
        let out = empty(&q, output_shape(q.meta.shape(), &grid), q.dtype);
        launch(q, k, v, bias, masked, heads, grid, &out);
        out
    }
}

fn launch(
    q: CubeTensor,
    k: CubeTensor,
    v: CubeTensor,
    bias: Option<CubeTensor>,
    masked: Option<CubeTensor>,
    heads: usize,
    grid: Option<WindowGrid>,
    out: &CubeTensor,
) {
    let [batch, queries, width] = [0, 1, 2].map(|i| q.meta.shape()[i]);
    let keys = k.meta.shape()[1];
    let lanes = width / heads / LANES;
    let variant = fitting(chosen(), lanes, out);
    let groups = match variant.form {
        Form::Registers => queries.div_ceil(variant.rows),
        // A workgroup stays with one head.
        Form::Shared => queries
            .div_ceil(variant.rows)
            .next_multiple_of(UNITS as usize),
        Form::Tiled => queries.div_ceil(tiled::SIDE * variant.rows),
    };
    let threads = batch * heads * groups;
    // A mask that is the same for all images, or all queries, is read at the same place for each.
    let (mask_batch, mask_query) = masked.as_ref().map_or((0, 0), |masked| {
        let shape = masked.meta.shape();
        let query = if shape[2] > 1 { keys } else { 0 };
        let batch = if shape[0] > 1 { shape[2] * keys } else { 0 };
        (batch, query)
    });
    let place = grid.unwrap_or(WindowGrid {
        rows: 1,
        columns: 1,
        window_rows: 1,
        window_columns: 1,
    });
    let types = [
        element(&q),
        masked.as_ref().map_or(u32::elem_type_native(), element),
    ];
    let dim = CubeDim::new_1d(UNITS);
    let client = out.client.clone();
    let operations = (4 * batch * queries * keys * width) as u64;
    // What a workgroup owns of what `first` and `threads` count.
    let units = match variant.form {
        Form::Tiled => 1,
        Form::Registers | Form::Shared => UNITS as usize,
    };
    let all = threads.div_ceil(units);
    for piece in pieces(operations, all) {
        let sizes = SizesLaunch::new(
            queries,
            keys,
            heads,
            width / LANES,
            groups,
            piece.start * units,
            (piece.end * units).min(threads),
            mask_batch,
            mask_query,
            place.rows,
            place.columns,
            place.window_rows,
            place.window_columns,
        );
        let count = workgroups(out, piece.len() * UNITS as usize);
        let [q, k, v] = [&q, &k, &v].map(|x| x.clone().into_buffer_arg());
        let bias = bias.clone().map(CubeTensor::into_buffer_arg);
        let masked = masked.clone().map(CubeTensor::into_buffer_arg);
        let out = out.clone().into_buffer_arg();
        // SAFETY: threads beyond `threads` leave; queries and keys are clamped to what is there before they index.
        unsafe {
            match variant.form {
                Form::Tiled => attention_tiled::launch_unchecked(
                    &client,
                    count,
                    dim,
                    LANES,
                    q,
                    k,
                    v,
                    bias.into(),
                    masked.into(),
                    out,
                    sizes,
                    lanes,
                    variant.rows,
                    grid.is_some(),
                    types,
                ),
                Form::Shared => attention_shared::launch_unchecked(
                    &client,
                    count,
                    dim,
                    LANES,
                    q,
                    k,
                    v,
                    bias.into(),
                    masked.into(),
                    out,
                    sizes,
                    lanes,
                    variant.rows,
                    variant.step,
                    SHARED_KEYS / variant.step * variant.step,
                    grid.is_some(),
                    types,
                ),
                Form::Registers => attention_registers::launch_unchecked(
                    &client,
                    count,
                    dim,
                    LANES,
                    q,
                    k,
                    v,
                    bias.into(),
                    masked.into(),
                    out,
                    sizes,
                    lanes,
                    variant.rows,
                    variant.step,
                    grid.is_some(),
                    types,
                ),
            }
        }
        launched(&client, operations * piece.len() as u64 / all as u64);
    }
}

/// The variant, or one of less shared memory where the adapter has too little for it.
fn fitting(variant: Variant, lanes: usize, out: &CubeTensor) -> Variant {
    let smaller = [(Form::Tiled, FEWEST_ROWS), (Form::Shared, 1)];
    let smaller = smaller.map(|(form, rows)| Variant {
        form,
        rows,
        ..variant
    });
    let mut variants = [variant].into_iter().chain(smaller);
    variants
        .find(|variant| fits(*variant, lanes * LANES, &out.client))
        .unwrap_or(variant)
}

/// Whether an adapter has the shared memory that a variant takes for heads of so many channels.
pub(crate) fn fits(variant: Variant, channels: usize, client: &Client) -> bool {
    let most = client.properties().hardware.max_shared_memory_size;
    variant.form != Form::Tiled || tiled::shared_bytes(variant.rows, channels / LANES) <= most
}
