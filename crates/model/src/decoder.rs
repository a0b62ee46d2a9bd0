//! The DETR decoder with presence token, box refinement and log box-relative position bias (reference:
//! `decoder.py`, `TransformerDecoder`). Post-norm: self-attention, prompt, image, feed-forward.
//!
//! Memory `[b, tokens, d]` and prompt `[b, m, d]` to, for every layer, queries `[b, q, d]`, boxes `[b, q, 4]`
//! (cx, cy, w, h in 0..1) and presence logits `[b]`.

#![allow(non_snake_case, reason = "field names are those of the checkpoint")]

use crate::attention::MultiheadAttention;
use crate::config::TransformerConfig;
use crate::dropout::Dropout;
use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::model_misc::Mlp;
use crate::position_encoding::sine_boxes;
use crate::trace::{at, scope};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use medsam3_kernels::{Activation, cpu};

/// What a decoder layer gives.
#[derive(Debug, Clone)]
pub struct DecoderOutput {
    /// Normed queries, `[b, q, d]`.
    pub hs: Tensor<3>,
    /// Refined boxes, `[b, q, 4]`: cx, cy, w, h in 0..1.
    pub boxes: Tensor<3>,
    /// Presence logits, `[b]`.
    pub presence: Tensor<1>,
}

/// One decoder layer.
#[derive(Module, Debug)]
pub struct TransformerDecoderLayer {
    /// Attention to the image.
    pub cross_attn: MultiheadAttention,
    /// Norm behind the attention to the image.
    pub norm1: LayerNorm,
    /// Attention to the prompt.
    pub ca_text: MultiheadAttention,
    /// Norm behind the attention to the prompt.
    pub catext_norm: LayerNorm,
    /// Attention among presence token and queries.
    pub self_attn: MultiheadAttention,
    /// Norm behind self-attention.
    pub norm2: LayerNorm,
    /// `d -> feed_forward`
    pub linear1: Linear,
    /// `feed_forward -> d`
    pub linear2: Linear,
    /// Norm behind the feed-forward network.
    pub norm3: LayerNorm,
}

/// How the queries of a pass stand to each other (reference 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queries {
    /// They attend to each other, so that one object is found once.
    Competing,
    /// Training's second copy, matched one to many: each on its own.
    Duplicated,
}

/// What all layers look at.
struct Context<'a> {
    memory: &'a Tensor<3>,
    /// Memory with its position encoding.
    memory_keys: &'a Tensor<3>,
    prompt: &'a Tensor<3>,
    prompt_masked: &'a Tensor<4, Bool>,
    dropout: &'a Dropout,
}

impl TransformerDecoderLayer {
    fn new(config: &TransformerConfig, device: &Device) -> Self {
        let d = config.width;
        let attention = || MultiheadAttention::new(d, config.heads, device);
        Self {
            cross_attn: attention(),
            norm1: layer_norm(d, device),
            ca_text: attention(),
            catext_norm: layer_norm(d, device),
            self_attn: attention(),
            norm2: layer_norm(d, device),
            linear1: Linear::new(d, config.feed_forward, device),
            linear2: Linear::new(config.feed_forward, d, device),
            norm3: layer_norm(d, device),
        }
    }

    /// `t` and `query_pos` are `[b, 1 + q, d]`, presence token first; `bias` is `[b, heads, 1 + q, tokens]`. Duplicated queries
    /// do not see each other.
    fn forward(
        &self,
        t: Tensor<3>,
        query_pos: &Tensor<3>,
        context: &Context<'_>,
        bias: Tensor<4>,
        queries: Queries,
    ) -> Tensor<3> {
        let dropout = context.dropout;
        let t = match queries {
            Queries::Competing => {
                let placed = t.clone() + query_pos.clone();
                let h = scope("self_attn", || {
                    self.self_attn
                        .forward(placed.clone(), placed, t.clone(), None, None)
                });
                t + dropout.apply(h)
            }
            Queries::Duplicated => t,
        };
        let t = at("norm2", self.norm2.forward(t));
        let placed = t.clone() + query_pos.clone();
        let h = scope("ca_text", || {
            let (key, value) = (context.prompt.clone(), context.prompt.clone());
            self.ca_text.forward(
                placed,
                key,
                value,
                Some(context.prompt_masked.clone()),
                None,
            )
        });
        let t = at(
            "catext_norm",
            self.catext_norm.forward(t + dropout.apply(h)),
        );
        let placed = t.clone() + query_pos.clone();
        let h = scope("cross_attn", || {
            self.cross_attn.forward(
                placed,
                context.memory_keys.clone(),
                context.memory.clone(),
                None,
                Some(bias),
            )
        });
        let t = at("norm1", self.norm1.forward(t + dropout.apply(h)));
        let h = self
            .linear1
            .activated("linear1", t.clone(), Activation::Relu);
        let h = at("linear2", self.linear2.forward(dropout.apply(h)));
        at("norm3", self.norm3.forward(t + dropout.apply(h)))
    }
}

