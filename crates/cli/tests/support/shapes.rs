//! A made-up corpus of shapes and the configuration of a small model for it.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma};
use serde_json::{Value, json};

/// Eight pictures with a bright disc; every other one has a dark bar too.
pub fn write_corpus(root: &Path) {
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

/// A small model on it.
pub fn config(root: &Path, run: &str, steps: usize) -> PathBuf {
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
        checkpoint_every = 3
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
    path
}
