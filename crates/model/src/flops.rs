//! Floating-point operations of a configuration, by arithmetic alone: two for each multiplication and addition of a
//! matrix product, a convolution or attention, which is how PyTorch's own counter counts them.
//!
//! [`needed`] is what the model is; [`issued`] what the host's kernels do for it.

use crate::config::{Sam3Config, TextConfig, TransformerConfig, VitConfig};

/// Operations per stage, for one image and one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    let size = |side| conv3x3(side, side * side, config.transformer.width);
    count(config, size)
}

/// What the kernels on the host issue: a 3x3 convolution computes the two cells between rows of its padded strips too.
pub fn issued(config: &Sam3Config) -> Flops {
    let size = |side| {
        let cells = medsam3_kernels::cpu::conv3x3_cells(side, side);
        conv3x3(side, cells, config.transformer.width)
    };
    count(config, size)
}

fn conv3x3(_side: usize, cells: usize, d: usize) -> u64 {
    linear(cells, 9 * d, d)
}

fn count(config: &Sam3Config, conv: impl Fn(usize) -> u64) -> Flops {
    let grid = config.grid();
    let prompt_tokens = config.text.context + 1;
    let t = &config.transformer;
    Flops {
        trunk: trunk(&config.vit, grid),
        neck: neck(config.vit.width, t.width, grid, &conv),
        text: text(&config.text) + linear(config.text.context, config.text.width, t.width),
        prompt: geometry_encoder(t, grid * grid)
            + encoder(t, grid * grid, prompt_tokens)
            + decoder(t, grid, prompt_tokens)
            + scoring(t, prompt_tokens)
            + mask_head(t, grid, prompt_tokens, &conv),
    }
}

fn linear(rows: usize, inputs: usize, outputs: usize) -> u64 {
    2 * (rows * inputs * outputs) as u64
}

/// Scores and their product with the values, over all heads.
fn attention(queries: usize, keys: usize, width: usize) -> u64 {
    2 * linear(queries, width, keys)
}

/// Attention of `queries` to `keys` with its four projections.
fn multihead(queries: usize, keys: usize, d: usize) -> u64 {
    2 * linear(queries, d, d) + 2 * linear(keys, d, d) + attention(queries, keys, d)
}

fn trunk(vit: &VitConfig, grid: usize) -> u64 {
    let (w, tokens) = (vit.width, grid * grid);
    let padded = grid.next_multiple_of(vit.window).pow(2);
    let window = vit.window * vit.window;
    let blocks = (0..vit.depth).map(|i| {
        let (tokens_in, scores) = if vit.global_blocks.contains(&i) {
            (tokens, attention(tokens, tokens, w))
        } else {
            (
                padded,
                attention(window, window, w) * (padded / window) as u64,
            )
        };
        linear(tokens_in, w, 4 * w) + scores + 2 * linear(tokens, w, vit.mlp_hidden)
    });
    linear(tokens, 3 * vit.patch * vit.patch, w) + blocks.sum::<u64>()
}

fn neck(w: usize, d: usize, grid: usize, conv: &impl Fn(usize) -> u64) -> u64 {
    let cells = |scale: usize| (scale * grid).pow(2);
    let finest = linear(cells(1), w, 4 * (w / 2))
        + linear(cells(2), w / 2, 4 * (w / 4))
        + linear(cells(4), w / 4, d)
        + conv(4 * grid);
    let finer = linear(cells(1), w, 4 * (w / 2)) + linear(cells(2), w / 2, d) + conv(2 * grid);
    let coarse = linear(cells(1), w, d) + conv(grid);
    finest + finer + coarse
}

fn text(text: &TextConfig) -> u64 {
    let (n, w) = (text.context, text.width);
    let block = linear(n, w, 4 * w) + attention(n, n, w) + 2 * linear(n, w, text.mlp_hidden);
    text.depth as u64 * block
}

fn geometry_encoder(t: &TransformerConfig, tokens: usize) -> u64 {
    let d = t.width;
    let layer = multihead(1, 1, d) + multihead(1, tokens, d) + 2 * linear(1, d, t.feed_forward);
    linear(1, d, d) + t.geometry_layers as u64 * layer
}

fn encoder(t: &TransformerConfig, tokens: usize, prompt: usize) -> u64 {
    let d = t.width;
    let feed_forward = 2 * linear(tokens, d, t.feed_forward);
    t.encoder_layers as u64
        * (multihead(tokens, tokens, d) + multihead(tokens, prompt, d) + feed_forward)
}

