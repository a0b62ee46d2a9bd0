//! One wording beside others: the same images and the same truth, asked in other words (the paper's open question 3).
//! Differences are paired by image and resampled by subject.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::bootstrap::{Bootstrap, Estimate, Resamples};
use crate::case::Case;
use crate::metrics::{dice, overlap};

/// How a wording does beside the prompts that it stands for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Images that have what the wording means.
    pub images: usize,
    /// Their subjects.
    pub subjects: usize,
    /// Mean Dice of the wording.
    pub dice: Estimate,
    /// Mean Dice, against the same truth, of the masks of the other prompts, united.
    pub dice_beside: Estimate,
    /// Mean of the difference within an image, the wording's less the others'.
    pub difference: Estimate,
}

/// Compares the answers to `text` with those to the prompts `beside`, both in `cases`; `None` without an image that
/// has it and was asked all of them.
pub fn compare(
    cases: &[Case],
    dataset: &str,
    text: &str,
    beside: &[String],
    bootstrap: Bootstrap,
) -> Option<Comparison> {
    let of_dataset = cases.iter().filter(|case| case.question.dataset == dataset);
    let mut answers: BTreeMap<(&str, &str), &Case> = BTreeMap::new();
    for case in of_dataset {
        answers.insert((&case.question.item, &case.question.prompt), case);
    }
    let pairs: Vec<(&str, [f64; 2])> = answers
        .iter()
        .filter(|((_, prompt), case)| *prompt == text && case.present())
        .filter_map(|((item, _), case)| {
            let mut united = answers.get(&(item, beside.first()?))?.found.mask();
            for prompt in beside.get(1..)? {
                united.union_with(&answers.get(&(item, prompt))?.found.mask());
            }
            let others = dice(overlap(&united, &case.truth.mask())?);
            Some((case.question.subject.as_str(), [case.dice, others]))
        })
        .collect();
    let resamples = Resamples::new(pairs.iter().map(|(subject, _)| *subject), bootstrap, 0);
    let places = resamples.places();
    let subjects = pairs
        .iter()
        .map(|(subject, _)| subject)
        .collect::<BTreeSet<_>>()
        .len();
    let mean = |value: fn(&[f64; 2]) -> f64| {
        resamples.estimate(subjects, |counts| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (subject, pair) in &pairs {
                let weight = places.get(subject).and_then(|&place| counts.get(place));
                let weight = f64::from(weight.copied().unwrap_or(0));
                sum += weight * value(pair);
                total += weight;
            }
            (total > 0.0).then(|| sum / total)
        })
    };
    Some(Comparison {
        images: pairs.len(),
        subjects,
        dice: mean(|[own, _]| *own)?,
        dice_beside: mean(|[_, others]| *others)?,
        difference: mean(|[own, others]| own - others)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Confidence, Question};
    use medsam3_imaging::Mask;

    fn case(item: &str, subject: &str, prompt: &str, found: [u8; 4], truth: [u8; 4]) -> Case {
        let mask = |bits: [u8; 4]| Mask {
            width: 4,
            height: 1,
            bits: bits.to_vec(),
        };
        let question = Question {
            dataset: "d".into(),
            prompt: prompt.into(),
            item: item.into(),
            subject: subject.into(),
        };
        let confidence = Confidence {
            presence: 1.0,
            score: 1.0,
        };
        Case::measure(question, confidence, &mask(found), &mask(truth), None, 1.0)
            .expect("one grid")
    }

    #[test]
    fn a_composition_stands_beside_the_union_of_its_parts() {
        let whole = [1, 1, 1, 0];
        let cases = [
            case("1", "a", "both", [1, 1, 0, 0], whole),
            case("1", "a", "left", [1, 0, 0, 0], [1, 0, 0, 0]),
            case("1", "a", "right", [0, 1, 1, 0], [0, 1, 1, 0]),
            case("2", "b", "both", whole, whole),
            case("2", "b", "left", [0; 4], [1, 0, 0, 0]),
            case("2", "b", "right", [0; 4], [0, 1, 1, 0]),
            case("3", "b", "both", [1, 0, 0, 0], [0; 4]),
        ];
        let parts = ["left".to_owned(), "right".to_owned()];
        let found = compare(&cases, "d", "both", &parts, Bootstrap::default()).expect("two images");
        assert_eq!((found.images, found.subjects), (2, 2));
        // 0.8 and 1 for the words, 1 and 0 for the parts.
        assert!((found.dice.value - 0.9).abs() < 1e-12);
        assert!((found.dice_beside.value - 0.5).abs() < 1e-12);
        assert!((found.difference.value - 0.4).abs() < 1e-12);
        let ends = found.difference.interval.expect("two subjects");
        assert!(
            (ends[0] + 0.2).abs() < 1e-12 && (ends[1] - 1.0).abs() < 1e-12,
            "{ends:?}"
        );
    }

    #[test]
    fn what_was_not_asked_compares_with_nothing() {
        let cases = [case("1", "a", "both", [1, 1, 0, 0], [1; 4])];
        let parts = ["left".to_owned()];
        assert_eq!(
            compare(&cases, "d", "both", &parts, Bootstrap::default()),
            None
        );
        assert_eq!(
            compare(&cases, "d", "both", &[], Bootstrap::default()),
            None
        );
    }
}
