//! Evaluation: overlap metrics, thresholds chosen on validation data, tables per prompt.
//!
//! Knows masks and numbers, not the model: whoever runs the model hands over what it answered, at the image's own size.
//!
//! ```text
//! answers of the validation split -> choose thresholds -> measure the test split -> report (JSON, Markdown)
//! ```

mod answer;
mod metrics;
mod report;
mod threshold;

pub use answer::{Answer, Key, MASK_THRESHOLDS, Overlap};
pub use metrics::{dice, iou, overlap};
pub use report::{Report, Row};
pub use threshold::{Thresholds, choose};
