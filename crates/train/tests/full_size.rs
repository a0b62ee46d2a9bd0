//! One optimiser step of the full-size model on random weights: what it takes in seconds and memory. Needs 15 GB and some
//! minutes, so it is asked for by name:
//!   cargo test -p medsam3-train --test full_size -- --ignored --nocapture

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use medsam3_model::Sam3Config;
use medsam3_train::learner::Learner;
use medsam3_train::sample::{Batch, Row};
use medsam3_train::target::{Objects, SUBCELLS, Target};
use medsam3_train::{TrainConfig, prepare, resident};

const SIDE: usize = 168;

/// Waves, and a disc to find.
fn batch(config: &TrainConfig) -> Batch {
    let grid = config.model.mask_grid();
    let fine = grid * SUBCELLS;
    let inside =
        |at: usize| (at % fine).abs_diff(fine / 3).pow(2) + (at / fine).abs_diff(fine / 2).pow(2);
    let labels: Vec<u8> = (0..fine * fine)
        .map(|at| u8::from(inside(at) < fine * fine / 25))
        .collect();
    Batch {
        pixels: medsam3_model::synthetic::image(SIDE, SIDE),
        images: 1,
        rows: vec![Row {
            image: 0,
            text: "polyp".into(),
            target: Target::new(&labels, None, &[1], Objects::Union, grid),
        }],
    }
}

fn peak_gigabytes() -> Option<f64> {
    resident::peak_bytes().map(|bytes| bytes as f64 / 1e9)
}

#[test]
#[ignore = "needs 15 GB of memory and some minutes"]
fn one_step_of_the_full_size_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut config =
        TrainConfig::read(&root.join("configs/finetune.toml")).expect("a configuration");
    config.model = Sam3Config::sam3()
        .with_image_side(SIDE)
        .expect("a side that fits");
    (
        config.run.workers,
        config.data.images_per_step,
        config.data.accumulate,
    ) = (1, 1, 1);
    (config.run.start_from, config.schedule.ema) = (None, 0.0);
    config.data.tokenizer = root.join("weights/default/tokenizer.json");

    let device = Device::flex();
    device.seed(1);
    let prepared = {
        let model = config.model.init(&device);
        prepare(&config, &model).expect("slots")
    };
    println!("{prepared}");
    let mut learner = Learner::new(&config, prepared).expect("a learner");
    let before: Vec<f32> = learner.state.weights.iter().map(|w| w[0]).collect();
    let peak = |what| {
        println!(
            "{what}: peak {:.1} GB",
            peak_gigabytes().unwrap_or(f64::NAN)
        );
    };
    peak("weights drawn");
    let started = Instant::now();
    let stepped = learner.step(&|_, _| batch(&config)).expect("a step");
    println!(
        "step: {:.1} s, {stepped:?}",
        started.elapsed().as_secs_f64()
    );
    peak("step made");
    assert!(stepped.terms.total.is_finite() && stepped.gradient_norm > 0.0);
    let moved = learner.state.weights.iter().zip(&before);
    let moved = moved.filter(|(now, before)| now[0] != **before).count();
    assert!(
        moved > before.len() / 2,
        "{moved} of {} tensors moved",
        before.len()
    );
}