/// The decoder.
#[derive(Module, Debug)]
pub struct TransformerDecoder {
    /// The layers.
    pub layers: Vec<TransformerDecoderLayer>,
    /// Norm of the queries that leave a layer.
    pub norm: LayerNorm,
    /// Box refinement, `d -> 4`.
    pub bbox_embed: Mlp,
    /// `[q, d]`
    pub query_embed: Embedding,
    /// `[q, 4]`: boxes before the sigmoid.
    pub reference_points: Embedding,
    /// Bias along x of two differences, `2 -> heads`.
    pub boxRPB_embed_x: Mlp,
    /// Bias along y of two differences, `2 -> heads`.
    pub boxRPB_embed_y: Mlp,
    /// `[1, d]`
    pub presence_token: Embedding,
    /// `d -> 1`
    pub presence_token_head: Mlp,
    /// Norm in front of the presence head.
    pub presence_token_out_norm: LayerNorm,
    /// Query position from the sine encoding of a box, `2d -> d`.
    pub ref_point_head: Mlp,
}

impl TransformerDecoder {
    /// New decoder.
    pub fn new(config: &TransformerConfig, device: &Device) -> Self {
        let d = config.width;
        Self {
            layers: (0..config.decoder_layers)
                .map(|_| TransformerDecoderLayer::new(config, device))
                .collect(),
            norm: layer_norm(d, device),
            bbox_embed: Mlp::new(&[d, d, d, 4], device),
            query_embed: EmbeddingConfig::new(config.queries, d).init(device),
            reference_points: EmbeddingConfig::new(config.queries, 4).init(device),
            boxRPB_embed_x: Mlp::new(&[2, d, config.heads], device),
            boxRPB_embed_y: Mlp::new(&[2, d, config.heads], device),
            presence_token: EmbeddingConfig::new(1, d).init(device),
            presence_token_head: Mlp::new(&[d, d, d, 1], device),
            presence_token_out_norm: layer_norm(d, device),
            ref_point_head: Mlp::new(&[2 * d, d, d], device),
        }
    }

