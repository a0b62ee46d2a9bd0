//! Weight-only int8: blocks of 32 along the last axis, symmetric, value = q * scale with q in -127..=127 and the scale
//! stored as f16. Which tensors of a q8 model are stored so, and the arithmetic both ways.

use half::f16;

use crate::Precision;
use crate::manifest::Q8_BLOCK;

/// The largest quotient; -128 is left out so that the range is symmetric.
#[cfg(not(target_arch = "wasm32"))]
const LARGEST: f32 = 127.0;

impl Precision {
    /// How a canonical tensor is stored in a model of this precision. In a q8 model the matrices of trunk, text
    /// encoder (with its token table) and DETR layers are q8; norms, biases, embeddings of positions, queries and
    /// references, neck and heads stay f16, as does a row that is not whole blocks.
    #[must_use]
    pub fn of_tensor(self, name: &str, shape: &[usize]) -> Self {
        match self {
            Self::F32 | Self::F16 => self,
            Self::Q8 if is_quantised(name, shape) => Self::Q8,
            Self::Q8 => Self::F16,
        }
    }
}

fn is_quantised(name: &str, shape: &[usize]) -> bool {
    const WITHIN: [&str; 4] = [
        "detector.backbone.vision_backbone.trunk.blocks.",
        "detector.backbone.language_backbone.encoder.transformer.resblocks.",
        "detector.transformer.encoder.layers.",
        "detector.transformer.decoder.layers.",
    ];
    let matrix = matches!(shape, [_, columns] if columns.is_multiple_of(Q8_BLOCK))
        && name.ends_with("weight");
    let within = WITHIN.iter().any(|start| name.starts_with(start))
        || name == "detector.backbone.language_backbone.encoder.token_embedding.weight";
    matrix && within
}

/// Bytes and scales of rows of `columns` values.
///
/// The scale is rounded up to f16 before the division: then no quotient leaves the range, and every value comes back
/// within half a step.
///
/// # Errors
/// The first value that is not finite, or too large for the scale to be an f16.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn quantise(values: &[f32], columns: usize) -> Result<(Vec<i8>, Vec<f16>), f32> {
    let mut bytes = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len().div_ceil(Q8_BLOCK));
    for row in values.chunks(columns.max(1)) {
        for block in row.chunks(Q8_BLOCK) {
            if let Some(bad) = block.iter().find(|value| !value.is_finite()) {
                return Err(*bad);
            }
            let largest = block.iter().fold(0.0_f32, |m, value| m.max(value.abs()));
            let scale = rounded_up(largest / LARGEST);
            if !scale.is_finite() {
                return Err(largest);
            }
            let step = scale.to_f32();
            let quotient = |value: &f32| {
                if step > 0.0 {
                    (value / step).round_ties_even().clamp(-LARGEST, LARGEST) as i8
                } else {
                    0
                }
            };
            bytes.extend(block.iter().map(quotient));
            scales.push(scale);
        }
    }
    Ok((bytes, scales))
}

/// The least f16 that is not less than a value that is not negative.
#[cfg(not(target_arch = "wasm32"))]
fn rounded_up(value: f32) -> f16 {
    let nearest = f16::from_f32(value);
    if nearest.to_f32() < value {
        f16::from_bits(nearest.to_bits() + 1)
    } else {
        nearest
    }
}

