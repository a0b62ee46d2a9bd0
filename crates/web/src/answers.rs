//! The libraries' types as the page reads them.

use medsam3_engine::weights::{Manifest, MaskRule as EngineRule};
use medsam3_engine::{
    EmbeddingUse, EngineError, Progress, PromptResult, Segmenter, Stage as EngineStage, Warning,
};
use medsam3_imaging::{ImagingError, Picture, PictureKind, Window};
use medsam3_segmentation::SegmentationError;

use crate::failure::warning;
use crate::protocol::{
    CacheInfo, Failure, InstanceAnswer, MaskRule, ModelInfo, PixelKind, PromptAnswer, Stage,
    WindowLevel,
};

/// An imaging error as the page gets it.
pub fn imaging_failure(error: &ImagingError) -> Failure {
    Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        next_step: error.next_step().to_owned(),
    }
}

/// An engine error as the page gets it.
pub fn engine_failure(error: &EngineError) -> Failure {
    Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        next_step: error.next_step().to_owned(),
    }
}

/// A segmentation error as the page gets it.
pub fn segmentation_failure(error: &SegmentationError) -> Failure {
    Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        next_step: error.next_step().to_owned(),
    }
}

/// One value per pixel, or three.
pub fn pixel_kind(picture: &Picture) -> PixelKind {
    match picture.kind() {
        PictureKind::Gray => PixelKind::Gray,
        PictureKind::Rgb => PixelKind::Rgb,
    }
}

/// A window as the page has it.
pub fn window_level(window: Window) -> WindowLevel {
    WindowLevel {
        center: window.center,
        width: window.width,
    }
}

/// What the page says about the model.
pub fn model_info(segmenter: &Segmenter) -> ModelInfo {
    let manifest: &Manifest = segmenter.manifest();
    ModelInfo {
        name: manifest.name.clone(),
        precision: manifest.precision.name().to_owned(),
        held_as: segmenter.held_as().name().to_owned(),
        licence: manifest.licence.clone(),
        image_side: segmenter.config().image_side as u32,
        prompts: known_prompts(segmenter),
    }
}

/// The prompts with thresholds of their own first, then those of the vocabulary pack, each once.
fn known_prompts(segmenter: &Segmenter) -> Vec<String> {
    let trained = segmenter.manifest().prompts.iter();
    let trained = trained.map(|entry| &entry.canonical);
    let mut seen = std::collections::BTreeSet::new();
    trained
        .chain(segmenter.vocabulary())
        .filter(|prompt| seen.insert(prompt.to_lowercase()))
        .cloned()
        .collect()
}

/// What the page shows of the embeddings kept.
pub fn cache_info(used: EmbeddingUse) -> CacheInfo {
    CacheInfo {
        budget_mib: (used.budget_bytes >> 20) as u32,
        used_mib: used.used_bytes as f64 / f64::from(1 << 20),
        slices: used.slices as u32,
    }
}

/// The engine's stage as the page names it.
pub fn stage(stage: EngineStage) -> Stage {
    match stage {
        EngineStage::VerifyingWeights => Stage::Verify,
        EngineStage::ReadingWeights => Stage::Weights,
        EngineStage::EncodingImage => Stage::Image,
        EngineStage::EncodingPrompt | EngineStage::Grounding | EngineStage::Masks => Stage::Prompt,
    }
}

/// Share of the loading of a model that is done, by what its two stages cost in the small one.
pub fn loaded_share(progress: &Progress) -> f32 {
    let done = progress.done as f32 / progress.total.max(1) as f32;
    match progress.stage {
        EngineStage::VerifyingWeights => 0.3 * done,
        _ => 0.3 + 0.7 * done,
    }
}

/// The rule that the page asks for; none is the model's own.
pub fn rule(rule: MaskRule) -> Option<EngineRule> {
    match rule {
        MaskRule::Model => None,
        MaskRule::Union => Some(EngineRule::Union),
        MaskRule::Semantic => Some(EngineRule::Semantic),
    }
}

/// A prompt's result without its mask, which travels as a buffer.
pub fn prompt_answer(
    index: usize,
    result: &PromptResult,
    spacing_mm: Option<[f64; 2]>,
) -> PromptAnswer {
    let area_px = result.mask.area_px();
    let said = |is: fn(&Warning) -> bool| result.warnings().into_iter().find(is).map(warning);
    let instances = result.instances.iter().map(|instance| InstanceAnswer {
        score: instance.score,
        box_px: instance.box_px,
        area_px: instance.mask.area_px() as u32,
    });
    PromptAnswer {
        index: index as u32,
        prompt: result.prompt.clone(),
        cut: said(|warning| matches!(warning, Warning::Truncated { .. })),
        unknown: said(|warning| matches!(warning, Warning::UnknownWords)),
        presence: result.presence,
        instances: instances.collect(),
        best_score: result.best_score,
        area_px: area_px as u32,
        area_mm2: spacing_mm.map(|spacing| result.mask.area_mm2(spacing)),
        regions: result.mask.regions() as u32,
    }
}
