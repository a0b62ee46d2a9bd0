//! A whole run on a small made-up corpus: the loss falls, and a resumed run is the interrupted one, bit for bit.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use image::{GrayImage, Luma};
use medsam3_model::Sam3;
use medsam3_train::adamw::State;
use medsam3_train::config::LoraConfig;
use medsam3_train::learner::Learner;
use medsam3_train::sample::{Batch, Row};
use medsam3_train::target::{Objects, SUBCELLS, Target};
use medsam3_train::{TrainConfig, Trainer, checkpoint, prepare};
use serde_json::{Value, json};

/// Eight pictures with a bright disc; every other one has a dark bar too.
fn write_corpus(root: &Path) {
    let folder = root.join("shapes");
    std::fs::create_dir_all(&folder).expect("folder");
    let items: Vec<Value> = (0..10_u32)
        .map(|number| {
            let (cx, cy) = (16 + 5 * (number % 7), 20 + 3 * number);
            let bar = number % 2 == 0;
            let inside = |x: u32, y: u32| x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) < 100;
            let label = |x: u32, y: u32| match (inside(x, y), bar && x > 54) {
                (true, _) => 1,
                (_, true) => 2,
                _ => 0,
            };
            let mask = GrayImage::from_fn(64, 64, |x, y| Luma([label(x, y)]));
            let image = GrayImage::from_fn(64, 64, |x, y| Luma([[90, 220, 10][usize::from(label(x, y))]]));
            mask.save(folder.join(format!("{number}.png"))).expect("mask");
            image.save(folder.join(format!("{number}.jpg"))).expect("image");
            json!({
                "id": number.to_string(), "image": format!("{number}.jpg"), "mask": format!("{number}.png"),
                "split": if number < 8 { "train" } else { "val" }, "subject": null,
                "labels": if bar { vec![1, 2] } else { vec![1] },
            })
        })
        .collect();
    let dataset = json!({
        "name": "shapes", "title": "Shapes", "modality": "drawing", "role": "train",
        "licence": { "name": "CC0", "tier": "A" },
        "prompts": [
            { "canonical": "disc", "synonyms": ["circle"], "indices": [1] },
            { "canonical": "bar", "synonyms": [], "indices": [2] },
        ],
        "items": items,
    });
    std::fs::write(folder.join("dataset.json"), dataset.to_string()).expect("dataset.json");
    let index = json!({ "datasets": [{ "name": "shapes", "role": "train", "tier": "A" }] });
    std::fs::write(root.join("index.json"), index.to_string()).expect("index.json");
}

fn config(root: &Path, run: &str, steps: usize) -> TrainConfig {
    let tokenizer = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../weights/default/tokenizer.json"
    );
    let text = format!(
        r#"
        [run]
        folder = "{folder}"
        seed = 7
        workers = 2
        checkpoint_every = 2
        validate_every = 1000
        validate_images = 1
        [model]
        image_side = 56
        [model.vit]
        patch = 14
        width = 32
        depth = 2
        heads = 2
        mlp_hidden = 64
        window = 2
        global_blocks = [1]
        pretrain_grid = 4
        [model.text]
        vocabulary = 49408
        context = 8
        width = 16
        depth = 1
        heads = 2
        mlp_hidden = 32
        [model.transformer]
        width = 32
        heads = 2
        feed_forward = 64
        geometry_layers = 1
        encoder_layers = 1
        decoder_layers = 1
        queries = 6
        [data]
        root = "{root}"
        tokenizer = "{tokenizer}"
        tiers = ["A"]
        raster_side = 64
        images_per_step = 4
        prompts_per_image = 2
        negative_share = 0.3
        canonical_share = 0.5
        [augment]
        whole = 1.0
        brightness = 0.02
        contrast = 0.02
        gamma = 0.02
        [schedule]
        steps = {steps}
        learning_rate = 2e-3
        warmup_steps = 5
        decay = "inverse-sqrt"
        timescale = 100
        weight_decay = 0.01
        clip_norm = 10.0
        ema = 0.9
        "#,
        folder = root.join(run).display(),
        root = root.display(),
    );
    let path = root.join(format!("{run}.toml"));
    std::fs::write(&path, text).expect("configuration");
    TrainConfig::read(&path).expect("a valid configuration")
}

