//! Whether a probability means what it says: reliability bins of equal width, expected calibration error (Guo et al. 2017,
//! for the probability of an event) and Brier score.

use serde::Serialize;

/// Predictions of similar probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Lower edge, inclusive.
    pub low: f64,
    /// Upper edge, exclusive but for the last.
    pub high: f64,
    /// Predictions in it.
    pub count: usize,
    /// Their mean probability.
    pub probability: f64,
    /// Share of them that came true.
    pub frequency: f64,
}

/// Calibration of a set of predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Number of predictions.
    pub count: usize,
    /// Expected calibration error: the mean distance of frequency and probability, weighted by bin size.
    pub ece: f64,
    /// Mean squared distance of probability and outcome.
    pub brier: f64,
    /// Bins that hold predictions.
    pub bins: Vec<Bin>,
}

/// Calibration of `predictions` (probability in 0..1, whether it came true) in `bins` bins; `None` without predictions.
pub fn calibration(predictions: &[(f64, bool)], bins: usize) -> Option<Calibration> {
    if predictions.is_empty() || bins == 0 {
        return None;
    }
    let mut sums = vec![(0_usize, 0.0, 0.0); bins];
    let mut squares = 0.0;
    for &(probability, is) in predictions {
        let outcome = f64::from(u8::from(is));
        let bin = ((probability * bins as f64) as usize).min(bins - 1);
        let (count, probabilities, outcomes) = &mut sums[bin];
        *count += 1;
        *probabilities += probability;
        *outcomes += outcome;
        squares += (probability - outcome).powi(2);
    }
    let total = predictions.len() as f64;
    let width = 1.0 / bins as f64;
    let bins: Vec<Bin> = sums
        .into_iter()
        .enumerate()
        .filter(|(_, (count, _, _))| *count > 0)
        .map(|(at, (count, probabilities, outcomes))| Bin {
            low: at as f64 * width,
            high: (at + 1) as f64 * width,
            count,
            probability: probabilities / count as f64,
            frequency: outcomes / count as f64,
        })
        .collect();
    let ece = bins
        .iter()
        .map(|bin| bin.count as f64 * (bin.probability - bin.frequency).abs())
        .sum::<f64>()
        / total;
    Some(Calibration {
        count: predictions.len(),
        ece,
        brier: squares / total,
        bins,
    })
}
