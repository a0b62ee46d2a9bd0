//! Grey values of more than 8 bits to the 0..255 of the corpus: by a window in the values' own units (HU for CT), by percentiles,
//! else by the range of values.

use medsam3_imaging::Window;

use super::manifest::ImageRule;

/// Values that become black and white; what lies between is linear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// DICOM's linear window (PS3.3 C.11.2.1.2.1).
    Window(Window),
    /// From the first value, black, to the second, white.
    Range(f32, f32),
}

impl Scale {
    /// By the rule, for these values; `percentiles` where the rule says nothing, else the range of values.
    pub(super) fn of(rule: &ImageRule, values: &[f32], percentiles: Option<[f32; 2]>) -> Self {
        if let Some([center, width]) = rule.window {
            return Self::Window(Window { center, width });
        }
        let [low, high] = rule.percentiles.or(percentiles).unwrap_or([0.0, 100.0]);
        let mut sorted: Vec<f32> = values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = |percent: f32| percentile(&sorted, f64::from(percent));
        Self::Range(at(low), at(high))
    }
}

/// Linear between the two nearest values, as numpy does.
fn percentile(sorted: &[f32], percent: f64) -> f32 {
    let place = (percent / 100.0).clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let below = sorted
        .get(place.floor() as usize)
        .copied()
        .unwrap_or_default();
    let above = sorted
        .get(place.ceil() as usize)
        .copied()
        .unwrap_or_default();
    (f64::from(below) + (f64::from(above) - f64::from(below)) * place.fract()) as f32
}

/// Display values.
pub(super) fn apply(scale: Scale, values: &[f32]) -> Vec<u8> {
    let show = |&value: &f32| match scale {
        Scale::Window(window) => window.apply(value),
        Scale::Range(low, high) => {
            // Saturating casts: values outside are black or white, NaN is black.
            let share = (f64::from(value) - f64::from(low))
                / (f64::from(high) - f64::from(low)).max(f64::MIN_POSITIVE);
            (share * 255.0).round() as u8
        }
    };
    values.iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy.percentile([0, 1, 2, 10], [25, 50, 99.5]) = [0.75, 1.5, 9.88].
    #[test]
    fn percentiles_are_those_of_numpy() {
        let sorted = [0.0, 1.0, 2.0, 10.0];
        for (percent, expected) in [
            (0.0, 0.0),
            (25.0, 0.75),
            (50.0, 1.5),
            (99.5, 9.88),
            (100.0, 10.0),
        ] {
            assert!(
                (percentile(&sorted, percent) - expected).abs() < 1e-5,
                "{percent}"
            );
        }
        assert_eq!(percentile(&[], 50.0), 0.0);
    }

    #[test]
    fn a_range_saturates_and_a_constant_image_is_black() {
        let shown = apply(
            Scale::Range(-100.0, 155.0),
            &[-1000.0, -100.0, 0.0, 155.0, 900.0, f32::NAN],
        );
        assert_eq!(shown, [0, 0, 100, 255, 255, 0]);
        assert_eq!(apply(Scale::Range(7.0, 7.0), &[7.0, 7.0]), [0, 0]);
    }
}
