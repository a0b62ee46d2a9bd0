//! Thresholds of presence and mask probability, chosen on validation data: one of presence for all prompts, because a prompt's
//! own images without it are too few to choose by, and one of the mask for each.

use crate::answer::{Answer, MASK_THRESHOLDS};
use crate::metrics::dice;

/// Presence probabilities that are tried.
const PRESENCE: [f32; 11] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/// What small sets do not tell from the best, of two shares together.
const SLACK: f64 = 0.02;
/// Fewer images than this choose no mask threshold.
const FEWEST: usize = 2;
/// Fewer images with and without their prompt than this choose no presence.
const FEWEST_OF_ALL: usize = 10;
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

/// The presence above which anything is shown, from the answers to all prompts on images of their own datasets: the lowest
/// with about the greatest sum of the share of Dice that is kept where a prompt is and the share of images that stay empty where it
/// is not. So that what is lost weighs by how good it was. Too few images choose one half.
pub fn choose_presence<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> f32 {
    let (present, absent): (Vec<&Answer>, Vec<&Answer>) =
        answers.into_iter().partition(|answer| answer.present);
    let worth = |answer: &Answer| dice(answer.overlaps[MIDDLE]);
    let whole: f64 = present.iter().map(|answer| worth(answer)).sum();
    if present.len().min(absent.len()) < FEWEST_OF_ALL || whole <= 0.0 {
        return Thresholds::DEFAULT.presence;
    }
    let value = |threshold: f32| {
        let kept = present.iter().filter(|answer| answer.presence > threshold);
        let empty = absent.iter().filter(|answer| answer.presence <= threshold);
        kept.map(|answer| worth(answer)).sum::<f64>() / whole
            + empty.count() as f64 / absent.len() as f64
    };
    let best = PRESENCE.map(value).into_iter().fold(0.0, f64::max);
    let lowest = PRESENCE
        .into_iter()
        .find(|&threshold| value(threshold) >= best - SLACK);
    lowest.unwrap_or(Thresholds::DEFAULT.presence)
}

/// The mask threshold of one prompt with the best mean Dice over images with it, of equals the one nearest one half; an index into
/// [`MASK_THRESHOLDS`]. Too few images choose one half.
pub fn choose_mask<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> usize {
    let present: Vec<&Answer> = answers
        .into_iter()
        .filter(|answer| answer.present)
        .collect();
    if present.len() < FEWEST {
        return MIDDLE;
    }
    let dice = |mask: usize| {
        present
            .iter()
            .map(|answer| dice(answer.overlaps[mask]))
            .sum::<f64>()
            / present.len() as f64
    };
    best(
        (0..MASK_THRESHOLDS.len())
            .map(|mask| (mask, dice(mask), (MASK_THRESHOLDS[mask] - 0.5).abs())),
    )
    .unwrap_or(MIDDLE)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Key;
    use medsam3_segmentation::Overlap;

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
    fn presence_is_the_lowest_that_tells_absent_from_present_and_loses_no_dice() {
        // Nine images of ten with a prompt are surer than every image without; the tenth has a useless mask.
        let mut answers: Vec<Answer> = (0..9).map(|_| answer(true, 0.85, MIDDLE)).collect();
        let mut useless = answer(true, 0.55, MIDDLE);
        useless.overlaps[MIDDLE].both = 0;
        answers.push(useless);
        answers.extend((0..10).map(|_| answer(false, 0.65, 0)));
        assert_eq!(choose_presence(&answers), 0.7);
        // With a good mask it is a tenth of what there is, which is worth less than ten images shown nothing.
        answers[9].overlaps[MIDDLE].both = 10;
        assert_eq!(choose_presence(&answers), 0.7);
        // And more than one image in twenty.
        for (at, answer) in answers
            .iter_mut()
            .filter(|answer| !answer.present)
            .enumerate()
        {
            answer.presence = if at == 0 { 0.65 } else { 0.25 };
        }
        answers.extend((0..10).map(|_| answer(false, 0.25, 0)));
        assert_eq!(choose_presence(&answers), 0.3);
    }

    #[test]
    fn too_few_images_choose_one_half() {
        let few = [answer(true, 0.1, 0), answer(false, 0.05, 0)];
        assert_eq!(choose_presence(&few), 0.5);
        assert_eq!(choose_mask(&few), MIDDLE);
    }

    #[test]
    fn a_mask_threshold_is_where_dice_is_best() {
        assert_eq!(choose_mask(&[0.9, 0.9].map(|p| answer(true, p, 6))), 6);
    }

    #[test]
    fn ties_stay_near_one_half() {
        let mut flat = [0.9, 0.9].map(|p| answer(true, p, 0));
        for one in &mut flat {
            one.overlaps.iter_mut().for_each(|overlap| overlap.both = 7);
        }
        assert_eq!(choose_mask(&flat), MIDDLE);
    }
}
