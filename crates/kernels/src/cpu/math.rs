//! Exponential and GELU in f32 that the compiler can turn into vector instructions: no branches, no calls.
//!
//! Polynomials: Taylor's for 2^f; interpolation at Chebyshev nodes for erf(z)/z in z^2 on 0..1 and for ln erfc(z) on
//! 1..4.

/// `a * b + c`, in one rounding where that is one instruction.
#[inline(always)]
pub(super) fn fma(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "wasm32") {
        a * b + c
    } else {
        a.mul_add(b, c)
    }
}

#[inline(always)]
fn polynomial<const N: usize>(coefficients: [f32; N], x: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = fma(sum, x, coefficients[i]);
    }
    sum
}

/// `2^x` for x in `-inf..127`; zero below -126.
#[inline(always)]
pub(super) fn exp2(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < -126.0 { -126.0 } else { x };
    let shifted = clamped + ROUND;
    let fraction = clamped - (shifted - ROUND);
    let mantissa = polynomial(
        [
            1.0,
            std::f32::consts::LN_2,
            0.240_226_5,
            0.055_504_11,
            0.009_618_129,
            0.001_333_355_8,
            0.000_154_035_3,
            0.000_015_252_734,
        ],
        fraction,
    );
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < -126.0 { 0.0 } else { mantissa * power }
}

/// `1 + erf(x / sqrt 2)`.
#[inline(always)]
fn doubled_normal_distribution(x: f32) -> f32 {
    let z = x * std::f32::consts::FRAC_1_SQRT_2;
    let distance = z.abs();
    let near = z * polynomial(
        [
            std::f32::consts::FRAC_2_SQRT_PI,
            -0.376_126_26,
            0.112_835_94,
            -0.026_854_211,
            0.005_189_087,
            -0.000_801_686_43,
            0.000_078_758_75,
        ],
        z * z,
    );
    let clamped = if distance > 4.0 { 4.0 } else { distance };
    let log_erfc = polynomial(
        [
            0.000_320_138_06,
            -1.130_233_4,
            -0.631_826_04,
            -0.110_080_086,
            0.026_421_135,
            -0.004_759_596,
            0.000_596_805_65,
            -0.000_046_058_04,
            0.000_001_637_151_3,
        ],
        clamped,
    );
    let tail = exp2(log_erfc * std::f32::consts::LOG2_E);
    // Beyond 4 erfc is below half a unit in the last place of one.
    let tail = if distance > 4.0 { 0.0 } else { tail };
    let far = if x < 0.0 { tail } else { 2.0 - tail };
    if distance < 1.0 { 1.0 + near } else { far }
}

/// Exact GELU, `x / 2 * (1 + erf(x / sqrt 2))`.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * doubled_normal_distribution(x)
}

/// Derivative of exact GELU: the normal distribution plus `x` times its density.
#[inline(always)]
pub(super) fn gelu_derivative(x: f32) -> f32 {
    // 1 / sqrt(2 pi)
    const TOP: f32 = 0.398_942_3;
    let density = TOP * exp2(-0.5 * std::f32::consts::LOG2_E * x * x);
    fma(x, density, 0.5 * doubled_normal_distribution(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the C library's own functions in f64.
    #[test]
    fn within_units_in_the_last_place() {
        for i in -252_000..=20_000 {
            let x = i as f32 / 2000.0;
            let expected = f64::from(x).exp2();
            assert!(
                (f64::from(exp2(x)) / expected - 1.0).abs() < 2.5e-7,
                "2^{x}"
            );
        }
        for i in -24_000..=24_000 {
            let x = i as f32 / 2000.0;
            let expected = 0.5 * f64::from(x) * (1.0 + libm::erf(f64::from(x) / 2f64.sqrt()));
            let error = (f64::from(gelu(x)) - expected).abs();
            assert!(
                error < 1.5e-7 * f64::from(x).abs().max(0.1),
                "gelu({x}) off by {error}"
            );
        }
        for i in -24_000..=24_000 {
            let x = f64::from(i as f32 / 2000.0);
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let expected = 0.5 * (1.0 + libm::erf(x / 2f64.sqrt())) + x * density;
            let error = (f64::from(gelu_derivative(x as f32)) - expected).abs();
            assert!(error < 3e-7, "derivative of gelu at {x} off by {error}");
        }
        assert_eq!(exp2(f32::NEG_INFINITY), 0.0);
        assert_eq!(gelu(-50.0), 0.0);
        assert_eq!(gelu(50.0), 50.0);
    }
}
