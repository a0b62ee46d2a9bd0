//! Matrix products: linear layers with f32 or int8 weights, products of activations, 3x3 convolutions.
//!
//! On a GPU through kernels of this crate, cut as [`crate::choice`] measured; on the CPU through its own
//! kernels and their gradients, elsewhere through Burn's operations. All in f32.

mod epilogue;
mod launch;
mod quantised;
mod register;
mod shared;
mod stock;
mod tiling;

pub use tiling::{Activation, Tiling};

use crate::choice::Choice;
use crate::q8::is_q8;
use crate::route::{Kernel, Route, route};
use burn::backend::tensor::{FloatTensor, QuantizedTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, FloatDType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use core::ops::Range;
use tiling::Plan;

/// Fewer rows than these are multiplied with int8 weights in the tile: the weight is read once anyway.
const ROWS_IN_TILE: usize = 64;

/// The products as operations of a backend.
#[backend_extension(Cube, Fusion)]
pub trait ProductOps: Backend {
    /// `x [.., k] x weight [k, n]`
    #[fusion(dtype = x, shape = with_last(x, weight[1]))]
    fn product_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self>;

    /// `x [.., k] x weight [k, n] + bias [n]`
    #[fusion(dtype = x, shape = with_last(x, weight[1]))]
    fn product_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self>;

    /// `x [.., k]` times the `count` rows from `first` on of `weight [.., k]` in int8 blocks + bias `[count]`.
    #[fusion(dtype = x, shape = with_last(x, *count))]
    fn product_linear_q8(
        x: FloatTensor<Self>,
        weight: QuantizedTensor<Self>,
        bias: FloatTensor<Self>,
        first: usize,
        count: usize,
        in_tile: bool,
        plan: Plan,
    ) -> FloatTensor<Self>;

    /// `a [.., m, k] x b [.., k, n]`
    #[fusion(dtype = a, shape = with_last(a, b[b.num_dims() - 1]))]
    fn product_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>, plan: Plan) -> FloatTensor<Self>;

    /// `x [batch, height, width, c]`, `weight [9 * c, n]`, `bias [n]`
    #[fusion(dtype = x, shape = with_last(x, weight[1]))]
    fn product_conv3x3(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self>;
}

/// `shape` with another last extent.
fn with_last(shape: &Shape, last: usize) -> Shape {
    let mut shape = shape.clone();
    let rank = shape.num_dims();
    shape[rank - 1] = last;
    shape
}

impl ProductOps for CubeBackend {
    fn product_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        launch::linear(x, weight, None, plan)
    }

    fn product_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        launch::linear(x, weight, Some(bias), plan)
    }

    fn product_linear_q8(
        x: FloatTensor<Self>,
        weight: QuantizedTensor<Self>,
        bias: FloatTensor<Self>,
        first: usize,
        count: usize,
        in_tile: bool,
        plan: Plan,
    ) -> FloatTensor<Self> {
        launch::linear_q8(x, weight, bias, (first, count), in_tile, plan)
    }

    fn product_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>, plan: Plan) -> FloatTensor<Self> {
        launch::matmul(a, b, plan)
    }

    fn product_conv3x3(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        launch::conv3x3(x, weight, bias, plan)
    }
}

/// How to cut the products of `kernel` on this device; `None` where Burn's own operations are to be used.
fn tiling(kernel: Kernel, device: &Device) -> Option<Tiling> {
    let choice = match route(kernel, device) {
        Route::Custom => Choice::of(device),
        Route::Plain => return None,
    };
    Some(match kernel {
        Kernel::Conv3x3 => choice.convolution,
        _ => choice.product,
    })
}

fn is_f32<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32
}

/// A linear layer: `activation(x weight + bias)`, `x` `[.., in]`, `bias` `[out]`.
///
/// The weight is `[in, out]` in f32, or `[out, in]` in int8 blocks ([`crate::q8`]).
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    let kernel = if is_q8(&weight) {
        Kernel::LinearQ8
    } else {
        Kernel::Matmul
    };
    let tiling = tiling(kernel, &x.device()).unwrap_or(Tiling::Stock);
    linear_as(tiling, x, weight, bias, activation)
}

