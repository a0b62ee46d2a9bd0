//! What the forward pass keeps for the backward one, estimated from the shapes: the large tensors alone, as the operations of
//! `medsam3-kernels` keep them on the CPU (each its inputs, GELU and ReLU what they are differentiated at, attention no
//! weights). Elsewhere Burn differentiates attention through its weights, which are counted beside.

use medsam3_model::Sam3Config;
use serde::Serialize;

const BYTES: u64 = size_of::<f32>() as u64;

/// Bytes that one worker keeps for one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Activations {
    /// All trunk blocks.
    pub trunk: u64,
    /// Their inputs and everything of one: what is left where blocks are computed again.
    pub trunk_recomputed: u64,
    /// All layers of the fusion encoder.
    pub fusion: u64,
    /// Their inputs and everything of one.
    pub fusion_recomputed: u64,
    /// The neck.
    pub neck: u64,
    /// Text encoder, decoder and mask head.
    pub prompt: u64,
    /// Weights of attention, of trunk and fusion encoder, which a GPU keeps besides: once, at least.
    pub attention_weights: u64,
    /// The same where both are computed again: those of the largest block or layer.
    pub attention_weights_recomputed: u64,
}

impl Activations {
    /// Of a batch of `images` with `rows` prompts; `copies` passes of the queries through the decoder; with or without dropout.
    pub(super) fn new(
        model: &Sam3Config,
        images: usize,
        rows: usize,
        copies: usize,
        dropout: bool,
    ) -> Self {
        let (vit, t, text) = (&model.vit, &model.transformer, &model.text);
        let grid = model.grid();
        let (tokens, w, d) = (grid * grid, vit.width, t.width);
        // Inputs of both norms and of all four products, q, k and v; the MLP before and behind its activation.
        let block = tokens * (8 * w + 2 * vit.mlp_hidden);
        let input = tokens * w;
        // Level 4x: both transposed convolutions, GELU, 1x1, 3x3; level 2x: 1x1, 3x3; level 1x: 3x3.
        let neck = tokens * (11 * w + 21 * d);

        let words = text.context;
        let language = words * text.depth * (8 * text.width + 2 * text.mlp_hidden);
        // Dropout keeps its masks, and what is left of the hidden values beside the values.
        let dropped = usize::from(dropout) * (3 * d + 2 * t.feed_forward);
        let layer = tokens * (13 * d + t.feed_forward + dropped);
        let looks = d * 2 + t.heads * (t.queries + 1);
        let decoder = copies * t.decoder_layers * tokens * looks;
        let queries =
            copies * t.decoder_layers * t.queries * (12 * d + t.feed_forward + 4 * grid * d);
        // Attention to the prompt; convolution and norm at 2x and 4x; the map that masks are made of.
        let masks = tokens * (3 * d + 8 * d + 48 * d);

        let windows = grid.next_multiple_of(vit.window).pow(2);
        let blocks = (0..vit.depth).map(|index| {
            let keys = if vit.global_blocks.contains(&index) {
                tokens * tokens
            } else {
                windows * vit.window.pow(2)
            };
            vit.heads * keys
        });
        let blocks: Vec<usize> = blocks.collect();
        let fused = rows * t.heads * tokens * tokens;
        let largest = images * blocks.iter().copied().max().unwrap_or(0);
        let bytes = |values: usize| values as u64 * BYTES;
        Self {
            trunk: bytes(images * vit.depth * block),
            trunk_recomputed: bytes(images * (vit.depth * input + block)),
            fusion: bytes(rows * t.encoder_layers * layer),
            fusion_recomputed: bytes(rows * (t.encoder_layers * tokens * d + layer)),
            neck: bytes(images * neck),
            prompt: bytes(rows * (language + decoder + queries + masks)),
            attention_weights: bytes(
                images * blocks.iter().sum::<usize>() + t.encoder_layers * fused,
            ),
            attention_weights_recomputed: bytes(largest.max(fused)),
        }
    }

    /// Everything as the CPU keeps it; with or without recomputation of blocks and layers.
    pub fn total(&self, recomputed: bool) -> u64 {
        let stacks = if recomputed {
            self.trunk_recomputed + self.fusion_recomputed
        } else {
            self.trunk + self.fusion
        };
        stacks + self.neck + self.prompt
    }
}
