//! Parameters and statistics of JPEG-LS (T.87 A.2, A.3, A.5, A.6 and C.2.4.1.1): thresholds, contexts, bias.

use super::Preset;

/// What a scan is coded with.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) max_value: i32,
    pub(super) near: i32,
    pub(super) range: i32,
    /// Bits of a mapped error that is written as it is.
    pub(super) error_bits: u32,
    /// Longest code.
    pub(super) limit: i32,
    pub(super) reset: i64,
    thresholds: [i32; 3],
}

/// Smallest number of bits that holds values below `count`.
fn bits_for(count: i32) -> u32 {
    (count.max(1) - 1).checked_ilog2().map_or(0, |log| log + 1)
}

impl Parameters {
    /// `None` where the preset contradicts the standard.
    pub(super) fn new(precision: u32, near: i32, preset: Preset) -> Option<Self> {
        let full = (1 << precision) - 1;
        let max_value = if preset.max_value == 0 {
            full
        } else {
            preset.max_value
        };
        if max_value > full || near > 255.min(max_value / 2) {
            return None;
        }
        let mut thresholds = default_thresholds(max_value, near);
        for (default, given) in thresholds.iter_mut().zip(preset.thresholds) {
            if given != 0 {
                *default = given;
            }
        }
        let [low, middle, high] = thresholds;
        let reset = if preset.reset == 0 { 64 } else { preset.reset };
        if low <= near || middle < low || high < middle || high > max_value || reset < 3 {
            return None;
        }
        let range = (max_value + 2 * near) / (2 * near + 1) + 1;
        let sample_bits = bits_for(max_value + 1).max(2) as i32;
        Some(Self {
            max_value,
            near,
            range,
            error_bits: bits_for(range),
            limit: 2 * (sample_bits + sample_bits.max(8)),
            reset: i64::from(reset),
            thresholds,
        })
    }

    /// First magnitude of every context (A.2.1).
    pub(super) fn first_magnitude(&self) -> i64 {
        i64::from(((self.range + 32) / 64).max(2))
    }

    fn quantized(&self, gradient: i32) -> i32 {
        let [low, middle, high] = self.thresholds;
        let size = gradient.abs();
        let step = if size <= self.near {
            0
        } else if size < low {
            1
        } else if size < middle {
            2
        } else if size < high {
            3
        } else {
            4
        };
        step * gradient.signum()
    }

    /// Signed context of three gradients (A.3.4), 0 where all are flat.
    pub(super) fn context(&self, gradients: [i32; 3]) -> i32 {
        gradients.into_iter().fold(0, |context, gradient| {
            context * 9 + self.quantized(gradient)
        })
    }

    /// A sample from its prediction and its error (A.4.6 and A.8).
    pub(super) fn sample(&self, prediction: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = prediction.saturating_add(error.saturating_mul(step));
        if value < -self.near {
            value = value.saturating_add(self.range * step);
        } else if value > self.max_value + self.near {
            value = value.saturating_sub(self.range * step);
        }
        value.clamp(0, self.max_value)
    }
}

/// The thresholds of C.2.4.1.1.1.
fn default_thresholds(max_value: i32, near: i32) -> [i32; 3] {
    let clamped = |value: i32, low: i32| {
        if value > max_value || value < low {
            low
        } else {
            value
        }
    };
    let [low, middle, high] = if max_value >= 128 {
        let factor = (max_value.min(4095) + 128) / 256;
        [factor + 2, factor * 4 + 3, factor * 17 + 4]
    } else {
        let factor = 256 / (max_value + 1);
        [3 / factor, 7 / factor, 21 / factor]
    };
    let least = |value: i32, floor: i32| {
        if max_value >= 128 {
            value
        } else {
            value.max(floor)
        }
    };
    let low = clamped(least(low + 3 * near, 2), near + 1);
    let middle = clamped(least(middle + 5 * near, 3), low);
    let high = clamped(least(high + 7 * near, 4), middle);
    [low, middle, high]
}

/// Statistics of one context of the regular mode.
#[derive(Debug, Clone)]
pub(super) struct Context {
    magnitude: i64,
    bias: i64,
    pub(super) correction: i32,
    count: i64,
}

impl Context {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self {
            magnitude: parameters.first_magnitude(),
            bias: 0,
            correction: 0,
            count: 1,
        }
    }

    /// Golomb parameter k (A.5.1).
    pub(super) fn golomb_parameter(&self) -> u32 {
        parameter_for(self.count, self.magnitude)
    }

    /// The error of a mapped one (A.5.2).
    pub(super) fn error(&self, mapped: i32, parameter: u32, near: i32) -> i32 {
        let error = (mapped >> 1) ^ -(mapped & 1);
        // With k = 0 the sign is mapped the other way round where errors lean to the negative.
        if parameter == 0 && near == 0 && 2 * self.bias <= -self.count {
            -error - 1
        } else {
            error
        }
    }

    /// Learns from an error (A.6).
    pub(super) fn update(&mut self, error: i32, parameters: &Parameters) {
        self.magnitude += i64::from(error).abs();
        self.bias += i64::from(error) * i64::from(2 * parameters.near + 1);
        if self.count == parameters.reset {
            self.magnitude >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
        if self.bias <= -self.count {
            self.bias = (self.bias + self.count).max(1 - self.count);
            self.correction = (self.correction - 1).max(-128);
        } else if self.bias > 0 {
            self.bias = (self.bias - self.count).min(0);
            self.correction = (self.correction + 1).min(127);
        }
    }
}

/// Statistics of one of the two contexts that interrupt a run (A.7.2).
#[derive(Debug, Clone)]
pub(super) struct RunContext {
    magnitude: i64,
    count: i64,
    negative: i64,
    /// RItype: 1 where left and upper neighbour are alike.
    alike: i32,
}

impl RunContext {
    pub(super) fn new(parameters: &Parameters, alike: bool) -> Self {
        Self {
            magnitude: parameters.first_magnitude(),
            count: 1,
            negative: 0,
            alike: i32::from(alike),
        }
    }

    pub(super) fn golomb_parameter(&self) -> u32 {
        let magnitude = self.magnitude + (self.count >> 1) * i64::from(self.alike);
        parameter_for(self.count, magnitude)
    }

    /// The error of a mapped one, which this context learns from.
    pub(super) fn error(&mut self, mapped: i32, parameter: u32, parameters: &Parameters) -> i32 {
        let value = mapped.saturating_add(self.alike);
        let map = value & 1;
        let size = (value >> 1) + map;
        let leans = parameter != 0 || 2 * self.negative >= self.count;
        let error = if leans == (map == 1) { -size } else { size };
        if error < 0 {
            self.negative += 1;
        }
        self.magnitude += i64::from((mapped.saturating_add(1) - self.alike) >> 1);
        if self.count == parameters.reset {
            self.magnitude >>= 1;
            self.count >>= 1;
            self.negative >>= 1;
        }
        self.count += 1;
        error
    }
}

/// Smallest k with `count << k >= magnitude`.
fn parameter_for(count: i64, magnitude: i64) -> u32 {
    let mut parameter = 0;
    while parameter < 24 && count << parameter < magnitude {
        parameter += 1;
    }
    parameter
}
