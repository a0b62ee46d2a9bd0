//! SAM 3, the model behind Medical SAM3 (arXiv 2601.10880): config, init, forward.
//!
//! A file per module, named as the reference implementation names it, so that each reads side by side
//! with the paper. Tensors are batch first; feature maps are channels last (`[batch, height, width,
//! channels]`), because then a 1x1 convolution, a transposed 2x2 convolution and the patch embedding
//! are matrix products. Parameters carry the canonical names of `sam3.pt`.
//!
//! ```text
//! image [b, 3, side, side] -> trunk -> neck -> maps at 4x, 2x, 1x of the patch grid
//! text ids [b, context]    -> text encoder -> prompt tokens [b, context, d]
//! geometry encoder         -> one token that has looked at the image
//! prompt + 1x map          -> DETR encoder -> DETR decoder -> boxes, scores, presence
//!                          -> mask head -> instance masks, semantic mask
//! ```

#![recursion_limit = "256"]

pub mod attention;
pub mod config;
pub mod convolution;
pub mod decoder;
pub mod dropout;
pub mod encoder;
pub mod flops;
pub mod geometry_encoders;
pub mod layers;
pub mod maskformer_segmentation;
pub mod model_misc;
pub mod necks;
pub mod parameters;
pub mod position_encoding;
mod recompute;
pub mod rope;
pub mod sam3_image;
pub mod self_test;
pub mod synthetic;
pub mod text_encoder_ve;
pub mod trace;
pub mod tracker;
pub mod vitdet;

pub use burn;
pub use config::{ConfigError, Sam3Config, TextConfig, TransformerConfig, VitConfig};
pub use medsam3_kernels as kernels;
pub use medsam3_kernels::Q8;
pub use parameters::{LoadError, ParameterInfo, Values};
pub use sam3_image::{Grounding, ImageFeatures, LayerGrounding, Sam3, TextFeatures};
