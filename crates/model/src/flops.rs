//! Floating-point operations of a configuration, by arithmetic alone: two for each multiplication and addition of a
//! matrix product, a convolution or attention, which is how PyTorch's own counter counts them.
//!
//! [`needed`] is what the model is; [`issued`] what the host's kernels do for it, [`issued_in_tiles`] what a GPU's do at
//! most.

pub mod tracker;

use crate::config::{Sam3Config, TextConfig, TransformerConfig, VitConfig};
use serde::Serialize;

/// Operations per stage, for one image and one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Flops {
    /// The ViT, once per image.
    pub trunk: u64,
    /// The neck, once per image.
    pub neck: u64,
    /// The text encoder, once per string.
    pub text: u64,
    /// Everything else, once per image and prompt.
    pub prompt: u64,
}

impl Flops {
    /// Trunk and neck.
    pub fn image(&self) -> u64 {
        self.trunk + self.neck
    }

    /// One image and one prompt.
    pub fn total(&self) -> u64 {
        self.image() + self.text + self.prompt
    }
}

/// What the model needs. Cells that are appended so that windows fit the grid count: they take part in attention.
pub fn needed(config: &Sam3Config) -> Flops {
    Work::exact(config.transformer.width).count(config)
}

/// What of `trunk` is in front of its blocks.
pub fn patch_embedding(config: &Sam3Config) -> u64 {
    Work::exact(config.transformer.width).patches(&config.vit, config.grid().pow(2))
}

/// What of `prompt` are the layers of the fusion encoder.
pub fn fusion_encoder(config: &Sam3Config) -> u64 {
    let (t, tokens) = (&config.transformer, config.grid().pow(2));
    Work::exact(t.width).encoder(t, tokens, config.text.context + 1)
}

/// What the second copy of the queries adds to `prompt` in training (reference 1.7): a pass of the decoder whose queries do not
/// attend to each other, and its scores.
pub fn second_queries(config: &Sam3Config) -> u64 {
    let (t, grid, prompt) = (&config.transformer, config.grid(), config.text.context + 1);
    let work = Work::exact(t.width);
    let tokens = t.queries + 1;
    let among = t.decoder_layers as u64 * work.multihead(tokens, tokens, t.width);
    work.decoder(t, grid, prompt) + work.scoring(t, prompt) - among
}

/// What the kernels on the host issue: a 3x3 convolution computes the two cells between rows of its padded strips too.
pub fn issued(config: &Sam3Config) -> Flops {
    let work = Work {
        map: |side| medsam3_kernels::cpu::conv3x3_cells(side, side),
        ..Work::exact(config.transformer.width)
    };
    work.count(config)
}

/// What this crate's kernels on a GPU issue at most: every product filled up to whole tiles of 64 x 64 and slices of 16,
/// the largest that a variant cuts; attention to whole workgroups of 64 threads with two queries each, and to steps of four keys.
pub fn issued_in_tiles(config: &Sam3Config) -> Flops {
    let work = Work {
        rows: 64,
        inputs: 16,
        outputs: 64,
        queries: 128,
        keys: 4,
        ..Work::exact(config.transformer.width)
    };
    work.count(config)
}

/// What the extents of a product are filled up to multiples of, and how many cells a 3x3 convolution over a square map
/// computes.
struct Work {
    rows: usize,
    inputs: usize,
    outputs: usize,
    queries: usize,
    keys: usize,
    map: fn(usize) -> usize,
    /// Channels of the maps.
    width: usize,
}

impl Work {
    fn exact(width: usize) -> Self {
        Self {
            rows: 1,
            inputs: 1,
            outputs: 1,
            queries: 1,
            keys: 1,
            map: |side| side * side,
            width,
        }
    }

    fn count(&self, config: &Sam3Config) -> Flops {
        let grid = config.grid();
        let prompt_tokens = config.text.context + 1;
        let t = &config.transformer;
        Flops {
            trunk: self.trunk(&config.vit, grid),
            neck: self.neck(config.vit.width, t.width, grid),
            text: self.text(&config.text)
                + self.linear(config.text.context, config.text.width, t.width),
            prompt: self.geometry_encoder(t, grid * grid)
                + self.encoder(t, grid * grid, prompt_tokens)
                + self.decoder(t, grid, prompt_tokens)
                + self.scoring(t, prompt_tokens)
                + self.mask_head(t, grid, prompt_tokens),
        }
    }

    fn linear(&self, rows: usize, inputs: usize, outputs: usize) -> u64 {
        let rows = rows.next_multiple_of(self.rows);
        let inputs = inputs.next_multiple_of(self.inputs);
        let outputs = outputs.next_multiple_of(self.outputs);
        2 * (rows * inputs * outputs) as u64
    }

    /// A 3x3 convolution over a square map of this side.
    fn conv(&self, side: usize) -> u64 {
        self.linear((self.map)(side), 9 * self.width, self.width)
    }

