//! Stochastic depth in the trunk (reference: `vitdet.py`, drop-path 0.1): in a training step each residual branch of each image is
//! dropped with a rate that rises linearly from 0 in the first block to the configured one in the last; branches that are kept
//! are scaled so that the expectation stays. Never at inference.
//!
//! Factors follow from seed, step and stream, as pictures do.

use medsam3_model::vitdet::BranchFactors;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Sets these random numbers apart from those of the pictures.
const SALT: u64 = 0x6472_6f70_7061_7468;

/// Rate of block `index` of `depth`.
pub fn rate(last: f32, index: usize, depth: usize) -> f32 {
    last * index as f32 / depth.saturating_sub(1).max(1) as f32
}

/// Factors for `images` images in a trunk of `depth` blocks; none where `last`, the rate of the last block, is 0.
pub fn draw(
    last: f32,
    depth: usize,
    images: usize,
    seed: u64,
    [step, stream]: [usize; 2],
) -> Vec<BranchFactors> {
    if last == 0.0 {
        return Vec::new();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ SALT);
    rng.set_stream(((step as u64) << 8) | stream as u64);
    (0..depth)
        .map(|index| {
            let rate = rate(last, index, depth);
            let mut branch = || -> Vec<f32> {
                let factor = |dropped| if dropped { 0.0 } else { 1.0 / (1.0 - rate) };
                (0..images)
                    .map(|_| factor(rng.random::<f32>() < rate))
                    .collect()
            };
            let (attention, mlp) = (branch(), branch());
            BranchFactors { attention, mlp }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use medsam3_model::vitdet::TrunkTraining;
    use medsam3_model::{Sam3Config, synthetic};

    use super::*;

    /// `torch.linspace(0, 0.1, 32)` at 0, 1, 16, 31.
    #[test]
    fn rates_rise_linearly_with_depth() {
        let expected = [0.0, 0.003_225_806_5, 0.051_612_906, 0.1];
        for (index, expected) in [0, 1, 16, 31].into_iter().zip(expected) {
            assert!((rate(0.1, index, 32) - expected).abs() < 1e-8);
        }
        assert_eq!(rate(0.1, 0, 1), 0.0);
    }

    #[test]
    fn factors_follow_from_seed_step_and_stream_and_keep_the_expectation() {
        let (depth, images) = (5, 4000);
        let factors = draw(0.4, depth, images, 7, [3, 1]);
        assert_eq!(factors, draw(0.4, depth, images, 7, [3, 1]));
        for other in [
            draw(0.4, depth, images, 8, [3, 1]),
            draw(0.4, depth, images, 7, [4, 1]),
            draw(0.4, depth, images, 7, [3, 2]),
        ] {
            assert_ne!(factors, other);
        }
        for (index, block) in factors.iter().enumerate() {
            let rate = rate(0.4, index, depth);
            assert!(index == 0 || block.attention != block.mlp);
            for branch in [&block.attention, &block.mlp] {
                let dropped = branch.iter().filter(|&&f| f == 0.0).count() as f32 / images as f32;
                let mean = branch.iter().sum::<f32>() / images as f32;
                // Four standard errors of 4000 draws.
                assert!((dropped - rate).abs() < 0.032, "{dropped} of {rate}");
                assert!((mean - 1.0).abs() < 0.06, "a mean of {mean}");
            }
        }
        assert!(draw(0.0, depth, images, 7, [3, 1]).is_empty());
    }

    /// The last branch of the trunk is added to what comes out, so that the mean over its two outcomes, weighted by their
    /// chances, is what the trunk gives without dropping.
    #[test]
    fn the_mean_over_the_outcomes_is_the_trunk_without_dropping() {
        let config = Sam3Config::tiny_parity();
        let device = Device::flex();
        device.seed(5);
        let model = config.init(&device);
        let trunk = &model.backbone.vision_backbone.trunk;
        let side = config.image_side;
        let image = || {
            let image = TensorData::new(synthetic::image(side, side), [1, 3, side, side]);
            Tensor::<4>::from_data(image, &device)
        };
        let ones = BranchFactors {
            attention: vec![1.0],
            mlp: vec![1.0],
        };
        let run = |mlp: f32| {
            let mut factors = vec![ones.clone(); config.vit.depth];
            factors[config.vit.depth - 1].mlp = vec![mlp];
            let training = TrunkTraining {
                factors,
                recompute: false,
            };
            trunk.forward_trained(image(), training)
        };
        let plain = trunk.forward(image());
        let values = |x: Tensor<4>| x.into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(
            values(run(1.0)),
            values(plain.clone()),
            "factors of 1 change something"
        );
        let rate = 0.1;
        let mean = run(0.0) * rate + run(1.0 / (1.0 - rate)) * (1.0 - rate);
        let size = plain.clone().abs().max().into_scalar::<f32>();
        let off = (mean - plain.clone()).abs().max().into_scalar::<f32>();
        assert!(off < 1e-5 * size, "off by {off} of {size}");
        let dropped = (run(0.0) - plain).abs().max().into_scalar::<f32>();
        assert!(dropped > 1e-3 * size, "dropping changes nothing");
    }
}
