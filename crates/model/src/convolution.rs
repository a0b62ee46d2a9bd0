//! Convolutions of the tracker and of the box branch on channels-last maps `[batch, height, width, channels]`, as matrix
//! products where they can be, and the layer norm over channels that stands between them.

use crate::layers::uniform;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, module};
use medsam3_kernels::{Activation, linear};

/// Layer norm over the channels of a map, epsilon 1e-6 (reference: `LayerNorm2d`).
#[derive(Module, Debug)]
pub struct LayerNorm2d {
    /// `[channels]`
    pub gamma: Param<Tensor<1>>,
    /// `[channels]`
    pub beta: Param<Tensor<1>>,
}

impl LayerNorm2d {
    const EPSILON: f64 = 1e-6;

    /// New norm of `channels`.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([channels], device),
            beta: Initializer::Zeros.init([channels], device),
        }
    }

    /// `[b, h, w, c]` in and out.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        medsam3_kernels::layer_norm(x, self.gamma.val(), self.beta.val(), Self::EPSILON)
    }
}

/// Cells of `side x side` that become one, their channels one behind the other: `[b, h, w, c] -> [b, h / side,
/// w / side, side * side * c]`.
fn blocks(x: Tensor<4>, side: usize) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    x.reshape([b, h / side, side, w / side, side, c])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([b, h / side, w / side, side * side * c])
}

macro_rules! patch_convolution {
    ($name:ident, $side:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Module, Debug)]
        pub struct $name {
            /// `[side * side * in, out]`, kernel row, kernel column, input channel.
            pub weight: Param<Tensor<2>>,
            /// `[out]`
            pub bias: Param<Tensor<1>>,
        }

        impl $name {
            /// Side and stride of the kernel.
            pub const SIDE: usize = $side;

            /// New layer from `input` to `output` channels.
            pub fn new(input: usize, output: usize, device: &Device) -> Self {
                let inputs = Self::SIDE * Self::SIDE * input;
                Self {
                    weight: uniform([inputs, output], inputs, device),
                    bias: uniform([output], inputs, device),
                }
            }

            /// `[b, h, w, in] -> [b, h / side, w / side, out]`
            pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
                let (weight, bias) = (self.weight.val(), self.bias.val());
                linear(blocks(x, Self::SIDE), weight, Some(bias), Activation::None)
            }
        }
    };
}

patch_convolution!(
    Conv2x2Stride2,
    2,
    "Convolution with a 2x2 kernel and stride 2."
);
patch_convolution!(
    Conv4x4Stride4,
    4,
    "Convolution with a 4x4 kernel and stride 4."
);
patch_convolution!(
    Conv7x7Stride7,
    7,
    "Convolution with a 7x7 kernel over maps of 7x7."
);

/// Convolution with a 3x3 kernel, stride 2 and padding 1.
#[derive(Module, Debug)]
pub struct Conv3x3Stride2 {
    /// `[9 * in, out]`, kernel row, kernel column, input channel.
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Conv3x3Stride2 {
    /// New layer from `input` to `output` channels.
    pub fn new(input: usize, output: usize, device: &Device) -> Self {
        Self {
            weight: uniform([9 * input, output], 9 * input, device),
            bias: uniform([output], 9 * input, device),
        }
    }

    /// `[b, h, w, in] -> [b, h / 2, w / 2, out]` for even extents.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        let (rows, columns) = (h / 2, w / 2);
        // A row and a column in front are the padding, those behind make the extents even again.
        let padded = x.pad([(0, 0), (1, 1), (1, 1), (0, 0)], 0.0);
        let padded = padded.reshape([b, rows + 1, 2, columns + 1, 2, c]);
        let mut neighbours = Vec::with_capacity(9);
        for row in 0..3 {
            for column in 0..3 {
                let (down, right) = (row / 2, column / 2);
                let cells = padded.clone().slice([
                    0..b,
                    down..down + rows,
                    row % 2..row % 2 + 1,
                    right..right + columns,
                    column % 2..column % 2 + 1,
                    0..c,
                ]);
                neighbours.push(cells.reshape([b, rows, columns, c]));
            }
        }
        let neighbours = Tensor::cat(neighbours, 3);
        let (weight, bias) = (self.weight.val(), self.bias.val());
        linear(neighbours, weight, Some(bias), Activation::None)
    }
}

/// Convolution of each channel alone with a 7x7 kernel and padding 3.
#[derive(Module, Debug)]
pub struct DepthwiseConv7x7 {
    /// `[channels, 1, 7, 7]`
    pub weight: Param<Tensor<4>>,
    /// `[channels]`
    pub bias: Param<Tensor<1>>,
}

impl DepthwiseConv7x7 {
    /// New layer of `channels`.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: uniform([channels, 1, 7, 7], 49, device),
            bias: uniform([channels], 49, device),
        }
    }

    /// `[b, h, w, c]` in and out.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let channels = x.dims()[3];
        let x = x.permute([0, 3, 1, 2]);
        let options = ConvOptions::new([1, 1], [3, 3], [1, 1], channels);
        module::conv2d(x, self.weight.val(), Some(self.bias.val()), options).permute([0, 2, 3, 1])
    }
}
