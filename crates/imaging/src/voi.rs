//! Shapes of the VOI transform beside the linear one (DICOM PS3.3 C.11.2.1.1 and C.11.2.1.3.1): a lookup table or a
//! sigmoid. Gray value in modality units in, 0..255 out. A window chosen by hand stretches a table as it
//! stretches a line: it says which values take the ends of the curve.

use crate::Window;

/// How the values of a frame become display values, where not along a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Voi {
    /// VOI LUT Function SIGMOID.
    Sigmoid,
    /// VOI LUT Sequence.
    Table(VoiTable),
}

/// One item of a VOI LUT Sequence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VoiTable {
    /// First value mapped.
    pub(crate) first: i64,
    pub(crate) values: Vec<u16>,
    /// Largest value of the bits per entry.
    pub(crate) white: u16,
}

impl VoiTable {
    /// The window that spans the values of the table.
    pub(crate) fn window(&self) -> Window {
        let last = self.first + self.values.len().saturating_sub(1) as i64;
        Window::from_range(self.first as f32, last as f32)
    }

    fn apply(&self, value: f64) -> u8 {
        let last = self.values.len().saturating_sub(1);
        // Saturating: NaN is the first entry, values outside take the nearest.
        let index = ((value.round() - self.first as f64) as usize).min(last);
        let entry = self.values.get(index).copied().unwrap_or_default();
        let white = f64::from(self.white.max(1));
        (f64::from(entry.min(self.white)) / white * 255.0).round() as u8
    }
}

impl Voi {
    /// Display value of a gray value.
    pub(crate) fn apply(&self, value: f32, window: Window) -> u8 {
        let value = f64::from(value);
        match self {
            Self::Sigmoid => {
                let width = f64::from(window.width).max(f64::MIN_POSITIVE);
                let distance = (value - f64::from(window.center)) / width;
                (255.0 / (1.0 + (-4.0 * distance).exp())).round() as u8
            }
            Self::Table(table) => {
                let own = table.window();
                if window == own {
                    return table.apply(value);
                }
                let (from, to) = (window.bounds(), own.bounds());
                let (low, high) = (f64::from(from.0), f64::from(from.1));
                let part = (value - low) / (high - low).max(1e-6);
                table.apply(f64::from(to.0) + part * f64::from(to.1 - to.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Voi, VoiTable};
    use crate::Window;

    #[test]
    fn tables_map_their_range_and_follow_a_window() {
        let voi = Voi::Table(VoiTable {
            first: -10,
            values: (0..=100).map(|entry| (100 - entry) * 10).collect(),
            white: 1000,
        });
        let own = Window::from_range(-10.0, 90.0);
        assert_eq!(voi.apply(-10.0, own), 255);
        assert_eq!(voi.apply(90.0, own), 0);
        assert_eq!(voi.apply(40.0, own), 128);
        assert_eq!(voi.apply(-500.0, own), 255);
        assert_eq!(voi.apply(f32::INFINITY, own), 0);
        // The same curve over 0..=200.
        let wider = Window::from_range(0.0, 200.0);
        assert_eq!(voi.apply(0.0, wider), 255);
        assert_eq!(voi.apply(100.0, wider), 128);
        assert_eq!(voi.apply(200.0, wider), 0);
    }

    /// C.11.2.1.3.1: half of the output at the centre, 1 / (1 + e^-2) half a width above it.
    #[test]
    fn sigmoids_follow_the_equation() {
        let window = Window {
            center: 100.0,
            width: 50.0,
        };
        assert_eq!(Voi::Sigmoid.apply(100.0, window), 128);
        assert_eq!(Voi::Sigmoid.apply(125.0, window), 225);
        assert_eq!(Voi::Sigmoid.apply(75.0, window), 30);
        assert_eq!(Voi::Sigmoid.apply(f32::NEG_INFINITY, window), 0);
    }
}
