//! Floating-point operations of the tracker for one frame and one object, counted as those of the detector.

use super::Work;
use crate::tracker::TrackerConfig;
use serde::Serialize;

/// Tokens that the mask decoder asks with: object score, IoU, four masks, and two that say that there is no point.
const TOKENS: usize = 8;
/// Blocks of the mask decoder, and of the memory encoder.
const BLOCKS: u64 = 2;

/// Operations of tracking an object to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrackerFlops {
    /// The memory attention.
    pub attention: u64,
    /// The mask decoder, prompted by nothing.
    pub decoder: u64,
    /// The memory encoder.
    pub memory: u64,
    /// Masks brought from side to side; not needed, because a pixel has few neighbours.
    pub resizing: u64,
}

impl TrackerFlops {
    /// One step.
    pub fn total(&self) -> u64 {
        self.attention + self.decoder + self.memory + self.resizing
    }
}

/// What tracking an object to a frame needs, with so many spatial memories and pointers.
pub fn needed(config: &TrackerConfig, memories: usize, pointers: usize) -> TrackerFlops {
    let work = Work::exact(config.width);
    TrackerFlops {
        attention: work.memory_attention(config, memories, pointers),
        decoder: work.mask_decoder(config),
        memory: work.memory_encoder(config),
        resizing: 0,
    }
}

/// What the host's kernels issue for it: a mask is resized by a matrix for each axis.
pub fn issued(config: &TrackerConfig, memories: usize, pointers: usize) -> TrackerFlops {
    let work = Work::exact(config.width);
    let resize = |from: usize, to: usize| work.linear(from, from, to) + work.linear(to, from, to);
    let (low, image, mask) = (config.low_res_side(), config.image_side, config.mask_side());
    TrackerFlops {
        resizing: resize(low, image) + resize(image, mask),
        ..needed(config, memories, pointers)
    }
}

impl Work {
    fn memory_attention(&self, config: &TrackerConfig, memories: usize, pointers: usize) -> u64 {
        let (d, m, n) = (config.width, config.memory_channels, config.grid().pow(2));
        let keys = memories * n + pointers * (d / m);
        let among = self.multihead(n, n, d);
        let across =
            2 * self.linear(n, d, d) + 2 * self.linear(keys, m, d) + self.attention(n, keys, d);
        let feed_forward = 2 * self.linear(n, d, config.memory_feed_forward);
        config.memory_layers as u64 * (among + across + feed_forward)
    }

    fn mask_decoder(&self, config: &TrackerConfig) -> u64 {
        let (d, n, t) = (config.width, config.grid().pow(2), TOKENS);
        let narrow = |queries: usize, keys: usize| {
            2 * self.linear(queries, d, d / 2)
                + 2 * self.linear(keys, d, d / 2)
                + self.attention(queries, keys, d / 2)
        };
        let block = self.multihead(t, t, d)
            + narrow(t, n)
            + 2 * self.linear(t, d, config.decoder_feed_forward)
            + narrow(n, t);
        let upscaling = self.linear(n, d, d) + self.linear(4 * n, d / 4, d / 2);
        let masks = 4 * (2 * self.linear(1, d, d) + self.linear(1, d, d / 8))
            + self.linear(4, d / 8, 16 * n);
        let scores = 4 * self.linear(1, d, d) + self.linear(1, d, 4) + self.linear(1, d, 1);
        BLOCKS * block + narrow(t, n) + upscaling + masks + scores
    }

    fn memory_encoder(&self, config: &TrackerConfig) -> u64 {
        let (d, n) = (config.width, config.grid().pow(2));
        let mask = self.linear(64 * n, 9, 4)
            + self.linear(16 * n, 9 * 4, 16)
            + self.linear(4 * n, 9 * 16, 64)
            + self.linear(n, 9 * 64, 256)
            + self.linear(n, 256, d);
        let block = self.linear(n * d, 49, 1) + 2 * self.linear(n, d, config.fuser_hidden);
        mask + self.linear(n, d, d) + BLOCKS * block + self.linear(n, d, config.memory_channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sam3Config;

    /// Counted by `torch.utils.flop_counter` (2.15) on the fixture's modules of `transformers` 5.23.
    #[test]
    fn operations_are_those_that_pytorch_counts() {
        let work = needed(&TrackerConfig::tiny_parity(), 2, 2);
        assert_eq!(work.attention, 149_487_616);
        assert_eq!(work.memory, 114_278_400);
        assert_eq!(work.decoder, 36_848_896);
    }

    /// One step with a full bank at full size.
    #[test]
    fn little_more_is_issued_than_needed() {
        let config = TrackerConfig::of(&Sam3Config::sam3());
        let (needed, issued) = (needed(&config, 7, 16), issued(&config, 7, 16));
        assert_eq!(needed.attention / 1_000_000_000, 951);
        assert!(issued.total() as f64 <= 1.05 * needed.total() as f64);
    }
}