    /// Scores and their product with the values, over all heads.
    fn attention(&self, queries: usize, keys: usize, width: usize) -> u64 {
        let (queries, keys) = (
            queries.next_multiple_of(self.queries),
            keys.next_multiple_of(self.keys),
        );
        4 * (queries * width * keys) as u64
    }

    /// Attention of `queries` to `keys` with its four projections.
    fn multihead(&self, queries: usize, keys: usize, d: usize) -> u64 {
        2 * self.linear(queries, d, d)
            + 2 * self.linear(keys, d, d)
            + self.attention(queries, keys, d)
    }

    fn trunk(&self, vit: &VitConfig, grid: usize) -> u64 {
        let (w, tokens) = (vit.width, grid * grid);
        let padded = grid.next_multiple_of(vit.window).pow(2);
        let window = vit.window * vit.window;
        let blocks = (0..vit.depth).map(|i| {
            let (tokens_in, scores) = if vit.global_blocks.contains(&i) {
                (tokens, self.attention(tokens, tokens, w))
            } else {
                (
                    padded,
                    self.attention(window, window, w) * (padded / window) as u64,
                )
            };
            self.linear(tokens_in, w, 4 * w) + scores + 2 * self.linear(tokens, w, vit.mlp_hidden)
        });
        self.patches(vit, tokens) + blocks.sum::<u64>()
    }

    fn patches(&self, vit: &VitConfig, tokens: usize) -> u64 {
        self.linear(tokens, 3 * vit.patch * vit.patch, vit.width)
    }

    fn neck(&self, w: usize, d: usize, grid: usize) -> u64 {
        let cells = |scale: usize| (scale * grid).pow(2);
        let finest = self.linear(cells(1), w, 4 * (w / 2))
            + self.linear(cells(2), w / 2, 4 * (w / 4))
            + self.linear(cells(4), w / 4, d)
            + self.conv(4 * grid);
        let finer = self.linear(cells(1), w, 4 * (w / 2))
            + self.linear(cells(2), w / 2, d)
            + self.conv(2 * grid);
        let coarse = self.linear(cells(1), w, d) + self.conv(grid);
        finest + finer + coarse
    }

    fn text(&self, text: &TextConfig) -> u64 {
        let (n, w) = (text.context, text.width);
        let block = self.linear(n, w, 4 * w)
            + self.attention(n, n, w)
            + 2 * self.linear(n, w, text.mlp_hidden);
        text.depth as u64 * block
    }

    fn geometry_encoder(&self, t: &TransformerConfig, tokens: usize) -> u64 {
        let d = t.width;
        let layer = self.multihead(1, 1, d)
            + self.multihead(1, tokens, d)
            + 2 * self.linear(1, d, t.feed_forward);
        self.linear(1, d, d) + t.geometry_layers as u64 * layer
    }

    fn encoder(&self, t: &TransformerConfig, tokens: usize, prompt: usize) -> u64 {
        let d = t.width;
        let feed_forward = 2 * self.linear(tokens, d, t.feed_forward);
        t.encoder_layers as u64
            * (self.multihead(tokens, tokens, d) + self.multihead(tokens, prompt, d) + feed_forward)
    }

    fn decoder(&self, t: &TransformerConfig, grid: usize, prompt: usize) -> u64 {
        let (d, q) = (t.width, t.queries);
        let tokens = q + 1;
        let position = self.linear(q, 2 * d, d) + self.linear(q, d, d);
        let bias = 2 * (self.linear(q * grid, 2, d) + self.linear(q * grid, d, t.heads));
        let attentions = self.multihead(tokens, tokens, d)
            + self.multihead(tokens, prompt, d)
            + self.multihead(tokens, grid * grid, d);
        let boxes = 2 * self.linear(q, d, d) + self.linear(q, d, 4);
        let presence = 2 * self.linear(1, d, d) + self.linear(1, d, 1);
        let feed_forward = 2 * self.linear(tokens, d, t.feed_forward);
        t.decoder_layers as u64 * (position + bias + attentions + feed_forward + boxes + presence)
    }

    fn scoring(&self, t: &TransformerConfig, prompt: usize) -> u64 {
        let (d, q) = (t.width, t.queries);
        let pooled = 2 * self.linear(prompt, d, t.feed_forward) + self.linear(1, d, d);
        pooled + t.decoder_layers as u64 * (self.linear(q, d, d) + self.linear(q, d, 1))
    }

    fn mask_head(&self, t: &TransformerConfig, grid: usize, prompt: usize) -> u64 {
        let (d, q) = (t.width, t.queries);
        let cells = (4 * grid).pow(2);
        self.multihead(grid * grid, prompt, d)
            + self.conv(2 * grid)
            + self.conv(4 * grid)
            + self.linear(cells, d, d)
            + self.linear(cells, d, 1)
            + 3 * self.linear(q, d, d)
            + self.linear(q, d, cells)
    }
}

#[cfg(test)]
mod tests;
