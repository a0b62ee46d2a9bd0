//! Linear layers; convolutions, group norm and padding on channels-last maps `[batch, height, width, channels]`.
//!
//! Every convolution of SAM 3 but the 3x3 ones is a matrix product, and the 3x3 ones are one over neighbourhoods.
//! Weights are kept as the product needs them; [`crate::parameters`] turns them from and to the layout of the
//! checkpoints. The products themselves are in `medsam3-kernels`, which picks by device.

use crate::trace::{at, is_recording};
use burn::module::{Module, Param};
use burn::nn::{Initializer, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use medsam3_kernels::{Activation, add_layer_norm, conv3x3, group_norm, linear};

/// Uniform in `±1/sqrt(fan_in)`, the initial values that the reference's framework gives.
pub(crate) fn uniform<const D: usize>(
    shape: [usize; D],
    fan_in: usize,
    device: &Device,
) -> Param<Tensor<D>> {
    let bound = 1.0 / (fan_in as f64).sqrt();
    Initializer::Uniform {
        min: -bound,
        max: bound,
    }
    .init(shape, device)
}

/// Layer norm with the epsilon that everything in the detector has in the reference's own code.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[channels]`
    pub gamma: Param<Tensor<1>>,
    /// `[channels]`
    pub beta: Param<Tensor<1>>,
}

/// A new [`LayerNorm`].
pub fn layer_norm(channels: usize, device: &Device) -> LayerNorm {
    LayerNorm {
        gamma: Initializer::Ones.init([channels], device),
        beta: Initializer::Zeros.init([channels], device),
    }
}

impl LayerNorm {
    const EPSILON: f64 = 1e-5;

    /// `[.., channels]` in and out.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        medsam3_kernels::layer_norm(x, self.gamma.val(), self.beta.val(), Self::EPSILON)
    }

    /// `x + y`, and the norm of it.
    pub fn after_sum<const D: usize>(&self, x: Tensor<D>, y: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        add_layer_norm(x, y, gamma, beta, Self::EPSILON)
    }
}

/// `y = x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]` in f32, or in f16 to save memory; or `[out, in]` in int8 blocks, where a loader put a
    /// [`medsam3_kernels::Q8`] tensor.
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// New layer from `input` to `output` channels.
    pub fn new(input: usize, output: usize, device: &Device) -> Self {
        let layer = LinearConfig::new(input, output).init(device);
        Self {
            weight: layer.weight,
            bias: layer.bias,
        }
    }

    /// `[.., in] -> [.., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.product(x, Activation::None)
    }

    /// The layer and an activation in one. While recording, what stands between them is recorded as `name`.
    pub fn activated<const D: usize>(
        &self,
        name: &str,
        x: Tensor<D>,
        activation: Activation,
    ) -> Tensor<D> {
        if is_recording() {
            return activation.apply(at(name, self.forward(x)));
        }
        self.product(x, activation)
    }

    fn product<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        linear(x, matrix(&self.weight), bias, activation)
    }
}

/// The matrix of a linear layer as a product takes it: one held in f16 is widened for the moment, because products are
/// f32 throughout.
pub(crate) fn matrix(weight: &Param<Tensor<2>>) -> Tensor<2> {
    let weight = weight.val();
    if weight.dtype() == DType::F16 {
        weight.cast(DType::F32)
    } else {
        weight
    }
}

/// Convolution with a 1x1 kernel.
#[derive(Module, Debug)]
pub struct Conv1x1 {
    /// `[in, out]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Conv1x1 {
    /// New layer from `input` to `output` channels.
    pub fn new(input: usize, output: usize, device: &Device) -> Self {
        Self {
            weight: uniform([input, output], input, device),
            bias: uniform([output], input, device),
        }
    }

    /// `[b, h, w, in] -> [b, h, w, out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        linear(
            x,
            self.weight.val(),
            Some(self.bias.val()),
            Activation::None,
        )
    }
}

/// Transposed convolution with a 2x2 kernel and stride 2: each cell becomes a block of four.
#[derive(Module, Debug)]
pub struct ConvTranspose2x2 {
    /// `[in, 4 * out]`, the block's cells in the order of rows.
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl ConvTranspose2x2 {
    /// New layer from `input` to `output` channels.
    pub fn new(input: usize, output: usize, device: &Device) -> Self {
        Self {
            weight: uniform([input, 4 * output], 4 * output, device),
            bias: uniform([output], 4 * output, device),
        }
    }

    /// `[b, h, w, in] -> [b, 2h, 2w, out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.activated(x, Activation::None)
    }

    /// The same with an activation behind it.
    pub fn activated(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        let [b, h, w, _] = x.dims();
        let [out] = self.bias.dims();
        let bias = self.bias.val().repeat(&[4]);
        linear(x, self.weight.val(), Some(bias), activation)
            .reshape([b, h, w, 2, 2, out])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([b, 2 * h, 2 * w, out])
    }
}

/// Convolution with a 3x3 kernel and padding 1.
#[derive(Module, Debug)]
pub struct Conv3x3 {
    /// `[9 * in, out]`, kernel row, kernel column, input channel.
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Conv3x3 {
    /// New layer from `input` to `output` channels.
    pub fn new(input: usize, output: usize, device: &Device) -> Self {
        Self {
            weight: uniform([9 * input, output], 9 * input, device),
            bias: uniform([output], 9 * input, device),
        }
    }

    /// `[b, h, w, in] -> [b, h, w, out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv3x3(x, self.weight.val(), self.bias.val())
    }
}

/// Appends `count` rows and columns of zeros.
pub fn pad_bottom_right(x: Tensor<4>, count: usize) -> Tensor<4> {
    if count == 0 {
        return x;
    }
    let [b, h, w, c] = x.dims();
    let device = x.device();
    let x = Tensor::cat(vec![x, Tensor::zeros([b, count, w, c], &device)], 1);
    Tensor::cat(vec![x, Tensor::zeros([b, h + count, count, c], &device)], 2)
}

/// Group norm over a channels-last map, epsilon 1e-5.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// `[channels]`
    pub gamma: Param<Tensor<1>>,
    /// `[channels]`
    pub beta: Param<Tensor<1>>,
    groups: usize,
}

impl GroupNorm {
    /// New norm of `channels` in `groups` groups.
    pub fn new(groups: usize, channels: usize, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([channels], device),
            beta: Initializer::Zeros.init([channels], device),
            groups,
        }
    }

    /// `[b, h, w, c] -> [b, h, w, c]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.normed(x, false)
    }

    /// The norm with ReLU behind it. While recording, what stands between them is recorded as `name`.
    pub fn rectified(&self, name: &str, x: Tensor<4>) -> Tensor<4> {
        if is_recording() {
            return Activation::Relu.apply(at(name, self.forward(x)));
        }
        self.normed(x, true)
    }

    fn normed(&self, x: Tensor<4>, relu: bool) -> Tensor<4> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        group_norm(x, gamma, beta, self.groups, relu)
    }
}
