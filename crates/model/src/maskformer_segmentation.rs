//! The mask head (reference: `maskformer_segmentation.py`, `UniversalSegmentationHead`): memory looks at the
//! prompt once more, the pixel decoder carries it up to four times the patch grid, a product with the queries
//! gives instance masks, a 1x1 convolution the semantic mask.

use crate::attention::MultiheadAttention;
use crate::config::TransformerConfig;
use crate::layers::{Conv1x1, Conv3x3, GroupNorm, LayerNorm, layer_norm};
use crate::model_misc::Mlp;
use crate::trace::{at, scope};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use medsam3_kernels::upsample2_add;

/// Groups of the pixel decoder's norms.
const GROUPS: usize = 8;

/// Adds finer maps of the neck while doubling the grid, twice.
#[derive(Module, Debug)]
pub struct PixelDecoder {
    /// One 3x3 convolution per doubling.
    pub conv_layers: Vec<Conv3x3>,
    /// One norm per doubling.
    pub norms: Vec<GroupNorm>,
}

impl PixelDecoder {
    fn forward(&self, coarse: Tensor<4>, finer: [&Tensor<4>; 2]) -> Tensor<4> {
        self.conv_layers
            .iter()
            .zip(&self.norms)
            .zip(finer)
            .enumerate()
            .fold(coarse, |x, (i, ((conv, norm), finer))| {
                let x = upsample2_add(&x, finer);
                let x = at(&format!("conv_layers.{i}"), conv.forward(x));
                norm.rectified(&format!("norms.{i}"), x)
            })
    }
}

/// Projection of queries onto the pixel embedding.
#[derive(Module, Debug)]
pub struct MaskPredictor {
    /// `d -> d`
    pub mask_embed: Mlp,
}

/// The mask head.
#[derive(Module, Debug)]
pub struct UniversalSegmentationHead {
    /// Finer maps.
    pub pixel_decoder: PixelDecoder,
    /// Masks from queries.
    pub mask_predictor: MaskPredictor,
    /// Attention of memory to the prompt.
    pub cross_attend_prompt: MultiheadAttention,
    /// Norm in front of it.
    pub cross_attn_norm: LayerNorm,
    /// `d -> 1`
    pub semantic_seg_head: Conv1x1,
    /// `d -> d`
    pub instance_seg_head: Conv1x1,
}

/// What the mask head computes once per image and prompt.
#[derive(Debug, Clone)]
pub struct PixelEmbedding {
    /// `[b, 4 grid, 4 grid, d]`
    pub instance: Tensor<4>,
    /// Logits, `[b, 4 grid, 4 grid]`.
    pub semantic: Tensor<3>,
}

impl UniversalSegmentationHead {
    /// New mask head.
    pub fn new(config: &TransformerConfig, device: &Device) -> Self {
        let d = config.width;
        Self {
            pixel_decoder: PixelDecoder {
                conv_layers: (0..2).map(|_| Conv3x3::new(d, d, device)).collect(),
                norms: (0..2).map(|_| GroupNorm::new(GROUPS, d, device)).collect(),
            },
            mask_predictor: MaskPredictor {
                mask_embed: Mlp::new(&[d, d, d, d], device),
            },
            cross_attend_prompt: MultiheadAttention::new(d, config.heads, device),
            cross_attn_norm: layer_norm(d, device),
            semantic_seg_head: Conv1x1::new(d, 1, device),
            instance_seg_head: Conv1x1::new(d, d, device),
        }
    }

    /// `memory` is `[b, grid * grid, d]`, `maps` the neck's, finest first, of which the coarsest is replaced by
    /// the memory.
    pub fn embed_pixels(
        &self,
        memory: Tensor<3>,
        maps: &[Tensor<4>],
        prompt: &Tensor<3>,
        prompt_masked: &Tensor<4, Bool>,
    ) -> PixelEmbedding {
        let [b, tokens, d] = memory.dims();
        let grid = tokens.isqrt();
        let normed = at(
            "cross_attn_norm",
            self.cross_attn_norm.forward(memory.clone()),
        );
        let (key, value) = (prompt.clone(), prompt.clone());
        let attended = scope("cross_attend_prompt", || {
            self.cross_attend_prompt
                .forward(normed, key, value, Some(prompt_masked.clone()), None)
        });
        let coarse = (memory + attended).reshape([b, grid, grid, d]);
        let pixels = scope("pixel_decoder", || {
            at("", self.pixel_decoder.forward(coarse, [&maps[1], &maps[0]]))
        });
        PixelEmbedding {
            instance: at(
                "instance_seg_head",
                self.instance_seg_head.forward(pixels.clone()),
            ),
            semantic: at("semantic_seg_head", self.semantic_seg_head.forward(pixels))
                .squeeze_dim::<3>(3),
        }
    }

    /// Mask logits `[b, q, 4 grid, 4 grid]` of queries `hs` `[b, q, d]`.
    pub fn instance_masks(&self, pixels: &PixelEmbedding, hs: Tensor<3>) -> Tensor<4> {
        let [b, q, d] = hs.dims();
        let [_, rows, columns, _] = pixels.instance.dims();
        let queries = scope("mask_predictor.mask_embed", || {
            self.mask_predictor.mask_embed.forward(hs)
        });
        let pixels = pixels.instance.clone().reshape([b, rows * columns, d]);
        queries
            .matmul(pixels.swap_dims(1, 2))
            .reshape([b, q, rows, columns])
    }
}
