//! The loss terms of the reference's training configuration (reference 5.1), one file each.
//!
//! All are sums or means of plain tensor operations, so that any back end with autodiff can train with them.

mod boxes;
mod classification;
mod elementwise;
mod masks;
mod presence;

pub use boxes::{BoxLosses, box_losses, iou, pair_giou};
pub use classification::{Match, classification_loss};
pub use elementwise::{binary_cross_entropy, dice, focal};
pub use masks::{MaskLosses, mask_losses};
pub use presence::presence_loss;
