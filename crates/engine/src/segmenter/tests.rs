//! The engine on a model with random weights, small enough for a test: what is computed how often, what a cancel
//! leaves behind, and that a folder comes to the device as it was written. Accuracy is the parity test's business.

use medsam3_imaging::Rgb8;
use medsam3_weights::DirectorySource;
use pollster::block_on;

use super::*;
use crate::fixture::{Fixture, picture, tiny, write_model};
use crate::{EmbeddingCache, View};

#[test]
fn the_image_is_encoded_once_and_each_text_once() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let loading = fixture.stages();
    assert_eq!(loading, [Stage::VerifyingWeights, Stage::ReadingWeights]);

    let image = fixture.encode(&segmenter, &picture(90, 60)).unwrap();
    assert_eq!(fixture.stages(), [Stage::EncodingImage]);
    assert!(
        !segmenter.text_encoder_is_loaded(),
        "no prompt needed it yet"
    );
    let first = fixture.prompt(&segmenter, &image, "left lung").unwrap();
    assert!(segmenter.text_encoder_is_loaded());
    assert_eq!(
        fixture.stages(),
        [
            Stage::VerifyingWeights,
            Stage::ReadingWeights,
            Stage::EncodingPrompt,
            Stage::Grounding,
            Stage::Masks
        ]
    );
    let second = fixture.prompt(&segmenter, &image, "heart").unwrap();
    assert_eq!(
        fixture.stages(),
        [Stage::EncodingPrompt, Stage::Grounding, Stage::Masks]
    );
    let again = fixture.prompt(&segmenter, &image, "  Left  LUNG").unwrap();
    assert_eq!(
        fixture.stages(),
        [Stage::Grounding, Stage::Masks],
        "the text was known"
    );
    let work = Work {
        images_encoded: 1,
        texts_encoded: 2,
        prompts_answered: 3,
    };
    assert_eq!(segmenter.work(), work);

    assert_eq!(
        (again.presence, &again.instances),
        (first.presence, &first.instances)
    );
    assert_ne!(
        second.presence, first.presence,
        "another text, another answer"
    );
    assert_eq!(first.instances.len(), 20);
    assert!(
        first
            .instances
            .windows(2)
            .all(|pair| pair[0].score >= pair[1].score)
    );
    assert_eq!(first.instances[0].score, first.best_score);
    assert_eq!((first.mask.width, first.mask.height), (90, 60));
    let union = |bit: usize| first.instances.iter().any(|i| i.mask.bits[bit] == 1);
    assert!((0..90 * 60).all(|bit| (first.mask.bits[bit] == 1) == union(bit)));
    let [left, top, right, bottom] = first.instances[0].box_px;
    assert!(
        0.0 <= left && left < right && right <= 90.0,
        "{left} {right}"
    );
    assert!(
        0.0 <= top && top < bottom && bottom <= 60.0,
        "{top} {bottom}"
    );
}

#[test]
fn two_loads_give_the_same_answer_and_another_image_another() {
    let fixture = Fixture::new();
    let answer = |image: &Rgb8| {
        let segmenter = fixture.load().unwrap();
        let image = fixture.encode(&segmenter, image).unwrap();
        let result = fixture.prompt(&segmenter, &image, "polyp").unwrap();
        (
            result.presence,
            result.best_score,
            result.instances,
            result.mask,
        )
    };
    let first = answer(&picture(90, 60));
    assert_eq!(first, answer(&picture(90, 60)));
    assert_ne!(first.1, answer(&picture(60, 90)).1);
}

#[test]
fn thresholds_and_rules_decide_what_is_shown() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let image = fixture.encode(&segmenter, &picture(40, 40)).unwrap();
    let ask = |threshold, rule| {
        let options = PromptOptions {
            threshold: Some(threshold),
            mask_threshold: None,
            mask_rule: Some(rule),
        };
        block_on(segmenter.prompt(&image, "polyp", options, &fixture.control)).unwrap()
    };
    let none = ask(1.0, MaskRule::Union);
    assert!(none.instances.is_empty() && none.mask.area_px() == 0);
    assert!(none.best_score > 0.0, "said even when nothing is kept");
    // Presence lies between: the semantic mask is there below it and gone above it.
    let shown = ask(none.presence - 1e-4, MaskRule::Semantic);
    let hidden = ask(none.presence + 1e-4, MaskRule::Semantic);
    assert_eq!(hidden.mask.area_px(), 0);
    let semantic = block_on(segmenter.semantic(&image, "polyp", &fixture.control)).unwrap();
    assert_eq!(semantic.presence, none.presence);
    assert_eq!(shown.mask, semantic.mask(0.5));
    assert!(semantic.mask(0.3).area_px() > semantic.mask(0.7).area_px());
}

