//! How a manifest shows grey values of more than 8 bits: by its window, by its percentiles, else by those of the layout, else
//! by the range of values.

use medsam3_imaging::{GrayScale, Window};

use super::manifest::ImageRule;

/// By the rule, for these values; `percentiles` where the rule says nothing, else the range of values.
pub(super) fn scale(rule: &ImageRule, values: &[f32], percentiles: Option<[f32; 2]>) -> GrayScale {
    if let Some([center, width]) = rule.window {
        return GrayScale::Window(Window { center, width });
    }
    let percentiles = rule.percentiles.or(percentiles).unwrap_or([0.0, 100.0]);
    GrayScale::of_percentiles(values, percentiles)
}