    /// Runs all layers over a map of `grid` times `grid` tokens; one output per layer, last one last. Of duplicated queries the
    /// presence says nothing.
    pub fn forward(
        &self,
        memory: &Tensor<3>,
        memory_pos: &Tensor<3>,
        grid: usize,
        prompt: &Tensor<3>,
        prompt_masked: &Tensor<4, Bool>,
        dropout: &Dropout,
        kind: Queries,
    ) -> Vec<DecoderOutput> {
        let [b, _, d] = memory.dims();
        let [queries, _] = self.query_embed.weight.dims();
        let memory_keys = memory.clone() + memory_pos.clone();
        let context = Context {
            memory,
            memory_keys: &memory_keys,
            prompt,
            prompt_masked,
            dropout,
        };

        let presence = self.presence_token.weight.val().reshape([1, 1, d]);
        let query = self.query_embed.weight.val().reshape([1, queries, d]);
        let mut t = Tensor::cat(vec![presence, query], 1).expand([b, 1 + queries, d]);
        // Where a layer looks, and the same boxes with the gradient of the refinement that made them.
        let mut looked_at = sigmoid(self.reference_points.weight.val())
            .reshape([1, queries, 4])
            .expand([b, queries, 4]);
        let mut refined = looked_at.clone();

        let mut outputs = Vec::with_capacity(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate() {
            let query_pos = self.query_position(&looked_at, d);
            let bias = self.box_relative_bias(&looked_at, grid);
            t = scope(format!("layers.{i}"), || {
                layer.forward(t, &query_pos, &context, bias, kind)
            });
            let hs = at("norm", self.norm.forward(t.clone().narrow(1, 1, queries)));
            let refinement = scope("bbox_embed", || self.bbox_embed.forward(hs.clone()));
            // The reference cuts the gradient between layers, but a layer's boxes teach the refinement before its own too.
            let boxes = sigmoid(inverse_sigmoid(refined) + refinement.clone());
            refined = sigmoid(inverse_sigmoid(looked_at) + refinement);
            looked_at = refined.clone().detach();
            let token = t.clone().narrow(1, 0, 1).squeeze_dim::<2>(1);
            let token = at(
                "presence_token_out_norm",
                self.presence_token_out_norm.forward(token),
            );
            let presence = scope("presence_token_head", || {
                self.presence_token_head.forward(token)
            });
            outputs.push(DecoderOutput {
                hs,
                boxes,
                presence: presence.squeeze_dim::<1>(1),
            });
        }
        outputs
    }

    /// Position of presence token (zero) and queries, `[b, 1 + q, d]`.
    fn query_position(&self, boxes: &Tensor<3>, d: usize) -> Tensor<3> {
        let [b, _, _] = boxes.dims();
        let sine = sine_boxes(boxes.clone(), d / 2);
        let position = scope("ref_point_head", || self.ref_point_head.forward(sine));
        Tensor::cat(vec![Tensor::zeros([b, 1, d], &boxes.device()), position], 1)
    }

    /// Bias of the attention to the image from the distance of each cell to a box's edges, on a log scale:
    /// `[b, heads, 1 + q, grid * grid]`; the presence token has none.
    fn box_relative_bias(&self, boxes: &Tensor<3>, grid: usize) -> Tensor<4> {
        let [b, queries, _] = boxes.dims();
        let device = boxes.device();
        let [cx, cy, w, h] = [0, 1, 2, 3].map(|i| boxes.clone().narrow(2, i, 1));
        let x_edges = Tensor::cat(vec![cx.clone() - w.clone() / 2.0, cx + w / 2.0], 2);
        let y_edges = Tensor::cat(vec![cy.clone() - h.clone() / 2.0, cy + h / 2.0], 2);
        let coordinates: Vec<f32> = (0..grid).map(|i| i as f32 / grid as f32).collect();
        let coordinates: Tensor<4> =
            Tensor::from_data(TensorData::new(coordinates, [1, 1, grid, 1]), &device);
        let along = |edges: Tensor<3>, mlp: &Mlp, name: &str| -> Tensor<4> {
            let distance = (coordinates.clone() - edges.unsqueeze_dim::<4>(2)) * 8.0;
            let log = distance.clone().sign() * (distance.abs() + 1.0).log() / 8f64.ln();
            scope(name, || mlp.forward(log)).permute([0, 3, 1, 2])
        };
        let bias_x = along(x_edges, &self.boxRPB_embed_x, "boxRPB_embed_x");
        let bias_y = along(y_edges, &self.boxRPB_embed_y, "boxRPB_embed_y");
        let [_, heads, _, _] = bias_x.dims();
        if let Some(bias) = cpu::axial_sums(&bias_x, &bias_y) {
            return bias;
        }
        let bias = (bias_y.unsqueeze_dim::<5>(4) + bias_x.unsqueeze_dim::<5>(3)).reshape([
            b,
            heads,
            queries,
            grid * grid,
        ]);
        Tensor::cat(
            vec![Tensor::zeros([b, heads, 1, grid * grid], &device), bias],
            2,
        )
    }
}

/// `ln(x / (1 - x))` with both parts at least 1e-3.
pub fn inverse_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let x = x.clamp(0.0, 1.0);
    (x.clone().clamp_min(1e-3) / (-x + 1.0).clamp_min(1e-3)).log()
}
