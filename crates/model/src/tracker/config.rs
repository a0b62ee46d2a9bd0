//! What a tracker is built from and how much it remembers (reference: `model_builder.py`, `build_tracker`).

use crate::config::{ConfigError, Sam3Config};
use serde::{Deserialize, Serialize};

/// A tracker of any size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackerConfig {
    /// Side in pixels of the square that the model sees; a multiple of the patch side.
    pub image_side: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Channels of the trunk's map, which the tracker's neck takes.
    pub trunk_width: usize,
    /// Channels everywhere behind the neck.
    pub width: usize,
    /// Channels of a memory; divides `width`.
    pub memory_channels: usize,
    /// Layers of the memory attention.
    pub memory_layers: usize,
    /// Hidden channels of the memory attention's feed-forward networks.
    pub memory_feed_forward: usize,
    /// Hidden channels of the memory encoder's fusing blocks.
    pub fuser_hidden: usize,
    /// Attention heads of the mask decoder.
    pub heads: usize,
    /// Hidden channels of the mask decoder's feed-forward networks.
    pub decoder_feed_forward: usize,
    /// How much is remembered.
    pub memory: MemoryConfig,
}

/// Which frames a frame looks back at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemoryConfig {
    /// Rows of the temporal encoding: one for conditioning frames, the others for the latest frames.
    pub frames: usize,
    /// Most conditioning frames that are attended to.
    pub conditioning_frames: usize,
    /// Most frames whose object pointers are attended to.
    pub pointers: usize,
    /// Whether frames are kept by their score (Meta's `apply_temporal_disambiguation`).
    pub selection: bool,
    /// A frame is kept when its score is above this.
    pub threshold: f32,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            frames: 7,
            conditioning_frames: 4,
            pointers: 16,
            selection: true,
            threshold: 0.01,
        }
    }
}

impl TrackerConfig {
    /// The tracker that belongs to a detector, with the released one's proportions.
    pub fn of(model: &Sam3Config) -> Self {
        let transformer = &model.transformer;
        Self {
            image_side: model.image_side,
            patch: model.vit.patch,
            trunk_width: model.vit.width,
            width: transformer.width,
            memory_channels: transformer.width / 4,
            memory_layers: 4,
            memory_feed_forward: transformer.feed_forward,
            fuser_hidden: 4 * transformer.width,
            heads: transformer.heads,
            decoder_feed_forward: transformer.feed_forward,
            memory: MemoryConfig::default(),
        }
    }

    /// The tracker of the parity fixture: width 128, side 168.
    pub fn tiny_parity() -> Self {
        Self {
            width: 128,
            memory_channels: 64,
            memory_layers: 2,
            memory_feed_forward: 64,
            fuser_hidden: 256,
            heads: 4,
            decoder_feed_forward: 64,
            ..Self::of(&Sam3Config::tiny_parity())
        }
    }

    /// Side of the patch grid in tokens.
    pub fn grid(&self) -> usize {
        self.image_side / self.patch
    }

    /// Side of the masks that the decoder gives and takes: four times the patch grid.
    pub fn low_res_side(&self) -> usize {
        4 * self.grid()
    }

    /// Side of the masks that the memory encoder and a mask given as output work on: 16 times the patch grid.
    pub fn mask_side(&self) -> usize {
        16 * self.grid()
    }

    /// Says whether a tracker can be built.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (side, patch) = (self.image_side, self.patch);
        if side == 0 || patch == 0 || !side.is_multiple_of(patch) {
            return Err(ConfigError::ImageSide { side, patch });
        }
        // A head of the decoder's narrow attention, and the quarters of the rotary embedding.
        let parts = [
            ("mask decoder", self.width, 2 * self.heads),
            ("memory attention", self.width, 4),
            ("upscaling", self.width, 8),
            ("memory", self.width, self.memory_channels),
            ("memory's position", self.memory_channels, 4),
        ];
        for (part, width, heads) in parts {
            if width == 0 || heads == 0 || !width.is_multiple_of(heads) {
                return Err(ConfigError::Heads { part, width, heads });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_is_built_only_where_its_parts_fit() {
        let released = TrackerConfig::of(&Sam3Config::sam3());
        assert_eq!((released.grid(), released.mask_side()), (72, 1152));
        for config in [&released, &TrackerConfig::tiny_parity()] {
            config.validate().expect("valid");
        }
        let odd = TrackerConfig {
            memory_channels: 60,
            ..released
        };
        assert!(odd.validate().is_err());
    }
}
