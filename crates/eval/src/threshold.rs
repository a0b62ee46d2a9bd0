//! Thresholds of presence and mask probability, chosen per prompt on validation data.

use crate::answer::{Answer, MASK_THRESHOLDS};
use crate::metrics::dice;

/// Presence probabilities that are tried.
const PRESENCE: [f32; 11] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/// A share of rightly judged images that small sets do not tell from the best.
const SLACK: f64 = 0.05;
/// Fewer images than this choose nothing.
const FEWEST: usize = 2;
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

/// The lowest presence threshold that tells images with the prompt from images without about as well as the best does (mean of
/// both shares judged rightly), and the mask threshold with the best mean Dice over images with it, of equals the one nearest
/// one half. With too few images nothing is chosen.
pub fn choose<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Thresholds {
    let (present, absent): (Vec<&Answer>, Vec<&Answer>) =
        answers.into_iter().partition(|answer| answer.present);
    let mut chosen = Thresholds::DEFAULT;
    if present.len() < FEWEST {
        return chosen;
    }
    if absent.len() >= FEWEST {
        let rightly = |threshold: f32| {
            share(&present, |answer| answer.presence > threshold)
                + share(&absent, |answer| answer.presence <= threshold)
        };
        let best = PRESENCE.map(rightly).into_iter().fold(0.0, f64::max);
        // Validation sets are small: of what is about as good, the one that finds more.
        let lowest = PRESENCE
            .into_iter()
            .find(|&threshold| rightly(threshold) >= best - 2.0 * SLACK);
        chosen.presence = lowest.unwrap_or(chosen.presence);
    }
    let dice = |mask: usize| {
        present
            .iter()
            .map(|answer| dice(answer.overlaps[mask]))
            .sum::<f64>()
            / present.len() as f64
    };
    chosen.mask = best(
        (0..MASK_THRESHOLDS.len())
            .map(|mask| (mask, dice(mask), (MASK_THRESHOLDS[mask] - 0.5).abs())),
    )
    .unwrap_or(chosen.mask);
    chosen
}

/// The candidate with the greatest value; among equals the one least far away.
fn best<T>(candidates: impl Iterator<Item = (T, f64, f32)>) -> Option<T> {
    candidates
        .max_by(|a, b| {
            let equal = (a.1 - b.1).abs() < 1e-9;
            if equal {
                b.2.total_cmp(&a.2)
            } else {
                a.1.total_cmp(&b.1)
            }
        })
        .map(|(candidate, _, _)| candidate)
}

fn share(answers: &[&Answer], is: impl Fn(&Answer) -> bool) -> f64 {
    answers.iter().filter(|answer| is(answer)).count() as f64 / answers.len().max(1) as f64
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
    fn one_image_chooses_nothing() {
        let answers = [answer(true, 0.1, 0), answer(false, 0.05, 0)];
        assert_eq!(choose(&answers), Thresholds::DEFAULT);
    }

    #[test]
    fn ties_stay_near_one_half() {
        let answers = [0.9, 0.9, 0.9].map(|p| answer(true, p, 4));
        assert_eq!(choose(&answers), Thresholds::DEFAULT);
    }
}