fn train(config: &TrainConfig, resume: bool) {
    let on = AtomicBool::new(false);
    let mut trainer = Trainer::new(config.clone(), resume, &on).expect("a trainer");
    trainer.run(&on).expect("a run");
}

fn newest(config: &TrainConfig) -> State {
    let prepared = prepare(config, &config.model.init(&Device::flex())).expect("slots");
    let path = checkpoint::latest(&config.run.folder)
        .expect("listed")
        .expect("a checkpoint");
    checkpoint::load(&path, &prepared.slots, config.run.seed).expect("loaded")
}

fn corpus(name: &str) -> PathBuf {
    let root = std::env::temp_dir().join(format!("medsam3-run-{name}-{}", std::process::id()));
    write_corpus(&root);
    root
}

#[test]
fn a_resumed_run_is_the_interrupted_one() {
    resumes("resume", |_| ());
}

/// What is dropped follows from seed and step.
#[test]
fn a_resumed_run_with_dropout_is_the_interrupted_one() {
    resumes("resume-dropout", |config| {
        config.schedule.dropout = 0.1;
        config.schedule.drop_path = 0.2;
        config.run.recompute_blocks = true;
    });
}

/// The frozen weights of such a run have no moments and stay as they were.
#[test]
fn a_resumed_run_with_adapters_is_the_interrupted_one() {
    let state = resumes("resume-lora", |config| {
        config.schedule.lora = Some(LoraConfig {
            rank: 2,
            alpha: 4.0,
            learning_rate: 1e-2,
            prefixes: vec!["detector.transformer.".into()],
            targets: vec![],
        });
    });
    let trained: Vec<_> = (0..state.weights.len())
        .filter(|&at| !state.first[at].is_empty())
        .collect();
    assert!(!trained.is_empty() && trained.len() < state.weights.len());
    let moved = |at: usize| state.first[at].iter().any(|&moment| moment != 0.0);
    assert!(trained.into_iter().any(moved), "no adapter was trained");
}

fn resumes(name: &str, change: impl Fn(&mut TrainConfig)) -> State {
    let root = corpus(name);
    let mut whole = config(&root, "whole", 4);
    change(&mut whole);
    train(&whole, false);
    let mut parts = config(&root, "parts", 4);
    change(&mut parts);
    std::fs::create_dir_all(&parts.run.folder).expect("folder");
    let name = "checkpoint-0000002.safetensors";
    std::fs::copy(whole.run.folder.join(name), parts.run.folder.join(name)).expect("copied");
    train(&parts, true);
    let (a, b) = (newest(&whole), newest(&parts));
    assert_eq!(a.step, 4);
    assert!(a == b, "weights, moments or averages differ");
    std::fs::remove_dir_all(root).expect("clean up");
    b
}

/// A picture with a disc at a place of its own, and a prompt that is not there.
fn picture(config: &TrainConfig, number: usize) -> Batch {
    let (side, grid) = (config.model.image_side, config.model.mask_grid());
    let inside = |at: usize, cells: usize| {
        let [x, y] = [at % cells, at / cells].map(|i| (i as f32 + 0.5) / cells as f32);
        (x - 0.3 - 0.1 * number as f32).hypot(y - 0.4) < 0.2
    };
    let plane = (0..side * side).map(|at| if inside(at, side) { 0.8 } else { -0.4 });
    let fine = grid * SUBCELLS;
    let labels: Vec<u8> = (0..fine * fine)
        .map(|at| u8::from(inside(at, fine)))
        .collect();
    let row = |text: &str, index| Row {
        image: 0,
        text: text.into(),
        target: Target::new(&labels, None, &[index], Objects::Union, grid),
    };
    Batch {
        pixels: plane.collect::<Vec<f32>>().repeat(3),
        images: 1,
        rows: vec![row("disc", 1), row("bar", 2)],
    }
}

fn join(mut first: Batch, second: Batch) -> Batch {
    first.pixels.extend(second.pixels);
    let rows = second.rows.into_iter();
    first.rows.extend(rows.map(|row| Row {
        image: row.image + first.images,
        ..row
    }));
    first.images += second.images;
    first
}

