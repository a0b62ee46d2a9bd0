//! One-to-many matching of the second copy of the queries (reference 5.2): dense supervision where objects are few.
//!
//! A query is positive for an object where `S = alpha p + (1 - alpha) IoU` lies above both the threshold and the
//! `1 - k / Q` quantile of S over the Q queries. A query may serve several objects.

use crate::config::OneToMany;
use crate::losses::Match;

/// Matches the queries of one row with its objects, ordered by query, then object. `logits` one per query; boxes are cxcywh.
pub fn match_many(
    row: usize,
    logits: &[f32],
    predicted: &[[f32; 4]],
    objects: &[[f32; 4]],
    rule: &OneToMany,
) -> Vec<Match> {
    let alpha = f64::from(rule.alpha);
    let mut matches: Vec<Match> = objects
        .iter()
        .enumerate()
        .flat_map(|(object, &wanted)| {
            let ious: Vec<f64> = predicted.iter().map(|&found| iou(found, wanted)).collect();
            let scores: Vec<f64> = logits
                .iter()
                .zip(&ious)
                .map(|(&logit, iou)| {
                    alpha / (1.0 + (-f64::from(logit)).exp()) + (1.0 - alpha) * iou
                })
                .collect();
            let share = 1.0 - rule.per_object as f64 / scores.len().max(1) as f64;
            let least = quantile(&scores, share).max(f64::from(rule.threshold));
            let positive = scores.into_iter().zip(ious).enumerate();
            positive
                .filter(move |(_, (score, _))| *score > least)
                .map(move |(query, (_, iou))| Match {
                    row,
                    query,
                    object,
                    iou: iou as f32,
                })
                .collect::<Vec<_>>()
        })
        .collect();
    matches.sort_by_key(|found| (found.query, found.object));
    matches
}

/// With linear interpolation between order statistics; below every value where there are no more queries than may be positive.
fn quantile(values: &[f64], share: f64) -> f64 {
    if share <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::INFINITY);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}

fn iou(a: [f32; 4], b: [f32; 4]) -> f64 {
    let [a, b] = [a, b].map(|values| values.map(f64::from));
    let shared = |axis: usize| {
        let (a0, a1) = (a[axis] - a[axis + 2] / 2.0, a[axis] + a[axis + 2] / 2.0);
        let (b0, b1) = (b[axis] - b[axis + 2] / 2.0, b[axis] + b[axis + 2] / 2.0);
        (a1.min(b1) - a0.max(b0)).max(0.0)
    };
    let both = shared(0) * shared(1);
    let union = a[2] * a[3] + b[2] * b[3] - both;
    if union > 0.0 { both / union } else { 0.0 }
}
