//! Instances found against instances drawn: one-to-one F1 at IoU 0.5 and average precision as COCO defines it
//! (Lin et al. 2014: greedy by score, 101 recall points, IoU 0.50 to 0.95).

use medsam3_imaging::{Mask, ObjectMap};
use serde::Serialize;

/// IoU from which a detection counts, for average precision; the first is that of F1.
pub const IOU_THRESHOLDS: [f64; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
/// Recall points of average precision.
const RECALL_POINTS: u32 = 101;

/// A detection and whether it hits a drawn object of its own at each of [`IOU_THRESHOLDS`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detection {
    /// Its score.
    pub score: f64,
    /// In the order of the thresholds.
    pub hits: [bool; IOU_THRESHOLDS.len()],
}

/// The instances of one image, compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InstanceMatch {
    /// Objects drawn.
    pub drawn: usize,
    /// Detections kept.
    pub kept: usize,
    /// Pairs of a kept detection and an object with IoU of at least 0.5, one to one, as many as possible.
    pub matched: usize,
    /// All detections, best first.
    pub detections: Vec<Detection>,
}

/// Compares detections with the objects drawn. All of them count for average precision, those with a score above
/// `threshold` for F1. `None` where a mask is on another grid.
pub fn match_instances(
    detections: &[(f64, &Mask)],
    drawn: &ObjectMap,
    threshold: f64,
) -> Option<InstanceMatch> {
    let mut order: Vec<&(f64, &Mask)> = detections.iter().collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let sizes = object_sizes(drawn);
    let ious: Vec<Vec<f64>> = order
        .iter()
        .map(|(_, mask)| row_of_ious(mask, drawn, &sizes))
        .collect::<Option<_>>()?;
    let kept = order.iter().filter(|(score, _)| *score > threshold).count();
    let mut found: Vec<Detection> = order
        .iter()
        .map(|(score, _)| Detection {
            score: *score,
            hits: [false; IOU_THRESHOLDS.len()],
        })
        .collect();
    for (at, &least) in IOU_THRESHOLDS.iter().enumerate() {
        for (detection, hit) in found.iter_mut().zip(greedy(&ious, sizes.len(), least)) {
            detection.hits[at] = hit;
        }
    }
    Some(InstanceMatch {
        drawn: sizes.len(),
        kept,
        matched: most_pairs(ious.get(..kept).unwrap_or(&ious), sizes.len()),
        detections: found,
    })
}

/// Ids that occur, in increasing order, with their number of pixels.
fn object_sizes(drawn: &ObjectMap) -> Vec<(u16, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for &id in drawn.ids.iter().filter(|&&id| id != 0) {
        *counts.entry(id).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

fn row_of_ious(mask: &Mask, drawn: &ObjectMap, sizes: &[(u16, usize)]) -> Option<Vec<f64>> {
    if (mask.width, mask.height) != (drawn.width, drawn.height) {
        return None;
    }
    let mut shared = std::collections::HashMap::new();
    let mut area = 0_usize;
    for (&bit, &id) in mask.bits.iter().zip(&drawn.ids) {
        if bit != 0 {
            area += 1;
            if id != 0 {
                *shared.entry(id).or_insert(0_usize) += 1;
            }
        }
    }
    let iou = |&(id, size): &(u16, usize)| {
        let both = shared.get(&id).copied().unwrap_or(0);
        both as f64 / (area + size - both).max(1) as f64
    };
    Some(sizes.iter().map(iou).collect())
}

/// Which detections, best first, hit an object that no better one took.
fn greedy(ious: &[Vec<f64>], objects: usize, least: f64) -> Vec<bool> {
    let mut taken = vec![false; objects];
    ious.iter()
        .map(|row| {
            let free = row
                .iter()
                .enumerate()
                .filter(|&(object, &iou)| !taken[object] && iou >= least);
            let best = free
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map(|(object, _)| object);
            best.inspect(|&object| taken[object] = true).is_some()
        })
        .collect()
}

/// The largest number of one-to-one pairs with an IoU of at least 0.5. An IoU above one half leaves no second partner among
/// objects that do not overlap, but detections may overlap each other.
fn most_pairs(ious: &[Vec<f64>], objects: usize) -> usize {
    let counts = |iou: f64| iou >= IOU_THRESHOLDS[0];
    let worth: Vec<f64> = ious
        .iter()
        .flatten()
        .map(|&iou| f64::from(u8::from(counts(iou))))
        .collect();
    if !worth.contains(&1.0) {
        return 0;
    }
    // Finite worths of the right number cannot fail.
    let Ok((rows, columns)) = lsap::solve(ious.len(), objects, &worth, true) else {
        return 0;
    };
    rows.into_iter()
        .zip(columns)
        .filter(|&(row, column)| counts(ious[row][column]))
        .count()
}

/// F1 of pooled counts, `2 TP / (kept + drawn)`; `None` where nothing was drawn and nothing kept. `weights` says how often
/// each image counts.
pub fn f1(images: &[(&InstanceMatch, u32)]) -> Option<f64> {
    let sum = |count: fn(&InstanceMatch) -> usize| {
        images
            .iter()
            .map(|(image, weight)| count(image) as f64 * f64::from(*weight))
            .sum::<f64>()
    };
    let all = sum(|image| image.kept + image.drawn);
    (all > 0.0).then(|| 2.0 * sum(|image| image.matched) / all)
}

/// Average precision at the IoU with index `at` of [`IOU_THRESHOLDS`] over images, each with how often it counts. `None`
/// where nothing was drawn.
pub fn average_precision(images: &[(&InstanceMatch, u32)], at: usize) -> Option<f64> {
    let drawn: f64 = images
        .iter()
        .map(|(image, weight)| image.drawn as f64 * f64::from(*weight))
        .sum();
    if drawn == 0.0 || at >= IOU_THRESHOLDS.len() {
        return None;
    }
    let mut all: Vec<(f64, bool, f64)> = images
        .iter()
        .filter(|(_, weight)| *weight > 0)
        .flat_map(|(image, weight)| {
            image
                .detections
                .iter()
                .map(move |found| (found.score, found.hits[at], f64::from(*weight)))
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut count) = (0.0, 0.0);
    // Recall and precision after each detection.
    let mut curve: Vec<(f64, f64)> = all
        .into_iter()
        .map(|(_, hit, weight)| {
            hits += if hit { weight } else { 0.0 };
            count += weight;
            (hits / drawn, hits / count)
        })
        .collect();
    let mut best_so_far: f64 = 0.0;
    for (_, precision) in curve.iter_mut().rev() {
        best_so_far = best_so_far.max(*precision);
        *precision = best_so_far;
    }
    let at_recall = |point: u32| {
        let recall = f64::from(point) / f64::from(RECALL_POINTS - 1);
        let index = curve.partition_point(|&(reached, _)| reached < recall);
        curve.get(index).map_or(0.0, |&(_, precision)| precision)
    };
    Some((0..RECALL_POINTS).map(at_recall).sum::<f64>() / f64::from(RECALL_POINTS))
}
