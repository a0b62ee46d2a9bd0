//! Thresholds of presence and mask probability, chosen per prompt on validation data.

use crate::answer::{Answer, MASK_THRESHOLDS};
use crate::metrics::dice;

/// Presence probabilities that are tried.
const PRESENCE: [f32; 11] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/// Fewer images than this choose nothing.
const FEWEST: usize = 3;
/// Where the middle of both ranges lies.
const MIDDLE: usize = MASK_THRESHOLDS.len() / 2;

/// The thresholds of one prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// A prompt is shown above this presence.
    pub presence: f32,
    /// Index into [`MASK_THRESHOLDS`].
    pub mask: usize,
}

impl Thresholds {
    /// One half for both.
    pub const DEFAULT: Self = Self {
        presence: 0.5,
        mask: MIDDLE,
    };
}

/// The pair that maximises the mean over images of Dice where the prompt is present and of staying silent where it is
/// absent. Present and absent images weigh the same in sum. Ties go to the values nearest one half; with too few images
/// nothing is chosen.
pub fn choose<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Thresholds {
    let answers: Vec<&Answer> = answers.into_iter().collect();
    if answers.iter().filter(|answer| answer.present).count() < FEWEST {
        return Thresholds::DEFAULT;
    }
    let mut best = (f64::MIN, f32::MAX, Thresholds::DEFAULT);
    for presence in PRESENCE {
        for mask in 0..MASK_THRESHOLDS.len() {
            let value = value(&answers, presence, mask);
            let away = (presence - 0.5).abs() + (MASK_THRESHOLDS[mask] - 0.5).abs();
            if value > best.0 + 1e-9 || (value > best.0 - 1e-9 && away < best.1) {
                best = (value.max(best.0), away, Thresholds { presence, mask });
            }
        }
    }
    best.2
}

fn value(answers: &[&Answer], presence: f32, mask: usize) -> f64 {
    let mean = |present: bool| {
        let of: Vec<f64> = answers
            .iter()
            .filter(|answer| answer.present == present)
            .map(|answer| dice(answer.shown(presence, mask)))
            .collect();
        (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
    };
    match (mean(true), mean(false)) {
        (Some(here), Some(absent)) => 0.5 * (here + absent),
        (here, absent) => here.or(absent).unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Key, Overlap};

    fn answer(present: bool, presence: f32, best: usize) -> Answer {
        let mut overlaps = [Overlap {
            found: 10,
            truth: if present { 10 } else { 0 },
            both: 0,
        }; MASK_THRESHOLDS.len()];
        if present {
            for (at, overlap) in overlaps.iter_mut().enumerate() {
                overlap.both = 10 - at.abs_diff(best);
            }
        }
        Answer {
            key: Key {
                dataset: "d".into(),
                prompt: "p".into(),
            },
            presence,
            present,
            overlaps,
        }
    }

    #[test]
    fn thresholds_separate_present_from_absent_at_the_best_mask() {
        let answers: Vec<Answer> = [0.35, 0.4, 0.9]
            .map(|p| answer(true, p, 6))
            .into_iter()
            .chain([0.1, 0.25].map(|p| answer(false, p, 0)))
            .collect();
        assert_eq!(
            choose(&answers),
            Thresholds {
                presence: 0.3,
                mask: 6
            }
        );
    }

    #[test]
    fn two_images_choose_nothing() {
        let answers = [answer(true, 0.1, 0), answer(true, 0.1, 0)];
        assert_eq!(choose(&answers), Thresholds::DEFAULT);
    }

    #[test]
    fn ties_stay_near_one_half() {
        let answers = [0.9, 0.9, 0.9].map(|p| answer(true, p, 4));
        assert_eq!(choose(&answers), Thresholds::DEFAULT);
    }
}