/// [`linear`] to some of the outputs: of a fused weight, the part `outputs`; `bias` is that of all outputs.
pub fn linear_part<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    outputs: Range<usize>,
) -> Tensor<D> {
    let bias = bias.narrow(0, outputs.start, outputs.len());
    if !is_q8(&weight) {
        let weight = weight.narrow(1, outputs.start, outputs.len());
        return linear(x, weight, Some(bias), Activation::None);
    }
    let tiling = tiling(Kernel::LinearQ8, &x.device()).unwrap_or(Tiling::Stock);
    q8_as(tiling, x, weight, Some(bias), outputs, Activation::None)
}

/// [`linear`] in one of its variants; on the CPU only [`Tiling::Stock`].
pub fn linear_as<const D: usize>(
    tiling: Tiling,
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    if is_q8(&weight) {
        let outputs = 0..weight.dims()[0];
        return q8_as(tiling, x, weight, bias, outputs, activation);
    }
    let weight = like(weight, &x);
    if tiling == Tiling::Stock || !is_f32(&x) || !launch::fits(1, rows(&x), weight.dims()[1]) {
        return stock::linear(x, weight, bias, activation);
    }
    let plan = Plan { tiling, activation };
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::product_linear_bias(x, weight, bias.into_dispatch(), plan),
        None => Dispatch::product_linear(x, weight, plan),
    })
}

fn q8_as<const D: usize>(
    tiling: Tiling,
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    outputs: Range<usize>,
    activation: Activation,
) -> Tensor<D> {
    if tiling == Tiling::Stock || !is_f32(&x) || !launch::fits(1, rows(&x), outputs.len()) {
        return stock::linear_q8(x, weight, bias, outputs, activation);
    }
    let in_tile = rows(&x) <= ROWS_IN_TILE;
    let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs.len()], &x.device()));
    Tensor::from_dispatch(Dispatch::product_linear_q8(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        outputs.start,
        outputs.len(),
        in_tile,
        Plan { tiling, activation },
    ))
}

/// The weight in the precision of what it is multiplied with: it may be stored in half of that.
fn like<const D: usize>(weight: Tensor<2>, x: &Tensor<D>) -> Tensor<2> {
    if weight.dtype() == x.dtype() {
        return weight;
    }
    weight.cast(FloatDType::from(x.dtype()))
}

/// Rows of `x [.., k]` as a matrix.
fn rows<const D: usize>(x: &Tensor<D>) -> usize {
    x.dims()[..D - 1].iter().product()
}

/// `a b`, `[.., m, k] x [.., k, n]` with equal leading dimensions.
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let tiling = tiling(Kernel::Matmul, &a.device()).unwrap_or(Tiling::Stock);
    matmul_as(tiling, a, b)
}

/// [`matmul`] in one of its variants; on the CPU only [`Tiling::Stock`].
pub fn matmul_as<const D: usize>(tiling: Tiling, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (left, right) = (a.dims(), b.dims());
    let batch = left[..D - 2].iter().product();
    if tiling == Tiling::Stock
        || !is_f32(&a)
        || left[..D - 2] != right[..D - 2]
        || !launch::fits(batch, left[D - 2], right[D - 1])
    {
        return a.matmul(b);
    }
    let plan = Plan {
        tiling,
        activation: Activation::None,
    };
    Tensor::from_dispatch(Dispatch::product_matmul(
        a.into_dispatch(),
        b.into_dispatch(),
        plan,
    ))
}

/// 3x3 convolution with padding 1 on a channels-last map: `[b, h, w, in] -> [b, h, w, out]`.
///
/// `weight` is `[9 * in, out]`: kernel row, kernel column, input channel.
pub fn conv3x3(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<4> {
    let tiling = tiling(Kernel::Conv3x3, &x.device()).unwrap_or(Tiling::Stock);
    conv3x3_as(tiling, x, weight, bias)
}

/// [`conv3x3`] in one of its variants; on the CPU only [`Tiling::Stock`].
pub fn conv3x3_as(tiling: Tiling, x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<4> {
    let [batch, height, width, _] = x.dims();
    let weight = like(weight, &x);
    if tiling == Tiling::Stock
        || !is_f32(&x)
        || !launch::fits(batch, height * width, bias.dims()[0])
    {
        return stock::conv3x3(x, weight, bias);
    }
    let plan = Plan {
        tiling,
        activation: Activation::None,
    };
    Tensor::from_dispatch(Dispatch::product_conv3x3(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        plan,
    ))
}
