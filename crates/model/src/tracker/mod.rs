//! The second half of SAM 3 (paper section 4; reference: `sam3_tracker_base.py` and the SAM heads): a mask on one frame,
//! or clicks, carried to its neighbours with the help of a memory bank. For volumes, depth is time.
//!
//! ```text
//! trunk's map -> sam2_convs -> maps at 4x, 2x, 1x of the patch grid        (once per frame)
//! 1x map + memories of earlier frames -> memory attention -> 1x map        (per object)
//! 1x map + points, boxes or a mask -> prompt encoder, mask decoder -> masks, score, pointer
//! 1x map + mask -> memory encoder -> memory, kept with the pointer
//! ```

pub mod attention;
pub mod config;
pub mod mask_decoder;
pub mod memory;
pub mod memory_attention;
pub mod memory_bank;
pub mod prompt_encoder;
pub mod resize;
pub mod sam3_tracker_base;
pub mod transformer;

pub use config::{MemoryConfig, TrackerConfig};
pub use memory_bank::{MemoryBank, Moment, Selection};
pub use prompt_encoder::{Point, PointLabel};
pub use resize::{Filter, bilinear};
pub use sam3_tracker_base::{
    FrameFeatures, Memory, Prompt, Sam3TrackerBase, SamOutput, StepOutput, memory_score,
    suppress_shrunken,
};

use crate::necks::NeckLevel;
use crate::parameters::{LoadError, ParameterInfo, Values, load_some, parameters_at};
use crate::trace::scope;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Where the neck is in the checkpoint.
const NECK: &str = "backbone.vision_backbone";
/// Where the tracker is in the checkpoint.
const TRACKER: &str = "tracker";

/// The tracker's own neck, built as the detector's.
#[derive(Module, Debug)]
pub struct TrackerNeck {
    /// Finest level first.
    pub sam2_convs: Vec<NeckLevel>,
}

impl TrackerNeck {
    /// The three maps of a frame, finest first, from the trunk's map `[b, grid, grid, trunk width]`.
    pub fn forward(&self, trunk: &Tensor<4>) -> [Tensor<4>; 3] {
        core::array::from_fn(|i| {
            scope(format!("{NECK}.sam2_convs.{i}"), || {
                self.sam2_convs[i].forward(trunk.clone())
            })
        })
    }
}

/// Neck and tracker.
#[derive(Debug, Clone)]
pub struct Tracker {
    /// The neck.
    pub neck: TrackerNeck,
    /// Everything behind it.
    pub base: Sam3TrackerBase,
    /// What it was built from.
    pub config: TrackerConfig,
}

impl Tracker {
    /// A tracker with initial values; see [`TrackerConfig::init`].
    pub fn new(config: TrackerConfig, device: &Device) -> Self {
        let level = |index| NeckLevel::new(index, config.trunk_width, config.width, device);
        Self {
            neck: TrackerNeck {
                sam2_convs: (0..3).map(level).collect(),
            },
            base: config.init(device),
            config,
        }
    }

    /// All parameters with their canonical names.
    pub fn parameters(&self) -> Vec<ParameterInfo> {
        let mut all = parameters_at(&self.neck, NECK);
        all.extend(parameters_at(&self.base, TRACKER));
        all
    }

    /// Fills it from `source`, which is asked for one tensor at a time in the layout of the checkpoint.
    pub fn load<E: std::error::Error + 'static>(
        self,
        source: &mut dyn FnMut(&ParameterInfo) -> Result<Values, E>,
    ) -> Result<Self, LoadError<E>> {
        Ok(Self {
            neck: load_some(self.neck, NECK, &|_| true, source)?,
            base: load_some(self.base, TRACKER, &|_| true, source)?,
            config: self.config,
        })
    }

    /// Once per frame, from the trunk's map `[1, grid, grid, trunk width]`.
    pub fn features(&self, trunk: &Tensor<4>) -> FrameFeatures {
        let maps = self.neck.forward(trunk);
        scope(TRACKER, || self.base.forward_image(maps))
    }
}