#[test]
fn a_cancel_stops_between_stages_and_keeps_what_was_encoded() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let image = fixture.encode(&segmenter, &picture(90, 60)).unwrap();
    fixture.stages();
    fixture.control.cancel.cancel();
    let stopped = fixture.encode(&segmenter, &picture(30, 30)).unwrap_err();
    assert_eq!(stopped.code(), "CANCELLED");
    let stopped = fixture.prompt(&segmenter, &image, "polyp").unwrap_err();
    assert_eq!(stopped.code(), "CANCELLED");
    assert_eq!(fixture.load().err().unwrap().code(), "CANCELLED");
    assert_eq!(
        segmenter.work(),
        Work {
            images_encoded: 1,
            ..Work::default()
        }
    );
    assert_eq!(image.size(), (90, 60));
    fixture.control.cancel.reset();
    fixture.prompt(&segmenter, &image, "polyp").unwrap();
}

/// One model for several threads, each with an image of its own: the answers are those of one after the other.
#[test]
fn threads_share_a_model() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let ask = |side: usize, prompt: &str| {
        let image = fixture.encode(&segmenter, &picture(side, 60)).unwrap();
        let answer = fixture.prompt(&segmenter, &image, prompt).unwrap();
        (answer.presence, answer.instances)
    };
    let jobs = [(90, "polyp"), (60, "heart"), (30, "polyp"), (90, "spleen")];
    let alone = jobs.map(|(side, prompt)| ask(side, prompt));
    let together = std::thread::scope(|scope| {
        let threads = jobs.map(|(side, prompt)| scope.spawn(move || ask(side, prompt)));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(alone, together);
    assert_eq!(segmenter.work().texts_encoded, 3, "each text once");
}

#[test]
fn wrong_uses_are_said() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let image = |side, pixels| Rgb8 {
        width: side,
        height: side,
        pixels: vec![0; pixels],
    };
    for wrong in [image(0, 0), image(9, 9)] {
        let error = fixture.encode(&segmenter, &wrong).unwrap_err();
        assert_eq!(error.code(), "IMAGE-EMPTY");
    }
    let image = fixture.encode(&segmenter, &picture(20, 20)).unwrap();
    let error = fixture.prompt(&segmenter, &image, " ").unwrap_err();
    assert_eq!(error.code(), "PROMPT-EMPTY");
    let long = fixture.prompt(&segmenter, &image, &"lung ".repeat(40));
    assert!(long.unwrap().truncated);
}

#[test]
fn a_folder_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("model");
    let absent = "detector.dot_prod_scoring.hs_proj.weight";
    write_model(&folder, &tiny(), absent, Precision::F32);
    let load = |options| {
        let source = DirectorySource::new(&folder);
        block_on(Segmenter::load(
            source,
            Device::flex(),
            options,
            &Control::new(),
        ))
        .err()
        .unwrap()
    };
    let error = load(LoadOptions::default());
    assert_eq!(error.code(), "WEIGHTS-TENSORS");
    assert!(error.to_string().contains(absent), "{error}");
    let error = load(LoadOptions {
        image_side: Some(57),
        ..LoadOptions::default()
    });
    assert_eq!(error.code(), "WEIGHTS-CONFIG");
}

const VIEW: View = View {
    picture: 1,
    frame: 0,
    window: None,
};

fn frame(frame: u32) -> View {
    View { frame, ..VIEW }
}

