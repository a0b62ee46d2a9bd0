//! Ranges of the random changes that pictures are shown with.

use serde::{Deserialize, Serialize};

/// Ranges of the random changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Share of images that are shown whole.
    pub whole: f32,
    /// Smallest and largest side of a crop, as a share of the picture.
    pub scale: [f32; 2],
    /// Largest absolute logarithm of the change of aspect.
    pub aspect: f32,
    /// Largest rotation in degrees.
    pub rotate_degrees: f32,
    /// Share of crops laid around a pixel of a prompt.
    pub focus: f32,
    /// Largest offset of the grey level, where white is 1.
    pub brightness: f32,
    /// Largest relative change of contrast.
    pub contrast: f32,
    /// Largest absolute logarithm of gamma.
    pub gamma: f32,
    /// Shows every picture smaller, with black around it; without it pictures fill the side.
    pub square_resize: Option<SquareResize>,
}

/// Random square resize with padding, as the reference trains with (its `RandomResizeAPI` and `PadToSizeAPI`): sides
/// `smallest`, `smallest + step`, ... up to `of`, each as likely, at a random place of the full side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SquareResize {
    /// In pixels, where the full side is `of`.
    pub smallest: usize,
    /// Likewise.
    pub step: usize,
    /// The full side that both are stated for; they are scaled to the side of the run.
    #[serde(default = "full_side")]
    pub of: usize,
}

fn full_side() -> usize {
    1008
}

impl SquareResize {
    /// Whether there is a side to draw.
    pub fn is_possible(&self) -> bool {
        self.smallest > 0 && self.step > 0 && self.smallest <= self.of
    }
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            whole: 0.3,
            scale: [0.55, 1.1],
            aspect: 0.2,
            rotate_degrees: 12.0,
            focus: 0.5,
            brightness: 0.12,
            contrast: 0.25,
            gamma: 0.3,
            square_resize: None,
        }
    }
}
