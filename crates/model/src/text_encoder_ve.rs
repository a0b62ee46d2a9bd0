//! The text encoder: a causal CLIP-style transformer and a projection of every token to the width of the
//! detector (reference: `text_encoder_ve.py`). Its output depends on the string alone.
//!
//! Ids `[b, context]` become `[b, context, d]`. With causal attention valid tokens never see padding.

use crate::attention::MultiheadAttention;
use crate::config::TextConfig;
use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::trace::{at, scope};
use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_kernels::Activation;

/// The MLP of a block, with exact GELU.
#[derive(Module, Debug)]
pub struct TextMlp {
    /// `width -> hidden`
    pub c_fc: Linear,
    /// `hidden -> width`
    pub c_proj: Linear,
}

/// A pre-norm block with causal attention.
#[derive(Module, Debug)]
pub struct ResidualAttentionBlock {
    /// Norm in front of attention.
    pub ln_1: LayerNorm,
    /// Causal self-attention.
    pub attn: MultiheadAttention,
    /// Norm in front of the MLP.
    pub ln_2: LayerNorm,
    /// MLP.
    pub mlp: TextMlp,
}

impl ResidualAttentionBlock {
    /// New block.
    pub fn new(config: &TextConfig, device: &Device) -> Self {
        Self {
            ln_1: layer_norm(config.width, device),
            attn: MultiheadAttention::new(config.width, config.heads, device),
            ln_2: layer_norm(config.width, device),
            mlp: TextMlp {
                c_fc: Linear::new(config.width, config.mlp_hidden, device),
                c_proj: Linear::new(config.mlp_hidden, config.width, device),
            },
        }
    }

    /// Tokens `[b, n, width]` to the same, with `future` from [`future`].
    pub fn forward(&self, x: Tensor<3>, future: Tensor<4, Bool>) -> Tensor<3> {
        let normed = at("ln_1", self.ln_1.forward(x.clone()));
        let x = x + scope("attn", || self.attn.self_attention(normed, Some(future)));
        let normed = at("ln_2", self.ln_2.forward(x.clone()));
        let hidden = self
            .mlp
            .c_fc
            .activated("mlp.c_fc", normed, Activation::Gelu);
        at("", x + at("mlp.c_proj", self.mlp.c_proj.forward(hidden)))
    }
}

/// The stack of blocks.
#[derive(Module, Debug)]
pub struct Transformer {
    /// The blocks.
    pub resblocks: Vec<ResidualAttentionBlock>,
}

/// Embeddings, blocks and the final norm.
#[derive(Module, Debug)]
pub struct TextTransformer {
    /// `[context, width]`
    pub positional_embedding: Param<Tensor<2>>,
    /// `[vocabulary, width]`
    pub token_embedding: Embedding,
    /// The blocks.
    pub transformer: Transformer,
    /// Norm behind the blocks.
    pub ln_final: LayerNorm,
}

/// The text encoder with its projection to the detector.
#[derive(Module, Debug)]
pub struct VETextEncoder {
    /// The transformer.
    pub encoder: TextTransformer,
    /// `width -> d`
    pub resizer: Linear,
}

impl VETextEncoder {
    /// New text encoder whose tokens end with `output` channels.
    pub fn new(config: &TextConfig, output: usize, device: &Device) -> Self {
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        Self {
            encoder: TextTransformer {
                positional_embedding: normal.init([config.context, config.width], device),
                token_embedding: EmbeddingConfig::new(config.vocabulary, config.width)
                    .with_initializer(normal)
                    .init(device),
                transformer: Transformer {
                    resblocks: (0..config.depth)
                        .map(|_| ResidualAttentionBlock::new(config, device))
                        .collect(),
                },
                ln_final: layer_norm(config.width, device),
            },
            resizer: Linear::new(config.width, output, device),
        }
    }

    /// Ids `[b, n]`, n at most the context, to tokens `[b, n, d]`.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let rows = scope("encoder", || {
            at("token_embedding", self.encoder.token_embedding.forward(ids))
        });
        self.forward_embedded(rows)
    }

    /// Rows of the token table `[b, n, width]` to tokens `[b, n, d]`: a caller who reads the few rows of a prompt
    /// from a file needs no table of 49,408 on the device.
    pub fn forward_embedded(&self, rows: Tensor<3>) -> Tensor<3> {
        let [_, n, _] = rows.dims();
        let device = rows.device();
        let x =
            scope("encoder", || {
                let positions = self
                    .encoder
                    .positional_embedding
                    .val()
                    .narrow(0, 0, n)
                    .unsqueeze_dim::<3>(0);
                let x = rows + positions;
                let future = future(n, &device);
                let x = self.encoder.transformer.resblocks.iter().enumerate().fold(
                    x,
                    |x, (i, block)| {
                        scope(format!("transformer.resblocks.{i}"), || {
                            block.forward(x, future.clone())
                        })
                    },
                );
                at("ln_final", self.encoder.ln_final.forward(x))
            });
        at("resizer", self.resizer.forward(x))
    }
}

/// True where a token would look ahead, `[1, 1, n, n]`.
pub fn future(n: usize, device: &Device) -> Tensor<4, Bool> {
    let ahead: Vec<bool> = (0..n * n).map(|i| i % n > i / n).collect();
    Tensor::from_data(TensorData::new(ahead, [1, 1, n, n]), device)
}
