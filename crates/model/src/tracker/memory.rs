//! The memory encoder (reference: `memory.py`, `SimpleMaskEncoder`): a frame's map and an object's mask become the
//! memory that later frames attend to.
//!
//! `[b, grid, grid, d]` and masks `[b, 16 grid, 16 grid]` to `[b, grid, grid, memory channels]`.

use super::config::TrackerConfig;
use crate::convolution::{Conv3x3Stride2, DepthwiseConv7x7, LayerNorm2d};
use crate::layers::{Conv1x1, Linear};
use crate::trace::{at, scope};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use medsam3_kernels::Activation;

/// Fusing blocks.
const BLOCKS: usize = 2;
/// Initial scale of what a fusing block adds.
const SCALE: f64 = 1e-6;

/// The convolutions of the mask down to the grid, numbered as in the checkpoint; GELU stands between them.
#[derive(Module, Debug)]
pub struct MaskConvolutions {
    /// `1 -> 4`
    pub at_0: Conv3x3Stride2,
    /// Behind it.
    pub at_1: LayerNorm2d,
    /// `4 -> 16`
    pub at_3: Conv3x3Stride2,
    /// Behind it.
    pub at_4: LayerNorm2d,
    /// `16 -> 64`
    pub at_6: Conv3x3Stride2,
    /// Behind it.
    pub at_7: LayerNorm2d,
    /// `64 -> 256`
    pub at_9: Conv3x3Stride2,
    /// Behind it.
    pub at_10: LayerNorm2d,
    /// `256 -> d`
    pub at_12: Conv1x1,
}

/// A mask to the grid (reference: `SimpleMaskDownSampler`).
#[derive(Module, Debug)]
pub struct SimpleMaskDownSampler {
    /// The convolutions.
    pub encoder: MaskConvolutions,
}

impl SimpleMaskDownSampler {
    fn new(width: usize, device: &Device) -> Self {
        let conv = |input, output| Conv3x3Stride2::new(input, output, device);
        let norm = |channels| LayerNorm2d::new(channels, device);
        Self {
            encoder: MaskConvolutions {
                at_0: conv(1, 4),
                at_1: norm(4),
                at_3: conv(4, 16),
                at_4: norm(16),
                at_6: conv(16, 64),
                at_7: norm(64),
                at_9: conv(64, 256),
                at_10: norm(256),
                at_12: Conv1x1::new(256, width, device),
            },
        }
    }

    /// `[b, 16 grid, 16 grid] -> [b, grid, grid, d]`
    fn forward(&self, masks: Tensor<3>) -> Tensor<4> {
        let layers = &self.encoder;
        let steps = [
            (&layers.at_0, &layers.at_1, ["0", "1"]),
            (&layers.at_3, &layers.at_4, ["3", "4"]),
            (&layers.at_6, &layers.at_7, ["6", "7"]),
            (&layers.at_9, &layers.at_10, ["9", "10"]),
        ];
        scope("encoder", || {
            let x = steps.into_iter().fold(
                masks.unsqueeze_dim::<4>(3),
                |x, (conv, norm, [conv_name, norm_name])| {
                    let x = at(conv_name, conv.forward(x));
                    Activation::Gelu.apply(at(norm_name, norm.forward(x)))
                },
            );
            at("12", layers.at_12.forward(x))
        })
    }
}

/// A ConvNeXt block (reference: `CXBlock`).
#[derive(Module, Debug)]
pub struct CXBlock {
    /// Neighbours of each channel.
    pub dwconv: DepthwiseConv7x7,
    /// Behind it.
    pub norm: LayerNorm2d,
    /// `d -> hidden`
    pub pwconv1: Linear,
    /// `hidden -> d`
    pub pwconv2: Linear,
    /// Scale of what is added, `[d]`.
    pub gamma: Param<Tensor<1>>,
}

impl CXBlock {
    fn new(width: usize, hidden: usize, device: &Device) -> Self {
        Self {
            dwconv: DepthwiseConv7x7::new(width, device),
            norm: LayerNorm2d::new(width, device),
            pwconv1: Linear::new(width, hidden, device),
            pwconv2: Linear::new(hidden, width, device),
            gamma: Initializer::Constant { value: SCALE }.init([width], device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let d = x.dims()[3];
        let y = at("dwconv", self.dwconv.forward(x.clone()));
        let y = at("norm", self.norm.forward(y));
        let y = self.pwconv1.activated("pwconv1", y, Activation::Gelu);
        let y = at("pwconv2", self.pwconv2.forward(y));
        at("", x + y * self.gamma.val().reshape([1, 1, 1, d]))
    }
}

/// Blocks that fuse map and mask.
#[derive(Module, Debug)]
pub struct SimpleFuser {
    /// The blocks.
    pub layers: Vec<CXBlock>,
}

/// The memory encoder.
#[derive(Module, Debug)]
pub struct SimpleMaskEncoder {
    /// The mask's way to the grid.
    pub mask_downsampler: SimpleMaskDownSampler,
    /// `d -> d` of the frame's map.
    pub pix_feat_proj: Conv1x1,
    /// Both together.
    pub fuser: SimpleFuser,
    /// `d -> memory channels`
    pub out_proj: Conv1x1,
}

impl SimpleMaskEncoder {
    /// New encoder.
    pub fn new(config: &TrackerConfig, device: &Device) -> Self {
        let d = config.width;
        Self {
            mask_downsampler: SimpleMaskDownSampler::new(d, device),
            pix_feat_proj: Conv1x1::new(d, d, device),
            fuser: SimpleFuser {
                layers: (0..BLOCKS)
                    .map(|_| CXBlock::new(d, config.fuser_hidden, device))
                    .collect(),
            },
            out_proj: Conv1x1::new(d, config.memory_channels, device),
        }
    }

    /// `image` `[1 | b, grid, grid, d]`, `masks` `[b, 16 grid, 16 grid]` in -10..10: `[b, grid, grid, memory channels]`.
    pub fn forward(&self, image: Tensor<4>, masks: Tensor<3>) -> Tensor<4> {
        let masks = scope("mask_downsampler", || {
            at("", self.mask_downsampler.forward(masks))
        });
        let image = at("pix_feat_proj", self.pix_feat_proj.forward(image));
        let x = self
            .fuser
            .layers
            .iter()
            .enumerate()
            .fold(image + masks, |x, (i, block)| {
                scope(format!("fuser.layers.{i}"), || block.forward(x))
            });
        at("out_proj", self.out_proj.forward(x))
    }
}
