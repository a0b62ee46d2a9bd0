//! The libraries' types as the page reads them.

use medsam3_engine::weights::{Manifest, MaskRule as EngineRule};
use medsam3_engine::{
    EmbeddingUse, EngineError, Progress, PromptResult, Segmenter, Stage as EngineStage, Warning,
};
use medsam3_imaging::{ImagingError, Picture, PictureKind, Window};
use medsam3_segmentation::SegmentationError;

use crate::failure::warning;
use crate::protocol::{
    CacheInfo, Failure, InstanceAnswer, MaskRule, ModelInfo, PictureInfo, PixelKind, PromptAnswer,
    Stage, WindowLevel,
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

/// What the page needs to know of a picture to show it.
pub fn picture_info(picture: &Picture) -> PictureInfo {
    PictureInfo {
        width: picture.width() as u32,
        height: picture.height() as u32,
        frames: picture.frame_count() as u32,
        pixels: pixel_kind(picture),
        format: picture.format().to_owned(),
        modality: picture.modality().map(str::to_owned),
        spacing_mm: picture.pixel_spacing_mm(),
        window: picture.default_window().map(window_level),
        inverted: picture.inverted(),
        notes: picture
            .notes()
            .iter()
            .map(|&note| note.to_owned())
            .collect(),
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

/// Share of the whole request that is done, by what the stages cost in the small model; `prompt` of
/// `prompts` is being answered.
pub fn fraction(progress: &Progress, prompt: usize, prompts: usize) -> f32 {
    const IMAGE: f32 = 0.6;
    let done = progress.done as f32 / progress.total.max(1) as f32;
    let within = |from: f32, to: f32| {
        let answered = (prompt as f32 + from + (to - from) * done) / prompts.max(1) as f32;
        IMAGE + (1.0 - IMAGE) * answered
    };
    match progress.stage {
        // The text encoder, fetched for a prompt that is not in the vocabulary.
        EngineStage::VerifyingWeights | EngineStage::ReadingWeights if prompts > 0 => IMAGE,
        EngineStage::VerifyingWeights => 0.3 * done,
        EngineStage::ReadingWeights => 0.3 + 0.7 * done,
        EngineStage::EncodingImage => IMAGE * done,
        EngineStage::EncodingPrompt => within(0.0, 0.2),
        EngineStage::Grounding => within(0.2, 0.8),
        EngineStage::Masks => within(0.8, 1.0),
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
