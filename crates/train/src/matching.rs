//! One-to-one matching of queries and objects (reference 5.2), by the Hungarian method.
//!
//! Cost `2 C_cls + 5 L1 - 2 GIoU`, `C_cls = -α (1-p)^γ ln p + (1-α) p^γ ln(1-p)`, α 0.25, γ 2. The sign of the second term
//! is the reference's.

use crate::error::TrainError;
use crate::losses::{Match, iou, pair_giou};

/// Matches the queries of one row with its objects: the smaller of both counts gives the number of matches.
///
/// `logits` one per query; `predicted` and `objects` cxcywh in 0..1. Matches are ordered by query.
///
/// # Errors
/// [`TrainError::NotFinite`] for costs that are not, which means that the model has diverged.
pub fn match_row(
    row: usize,
    logits: &[f32],
    predicted: &[[f32; 4]],
    objects: &[[f32; 4]],
) -> Result<Vec<Match>, TrainError> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let costs: Vec<f64> = logits
        .iter()
        .zip(predicted)
        .flat_map(|(&logit, &a)| objects.iter().map(move |&b| cost(logit, a, b)))
        .collect();
    if !costs.iter().all(|cost| cost.is_finite()) {
        return Err(TrainError::NotFinite);
    }
    let (queries, columns) =
        lsap::solve(predicted.len(), objects.len(), &costs, false).map_err(|error| {
            TrainError::Other {
                context: "matching",
                reason: error.to_string(),
            }
        })?;
    let mut matches: Vec<Match> = queries
        .into_iter()
        .zip(columns)
        .map(|(query, object)| Match {
            row,
            query,
            object,
            iou: iou(predicted[query], objects[object]),
        })
        .collect();
    matches.sort_by_key(|found| found.query);
    Ok(matches)
}

fn cost(logit: f32, a: [f32; 4], b: [f32; 4]) -> f64 {
    let x = f64::from(logit);
    let p = 1.0 / (1.0 + (-x).exp());
    // ln p and ln(1 - p) without a logarithm of zero
    let (ln_p, ln_q) = (-(-x).exp().ln_1p(), -x.exp().ln_1p());
    let class = -0.25 * (1.0 - p).powi(2) * ln_p + 0.75 * p.powi(2) * ln_q;
    let l1: f64 = a
        .iter()
        .zip(b)
        .map(|(&a, b)| f64::from((a - b).abs()))
        .sum();
    2.0 * class + 5.0 * l1 - 2.0 * f64::from(pair_giou(a, b))
}