/// Values of rows of `columns` bytes, whose scales are little-endian f16.
pub(crate) fn dequantise(bytes: &[u8], scales: &[u8], columns: usize) -> Vec<f32> {
    let (scales, _) = scales.as_chunks::<2>();
    let blocks = bytes
        .chunks(columns.max(1))
        .flat_map(|row| row.chunks(Q8_BLOCK));
    let mut values = Vec::with_capacity(bytes.len());
    for (block, scale) in blocks.zip(scales) {
        let scale = f16::from_le_bytes(*scale).to_f32();
        values.extend(
            block
                .iter()
                .map(|byte| f32::from(byte.cast_signed()) * scale),
        );
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound is that of rounding to the nearest of evenly spaced values.
    #[test]
    fn values_come_back_within_half_a_step() {
        let columns = 40;
        let values: Vec<f32> = (0..3 * columns)
            .map(|i| ((i * i) as f32 * 0.37).sin() * [1e-3, 1.0, 300.0][i / columns])
            .collect();
        let (bytes, scales) = quantise(&values, columns).unwrap();
        assert_eq!(
            (bytes.len(), scales.len()),
            (120, 6),
            "40 values are two blocks"
        );
        let raw: Vec<u8> = bytes.iter().map(|byte| byte.cast_unsigned()).collect();
        let raw_scales: Vec<u8> = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
        let back = dequantise(&raw, &raw_scales, columns);
        for (i, (value, back)) in values.iter().zip(&back).enumerate() {
            let (row, column) = (i / columns, i % columns);
            let step = scales[row * 2 + column / Q8_BLOCK].to_f32();
            assert!(
                (value - back).abs() <= step * 0.500_01,
                "{i}: {value} {back} {step}"
            );
        }
    }

    #[test]
    fn quotients_are_those_of_the_definition() {
        // Largest 127, so the step is exactly 1.
        let (bytes, scales) = quantise(&[127.0, -127.0, 0.5, 1.5, -0.4, 0.0], 6).unwrap();
        assert_eq!(scales, [f16::ONE]);
        assert_eq!(bytes, [127, -127, 0, 2, 0, 0], "ties go to even");
        assert_eq!(
            quantise(&[0.0; 33], 33).unwrap(),
            (vec![0; 33], vec![f16::ZERO; 2])
        );
        // Far below the least f16 (2^-24) there is one step only.
        assert_eq!(quantise(&[1e-9, -1e-9], 2).unwrap().0, [0, 0]);
        assert!(quantise(&[1.0, f32::NAN], 2).unwrap_err().is_nan());
        assert_eq!(quantise(&[1e8], 1), Err(1e8));
    }

    #[test]
    fn only_the_large_matrices_of_a_q8_model_are_q8() {
        let of = |name: &str, shape: &[usize]| Precision::Q8.of_tensor(name, shape);
        for (name, shape) in [
            (
                "detector.backbone.vision_backbone.trunk.blocks.3.attn.qkv.weight",
                [3072, 1024],
            ),
            (
                "detector.backbone.language_backbone.encoder.token_embedding.weight",
                [49408, 1024],
            ),
            (
                "detector.backbone.language_backbone.encoder.transformer.resblocks.0.attn.in_proj_weight",
                [3072, 1024],
            ),
            (
                "detector.transformer.decoder.layers.5.ca_text.in_proj_weight",
                [768, 256],
            ),
        ] {
            assert_eq!(of(name, &shape), Precision::Q8, "{name}");
        }
        for (name, shape) in [
            (
                "detector.backbone.vision_backbone.trunk.blocks.3.attn.qkv.bias",
                vec![3072],
            ),
            (
                "detector.backbone.vision_backbone.trunk.pos_embed",
                vec![1, 577, 1024],
            ),
            (
                "detector.backbone.vision_backbone.trunk.patch_embed.proj.weight",
                vec![1024, 3, 14, 14],
            ),
            (
                "detector.backbone.vision_backbone.convs.0.conv_1x1.weight",
                vec![256, 256, 1, 1],
            ),
            (
                "detector.backbone.language_backbone.encoder.positional_embedding",
                vec![32, 1024],
            ),
            (
                "detector.transformer.decoder.query_embed.weight",
                vec![200, 256],
            ),
            (
                "detector.transformer.decoder.reference_points.weight",
                vec![200, 4],
            ),
            (
                "detector.transformer.decoder.bbox_embed.layers.0.weight",
                vec![256, 256],
            ),
            (
                "detector.transformer.encoder.layers.0.linear1.weight",
                vec![64, 40],
            ),
            (
                "detector.dot_prod_scoring.prompt_proj.weight",
                vec![256, 256],
            ),
        ] {
            assert_eq!(of(name, &shape), Precision::F16, "{name}");
        }
        assert_eq!(Precision::F32.of_tensor("any", &[32, 32]), Precision::F32);
    }
}
