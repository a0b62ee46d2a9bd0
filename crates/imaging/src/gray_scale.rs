//! Gray values of more than 8 bits to 0..=255 without a file's own window: by a window in the values' units (HU
//! for CT), or by shares of the values, percentiles as numpy's `linear` method defines them.

use crate::Window;

/// Which values become black and which white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GrayScale {
    /// DICOM's linear window (PS3.3 C.11.2.1.2.1).
    Window(Window),
    /// Linear from the first value, black, to the second, white.
    Range(f32, f32),
}

impl GrayScale {
    /// From the value below which `low` percent of the finite values lie to that below which `high` percent do.
    pub fn of_percentiles(values: &[f32], [low, high]: [f32; 2]) -> Self {
        let mut sorted: Vec<f32> = values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = |percent: f32| percentile(&sorted, f64::from(percent));
        Self::Range(at(low), at(high))
    }

    /// Display values.
    pub fn apply(self, values: &[f32]) -> Vec<u8> {
        let show = |&value: &f32| match self {
            Self::Window(window) => window.apply(value),
            Self::Range(low, high) => {
                // Saturating casts: values outside are black or white, NaN is black.
                let share = (f64::from(value) - f64::from(low))
                    / (f64::from(high) - f64::from(low)).max(f64::MIN_POSITIVE);
                (share * 255.0).round() as u8
            }
        };
        values.iter().map(show).collect()
    }
}

/// Linear between the two nearest values.
fn percentile(sorted: &[f32], percent: f64) -> f32 {
    let place = (percent / 100.0).clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or_default();
    let (below, above) = (at(place.floor()), at(place.ceil()));
    (f64::from(below) + (f64::from(above) - f64::from(below)) * place.fract()) as f32
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
        let unsorted = [10.0, f32::NAN, 0.0, 2.0, f32::INFINITY, 1.0];
        assert_eq!(
            GrayScale::of_percentiles(&unsorted, [0.0, 50.0]),
            GrayScale::Range(0.0, 1.5)
        );
    }

    #[test]
    fn a_range_saturates_and_a_constant_image_is_black() {
        let shown =
            GrayScale::Range(-100.0, 155.0).apply(&[-1000.0, -100.0, 0.0, 155.0, 900.0, f32::NAN]);
        assert_eq!(shown, [0, 0, 100, 255, 255, 0]);
        assert_eq!(GrayScale::Range(7.0, 7.0).apply(&[7.0, 7.0]), [0, 0]);
    }
}
