//! The two-way transformer of the mask decoder: tokens look at the image and the image at tokens (reference:
//! `sam/transformer.py`). Post-norm; tokens `[b, t, d]`, image `[b, n, d]`, `pe` its position encoding.

use super::attention::Attention;
use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::trace::{at, scope};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use medsam3_kernels::Activation;

/// The attention between tokens and image is narrower by this.
const NARROWER: usize = 2;
/// Blocks.
const DEPTH: usize = 2;

/// Two linear layers with ReLU between them (reference: `MLPBlock`).
#[derive(Module, Debug)]
pub struct MlpBlock {
    /// `d -> hidden`
    pub lin1: Linear,
    /// `hidden -> d`
    pub lin2: Linear,
}

/// A block of the two-way transformer.
#[derive(Module, Debug)]
pub struct TwoWayAttentionBlock {
    /// Among tokens.
    pub self_attn: Attention,
    /// Behind it.
    pub norm1: LayerNorm,
    /// Tokens to image.
    pub cross_attn_token_to_image: Attention,
    /// Behind it.
    pub norm2: LayerNorm,
    /// On tokens.
    pub mlp: MlpBlock,
    /// Behind it.
    pub norm3: LayerNorm,
    /// Behind the attention of the image to tokens.
    pub norm4: LayerNorm,
    /// Image to tokens.
    pub cross_attn_image_to_token: Attention,
}

impl TwoWayAttentionBlock {
    fn new(width: usize, hidden: usize, heads: usize, device: &Device) -> Self {
        let narrow = || Attention::new(width, width, width / NARROWER, heads, device);
        Self {
            self_attn: Attention::new(width, width, width, heads, device),
            norm1: layer_norm(width, device),
            cross_attn_token_to_image: narrow(),
            norm2: layer_norm(width, device),
            mlp: MlpBlock {
                lin1: Linear::new(width, hidden, device),
                lin2: Linear::new(hidden, width, device),
            },
            norm3: layer_norm(width, device),
            norm4: layer_norm(width, device),
            cross_attn_image_to_token: narrow(),
        }
    }

    /// `first` says that the tokens are their own position encoding still: the self-attention replaces them.
    fn forward(
        &self,
        tokens: Tensor<3>,
        image: Tensor<3>,
        token_pe: &Tensor<3>,
        image_pe: &Tensor<3>,
        first: bool,
    ) -> (Tensor<3>, Tensor<3>) {
        let attended = |q: Tensor<3>, v: Tensor<3>| {
            scope("self_attn", || self.self_attn.forward(q.clone(), q, v))
        };
        let tokens = if first {
            attended(tokens.clone(), tokens)
        } else {
            tokens.clone() + attended(tokens.clone() + token_pe.clone(), tokens)
        };
        let tokens = at("norm1", self.norm1.forward(tokens));

        let keys = image.clone() + image_pe.clone();
        let looked = scope("cross_attn_token_to_image", || {
            self.cross_attn_token_to_image.forward(
                tokens.clone() + token_pe.clone(),
                keys.clone(),
                image.clone(),
            )
        });
        let tokens = at("norm2", self.norm2.forward(tokens + looked));

        let hidden = scope("mlp", || {
            let hidden = self
                .mlp
                .lin1
                .activated("lin1", tokens.clone(), Activation::Relu);
            at("lin2", self.mlp.lin2.forward(hidden))
        });
        let tokens = at("norm3", self.norm3.forward(tokens + hidden));

        let told = scope("cross_attn_image_to_token", || {
            self.cross_attn_image_to_token.forward(
                keys,
                tokens.clone() + token_pe.clone(),
                tokens.clone(),
            )
        });
        let image = at("norm4", self.norm4.forward(image + told));
        (at("tokens", tokens), at("image", image))
    }
}

/// The two-way transformer.
#[derive(Module, Debug)]
pub struct TwoWayTransformer {
    /// The blocks.
    pub layers: Vec<TwoWayAttentionBlock>,
    /// Tokens look once more.
    pub final_attn_token_to_image: Attention,
    /// Behind it.
    pub norm_final_attn: LayerNorm,
}

impl TwoWayTransformer {
    /// New transformer of `width` channels.
    pub fn new(width: usize, hidden: usize, heads: usize, device: &Device) -> Self {
        Self {
            layers: (0..DEPTH)
                .map(|_| TwoWayAttentionBlock::new(width, hidden, heads, device))
                .collect(),
            final_attn_token_to_image: Attention::new(
                width,
                width,
                width / NARROWER,
                heads,
                device,
            ),
            norm_final_attn: layer_norm(width, device),
        }
    }

    /// Tokens `[b, t, d]` and image `[b, n, d]`, both changed.
    pub fn forward(
        &self,
        image: Tensor<3>,
        image_pe: &Tensor<3>,
        prompt: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let start = (prompt.clone(), image);
        let (tokens, image) =
            self.layers
                .iter()
                .enumerate()
                .fold(start, |(tokens, image), (i, layer)| {
                    scope(format!("layers.{i}"), || {
                        layer.forward(tokens, image, &prompt, image_pe, i == 0)
                    })
                });
        let looked = scope("final_attn_token_to_image", || {
            self.final_attn_token_to_image.forward(
                tokens.clone() + prompt,
                image.clone() + image_pe.clone(),
                image.clone(),
            )
        });
        let tokens = at(
            "norm_final_attn",
            self.norm_final_attn.forward(tokens + looked),
        );
        (tokens, image)
    }
}
