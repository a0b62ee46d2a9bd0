//! Dropout of training (reference 1.6: 0.1 in fusion encoder and decoder): a value is 0 with the rate's chance and else divided
//! by the chance to stay. Which values follows from the seed alone, so that a resumed run drops what the interrupted one
//! would have dropped, on any device.

use crate::synthetic::{mix, uniform};
use burn::tensor::{Tensor, TensorData};
use std::cell::Cell;

/// How everything behind the neck runs while it is trained; by default as at inference.
#[derive(Debug, Clone, Default)]
pub struct PromptTraining {
    /// Whether there is a second copy of the queries, which is matched one to many (reference 1.7).
    pub duplicate: bool,
    /// Whether only the inputs of the fusion encoder's layers are kept, and the layers computed again in the backward pass.
    pub recompute: bool,
    /// What is dropped of fusion encoder and decoder.
    pub dropout: Dropout,
}

impl Default for Dropout {
    fn default() -> Self {
        Self::none()
    }
}

/// The masks of one forward pass, in the order in which they are asked for.
#[derive(Debug, Clone)]
pub struct Dropout {
    rate: f32,
    seed: u64,
    drawn: Cell<u64>,
}

impl Dropout {
    /// Nothing is dropped: inference.
    pub fn none() -> Self {
        Self::new(0.0, [0, 0])
    }

    /// Drops with a chance of `rate`, at least 0 and less than 1; every pair of seeds has masks of its own.
    pub fn new(rate: f32, [seed, stream]: [u64; 2]) -> Self {
        Self {
            rate,
            seed: mix(mix(seed) ^ stream),
            drawn: Cell::new(0),
        }
    }

    /// The same rate for a part that draws masks of its own, in whatever order the parts draw.
    pub fn fork(&self) -> Self {
        let place = self.drawn.get();
        self.drawn.set(place + 1);
        Self::new(self.rate, [self.seed, place])
    }

    /// `x`, or `x` with some values dropped.
    pub fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.rate == 0.0 {
            return x;
        }
        let shape = x.dims();
        let first = self.drawn.get();
        let next = first + shape.iter().product::<usize>() as u64;
        self.drawn.set(next);
        let kept = 1.0 / (1.0 - self.rate);
        // The sequence is uniform in -1..1.
        let edge = 2.0 * f64::from(self.rate) - 1.0;
        let factor = |at| {
            if uniform(self.seed, at) < edge {
                0.0
            } else {
                kept
            }
        };
        let factors: Vec<f32> = (first..next).map(factor).collect();
        let factors = Tensor::from_data(TensorData::new(factors, shape), &x.device());
        x * factors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values(dropout: &Dropout, count: usize) -> Vec<f32> {
        let ones = Tensor::<2>::ones([count / 100, 100], &Device::flex());
        dropout.apply(ones).into_data().iter::<f32>().collect()
    }

    #[test]
    fn masks_follow_from_the_seeds_and_keep_the_expectation() {
        let count = 40_000;
        let dropout = Dropout::new(0.1, [7, 3]);
        let (first, second) = (values(&dropout, count), values(&dropout, count));
        assert_ne!(first, second, "one mask for two places");
        let again = Dropout::new(0.1, [7, 3]);
        assert_eq!(
            (values(&again, count), values(&again, count)),
            (first.clone(), second)
        );
        for other in [[8, 3], [7, 4], [3, 7]] {
            assert_ne!(values(&Dropout::new(0.1, other), count), first);
        }
        let dropped = first.iter().filter(|&&v| v == 0.0).count() as f32 / count as f32;
        let mean = first.iter().sum::<f32>() / count as f32;
        // Five standard errors of 40,000 draws.
        assert!((dropped - 0.1).abs() < 0.0075, "{dropped} dropped");
        assert!((mean - 1.0).abs() < 0.0085, "a mean of {mean}");
        assert!(
            first
                .iter()
                .all(|&v| v == 0.0 || (v - 1.0 / 0.9).abs() < 1e-6)
        );
        let (one, two) = (again.fork(), again.fork());
        assert_ne!(
            values(&one, count),
            values(&two, count),
            "one mask for two parts"
        );
        assert!(values(&Dropout::none(), count).iter().all(|&v| v == 1.0));
    }
}