/// Weights before and after a step on two pictures, and the norm of the gradient.
fn step(config: &TrainConfig, model: &Sam3) -> (Vec<Vec<f32>>, Vec<Vec<f32>>, f32) {
    let prepared = prepare(config, model).expect("slots");
    let start = prepared.weights.clone();
    let mut learner = Learner::new(config, prepared).expect("a learner");
    let stepped = learner
        .step(&|stream, images| {
            let all = (0..images).map(|i| picture(config, stream * images + i));
            all.reduce(join).expect("a picture")
        })
        .expect("a step");
    let averaged = learner
        .state
        .average
        .iter()
        .any(|values| !values.is_empty());
    assert_eq!(averaged, config.schedule.ema > 0.0);
    (start, learner.state.weights, stepped.gradient_norm)
}

/// One worker on two pictures, two workers on one each, two batches of one, and recomputing in the backward pass: the same
/// update but for rounding. Keeping no average changes nothing at all.
#[test]
fn however_a_batch_is_shared_out_the_update_is_the_same() {
    let root = corpus("shares");
    let mut one = config(&root, "run", 1);
    (one.run.workers, one.data.images_per_step) = (1, 2);
    // Drawn once: the source of random values is one for the whole process, and other tests draw from it meanwhile.
    let model = one.model.init(&Device::flex());
    let (start, whole, norm) = step(&one, &model);
    assert!(start != whole && norm > 0.0);
    let mut bare = one.clone();
    bare.schedule.ema = 0.0;
    assert!(
        step(&bare, &model).1 == whole,
        "the average has a part in the weights"
    );

    let mut dropped = one.clone();
    dropped.schedule.dropout = 0.1;
    let weights = step(&dropped, &model).1;
    assert!(weights != whole, "nothing was dropped");
    assert!(
        weights == step(&dropped, &model).1,
        "other values were dropped"
    );

    let mut two = one.clone();
    two.run.workers = 2;
    let mut devices = two.clone();
    devices.run.devices = vec!["cpu".into(), "cpu".into()];
    let mut parts = one.clone();
    (parts.data.images_per_step, parts.data.accumulate) = (1, 2);
    let mut again = one.clone();
    again.run.gradient_checkpointing = true;
    let mut blocks = one.clone();
    blocks.run.recompute_blocks = true;
    let mut shared_blocks = blocks.clone();
    shared_blocks.run.workers = 2;
    let mut both = again.clone();
    both.run.recompute_blocks = true;
    for (name, other) in [
        ("workers", two),
        ("devices", devices),
        ("parts", parts),
        ("checkpointing", again),
        ("blocks computed again", blocks),
        ("blocks computed again by two workers", shared_blocks),
        ("both", both),
    ] {
        let (_, shared, other_norm) = step(&other, &model);
        assert!(
            (norm - other_norm).abs() < 1e-4 * norm,
            "{name}: {norm} and {other_norm}"
        );
        let pairs = || whole.iter().flatten().zip(shared.iter().flatten());
        let moved = whole.iter().flatten().zip(start.iter().flatten());
        let moved = moved.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let off = pairs().map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        // The first step of AdamW has the size of its rate whatever the gradient: where that is rounding, so is its sign.
        assert!(off < 1e-3 * moved, "{name}: {off} of {moved}");
    }
    std::fs::remove_dir_all(root).expect("clean up");
}

#[test]
fn the_loss_falls() {
    let root = corpus("falls");
    let config = config(&root, "run", 80);
    train(&config, false);
    let metrics =
        std::fs::read_to_string(config.run.folder.join("metrics.jsonl")).expect("metrics");
    let dice: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"))
        .filter(|line| line["kind"] == "train")
        .map(|line| line["semantic_dice"].as_f64().expect("a number"))
        .collect();
    let (first, last) = (dice[0], dice[dice.len() - 1]);
    assert!(
        last < 0.6 * first,
        "the dice loss went from {first} to {last}"
    );
    std::fs::remove_dir_all(root).expect("clean up");
}
