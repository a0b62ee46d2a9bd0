//! 95 % intervals by the percentile bootstrap over subjects (Efron and Tibshirani 1993): whole subjects are drawn with
//! replacement, with all their images, because images of one subject are not independent.

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::metrics::percentile;

/// How the bootstrap is run; the same options give the same intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// Resamples.
    pub replicates: usize,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            replicates: 2000,
            seed: 20_261_124,
        }
    }
}

/// A value with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value on all images.
    pub value: f64,
    /// Ends of the 95 % interval; `None` where fewer than two subjects leave nothing to resample.
    pub interval: Option<[f64; 2]>,
}

/// How often each subject counts, for every resample.
#[derive(Debug, Clone)]
pub struct Resamples {
    subjects: Vec<String>,
    draws: Vec<Vec<u32>>,
}

impl Resamples {
    /// Draws resamples of the distinct names among `subjects`. `stream` tells datasets apart.
    pub fn new<'a>(
        subjects: impl IntoIterator<Item = &'a str>,
        options: Bootstrap,
        stream: u64,
    ) -> Self {
        let subjects: std::collections::BTreeSet<&str> = subjects.into_iter().collect();
        let subjects: Vec<String> = subjects.into_iter().map(str::to_owned).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(stream);
        let mut draw = || {
            let mut counts = vec![0_u32; subjects.len()];
            for _ in 0..subjects.len() {
                if let Some(count) = counts.get_mut(rng.random_range(0..subjects.len())) {
                    *count += 1;
                }
            }
            counts
        };
        let draws = (0..options.replicates).map(|_| draw()).collect();
        Self { subjects, draws }
    }

    /// Position of every subject.
    pub fn places(&self) -> BTreeMap<&str, usize> {
        self.subjects
            .iter()
            .enumerate()
            .map(|(place, name)| (name.as_str(), place))
            .collect()
    }

    /// `statistic` of every resample, given how often each subject counts; `None` where it is undefined.
    pub fn replicate(&self, statistic: impl Fn(&[u32]) -> Option<f64>) -> Vec<Option<f64>> {
        self.draws.iter().map(|counts| statistic(counts)).collect()
    }

    /// The value of `statistic` on every subject once, with its interval; `None` where that is undefined. `subjects` are
    /// the places that matter to it: with fewer than two there is no interval.
    pub fn estimate(
        &self,
        subjects: usize,
        statistic: impl Fn(&[u32]) -> Option<f64>,
    ) -> Option<Estimate> {
        let value = statistic(&vec![1; self.subjects.len()])?;
        let interval = if subjects < 2 {
            None
        } else {
            interval(self.replicate(statistic))
        };
        Some(Estimate { value, interval })
    }
}

/// The 2.5th and 97.5th percentile of what is defined.
pub fn interval(replicates: impl IntoIterator<Item = Option<f64>>) -> Option<[f64; 2]> {
    let mut values: Vec<f64> = replicates.into_iter().flatten().collect();
    if values.len() < 2 {
        return None;
    }
    let low = percentile(&mut values, 0.025);
    Some([low, percentile(&mut values, 0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_every_draw_is_complete() {
        let options = Bootstrap {
            replicates: 50,
            seed: 3,
        };
        let names = ["b", "a", "b", "c"];
        let (one, two) = (
            Resamples::new(names, options, 1),
            Resamples::new(names, options, 1),
        );
        assert_eq!(one.draws, two.draws);
        assert_ne!(one.draws, Resamples::new(names, options, 2).draws);
        assert_eq!(one.places(), BTreeMap::from([("a", 0), ("b", 1), ("c", 2)]));
        assert!(
            one.draws
                .iter()
                .all(|counts| counts.iter().sum::<u32>() == 3)
        );
    }

    #[test]
    fn one_subject_has_no_interval() {
        let resamples = Resamples::new(["only"], Bootstrap::default(), 0);
        let estimate = resamples.estimate(1, |_| Some(0.5));
        assert_eq!(
            estimate,
            Some(Estimate {
                value: 0.5,
                interval: None
            })
        );
    }
}
