//! The engine on a model with random weights, small enough for a test: what is computed how often, what a cancel
//! leaves behind, and that a folder comes to the device as it was written. Accuracy is the parity test's business.

use std::cell::RefCell;
use std::rc::Rc;

use medsam3_imaging::Rgb8;
use medsam3_model::parameters;
use medsam3_weights::{DirectorySource, ModelDescription, Precision, Provenance, Writer};
use pollster::block_on;

use super::*;
use crate::{CancelToken, Progress};

const TOKENIZER: &[u8] = include_bytes!("../../../../weights/default/tokenizer.json");

/// Every part of the model, as little of each as there can be.
fn tiny() -> Sam3Config {
    let mut config = Sam3Config::default_small();
    config.image_side = 56;
    config.vit.width = 16;
    config.vit.depth = 2;
    config.vit.heads = 2;
    config.vit.mlp_hidden = 32;
    config.vit.window = 2;
    config.vit.global_blocks = vec![1];
    config.vit.pretrain_grid = 4;
    config.text.width = 16;
    config.text.depth = 1;
    config.text.heads = 2;
    config.text.mlp_hidden = 32;
    config.transformer.width = 16;
    config.transformer.heads = 2;
    config.transformer.feed_forward = 32;
    config.transformer.queries = 20;
    config
}

fn write_model(folder: &std::path::Path, config: &Sam3Config, leave_out: &str) {
    write_model_as(folder, config, leave_out, Precision::F32);
}

fn write_model_as(
    folder: &std::path::Path,
    config: &Sam3Config,
    leave_out: &str,
    precision: Precision,
) {
    let device = Device::flex();
    device.seed(7);
    let description = ModelDescription {
        name: "random".to_owned(),
        config: serde_json::to_value(config).unwrap(),
        precision,
        licence: "CC0-1.0".to_owned(),
        provenance: Provenance::default(),
        mask_rule: MaskRule::Union,
        prompts: Vec::new(),
    };
    let mut writer = Writer::create(folder, description).unwrap();
    parameters::save(&config.init(&device), &mut |info, values| {
        if info.name != leave_out {
            writer.tensor(&info.name, &info.shape, &values).unwrap();
        }
    });
    writer.file("tokenizer.json", TOKENIZER).unwrap();
    writer.finish().unwrap();
}

/// A folder with the tiny model, and a segmenter that writes its progress down.
struct Fixture {
    folder: tempfile::TempDir,
    heard: Rc<RefCell<Vec<Progress>>>,
    cancel: CancelToken,
}

impl Fixture {
    fn new() -> Self {
        Self::with(&tiny(), Precision::F32)
    }

    fn with(config: &Sam3Config, precision: Precision) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_model_as(&folder.path().join("model"), config, "", precision);
        Self {
            folder,
            heard: Rc::default(),
            cancel: CancelToken::new(),
        }
    }

    fn load(&self) -> Result<Segmenter, EngineError> {
        self.load_with(LoadOptions::default())
    }

    fn load_with(&self, options: LoadOptions) -> Result<Segmenter, EngineError> {
        let heard = self.heard.clone();
        let control = Control::new()
            .with_cancel(self.cancel.clone())
            .on_progress(move |progress| heard.borrow_mut().push(progress));
        let source = DirectorySource::new(self.folder.path().join("model"));
        block_on(Segmenter::load(source, Device::flex(), options, control))
    }

    fn stages(&self) -> Vec<Stage> {
        let mut stages: Vec<Stage> = self.heard.borrow_mut().drain(..).map(|p| p.stage).collect();
        stages.dedup();
        stages
    }
}

/// A picture that is not square, with a bright rectangle off its centre.
fn picture(width: usize, height: usize) -> Rgb8 {
    let inside = |x: usize, y: usize| x * 3 < width && y * 2 < height;
    let pixels = (0..width * height).flat_map(|i| {
        let (x, y) = (i % width, i / width);
        if inside(x, y) {
            [220, 200, 180]
        } else {
            [(x % 32) as u8, (y % 64) as u8, 20]
        }
    });
    Rgb8 {
        width,
        height,
        pixels: pixels.collect(),
    }
}

/// Random weights are sure of nothing: keep everything.
const ALL: PromptOptions = PromptOptions {
    threshold: Some(0.0),
    mask_threshold: None,
    mask_rule: None,
};

