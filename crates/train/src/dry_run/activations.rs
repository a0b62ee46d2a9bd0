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
    /// The inputs of all trunk blocks and everything of one: what is left where blocks are computed again.
    pub trunk_recomputed: u64,
    /// The neck.
    pub neck: u64,
    /// Text encoder, fusion encoder, decoder and mask head.
    pub prompt: u64,
    /// Weights of attention, of trunk and fusion encoder, which a GPU keeps besides: once, at least.
    pub attention_weights: u64,
    /// The same where trunk blocks are computed again: of the trunk's those of the largest block.
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
        let fusion = t.encoder_layers * tokens * (13 * d + t.feed_forward);
        // Dropout keeps its masks, and what is left of the hidden values beside the values.
        let masks_drawn = usize::from(dropout) * tokens * (3 * d + 2 * t.feed_forward);
        let fusion = fusion + t.encoder_layers * masks_drawn;
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
        let largest = blocks.iter().copied().max().unwrap_or(0);
        let fused = t.encoder_layers * t.heads * tokens * tokens;
        let bytes = |values: usize| values as u64 * BYTES;
        Self {
            trunk: bytes(images * vit.depth * block),
            trunk_recomputed: bytes(images * (vit.depth * input + block)),
            neck: bytes(images * neck),
            prompt: bytes(rows * (language + fusion + decoder + queries + masks)),
            attention_weights: bytes(images * blocks.iter().sum::<usize>() + rows * fused),
            attention_weights_recomputed: bytes(images * largest + rows * fused),
        }
    }

    /// Everything as the CPU keeps it; with or without recomputation of trunk blocks.
    pub fn total(&self, recomputed: bool) -> u64 {
        let trunk = if recomputed {
            self.trunk_recomputed
        } else {
            self.trunk
        };
        trunk + self.neck + self.prompt
    }
}