fn decoder(t: &TransformerConfig, grid: usize, prompt: usize) -> u64 {
    let (d, q) = (t.width, t.queries);
    let tokens = q + 1;
    let position = linear(q, 2 * d, d) + linear(q, d, d);
    let bias = 2 * (linear(q * grid, 2, d) + linear(q * grid, d, t.heads));
    let attentions = multihead(tokens, tokens, d)
        + multihead(tokens, prompt, d)
        + multihead(tokens, grid * grid, d);
    let boxes = 2 * linear(q, d, d) + linear(q, d, 4);
    let presence = 2 * linear(1, d, d) + linear(1, d, 1);
    let feed_forward = 2 * linear(tokens, d, t.feed_forward);
    t.decoder_layers as u64 * (position + bias + attentions + feed_forward + boxes + presence)
}

fn scoring(t: &TransformerConfig, prompt: usize) -> u64 {
    let (d, q) = (t.width, t.queries);
    let pooled = 2 * linear(prompt, d, t.feed_forward) + linear(1, d, d);
    pooled + t.decoder_layers as u64 * (linear(q, d, d) + linear(q, d, 1))
}

fn mask_head(
    t: &TransformerConfig,
    grid: usize,
    prompt: usize,
    conv: &impl Fn(usize) -> u64,
) -> u64 {
    let (d, q) = (t.width, t.queries);
    let cells = (4 * grid).pow(2);
    multihead(grid * grid, prompt, d)
        + conv(2 * grid)
        + conv(4 * grid)
        + linear(cells, d, d)
        + linear(cells, d, 1)
        + 3 * linear(q, d, d)
        + linear(q, d, cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Counts of PyTorch's counter on the `transformers` model, `tests/benchmarks/flops_torch.py`. It was run without
    /// the geometry encoder, which `transformers` leaves out for a prompt of words: one prompt token fewer.
    #[test]
    fn parts_agree_with_pytorch() {
        let counts: Value =
            serde_json::from_str(include_str!("../../../tests/benchmarks/flops.json"))
                .expect("json");
        for (key, found) in counts.as_object().expect("an object") {
            let (name, side) = key.split_once(' ').expect("a name and a side");
            let config = Sam3Config::preset(name)
                .expect("a preset")
                .with_image_side(side.parse().expect("a side"))
                .expect("fits");
            let of = |part: &str| found[part].as_u64().expect("a count");
            let (grid, t, words) = (config.grid(), &config.transformer, config.text.context);
            let conv = |side: usize| conv3x3(side, side * side, t.width);
            let flops = needed(&config);
            assert_eq!(flops.trunk, of("vision_encoder.backbone"), "{key}: trunk");
            let neck = of("vision_encoder.neck") - of("vision_encoder.neck.unused");
            assert_eq!(flops.neck, neck, "{key}: neck");
            let text = of("text_encoder") - of("text_encoder.unused") + of("text_projection");
            assert_eq!(flops.text, text, "{key}: text");
            assert_eq!(
                encoder(t, grid * grid, words),
                of("detr_encoder"),
                "{key}: encoder"
            );
            assert_eq!(
                decoder(t, grid, words),
                of("detr_decoder"),
                "{key}: decoder"
            );
            assert_eq!(
                scoring(t, words),
                of("dot_product_scoring"),
                "{key}: scoring"
            );
            assert_eq!(
                mask_head(t, grid, words, &conv),
                of("mask_decoder"),
                "{key}: mask head"
            );
        }
    }

    #[test]
    fn little_is_issued_that_is_not_needed() {
        let config = Sam3Config::sam3();
        let (needed, issued) = (needed(&config), issued(&config));
        assert!(needed.total() > 6_050_000_000_000, "{}", needed.total());
        for (stage, issued, needed) in [
            ("trunk", issued.trunk, needed.trunk),
            ("neck", issued.neck, needed.neck),
            ("text", issued.text, needed.text),
            ("prompt", issued.prompt, needed.prompt),
        ] {
            let ratio = issued as f64 / needed as f64;
            assert!((1.0..=1.05).contains(&ratio), "{stage}: {ratio}");
        }
        // A further prompt, words included, over the first with its image.
        let further = (issued.text + issued.prompt) as f64 / issued.total() as f64;
        assert!(further < 0.08, "{further}");
    }
}