#[test]
fn the_image_is_encoded_once_and_each_text_once() {
    let fixture = Fixture::new();
    let mut segmenter = fixture.load().unwrap();
    let loading = fixture.stages();
    assert_eq!(loading, [Stage::VerifyingWeights, Stage::ReadingWeights]);

    block_on(segmenter.open(&picture(90, 60))).unwrap();
    assert_eq!(fixture.stages(), [Stage::EncodingImage]);
    assert!(
        !segmenter.text_encoder_is_loaded(),
        "no prompt needed it yet"
    );
    let first = block_on(segmenter.prompt("left lung", ALL)).unwrap();
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
    let second = block_on(segmenter.prompt("heart", ALL)).unwrap();
    assert_eq!(
        fixture.stages(),
        [Stage::EncodingPrompt, Stage::Grounding, Stage::Masks]
    );
    let again = block_on(segmenter.prompt("  Left  LUNG", ALL)).unwrap();
    assert_eq!(
        fixture.stages(),
        [Stage::Grounding, Stage::Masks],
        "the text was known"
    );
    let work = Work {
        images_encoded: 1,
        images_recalled: 0,
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
        let mut segmenter = fixture.load().unwrap();
        block_on(segmenter.open(image)).unwrap();
        let result = block_on(segmenter.prompt("polyp", ALL)).unwrap();
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
    let mut segmenter = fixture.load().unwrap();
    block_on(segmenter.open(&picture(40, 40))).unwrap();
    let mut ask = |threshold, rule| {
        let options = PromptOptions {
            threshold: Some(threshold),
            mask_threshold: None,
            mask_rule: Some(rule),
        };
        block_on(segmenter.prompt("polyp", options)).unwrap()
    };
    let none = ask(1.0, MaskRule::Union);
    assert!(none.instances.is_empty() && none.mask.area_px() == 0);
    assert!(none.best_score > 0.0, "said even when nothing is kept");
    // Presence lies between: the semantic mask is there below it and gone above it.
    let shown = ask(none.presence - 1e-4, MaskRule::Semantic);
    let hidden = ask(none.presence + 1e-4, MaskRule::Semantic);
    assert_eq!(hidden.mask.area_px(), 0);
    let logits = {
        let image = segmenter.image.as_ref().unwrap();
        let text = &segmenter.texts["polyp"].features;
        block_on(values(
            segmenter.model.ground(&image.features, text).semantic,
        ))
        .unwrap()
    };
    let grid = segmenter.config().mask_grid();
    assert_eq!(
        shown.mask,
        mask_from_logits(&logits, grid, grid, 40, 40, 0.5)
    );
}

#[test]
fn a_cancel_stops_between_stages_and_keeps_what_was_open() {
    let fixture = Fixture::new();
    let mut segmenter = fixture.load().unwrap();
    block_on(segmenter.open(&picture(90, 60))).unwrap();
    fixture.stages();
    fixture.cancel.cancel();
    let code = |result: Result<(), EngineError>| result.unwrap_err().code();
    assert_eq!(
        code(block_on(segmenter.open(&picture(30, 30)))),
        "CANCELLED"
    );
    assert_eq!(
        code(block_on(segmenter.prompt("polyp", ALL)).map(|_| ())),
        "CANCELLED"
    );
    assert_eq!(fixture.load().err().unwrap().code(), "CANCELLED");
    assert_eq!(
        segmenter.work(),
        Work {
            images_encoded: 1,
            ..Work::default()
        }
    );
    assert_eq!(segmenter.image_size(), Some((90, 60)));
    fixture.cancel.reset();
    block_on(segmenter.prompt("polyp", ALL)).unwrap();
}

#[test]
fn wrong_uses_are_said() {
    let fixture = Fixture::new();
    let mut segmenter = fixture.load().unwrap();
    let code = |result: Result<PromptResult, EngineError>| result.unwrap_err().code();
    assert_eq!(code(block_on(segmenter.prompt("polyp", ALL))), "IMAGE-NONE");
    let empty = Rgb8 {
        width: 0,
        height: 0,
        pixels: Vec::new(),
    };
    assert_eq!(
        block_on(segmenter.open(&empty)).unwrap_err().code(),
        "IMAGE-EMPTY"
    );
    let short = Rgb8 {
        width: 9,
        height: 9,
        pixels: vec![0; 9],
    };
    assert_eq!(
        block_on(segmenter.open(&short)).unwrap_err().code(),
        "IMAGE-EMPTY"
    );
    block_on(segmenter.open(&picture(20, 20))).unwrap();
    assert_eq!(code(block_on(segmenter.prompt(" ", ALL))), "PROMPT-EMPTY");
    let long = block_on(segmenter.prompt(&"lung ".repeat(40), ALL)).unwrap();
    assert!(long.truncated);
}

#[test]
fn a_folder_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("model");
    let absent = "detector.dot_prod_scoring.hs_proj.weight";
    write_model(&folder, &tiny(), absent);
    let load = |options| {
        let source = DirectorySource::new(&folder);
        block_on(Segmenter::load(
            source,
            Device::flex(),
            options,
            Control::new(),
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

/// What going back to a slice, a further prompt and a neighbour prepared ahead cost: runs of the trunk are counted.
#[test]
fn going_back_to_a_slice_costs_no_image_work_and_gives_the_same_masks() {
    let fixture = Fixture::new();
    // A trunk output of the tiny model is 4 x 4 x 16 f32 values, 1 KiB: two of them fit.
    let mut segmenter = fixture
        .load_with(LoadOptions {
            embedding_bytes: 2200,
            ..LoadOptions::default()
        })
        .unwrap();
    let runs = |segmenter: &Segmenter| {
        let work = segmenter.work();
        (work.images_encoded, work.images_recalled)
    };
    let (first, second) = (picture(90, 60), picture(60, 90));
    assert!(!block_on(segmenter.recall(frame(0))).unwrap());
    block_on(segmenter.open_view(frame(0), &first)).unwrap();
    let before = block_on(segmenter.prompt("polyp", ALL)).unwrap();
    block_on(segmenter.prompt("heart", ALL)).unwrap();
    assert!(
        block_on(segmenter.recall(frame(0))).unwrap(),
        "it is in view"
    );
    assert_eq!(
        runs(&segmenter),
        (1, 0),
        "further prompts are no image work"
    );

    block_on(segmenter.open_view(frame(1), &second)).unwrap();
    assert_eq!(segmenter.image_size(), Some((60, 90)));
    assert!(block_on(segmenter.recall(frame(0))).unwrap());
    assert_eq!(segmenter.image_size(), Some((90, 60)));
    assert_eq!(runs(&segmenter), (2, 1));
    let after = block_on(segmenter.prompt("polyp", ALL)).unwrap();
    assert_eq!(
        (after.presence, after.instances, after.mask),
        (before.presence, before.instances, before.mask)
    );
    let other_window = View {
        window: Some([40.0, 400.0]),
        ..frame(0)
    };
    assert!(!block_on(segmenter.recall(other_window)).unwrap());

    // Nothing is prepared ahead where it would push out what was seen.
    assert!(!block_on(segmenter.prefetch(frame(2), &first)).unwrap());
    segmenter.set_embedding_bytes(3300);
    assert!(block_on(segmenter.prefetch(frame(2), &second)).unwrap());
    assert!(
        !block_on(segmenter.prefetch(frame(2), &second)).unwrap(),
        "it is there"
    );
    assert_eq!(
        segmenter.image_size(),
        Some((90, 60)),
        "what is open stays open"
    );
    assert!(block_on(segmenter.recall(frame(2))).unwrap());
    assert_eq!(runs(&segmenter), (3, 2));
    assert_eq!(segmenter.embedding_use().slices, 3);
    segmenter.set_embedding_bytes(0);
    assert!(!block_on(segmenter.recall(frame(0))).unwrap());
    assert!(block_on(segmenter.recall(frame(2))).unwrap(), "in view");
}

#[test]
fn a_large_text_encoder_is_dropped_when_all_prompts_of_a_request_are_read() {
    let fixture = Fixture::new();
    let answers = |text_encoder_bytes| {
        let mut segmenter = fixture
            .load_with(LoadOptions {
                text_encoder_bytes,
                ..LoadOptions::default()
            })
            .unwrap();
        block_on(segmenter.open(&picture(40, 40))).unwrap();
        let prompts = ["polyp", "left lung"].map(str::to_owned);
        fixture.stages();
        block_on(segmenter.read_prompts(&prompts)).unwrap();
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
            .map(|prompt| block_on(segmenter.prompt(prompt, ALL)).unwrap().presence);
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
            let mut segmenter = fixture.load_with(options).unwrap();
            block_on(segmenter.open(&picture(90, 60))).unwrap();
            let answer = block_on(segmenter.prompt("polyp", ALL)).unwrap();
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
