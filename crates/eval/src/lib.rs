//! Evaluation: measures of masks and instances, thresholds chosen on validation data, the evaluation with its intervals, and
//! its report.
//!
//! Knows masks and numbers, not the model: whoever runs the model hands over what it answered, at the image's own size.
//!
//! ```text
//! answers of the validation split -> choose thresholds -> table of the model card
//! masks of a split -> cases (Dice, IoU, NSD, HD95, instances) -> evaluation (means, intervals, calibration) -> report
//! ```

mod answer;
mod bootstrap;
mod case;
mod error;
mod evaluation;
mod group;
mod metrics;
mod paper;
mod report;
mod runs;
mod table;
mod threshold;
mod wording;

pub use answer::{Answer, Key, MASK_THRESHOLDS};
pub use bootstrap::{Bootstrap, Estimate, Resamples, interval};
pub use case::{Case, Confidence, Question};
pub use error::EvalError;
pub use evaluation::{Evaluation, InstanceRow, Row as EvaluationRow};
pub use medsam3_segmentation::Overlap;
pub use metrics::{
    Bin, Calibration, Detection, IOU_THRESHOLDS, InstanceMatch, average_precision, calibration,
    dice, f1, hd95_px, iou, match_instances, nsd, overlap,
};
pub use paper::{Published, published};
pub use report::{About, DatasetFacts, write_report};
pub use runs::Runs;
pub use table::{Report, Row};
pub use threshold::{Thresholds, choose_mask, choose_presence};
pub use wording::{Comparison, compare};
