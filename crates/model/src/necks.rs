//! The neck: the trunk's map at 4x, 2x and 1x of the patch grid (reference: `necks.py`, `Sam3DualViTDetNeck`).
//!
//! `[b, grid, grid, vit_width]` becomes `[b, 4 grid, 4 grid, d]`, `[b, 2 grid, 2 grid, d]`, `[b, grid, grid, d]`.
//! The reference's fourth level (half the grid) is dropped there too, and its tracker neck is not needed for images.

use crate::layers::{Conv1x1, Conv3x3, ConvTranspose2x2};
use crate::trace::{at, is_recording, scope};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use medsam3_kernels::Activation;

/// One level of the neck. The names of the transposed convolutions differ by level, as in the checkpoints.
#[derive(Module, Debug)]
pub struct NeckLevel {
    /// First of the two doublings at 4x.
    pub dconv_2x2_0: Option<ConvTranspose2x2>,
    /// Second of the two doublings at 4x.
    pub dconv_2x2_1: Option<ConvTranspose2x2>,
    /// The doubling at 2x.
    pub dconv_2x2: Option<ConvTranspose2x2>,
    /// To the width of the transformer.
    pub conv_1x1: Conv1x1,
    /// Smoothing.
    pub conv_3x3: Conv3x3,
}

impl NeckLevel {
    /// Level `index` (0 is the finest) from `input` to `output` channels.
    pub fn new(index: usize, input: usize, output: usize, device: &Device) -> Self {
        let (half, quarter) = (input / 2, input / 4);
        let inner = [quarter, half, input][index];
        Self {
            dconv_2x2_0: (index == 0).then(|| ConvTranspose2x2::new(input, half, device)),
            dconv_2x2_1: (index == 0).then(|| ConvTranspose2x2::new(half, quarter, device)),
            dconv_2x2: (index == 1).then(|| ConvTranspose2x2::new(input, half, device)),
            conv_1x1: Conv1x1::new(inner, output, device),
            conv_3x3: Conv3x3::new(output, output, device),
        }
    }

    /// `[b, h, w, input] -> [b, scale h, scale w, output]`
    pub fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        if let (Some(first), Some(second)) = (&self.dconv_2x2_0, &self.dconv_2x2_1) {
            x = if is_recording() {
                Activation::Gelu.apply(at("dconv_2x2_0", first.forward(x)))
            } else {
                first.activated(x, Activation::Gelu)
            };
            x = at("dconv_2x2_1", second.forward(x));
        }
        if let Some(double) = &self.dconv_2x2 {
            x = at("dconv_2x2", double.forward(x));
        }
        let x = at("conv_1x1", self.conv_1x1.forward(x));
        at("conv_3x3", self.conv_3x3.forward(x))
    }
}

/// The three maps of an image that the detector uses, finest first.
pub fn forward(levels: &[NeckLevel], trunk: &Tensor<4>) -> Vec<Tensor<4>> {
    levels
        .iter()
        .enumerate()
        .map(|(i, level)| scope(format!("convs.{i}"), || level.forward(trunk.clone())))
        .collect()
}
