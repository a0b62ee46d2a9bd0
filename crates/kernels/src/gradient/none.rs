//! In the browser nothing is trained, and Burn is built without autodiff: no operation has a gradient of its own.

use crate::attention::WindowGrid;
use crate::product::Activation;
use crate::recompute::Part;
use crate::rope_qkv::Rope;
use burn::backend::DispatchTensor;
use burn::tensor::{Bool, Tensor};

pub(crate) fn linear<const D: usize>(
    _x: &Tensor<D>,
    _weight: &Tensor<2>,
    _bias: Option<&Tensor<1>>,
    _activation: Activation,
) -> Option<Tensor<D>> {
    None
}

pub(crate) fn conv3x3(_x: &Tensor<4>, _weight: &Tensor<2>, _bias: &Tensor<1>) -> Option<Tensor<4>> {
    None
}

pub(crate) fn group_norm(
    _x: &Tensor<4>,
    _gamma: &Tensor<1>,
    _beta: &Tensor<1>,
    _groups: usize,
    _epsilon: f64,
    _relu: bool,
) -> Option<Tensor<4>> {
    None
}

pub(crate) fn upsample2_add(_coarse: &Tensor<4>, _fine: &Tensor<4>) -> Option<Tensor<4>> {
    None
}

pub(crate) fn layer_norm<const D: usize>(
    _x: &Tensor<D>,
    _gamma: &Tensor<1>,
    _beta: &Tensor<1>,
    _epsilon: f64,
) -> Option<Tensor<D>> {
    None
}

pub(crate) fn attention(
    _q: &Tensor<3>,
    _k: &Tensor<3>,
    _v: &Tensor<3>,
    _heads: usize,
    _masked: Option<&Tensor<4, Bool>>,
    _bias: Option<&Tensor<4>>,
) -> Option<Tensor<3>> {
    None
}

pub(crate) fn rope_attention(
    _qkv: &Tensor<4>,
    _rope: &Rope,
    _heads: usize,
    _grid: WindowGrid,
) -> Option<Tensor<4>> {
    None
}

pub(crate) fn recomputed<const N: usize, P: Part<N>>(
    _part: &P,
    _inputs: &[DispatchTensor; N],
) -> Option<DispatchTensor> {
    None
}
