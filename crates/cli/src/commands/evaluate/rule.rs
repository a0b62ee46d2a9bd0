//! Which mask of an answer is measured.

use clap::ValueEnum;
use medsam3_engine::{PromptOptions, PromptResult};
use medsam3_imaging::Mask;
use medsam3_weights::MaskRule;

/// The paper keeps the single best mask above this score.
const PAPER_THRESHOLD: f32 = 0.1;
/// Average precision looks at all detections; below this score they change nothing that can be seen in it.
const LEAST_SCORE: f32 = 0.05;

/// The user's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuleChoice {
    /// The single best instance above a score of 0.1: the paper's rule.
    Best,
    /// The union of the instances above the threshold.
    Union,
    /// The same, and each instance matched with one object.
    Instances,
    /// What the page shows, and each separate region of it matched with one object.
    Regions,
    /// The semantic head, where the presence is above the threshold.
    Semantic,
}

impl RuleChoice {
    /// What to ask the engine for.
    pub fn options(rule: Option<Self>, threshold: Option<f32>) -> PromptOptions {
        let (mask_rule, threshold) = match rule {
            None | Some(Self::Regions) => (None, threshold),
            Some(Self::Best) => (Some(MaskRule::Union), threshold.or(Some(PAPER_THRESHOLD))),
            Some(Self::Union) => (Some(MaskRule::Union), threshold),
            Some(Self::Instances) => (
                Some(MaskRule::Union),
                Some(LEAST_SCORE.min(threshold.unwrap_or(LEAST_SCORE))),
            ),
            Some(Self::Semantic) => (Some(MaskRule::Semantic), threshold),
        };
        PromptOptions {
            threshold,
            mask_rule,
            ..PromptOptions::default()
        }
    }

    /// The mask to measure, of an answer to [`RuleChoice::options`]. Instances count above `threshold`.
    pub fn mask(rule: Option<Self>, answer: &PromptResult, threshold: f32) -> Mask {
        let empty = || Mask::empty(answer.mask.width, answer.mask.height);
        match rule {
            Some(Self::Best) => answer
                .instances
                .first()
                .map_or_else(empty, |best| best.mask.clone()),
            Some(Self::Instances) => {
                let mut union = empty();
                for instance in answer
                    .instances
                    .iter()
                    .filter(|instance| instance.score > threshold)
                {
                    union.union_with(&instance.mask);
                }
                union
            }
            _ => answer.mask.clone(),
        }
    }

    /// Score and mask of what is matched with the objects drawn, `None` where the rule matches nothing.
    pub fn detections(rule: Option<Self>, answer: &PromptResult) -> Option<Vec<(f64, Mask)>> {
        match rule {
            Some(Self::Instances) => Some(
                answer
                    .instances
                    .iter()
                    .map(|found| (f64::from(found.score), found.mask.clone()))
                    .collect(),
            ),
            Some(Self::Regions) => {
                // A mask is shown whole or not at all.
                let regions = answer.mask.split_regions().into_iter();
                Some(regions.map(|region| (1.0, region)).collect())
            }
            _ => None,
        }
    }

    /// The rule as the report states it.
    pub fn sentence(rule: Option<Self>, threshold: Option<f32>) -> String {
        let above = threshold.map_or_else(
            || "the model's own threshold".to_owned(),
            |threshold| format!("{threshold}"),
        );
        match rule {
            None => {
                "Measured is the mask that the page shows: the model's own rule and thresholds."
                    .to_owned()
            }
            Some(Self::Best) => format!(
                "Measured is the single best instance above a score of {} (the paper's rule; masks lie on the pixels of their image, so that \
                 the paper's nearest resize to the ground truth changes nothing).",
                threshold.unwrap_or(PAPER_THRESHOLD)
            ),
            Some(Self::Union) => {
                format!("Measured is the union of the instances with a score above {above}.")
            }
            Some(Self::Instances) => format!(
                "Measured is the union of the instances with a score above {above}; F1 counts those instances, average precision all above {LEAST_SCORE}. \
                 Objects are the corpus' instances, else the connected components of the mask."
            ),
            Some(Self::Regions) => format!(
                "Measured is the mask that the page shows, above {above}; F1 counts its separate regions (8-connected) as instances. They have no \
                 scores of their own, so that average precision says little. Objects are the corpus' instances, else the \
                 connected components of the mask."
            ),
            Some(Self::Semantic) => format!(
                "Measured is the mask of the semantic head, where the presence is above {above}."
            ),
        }
    }
}