/// What going back to a slice and a further prompt cost: runs of the trunk are counted.
#[test]
fn going_back_to_a_slice_costs_no_image_work_and_gives_the_same_masks() {
    for half in [false, true] {
        let fixture = Fixture::new();
        let segmenter = fixture.load().unwrap();
        let mut cache = EmbeddingCache::new(1 << 20, half);
        let embedding = block_on(segmenter.embed(&picture(90, 60), &fixture.control)).unwrap();
        assert_eq!(embedding.bytes(), segmenter.embedding_bytes());
        let embedding = cache.keep(frame(0), embedding);
        let image = block_on(segmenter.finish(embedding, &fixture.control)).unwrap();
        let before = fixture.prompt(&segmenter, &image, "polyp").unwrap();
        fixture.prompt(&segmenter, &image, "heart").unwrap();
        assert_eq!(segmenter.work().images_encoded, 1);

        let kept = cache.recall(frame(0)).unwrap();
        assert!(cache.recall(frame(1)).is_none());
        let image = block_on(segmenter.finish(kept, &fixture.control)).unwrap();
        assert_eq!(image.size(), (90, 60));
        let after = fixture.prompt(&segmenter, &image, "polyp").unwrap();
        assert_eq!(
            (after.presence, after.instances, after.mask),
            (before.presence, before.instances, before.mask)
        );
        assert_eq!(
            segmenter.work().images_encoded,
            1,
            "the trunk did not run again"
        );
    }
}

#[test]
fn a_large_text_encoder_is_dropped_when_all_prompts_of_a_request_are_read() {
    let fixture = Fixture::new();
    let answers = |text_encoder_bytes| {
        let segmenter = fixture
            .load_with(LoadOptions {
                text_encoder_bytes,
                ..LoadOptions::default()
            })
            .unwrap();
        let image = fixture.encode(&segmenter, &picture(40, 40)).unwrap();
        let prompts = ["polyp", "left lung"].map(str::to_owned);
        fixture.stages();
        block_on(segmenter.read_prompts(&prompts, &fixture.control)).unwrap();
        assert_eq!(
            fixture.stages(),
            [
                Stage::VerifyingWeights,
                Stage::ReadingWeights,
                Stage::EncodingPrompt
            ],
            "loaded once for both"
        );
        let kept = segmenter.text_encoder_is_loaded();
        let answers = ["polyp", "left lung", "heart"]
            .map(|prompt| fixture.prompt(&segmenter, &image, prompt).unwrap().presence);
        (kept, answers)
    };
    let (kept, with) = answers(u64::MAX);
    let (dropped, without) = answers(1000);
    assert!(kept && !dropped);
    assert_eq!(with, without);
}

/// The tiny model with widths that blocks of 32 divide.
fn tiny_in_blocks() -> Sam3Config {
    let mut config = tiny();
    config.vit.width = 64;
    config.vit.mlp_hidden = 128;
    config.text.width = 32;
    config.text.mlp_hidden = 64;
    config.transformer.width = 32;
    config.transformer.feed_forward = 64;
    config
}

/// Held as stored, in int8 blocks or f16, a model answers as it does with the same values widened to f32.
#[test]
fn weights_held_as_they_are_stored_give_the_same_answer() {
    for precision in [Precision::Q8, Precision::F16] {
        let fixture = Fixture::with(&tiny_in_blocks(), precision);
        let answer = |hold| {
            let options = LoadOptions {
                hold,
                ..LoadOptions::default()
            };
            let segmenter = fixture.load_with(options).unwrap();
            let image = fixture.encode(&segmenter, &picture(90, 60)).unwrap();
            let answer = fixture.prompt(&segmenter, &image, "polyp").unwrap();
            (segmenter.held_as(), answer.presence, answer.best_score)
        };
        let (widened, presence, score) = answer(Hold::Single);
        assert_eq!(widened, Precision::F32);
        let (held, held_presence, held_score) = answer(Hold::Stored { half: true });
        assert_eq!(held, precision);
        assert!(
            (presence - held_presence).abs() < 1e-4,
            "{presence} {held_presence}"
        );
        assert!((score - held_score).abs() < 1e-4, "{score} {held_score}");
        let (without_half, ..) = answer(Hold::Stored { half: false });
        let expected = match precision {
            Precision::F16 => Precision::F32,
            other => other,
        };
        assert_eq!(without_half, expected, "f16 needs a device that has it");
    }
}
