//! The geometry encoder (reference: `geometry_encoders.py`, `SequenceGeometryEncoder`).
//!
//! Meta's model runs it for every prompt: without points and boxes one class token `[b, 1, d]` remains, which
//! attends to the image and is appended to the text tokens. Without it the scores are different ones. The branches for points
//! and boxes are a part of their own ([`PointsAndBoxes`]), because models prompted by text alone do not have it.

mod branches;

pub use branches::{GeometryPrompt, PointsAndBoxes, PromptBox, PromptPoint};

use crate::attention::MultiheadAttention;
use crate::config::TransformerConfig;
use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::trace::{at, scope};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Device, Tensor};
use medsam3_kernels::Activation;

/// A pre-norm layer: self-attention, attention to the image, feed-forward.
#[derive(Module, Debug)]
pub struct GeometryLayer {
    /// Attention among geometry tokens.
    pub self_attn: MultiheadAttention,
    /// Attention to the image.
    pub cross_attn_image: MultiheadAttention,
    /// `d -> feed_forward`
    pub linear1: Linear,
    /// `feed_forward -> d`
    pub linear2: Linear,
    /// Norm in front of self-attention.
    pub norm1: LayerNorm,
    /// Norm in front of the attention to the image.
    pub norm2: LayerNorm,
    /// Norm in front of the feed-forward network.
    pub norm3: LayerNorm,
}

impl GeometryLayer {
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

    fn forward(&self, x: Tensor<3>, image: &Tensor<3>, image_pos: &Tensor<3>) -> Tensor<3> {
        let h = at("norm1", self.norm1.forward(x.clone()));
        let x = x + scope("self_attn", || self.self_attn.self_attention(h, None));
        let h = at("norm2", self.norm2.forward(x.clone()));
        let keys = image.clone() + image_pos.clone();
        let x = x + scope("cross_attn_image", || {
            self.cross_attn_image
                .forward(h, keys, image.clone(), None, None)
        });
        let h = at("norm3", self.norm3.forward(x.clone()));
        let h = self.linear1.activated("linear1", h, Activation::Relu);
        at("", x + at("linear2", self.linear2.forward(h)))
    }
}

/// The geometry encoder.
#[derive(Module, Debug)]
pub struct SequenceGeometryEncoder {
    /// `[1, d]`
    pub cls_embed: Embedding,
    /// Projection of the tokens.
    pub final_proj: Linear,
    /// Norm behind the projection.
    pub norm: LayerNorm,
    /// The layers.
    pub encode: Vec<GeometryLayer>,
    /// Norm behind the layers.
    pub encode_norm: LayerNorm,
}

impl SequenceGeometryEncoder {
    /// New geometry encoder.
    pub fn new(config: &TransformerConfig, device: &Device) -> Self {
        let d = config.width;
        Self {
            cls_embed: EmbeddingConfig::new(1, d).init(device),
            final_proj: Linear::new(d, d, device),
            norm: layer_norm(d, device),
            encode: (0..config.geometry_layers)
                .map(|_| GeometryLayer::new(config, device))
                .collect(),
            encode_norm: layer_norm(d, device),
        }
    }

    /// The class token `[b, 1, d]` for an image `[b, tokens, d]` with its position encoding `[1, tokens, d]`.
    pub fn forward(&self, image: &Tensor<3>, image_pos: &Tensor<3>) -> Tensor<3> {
        let [b, _, d] = image.dims();
        let cls = self.cls_embed.weight.val().reshape([1, 1, d]);
        let x = self.projected(cls).expand([b, 1, d]);
        self.encoded(x, image, image_pos)
    }

    /// Tokens of points and boxes `[b, n, d]` and the class token behind them, `[b, n + 1, d]`; image as in
    /// [`SequenceGeometryEncoder::forward`].
    pub fn forward_prompted(
        &self,
        tokens: Tensor<3>,
        image: &Tensor<3>,
        image_pos: &Tensor<3>,
    ) -> Tensor<3> {
        let [b, _, d] = tokens.dims();
        let cls = self.cls_embed.weight.val().reshape([1, 1, d]);
        let tokens = Tensor::cat(vec![tokens, cls.expand([b, 1, d])], 1);
        self.encoded(self.projected(tokens), image, image_pos)
    }

    fn projected(&self, tokens: Tensor<3>) -> Tensor<3> {
        let x = at("final_proj", self.final_proj.forward(tokens));
        at("norm", self.norm.forward(x))
    }

    fn encoded(&self, x: Tensor<3>, image: &Tensor<3>, image_pos: &Tensor<3>) -> Tensor<3> {
        let x = self.encode.iter().enumerate().fold(x, |x, (i, layer)| {
            scope(format!("encode.{i}"), || layer.forward(x, image, image_pos))
        });
        at("encode_norm", self.encode_norm.forward(x))
    }
}
