//! Low-rank adapters against PyTorch (`tests/train/make_lora.py` writes `tests/train/lora.json`), and on the small model.

use burn::tensor::Device;
use medsam3_model::Sam3Config;
use medsam3_train::adamw::{State, Update};
use medsam3_train::config::{Decay, LoraConfig, ScheduleConfig};
use medsam3_train::lora::Adapters;
use medsam3_train::parameters::{self, Slot};
use medsam3_train::{TrainConfig, groups};
use serde_json::Value;

const TRUNK: &str = "detector.backbone.vision_backbone.trunk.";

fn schedule(lora: LoraConfig) -> ScheduleConfig {
    ScheduleConfig {
        steps: 10,
        epochs: None,
        learning_rate: 0.1,
        warmup_steps: 0,
        drop_path: 0.0,
        dropout: 0.0,
        decay: Decay::InverseSqrt,
        final_share: 0.0,
        timescale: 10,
        cooldown_steps: 0,
        weight_decay: 0.1,
        betas: [0.9, 0.999],
        clip_norm: 1e9,
        ema: 0.5,
        groups: vec![],
        lora: Some(lora),
    }
}

fn lora(rank: usize, alpha: f32) -> LoraConfig {
    LoraConfig {
        rank,
        alpha,
        learning_rate: 0.05,
        prefixes: vec![],
        targets: vec![],
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    let all = value.as_array().expect("numbers").iter();
    all.map(|v| v.as_f64().expect("a number") as f32).collect()
}

/// `[rows, columns]` to `[columns, rows]`: PyTorch keeps a weight as `[outputs, inputs]`, the model the other way round.
fn turned(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns)
        .map(|at| values[at % rows * columns + at / rows])
        .collect()
}

fn close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        let distance = (a - b).abs();
        assert!(
            distance <= 2e-6 * b.abs().max(1.0),
            "{what}[{at}]: {a} is not {b}"
        );
    }
}

#[test]
fn three_steps_match_pytorch() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/train/lora.json");
    let case: Value =
        serde_json::from_slice(&std::fs::read(path).expect("lora.json")).expect("JSON");
    let size = |name: &str| case[name].as_u64().expect("a size") as usize;
    let (outputs, inputs, rank) = (size("outputs"), size("inputs"), size("rank"));
    let schedule = schedule(lora(rank, case["alpha"].as_f64().expect("alpha") as f32));
    let mut slots = vec![Slot {
        name: "layer.weight".into(),
        shape: vec![inputs, outputs],
        linear: true,
        decay: true,
        rate: 1.0,
        constant: false,
        adapted: false,
    }];
    let mut weights = vec![turned(&numbers(&case["weight"]), outputs, inputs)];
    let adapters = Adapters::attach(&schedule, 1, &mut slots, &mut weights).expect("adapters");
    assert_eq!(slots[1].name, "layer.weight.lora_A");
    assert_eq!(weights[2], numbers(&case["b"]), "B is zero at the start");
    weights[1] = numbers(&case["a"]);
    let start = weights[0].clone();
    let mut state = State::new(weights, &slots);
    let update = Update {
        learning_rate: schedule.learning_rate,
        peak: schedule.learning_rate,
        weight_decay: schedule.weight_decay,
        betas: schedule.betas,
        clip_norm: schedule.clip_norm,
        ema: schedule.ema,
    };
    for step in case["steps"].as_array().expect("steps") {
        let merged = turned(&numbers(&step["merged_gradient"]), outputs, inputs);
        let gradients = adapters.gradients(&state.weights, vec![merged]);
        assert!(gradients[0].is_empty(), "the frozen weight has a gradient");
        close(
            "gradient of A",
            &gradients[1],
            &numbers(&step["a_gradient"]),
        );
        close(
            "gradient of B",
            &gradients[2],
            &numbers(&step["b_gradient"]),
        );
        state.update(&slots, &gradients, &update);
        close("A", &state.weights[1], &numbers(&step["a"]));
        close("B", &state.weights[2], &numbers(&step["b"]));
        let found = adapters.merged(&state.weights);
        let expected = turned(&numbers(&step["merged"]), outputs, inputs);
        close("merged", &found[0], &expected);
    }
    assert_eq!(state.weights[0], start, "the frozen weight moved");
}

#[test]
fn the_model_is_unchanged_at_the_start_and_only_adapters_are_trained() {
    let model = Sam3Config::tiny_parity().init(&Device::flex());
    let (mut slots, mut weights) = parameters::collect(&model);
    let (own, before) = (slots.len(), weights.clone());
    let schedule = schedule(LoraConfig {
        prefixes: vec![TRUNK.into()],
        targets: vec!["attn.qkv.weight".into(), "mlp.fc1.weight".into()],
        ..lora(4, 8.0)
    });
    groups::apply(&mut slots, &schedule, 2).expect("groups");
    let adapters = Adapters::attach(&schedule, 1, &mut slots, &mut weights).expect("adapters");
    let blocks = Sam3Config::tiny_parity().vit.depth;
    assert_eq!(adapters.count(), 2 * blocks);
    let merged = adapters.merged(&weights);
    assert_eq!(merged.len(), own);
    assert!(merged.iter().zip(&before).all(|(a, b)| a[..] == b[..]));
    let state = State::new(weights, &slots);
    for (at, slot) in slots.iter().enumerate() {
        let adapter = at >= own;
        assert_eq!(slot.rate > 0.0, adapter, "{}", slot.name);
        assert_eq!(!state.first[at].is_empty(), adapter, "{}", slot.name);
        let target = slot.name.ends_with("qkv.weight") || slot.name.ends_with("fc1.weight");
        let adapted = slot.name.starts_with(TRUNK) && target && !adapter;
        assert_eq!(slot.needs_gradient(), adapter || adapted, "{}", slot.name);
    }
}

#[test]
fn a_choice_without_a_linear_weight_is_an_error() {
    let (mut slots, mut weights) =
        parameters::collect(&Sam3Config::tiny_parity().init(&Device::flex()));
    let schedule = schedule(LoraConfig {
        targets: vec!["pos_embed".into()],
        ..lora(4, 8.0)
    });
    let error = Adapters::attach(&schedule, 1, &mut slots, &mut weights).expect_err("none");
    assert_eq!(error.code(), "TRAIN-CONFIG");
}

#[test]
fn the_configuration_of_the_repository_trains_a_twentieth_of_the_weights() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/lora.toml");
    let config = TrainConfig::read(path.as_ref()).expect("a configuration");
    let (mut slots, mut weights) = parameters::collect(&config.model.init(&Device::flex()));
    let all: usize = weights.iter().map(Vec::len).sum();
    groups::apply(&mut slots, &config.schedule, config.model.vit.depth).expect("groups");
    Adapters::attach(&config.schedule, 1, &mut slots, &mut weights).expect("adapters");
    let lengths = weights.iter().zip(&slots);
    let trained: usize = lengths.map(|(w, s)| s.state_len(w.len())).sum();
    assert!(trained > 0 && trained * 20 < all, "{trained} of {all}");
}
