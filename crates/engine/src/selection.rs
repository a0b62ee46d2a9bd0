//! Which queries become instances, by Meta's rule: score = sigmoid(logit) * sigmoid(presence), kept above a threshold
//! (strictly); no suppression of overlaps (reference 1.10).

use medsam3_weights::{Manifest, MaskRule};

/// Meta's threshold, where neither the user nor the model's manifest has one.
pub const DEFAULT_THRESHOLD: f32 = 0.5;
/// A pixel belongs to a mask above this probability, where neither the user nor the manifest says otherwise.
pub const DEFAULT_MASK_THRESHOLD: f32 = 0.5;

/// How a prompt is decided.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Thresholds {
    /// Instances are kept above this score; the semantic mask is shown above this presence.
    pub score: f32,
    /// A pixel belongs to a mask above this probability.
    pub mask: f32,
    /// Union of instances, or semantic head.
    pub rule: MaskRule,
}

impl Thresholds {
    /// What the manifest has for a prompt, else the model's and Meta's defaults.
    #[must_use]
    pub fn of(manifest: &Manifest, prompt: &str) -> Self {
        let entry = manifest.prompt(prompt);
        let mask = entry.and_then(|entry| entry.mask_threshold);
        let rule = entry.and_then(|entry| entry.mask_rule);
        Self {
            score: entry.map_or(DEFAULT_THRESHOLD, |entry| entry.threshold),
            mask: mask.unwrap_or(DEFAULT_MASK_THRESHOLD),
            rule: rule.unwrap_or(manifest.mask_rule),
        }
    }
}

/// The logistic function.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// A query that was kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Kept {
    /// Index of the query.
    pub(crate) query: usize,
    /// sigmoid(logit) * presence.
    pub(crate) score: f32,
}

/// Queries with a score above the threshold, best first; equal scores in the order of the queries.
pub(crate) fn keep(logits: &[f32], presence: f32, threshold: f32) -> Vec<Kept> {
    let scored = logits.iter().enumerate().map(|(query, &logit)| Kept {
        query,
        score: sigmoid(logit) * presence,
    });
    let mut kept: Vec<Kept> = scored.filter(|kept| kept.score > threshold).collect();
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept
}

/// Corners left, top, right, bottom in pixels, inside the image, of a box given as centre and size in 0..1.
pub(crate) fn corners_px(cxcywh: [f32; 4], width: usize, height: usize) -> [f32; 4] {
    let [cx, cy, w, h] = cxcywh;
    let (width, height) = (width as f32, height as f32);
    [
        ((cx - w / 2.0) * width).clamp(0.0, width),
        ((cy - h / 2.0) * height).clamp(0.0, height),
        ((cx + w / 2.0) * width).clamp(0.0, width),
        ((cy + h / 2.0) * height).clamp(0.0, height),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joint_score_decides_strictly() {
        // sigmoid(0) is 0.5 and sigmoid(ln 3) is 0.75, exactly enough.
        let logits = [0.0, 3.0_f32.ln(), -5.0, 3.0_f32.ln()];
        let kept = keep(&logits, 1.0, 0.5);
        assert_eq!(kept.iter().map(|k| k.query).collect::<Vec<_>>(), [1, 3]);
        assert!((kept[0].score - 0.75).abs() < 1e-6);
        let kept = keep(&logits, 0.8, 0.5);
        assert!((kept[0].score - 0.6).abs() < 1e-6, "presence multiplies");
        assert!(keep(&logits, 0.5, 0.5).is_empty());
        assert_eq!(keep(&logits, 0.9, 0.4).len(), 3);
    }

    #[test]
    fn boxes_become_corners_inside_the_image() {
        assert_eq!(
            corners_px([0.5, 0.5, 0.5, 1.0], 200, 100),
            [50.0, 0.0, 150.0, 100.0]
        );
        assert_eq!(
            corners_px([0.0, 1.0, 0.5, 0.5], 200, 100),
            [0.0, 75.0, 50.0, 100.0]
        );
    }

    #[test]
    fn the_manifest_decides_per_prompt() {
        let manifest = serde_json::json!({
            "format_version": 1, "name": "m", "config": null, "precision": "f32", "licence": "",
            "provenance": {"source": "", "commit": "", "date": "", "recipe": ""}, "mask_rule": "semantic",
            "prompts": [
                {"canonical": "lungs", "synonyms": ["Lung Fields"], "threshold": 0.3, "mask_threshold": 0.4},
                {"canonical": "polyp", "threshold": 0.2, "mask_rule": "union"}],
            "files": []});
        let manifest = Manifest::parse(manifest.to_string().as_bytes()).unwrap();
        let of = |prompt| Thresholds::of(&manifest, prompt);
        let semantic = |score, mask| Thresholds {
            score,
            mask,
            rule: MaskRule::Semantic,
        };
        assert_eq!(of("lung fields"), semantic(0.3, 0.4));
        assert_eq!(
            of("Polyp"),
            Thresholds {
                score: 0.2,
                mask: 0.5,
                rule: MaskRule::Union
            }
        );
        assert_eq!(of("heart"), semantic(0.5, 0.5));
    }
}
