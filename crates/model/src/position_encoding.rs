//! Sine position encodings (reference: `position_encoding.py`, `gen_sineembed_for_position`).
//!
//! Even channels are sines, odd ones cosines, of the position divided by `10000^(2*floor(k/2)/n)`; the axes
//! come in the order y, x (and w, h for boxes).

use burn::tensor::{Device, Tensor, TensorData};
use std::f64::consts::{PI, TAU};

fn frequencies(channels: usize) -> Vec<f64> {
    (0..channels / 2)
        .map(|k| 10_000f64.powf(2.0 * k as f64 / channels as f64))
        .collect()
}

/// Encoding of a square map, `[1, side * side, channels]`: positions start at 1 and are divided by `side + 1e-6`.
pub fn sine_map(side: usize, channels: usize, device: &Device) -> Tensor<3> {
    let half = channels / 2;
    let frequencies = frequencies(half);
    let place = |index: usize| (index + 1) as f64 / (side as f64 + 1e-6) * TAU;
    let mut values = Vec::with_capacity(side * side * channels);
    for y in 0..side {
        for x in 0..side {
            for position in [place(y), place(x)] {
                for frequency in &frequencies {
                    let angle = position / frequency;
                    values.extend([angle.sin() as f32, angle.cos() as f32]);
                }
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [1, side * side, channels]), device)
}

/// Encoding of boxes `[batch, queries, 4]` (cx, cy, w, h in 0..1) with `channels` per coordinate in the order
/// y, x, w, h: `[batch, queries, 4 * channels]`.
pub fn sine_boxes(boxes: Tensor<3>, channels: usize) -> Tensor<3> {
    let [batch, queries, _] = boxes.dims();
    let device = boxes.device();
    let scale: Vec<f32> = frequencies(channels)
        .into_iter()
        .map(|frequency| (TAU / frequency) as f32)
        .collect();
    let scale: Tensor<4> =
        Tensor::from_data(TensorData::new(scale, [1, 1, 1, channels / 2]), &device);
    let order: Tensor<1, burn::tensor::Int> =
        Tensor::from_data(TensorData::from([1i32, 0, 2, 3]), &device);
    let angles = boxes.select(2, order).unsqueeze_dim::<4>(3) * scale;
    let (sine, cosine) = sin_cos(angles);
    Tensor::<4>::stack::<5>(vec![sine, cosine], 4).reshape([batch, queries, 4 * channels])
}

/// Encoding of places on a line, `[n, channels]`: sines of all frequencies, then cosines (reference: `get_1d_sine_pe`).
pub fn sine_line(places: &[f32], channels: usize, device: &Device) -> Tensor<2> {
    let half = channels / 2;
    let frequencies: Vec<f64> = frequencies(half)
        .into_iter()
        .flat_map(|frequency| [frequency; 2])
        .collect();
    let mut values = Vec::with_capacity(places.len() * channels);
    for place in places {
        let angle = |frequency: &f64| f64::from(*place) / frequency;
        values.extend(frequencies.iter().map(|f| angle(f).sin() as f32));
        values.extend(frequencies.iter().map(|f| angle(f).cos() as f32));
    }
    Tensor::from_data(TensorData::new(values, [places.len(), channels]), device)
}

/// Encoding of shares of a side, `channels` each, sines and cosines in turn (reference: `_encode_xy`).
pub fn sine_shares(shares: &[f32], channels: usize) -> Vec<f32> {
    let frequencies = frequencies(channels);
    shares
        .iter()
        .flat_map(|share| frequencies.iter().map(move |f| f64::from(*share) * TAU / f))
        .flat_map(|angle| [angle.sin() as f32, angle.cos() as f32])
        .collect()
}

/// Sine and cosine of angles in whole turns, of any size.
pub(crate) fn sin_cos_of_turns<const D: usize>(turns: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let within = turns.clone() - turns.floor();
    sin_cos(within * TAU)
}

/// Sine and cosine of angles in 0..2 pi to 1e-6, from products and sums alone: a GPU's own functions need only be
/// right to 5e-4 (WGSL, accuracy of `sin`), and software ones are no better than 1e-4.
fn sin_cos<const D: usize>(angles: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    // Both change sign when the angle is moved to -pi..pi, where the series converge.
    let x = angles - PI;
    let square = x.clone() * x.clone();
    let series = |first: u32| {
        let one = square.ones_like();
        (0..8).rev().fold(one.clone(), |sum, i| {
            let n = f64::from(first + 2 * i);
            one.clone() - square.clone() * sum / (n * (n + 1.0))
        })
    };
    (-x * series(2), -series(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_are_right_over_a_whole_turn() {
        let angles: Vec<f32> = (0..=1000).map(|i| i as f32 / 1000.0 * TAU as f32).collect();
        let tensor = Tensor::from_data(
            TensorData::new(angles.clone(), [1, 1, 1, angles.len()]),
            &Device::flex(),
        );
        let (sine, cosine) = sin_cos(tensor);
        let values = |tensor: Tensor<4>| tensor.into_data().iter::<f64>().collect::<Vec<_>>();
        for ((angle, sine), cosine) in angles.iter().zip(values(sine)).zip(values(cosine)) {
            let angle = f64::from(*angle);
            assert!((sine - angle.sin()).abs() < 2e-6, "sin {angle}: {sine}");
            assert!((cosine - angle.cos()).abs() < 2e-6, "cos {angle}: {cosine}");
        }
    }
}
