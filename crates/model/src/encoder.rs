//! The DETR encoder: image tokens attend to each other and to the prompt (reference: `encoder.py`,
//! `TransformerEncoderFusion`). Pre-norm, no final norm; the prompt is not updated.
//!
//! Image `[b, tokens, d]`, prompt `[b, m, d]` to memory `[b, tokens, d]`.

use crate::attention::MultiheadAttention;
use crate::config::TransformerConfig;
use crate::dropout::{Dropout, PromptTraining};
use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::trace::{at, scope};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use medsam3_kernels::Activation;

mod again;

/// What all layers look at.
struct Context<'a> {
    /// `[1, tokens, d]`
    pos: &'a Tensor<3>,
    /// `[b, m, d]`
    prompt: &'a Tensor<3>,
    /// True at padding, `[b, 1, 1, m]`.
    prompt_masked: &'a Tensor<4, Bool>,
}

/// One encoder layer.
#[derive(Module, Debug)]
pub struct TransformerEncoderLayer {
    /// Attention among image tokens; position is added to queries and keys, not to values.
    pub self_attn: MultiheadAttention,
    /// Attention to the prompt, named after the image in the checkpoints; no position is added.
    pub cross_attn_image: MultiheadAttention,
    /// `d -> feed_forward`
    pub linear1: Linear,
    /// `feed_forward -> d`
    pub linear2: Linear,
    /// Norm in front of self-attention.
    pub norm1: LayerNorm,
    /// Norm in front of the attention to the prompt.
    pub norm2: LayerNorm,
    /// Norm in front of the feed-forward network.
    pub norm3: LayerNorm,
}

impl TransformerEncoderLayer {
    fn new(config: &TransformerConfig, device: &Device) -> Self {
        let d = config.width;
        Self {
            self_attn: MultiheadAttention::new(d, config.heads, device),
            cross_attn_image: MultiheadAttention::new(d, config.heads, device),
            linear1: Linear::new(d, config.feed_forward, device),
            linear2: Linear::new(config.feed_forward, d, device),
            norm1: layer_norm(d, device),
            norm2: layer_norm(d, device),
            norm3: layer_norm(d, device),
        }
    }

    fn forward(&self, x: Tensor<3>, context: &Context<'_>, dropout: &Dropout) -> Tensor<3> {
        let Context {
            pos,
            prompt,
            prompt_masked,
        } = context;
        let h = at("norm1", self.norm1.forward(x.clone()));
        let placed = h.clone() + (*pos).clone();
        let attended = scope("self_attn", || {
            self.self_attn
                .forward(placed.clone(), placed, h, None, None)
        });
        let x = x + dropout.apply(attended);
        let h = at("norm2", self.norm2.forward(x.clone()));
        let (key, value) = ((*prompt).clone(), (*prompt).clone());
        let attended = scope("cross_attn_image", || {
            self.cross_attn_image
                .forward(h, key, value, Some((*prompt_masked).clone()), None)
        });
        let x = x + dropout.apply(attended);
        let h = at("norm3", self.norm3.forward(x.clone()));
        let h = self.linear1.activated("linear1", h, Activation::Relu);
        let h = at("linear2", self.linear2.forward(dropout.apply(h)));
        at("", x + dropout.apply(h))
    }
}

/// The stack of encoder layers.
#[derive(Module, Debug)]
pub struct TransformerEncoderFusion {
    /// The layers.
    pub layers: Vec<TransformerEncoderLayer>,
}

impl TransformerEncoderFusion {
    /// New encoder.
    pub fn new(config: &TransformerConfig, device: &Device) -> Self {
        Self {
            layers: (0..config.encoder_layers)
                .map(|_| TransformerEncoderLayer::new(config, device))
                .collect(),
        }
    }

    /// `pos` is `[1, tokens, d]`; `prompt_masked` is true at padding, `[b, 1, 1, m]`.
    pub fn forward(
        &self,
        image: Tensor<3>,
        pos: &Tensor<3>,
        prompt: &Tensor<3>,
        prompt_masked: &Tensor<4, Bool>,
        training: &PromptTraining,
    ) -> Tensor<3> {
        let context = Context {
            pos,
            prompt,
            prompt_masked,
        };
        self.layers.iter().enumerate().fold(image, |x, (i, layer)| {
            // Masks of its own for every layer: it may draw them twice.
            let dropout = training.dropout.fork();
            scope(format!("layers.{i}"), || {
                if training.recompute {
                    again::forward(layer, x, &context, dropout)
                } else {
                    layer.forward(x, &context, &dropout)
                }
            })
        })
    }
}
