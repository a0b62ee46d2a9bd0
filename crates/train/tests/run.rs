//! A whole run on a small made-up corpus: the loss falls, and a resumed run is the interrupted one, bit for bit.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use image::{GrayImage, Luma};
use medsam3_train::adamw::State;
use medsam3_train::config::LoraConfig;
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
    let mut trainer = Trainer::new(config.clone(), resume).expect("a trainer");
    trainer.run(&AtomicBool::new(false)).expect("a run");
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
