//! Window centre and width: the linear VOI function of DICOM PS3.3 C.11.2.1.2.1, gray values to 0..255.

use serde::{Deserialize, Serialize};

/// A linear window in modality units (HU for CT).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f32,
    /// Window Width (0028,1051); values below 1 act as 1.
    pub width: f32,
}

/// Windows for CT by the names that they go by, in HU: the presets of OHIF.
const NAMED: [(&str, f32, f32); 5] = [
    ("soft-tissue", 40.0, 400.0),
    ("lung", -600.0, 1500.0),
    ("liver", 90.0, 150.0),
    ("bone", 480.0, 2500.0),
    ("brain", 40.0, 80.0),
];

impl Window {
    /// A window for CT by its name, such as `lung`.
    pub fn named(name: &str) -> Option<Self> {
        let (_, center, width) = *NAMED.iter().find(|(known, ..)| *known == name)?;
        Some(Self { center, width })
    }

    /// The names that [`Window::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, ..)| *name)
    }

    /// The window that shows `low` as black and `high` as white.
    pub fn from_range(low: f32, high: f32) -> Self {
        Self {
            center: (low + high + 1.0) / 2.0,
            width: (high - low + 1.0).max(1.0),
        }
    }

    /// The gray values shown as black (or darker) and as white (or brighter).
    pub fn bounds(self) -> (f32, f32) {
        let (center, width) = self.as_f64();
        let half = (width - 1.0) / 2.0;
        ((center - 0.5 - half) as f32, (center - 0.5 + half) as f32)
    }

    /// Display value of a gray value, rounded to the nearest of 0..=255.
    pub fn apply(self, value: f32) -> u8 {
        let (center, width) = self.as_f64();
        let x = f64::from(value);
        let half = (width - 1.0) / 2.0;
        if x <= center - 0.5 - half {
            0
        } else if x > center - 0.5 + half {
            255
        } else {
            let y = ((x - (center - 0.5)) / (width - 1.0) + 0.5) * 255.0;
            // Saturating cast: NaN gives 0.
            y.round() as u8
        }
    }

    fn as_f64(self) -> (f64, f64) {
        (f64::from(self.center), f64::from(self.width).max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    /// The worked example of PS3.3 C.11.2.1.2.1 note 3: c=2048 w=4096 maps 0 to 0 and 4095 to 255.
    #[test]
    fn follows_the_standards_examples() {
        let full = Window {
            center: 2048.0,
            width: 4096.0,
        };
        assert_eq!(full.apply(0.0), 0);
        assert_eq!(full.apply(4095.0), 255);
        assert_eq!(full.apply(-1.0), 0);
        assert_eq!(full.apply(5000.0), 255);
        // c=2048 w=1: values above 2047 are white, 2047 and below black (note 4).
        let threshold = Window {
            center: 2048.0,
            width: 1.0,
        };
        assert_eq!(threshold.apply(2047.0), 0);
        assert_eq!(threshold.apply(2048.0), 255);
        // c=0 w=100: -50 is the darkest value of the ramp, 49 the brightest (note 5).
        let signed = Window {
            center: 0.0,
            width: 100.0,
        };
        assert_eq!(signed.bounds(), (-50.0, 49.0));
        assert_eq!(signed.apply(-50.0), 0);
        assert_eq!(signed.apply(-49.0), 3);
        assert_eq!(signed.apply(49.0), 255);
        // c=0 w=1: only -1 and below are black.
        let narrow = Window {
            center: 0.0,
            width: 1.0,
        };
        assert_eq!(narrow.apply(-1.0), 0);
        assert_eq!(narrow.apply(0.0), 255);
    }

    #[test]
    fn full_eight_bit_range_is_the_identity() {
        let window = Window::from_range(0.0, 255.0);
        assert_eq!(
            window,
            Window {
                center: 128.0,
                width: 256.0
            }
        );
        for value in 0..=255u8 {
            assert_eq!(window.apply(f32::from(value)), value);
        }
    }

    #[test]
    fn names_are_those_of_the_presets() {
        let lung = Window::named("lung").unwrap();
        assert_eq!(lung.bounds(), (-1350.0, 149.0));
        assert!(Window::names().all(|name| Window::named(name).is_some()));
        assert_eq!(Window::named("Lung"), None);
    }

    #[test]
    fn nonsense_never_panics() {
        for width in [f32::NAN, -5.0, 0.0, f32::INFINITY] {
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0] {
                let _ = Window { center: 0.0, width }.apply(value);
            }
        }
    }
}
