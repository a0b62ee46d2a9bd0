//! What an image becomes on the device, as handles that a caller holds; clones share the tensors. The trunk is 96 % of
//! the work on an image (reference 2.2) and its output small: `[1, grid, grid, width]`, 10.6 MB as f16 at full size.
//! The neck's maps are ten times as large and quickly made again.

use medsam3_model::ImageFeatures;
use medsam3_model::burn::tensor::{DType, Tensor};

/// The trunk's output for an image: what is worth keeping of slices seen before.
#[derive(Debug, Clone)]
pub struct Embedding {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// f32, or f16 where it is kept.
    pub(crate) trunk: Tensor<4>,
    /// What it took to make.
    pub(crate) seconds: f64,
}

impl Embedding {
    /// Bytes on the device.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let values = self.trunk.dims().iter().product::<usize>();
        let size = if self.trunk.dtype() == DType::F16 {
            2
        } else {
            4
        };
        (values * size) as u64
    }

    /// With values of 16 bits: half the memory.
    #[must_use]
    pub(crate) fn halved(self) -> Self {
        Self {
            trunk: self.trunk.cast(DType::F16),
            ..self
        }
    }
}

/// An image that prompts can be asked of: trunk and neck are done.
#[derive(Debug, Clone)]
pub struct EncodedImage {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) features: ImageFeatures,
    pub(crate) seconds: f64,
}

impl EncodedImage {
    /// Columns and rows of the image.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
}
