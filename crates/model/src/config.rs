//! One configuration describes a SAM 3 of any size (reference: `model_builder.py`).
//!
//! Presets: [`Sam3Config::sam3`] is the released model, [`Sam3Config::tiny_parity`] that of the parity
//! fixture, [`Sam3Config::default_small`] the one shipped with this project.

use serde::{Deserialize, Serialize};

/// A configuration that no model can be built from.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The image side does not hold a whole number of patches.
    #[error("image side {side} is not a positive multiple of the patch side {patch}")]
    ImageSide {
        /// Requested image side in pixels.
        side: usize,
        /// Patch side in pixels.
        patch: usize,
    },
    /// Attention heads do not divide the width, or leave a head dimension that rotary embedding cannot split.
    #[error("{heads} heads do not fit the width {width} of the {part}")]
    Heads {
        /// Which transformer.
        part: &'static str,
        /// Channels.
        width: usize,
        /// Attention heads.
        heads: usize,
    },
}

/// The ViT trunk (reference: `vitdet.py`, "PE-L+").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VitConfig {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Channels of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads per block.
    pub heads: usize,
    /// Hidden channels of a block's MLP.
    pub mlp_hidden: usize,
    /// Window side in tokens of the windowed blocks.
    pub window: usize,
    /// Indices of the blocks that attend globally.
    pub global_blocks: Vec<usize>,
    /// Side in tokens of the position embedding, which is tiled over the grid.
    pub pretrain_grid: usize,
}

/// The text encoder (reference: `text_encoder_ve.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of a prompt, padding included.
    pub context: usize,
    /// Channels of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads per block.
    pub heads: usize,
    /// Hidden channels of a block's MLP.
    pub mlp_hidden: usize,
}

/// What the geometry encoder, the DETR encoder and decoder and the heads share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransformerConfig {
    /// Channels everywhere behind the neck.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden channels of the feed-forward networks and of the scoring MLP.
    pub feed_forward: usize,
    /// Layers of the geometry encoder.
    pub geometry_layers: usize,
    /// Layers of the DETR encoder.
    pub encoder_layers: usize,
    /// Layers of the DETR decoder.
    pub decoder_layers: usize,
    /// Object queries.
    pub queries: usize,
}

/// A whole SAM 3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sam3Config {
    /// Side in pixels of the square that the model sees; a multiple of the patch side.
    pub image_side: usize,
    /// The ViT trunk.
    pub vit: VitConfig,
    /// The text encoder.
    pub text: TextConfig,
    /// Everything behind the neck.
    pub transformer: TransformerConfig,
}

impl Sam3Config {
    /// The released SAM 3 and Medical SAM3: 840 M parameters, side 1008.
    pub fn sam3() -> Self {
        Self {
            image_side: 1008,
            vit: VitConfig {
                patch: 14,
                width: 1024,
                depth: 32,
                heads: 16,
                mlp_hidden: 4736,
                window: 24,
                global_blocks: vec![7, 15, 23, 31],
                pretrain_grid: 24,
            },
            text: TextConfig {
                vocabulary: 49408,
                context: 32,
                width: 1024,
                depth: 24,
                heads: 16,
                mlp_hidden: 4096,
            },
            transformer: TransformerConfig {
                width: 256,
                heads: 8,
                feed_forward: 2048,
                geometry_layers: 3,
                encoder_layers: 6,
                decoder_layers: 6,
                queries: 200,
            },
        }
    }

    /// The model of the parity fixture: 640 k parameters, side 168.
    pub fn tiny_parity() -> Self {
        Self {
            image_side: 168,
            vit: VitConfig {
                patch: 14,
                width: 64,
                depth: 4,
                heads: 4,
                mlp_hidden: 296,
                window: 4,
                global_blocks: vec![1, 3],
                pretrain_grid: 4,
            },
            text: TextConfig {
                vocabulary: 512,
                context: 16,
                width: 48,
                depth: 3,
                heads: 4,
                mlp_hidden: 192,
            },
            transformer: TransformerConfig {
                width: 32,
                heads: 4,
                feed_forward: 64,
                geometry_layers: 2,
                encoder_layers: 2,
                decoder_layers: 3,
                queries: 12,
            },
        }
    }

    /// The small model that this project trains and ships: same code, side 252, under 20 MB at f16.
    pub fn default_small() -> Self {
        Self {
            image_side: 252,
            vit: VitConfig {
                patch: 14,
                width: 192,
                depth: 6,
                heads: 6,
                mlp_hidden: 768,
                window: 9,
                global_blocks: vec![1, 3, 5],
                pretrain_grid: 18,
            },
            text: TextConfig {
                vocabulary: 49408,
                context: 32,
                width: 64,
                depth: 2,
                heads: 4,
                mlp_hidden: 256,
            },
            transformer: TransformerConfig {
                width: 64,
                heads: 4,
                feed_forward: 256,
                geometry_layers: 1,
                encoder_layers: 2,
                decoder_layers: 2,
                queries: 32,
            },
        }
    }

    /// A preset by name: `sam3`, `tiny-parity` or `default`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "sam3" => Some(Self::sam3()),
            "tiny-parity" => Some(Self::tiny_parity()),
            "default" => Some(Self::default_small()),
            _ => None,
        }
    }

    /// The same model for another image side in pixels; weights do not depend on it.
    pub fn with_image_side(mut self, side: usize) -> Result<Self, ConfigError> {
        self.image_side = side;
        self.validate()?;
        Ok(self)
    }

    /// Side of the patch grid in tokens.
    pub fn grid(&self) -> usize {
        self.image_side / self.vit.patch
    }

    /// Side of the mask grid in cells: four times the patch grid.
    pub fn mask_grid(&self) -> usize {
        4 * self.grid()
    }

    /// Says whether a model can be built.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let patch = self.vit.patch;
        if self.image_side == 0 || patch == 0 || !self.image_side.is_multiple_of(patch) {
            return Err(ConfigError::ImageSide {
                side: self.image_side,
                patch,
            });
        }
        let parts = [
            ("trunk", self.vit.width, self.vit.heads, 4),
            ("text encoder", self.text.width, self.text.heads, 1),
            (
                "transformer",
                self.transformer.width,
                self.transformer.heads,
                1,
            ),
        ];
        for (part, width, heads, unit) in parts {
            if heads == 0 || width == 0 || !width.is_multiple_of(heads * unit) {
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
    fn image_side_must_hold_whole_patches() {
        assert!(Sam3Config::sam3().with_image_side(504).is_ok());
        assert_eq!(
            Sam3Config::sam3().with_image_side(1000),
            Err(ConfigError::ImageSide {
                side: 1000,
                patch: 14
            })
        );
        assert!(Sam3Config::sam3().with_image_side(0).is_err());
    }

    #[test]
    fn presets_are_valid_and_survive_json() {
        for name in ["sam3", "tiny-parity", "default"] {
            let config = Sam3Config::preset(name).expect("a preset");
            config.validate().expect("valid");
            let json = serde_json::to_string(&config).expect("json");
            assert_eq!(
                serde_json::from_str::<Sam3Config>(&json).expect("read back"),
                config
            );
        }
    }
}
