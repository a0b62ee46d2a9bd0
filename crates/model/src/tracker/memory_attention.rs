//! The memory attention (reference: `decoder.py`, `TransformerEncoderCrossAttention`): a frame's tokens look at
//! themselves and at what is remembered.
//!
//! One head as wide as the tokens, rotary embedding on queries and on keys of spatial memories, none on pointers.

use super::attention::{Attention, Rotary};
use super::config::TrackerConfig;
use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::trace::{at, scope};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use medsam3_kernels::Activation;

/// How much of the position encoding is added to the tokens on their way in.
const POSITION_AT_INPUT: f64 = 0.1;

/// What a frame looks back at.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// Spatial memories, each of as many tokens as the frame has, then pointers: `[b, m, memory channels]`.
    pub tokens: Tensor<3>,
    /// Where and when they are, `[1 | b, m, memory channels]`; added to keys, not to values.
    pub position: Tensor<3>,
    /// How many of the tokens, at the end, are of pointers.
    pub pointer_tokens: usize,
}

/// A layer, pre-norm.
#[derive(Module, Debug)]
pub struct MemoryAttentionLayer {
    /// Among the frame's tokens.
    pub self_attn: Attention,
    /// To what is remembered.
    pub cross_attn_image: Attention,
    /// `d -> feed_forward`
    pub linear1: Linear,
    /// `feed_forward -> d`
    pub linear2: Linear,
    /// In front of the self-attention.
    pub norm1: LayerNorm,
    /// In front of the attention to memory.
    pub norm2: LayerNorm,
    /// In front of the feed-forward network.
    pub norm3: LayerNorm,
}

impl MemoryAttentionLayer {
    fn new(config: &TrackerConfig, device: &Device) -> Self {
        let (d, hidden) = (config.width, config.memory_feed_forward);
        Self {
            self_attn: Attention::new(d, d, d, 1, device),
            cross_attn_image: Attention::new(d, config.memory_channels, d, 1, device),
            linear1: Linear::new(d, hidden, device),
            linear2: Linear::new(hidden, d, device),
            norm1: layer_norm(d, device),
            norm2: layer_norm(d, device),
            norm3: layer_norm(d, device),
        }
    }

    fn forward(
        &self,
        x: Tensor<3>,
        keys: &Tensor<3>,
        memory: &Remembered,
        rotary: &Rotary,
    ) -> Tensor<3> {
        let h = at("norm1", self.norm1.forward(x.clone()));
        let x = x + scope("self_attn", || {
            self.self_attn
                .forward_rotated(h.clone(), h.clone(), h, rotary, 0)
        });
        let h = at("norm2", self.norm2.forward(x.clone()));
        let x = x + scope("cross_attn_image", || {
            self.cross_attn_image.forward_rotated(
                h,
                keys.clone(),
                memory.tokens.clone(),
                rotary,
                memory.pointer_tokens,
            )
        });
        let h = at("norm3", self.norm3.forward(x.clone()));
        let h = self.linear1.activated("linear1", h, Activation::Relu);
        at("", x + at("linear2", self.linear2.forward(h)))
    }
}

/// The memory attention.
#[derive(Module, Debug)]
pub struct TransformerEncoderCrossAttention {
    /// The layers.
    pub layers: Vec<MemoryAttentionLayer>,
    /// Behind them.
    pub norm: LayerNorm,
}

impl TransformerEncoderCrossAttention {
    /// New memory attention.
    pub fn new(config: &TrackerConfig, device: &Device) -> Self {
        Self {
            layers: (0..config.memory_layers)
                .map(|_| MemoryAttentionLayer::new(config, device))
                .collect(),
            norm: layer_norm(config.width, device),
        }
    }

    /// Tokens of a frame `[1 | b, n, d]` with their position encoding `[1, n, d]`, for `b` objects that each remember their
    /// own: `[b, n, d]`. One object is computed after the other, so that buffers do not grow with their number.
    pub fn forward(
        &self,
        image: Tensor<3>,
        image_pos: &Tensor<3>,
        memory: &Remembered,
    ) -> Tensor<3> {
        let [b, _, _] = memory.tokens.dims();
        let [shared, n, d] = image.dims();
        let rotary = Rotary::new(n.isqrt(), d, &image.device());
        let of = |x: &Tensor<3>, object: usize| {
            if x.dims()[0] == 1 {
                x.clone()
            } else {
                x.clone().narrow(0, object, 1)
            }
        };
        let objects = (0..b).map(|object| {
            let image = of(&image, object.min(shared - 1));
            let memory = Remembered {
                tokens: of(&memory.tokens, object),
                position: of(&memory.position, object),
                pointer_tokens: memory.pointer_tokens,
            };
            let keys = memory.tokens.clone() + memory.position.clone();
            let x = image + image_pos.clone() * POSITION_AT_INPUT;
            let x = self.layers.iter().enumerate().fold(x, |x, (i, layer)| {
                scope(format!("layers.{i}"), || {
                    layer.forward(x, &keys, &memory, &rotary)
                })
            });
            at("norm", self.norm.forward(x))
        });
        Tensor::cat(objects.collect(), 0)
    }
}
