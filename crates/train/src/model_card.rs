//! The model card of an exported model: what it is, on what and how it was trained, how good it is at what, what it must not
//! be used for. Everything measurable in it comes from the run.

use std::fmt::Write as _;

use medsam3_eval::Report;

use crate::config::TrainConfig;
use crate::export::{Origin, is_foreign};
use medsam3_corpus::Dataset;

/// For weights made from permissive data alone.
pub const PERMISSIVE: &str = "CC-BY-4.0";
/// For weights made from share-alike data.
pub const SHARE_ALIKE: &str = "CC-BY-SA-4.0";
/// For weights that some data keeps from being passed on.
pub const RESEARCH_ONLY: &str = "research only, not to be passed on";

/// Licence of weights trained on `datasets`: share-alike where one of them is, none to pass on where one is for research alone.
pub fn licence(datasets: &[Dataset]) -> &'static str {
    let any = |tier: &str| datasets.iter().any(|set| set.licence.tier == tier);
    match (any("C"), any("B")) {
        (true, _) => RESEARCH_ONLY,
        (false, true) => SHARE_ALIKE,
        (false, false) => PERMISSIVE,
    }
}

/// What a card is written from.
pub struct Facts<'a> {
    /// The run's configuration.
    pub config: &'a TrainConfig,
    /// What it was trained on.
    pub datasets: &'a [Dataset],
    /// Test table.
    pub report: &'a Report,
    /// Where it comes from.
    pub(crate) origin: &'a Origin,
    /// Optimiser steps.
    pub steps: usize,
    /// Number of weights.
    pub values: usize,
}

/// The card in Markdown.
pub fn write(facts: &Facts) -> String {
    let Facts {
        config,
        datasets,
        report,
        origin,
        steps,
        values,
    } = *facts;
    let (vit, transformer, text) = (
        &config.model.vit,
        &config.model.transformer,
        &config.model.text,
    );
    let schedule = &config.schedule;
    let mut card = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        card,
        "# Model card: {}\n\n\
         **A demonstration, not a clinical model.** It shows that the whole chain works: SAM 3's architecture, trained on real images, in a\n\
         browser. It is small, was trained for a short time on few images, and is wrong often. Research and teaching only; not a medical device.\n\n\
         ## What it is\n\n\
         SAM 3 as Medical SAM3 uses it (text-prompted segmentation), at a small size: {:.1} M weights stored as f16 ({:.1} M of them the\n\
         table of token embeddings), image side {} pixels, trunk {} wide and {} deep in windows of {} with {} global blocks, {} channels\n\
         behind the neck, {} encoder and {} decoder layers, {} queries, text encoder {} wide and {} deep. It was {}.\n\
         The mask shown is that of the semantic head where the presence head finds the prompt.\n\n\
         Licence of the weights: {}, with the attributions below.\n\n",
        origin.name,
        values as f64 / 1e6,
        (text.vocabulary * text.width) as f64 / 1e6,
        config.model.image_side,
        vit.width,
        vit.depth,
        vit.window,
        vit.global_blocks.len(),
        transformer.width,
        transformer.encoder_layers,
        transformer.decoder_layers,
        transformer.queries,
        text.width,
        text.depth,
        origin.start,
        origin.licence,
    );
    let _ = write!(
        card,
        "## Recipe\n\n{}\n\n\
         `{}`: {steps} optimiser steps of {} images with {} prompts each; AdamW, peak learning rate {}, weight decay {},\n\
         gradients clipped at norm {}, average of the weights with decay {}; losses and matching as in SAM 3's training code\n\
         (semantic focal and dice, presence, box L1 and GIoU, IoU-aware classification, instance masks). Datasets are drawn by the square\n\
         root of their size times a factor, prompts are canonical or a synonym, {} % are absent from their image. Random crops,\n\
         rotations, grey levels, mirroring only where left and right mean nothing.\n\n",
        config.export.recipe,
        origin.file,
        config.data.images_per_step,
        config.data.prompts_per_image,
        schedule.learning_rate,
        schedule.weight_decay,
        schedule.clip_norm,
        schedule.ema,
        (config.data.negative_share * 100.0).round(),
    );
    card.push_str(
        "## Results on the test splits\n\n\
         Mean over images at their own size, by the mask that the page shows; one presence threshold and a mask threshold per prompt, chosen on the validation\n\
         splits. An image in which the prompt was not found counts 0. Some splits\n\
         are weak: a single volume or template, or under ten images.\n\n",
    );
    let own = Report {
        rows: report
            .rows
            .iter()
            .filter(|row| !is_foreign(&row.key.dataset))
            .cloned()
            .collect(),
    };
    card.push_str(&own.markdown());
    let foreign: Vec<_> = report
        .rows
        .iter()
        .filter(|row| is_foreign(&row.key.dataset))
        .collect();
    let asked: usize = foreign.iter().map(|row| row.absent).sum();
    let found: f64 = foreign
        .iter()
        .map(|row| row.false_positive_rate * row.absent as f64)
        .sum();
    if asked > 0 {
        let _ = write!(
            card,
            "\nPrompts that are clearly foreign to the image (a retina asked for a spleen): a mask was shown in {:.1} % of {asked} questions.\n",
            100.0 * found / asked as f64
        );
    }
    card.push_str(
        "\n## Limits\n\n\
         * Prompts outside the table are not understood; the text encoder has seen only these names and their synonyms.\n\
         * Rows with a low Dice are there to be read: small, rare and subtle structures are not found reliably.\n\
         * Trained mostly on single public collections; other scanners, projections, contrast and populations were not measured.\n\
         * \"Left\" and \"right\" are the patient's; the model has learnt the usual orientation and cannot tell a mirrored image.\n\
         * Masks come from a grid of two sevenths of the image side: thin structures such as vessels are coarse.\n\n\
         ## Data and attributions\n\n\
         Training used the training splits only. Images were reduced to 8 bit and at most 512 pixels; labels as published.\n\n\
         | dataset | licence | source |\n|---|---|---|\n",
    );
    for set in datasets {
        let field = |name: &str| {
            set.source
                .get(name)
                .and_then(|v| v.as_str())
                .unwrap_or("")
                .to_owned()
        };
        let _ = writeln!(
            card,
            "| {} ({}) | {} | {}; {} |",
            set.title,
            set.name,
            set.licence.name,
            field("citation"),
            field("original")
        );
    }
    card
}
