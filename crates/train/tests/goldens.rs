//! Losses with their gradients, matching and optimiser against PyTorch, torchvision and SciPy
//! (`tests/train/make_goldens.py` writes `tests/train/goldens.json`).

use burn::tensor::{Device, Tensor, TensorData};
use medsam3_train::adamw::{State, Update};
use medsam3_train::config::{Decay, Group, OneToMany, ScheduleConfig};
use medsam3_train::groups;
use medsam3_train::losses::{Match, box_losses, classification_loss, mask_losses, presence_loss};
use medsam3_train::matching::match_row;
use medsam3_train::one_to_many::match_many;
use medsam3_train::parameters::Slot;
use medsam3_train::schedule::learning_rate;
use serde_json::Value;

const TOLERANCE: f32 = 1e-6;

fn cases(kind: &str) -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/train/goldens.json"
    );
    let all: Value =
        serde_json::from_slice(&std::fs::read(path).expect("goldens.json")).expect("JSON");
    all[kind].as_array().expect("cases").clone()
}

fn numbers(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .expect("numbers")
        .iter()
        .map(|v| v.as_f64().expect("a number") as f32)
        .collect()
}

fn leaf<const D: usize>(value: &Value, shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(numbers(value), shape), &device).require_grad()
}

fn close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= TOLERANCE * b.abs().max(1.0),
            "{what}[{at}]: {a} is not {b}"
        );
    }
}

fn value_and_gradient<const D: usize>(
    what: &str,
    loss: &Tensor<1>,
    input: &Tensor<D>,
    value: &Value,
    gradient: &Value,
) {
    close(
        what,
        &loss
            .clone()
            .detach()
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>(),
        &[value.as_f64().expect("a number") as f32],
    );
    let found: Vec<f32> = input
        .grad(&loss.backward())
        .expect("a gradient")
        .into_data()
        .iter::<f32>()
        .collect();
    close(&format!("gradient of {what}"), &found, &numbers(gradient));
}

#[test]
fn boxes_match_torchvision() {
    for case in cases("boxes") {
        let pairs = numbers(&case["predicted"]).len() / 4;
        let target = || leaf(&case["target"], [pairs, 4]).detach();
        let predicted = leaf(&case["predicted"], [pairs, 4]);
        let losses = box_losses(predicted.clone(), target());
        value_and_gradient(
            "l1",
            &losses.l1,
            &predicted,
            &case["l1"],
            &case["l1_gradient"],
        );
        let predicted = leaf(&case["predicted"], [pairs, 4]);
        let losses = box_losses(predicted.clone(), target());
        // Where two edges coincide, minimum and maximum have no gradient to agree on: the identical boxes are compared by value.
        if numbers(&case["predicted"]) == numbers(&case["target"]) {
            let value: Vec<f32> = losses.giou.into_data().iter::<f32>().collect();
            close(
                "giou of identical boxes",
                &value,
                &[case["giou"].as_f64().expect("a number") as f32],
            );
        } else {
            value_and_gradient(
                "giou",
                &losses.giou,
                &predicted,
                &case["giou"],
                &case["giou_gradient"],
            );
        }
    }
}

#[test]
fn masks_match_torchvision() {
    for case in cases("masks") {
        let masks = case["masks"].as_u64().expect("a count") as usize;
        let cells = numbers(&case["logits"]).len() / masks;
        let alpha = case["alpha"].as_f64().expect("a number") as f32;
        let targets = || leaf(&case["targets"], [masks, cells]).detach();
        let logits = leaf(&case["logits"], [masks, cells]);
        let losses = mask_losses(logits.clone(), targets(), alpha);
        value_and_gradient(
            "focal",
            &losses.focal,
            &logits,
            &case["focal"],
            &case["focal_gradient"],
        );
        let logits = leaf(&case["logits"], [masks, cells]);
        let losses = mask_losses(logits.clone(), targets(), alpha);
        value_and_gradient(
            "dice",
            &losses.dice,
            &logits,
            &case["dice"],
            &case["dice_gradient"],
        );
    }
}

#[test]
fn classification_matches_the_reference() {
    for case in cases("classification") {
        let rows = case["rows"].as_u64().expect("a count") as usize;
        let queries = numbers(&case["logits"]).len() / rows;
        let logits = leaf(&case["logits"], [rows, queries]);
        let matches: Vec<Match> = case["matches"]
            .as_array()
            .expect("matches")
            .iter()
            .map(|m| Match {
                row: m[0].as_u64().expect("row") as usize,
                query: m[1].as_u64().expect("query") as usize,
                object: 0,
                iou: m[2].as_f64().expect("iou") as f32,
            })
            .collect();
        let has: Vec<bool> = case["has_objects"]
            .as_array()
            .expect("flags")
            .iter()
            .map(|v| v == true)
            .collect();
        let loss = classification_loss(logits.clone(), &matches, &has);
        value_and_gradient(
            "classification",
            &loss,
            &logits,
            &case["value"],
            &case["gradient"],
        );
    }
}

#[test]
fn presence_matches_pytorch() {
    for case in cases("presence") {
        let logits = leaf(&case["logits"], [numbers(&case["logits"]).len()]);
        let present: Vec<bool> = case["present"]
            .as_array()
            .expect("flags")
            .iter()
            .map(|v| v == true)
            .collect();
        let loss = presence_loss(logits.clone(), &present);
        value_and_gradient(
            "presence",
            &loss,
            &logits,
            &case["value"],
            &case["gradient"],
        );
    }
}

#[test]
fn matching_matches_scipy() {
    for case in cases("matching") {
        let boxes =
            |key: &str| -> Vec<[f32; 4]> { numbers(&case[key]).as_chunks::<4>().0.to_vec() };
        let matches = match_row(
            0,
            &numbers(&case["logits"]),
            &boxes("predicted"),
            &boxes("objects"),
        )
        .expect("matched");
        let found: Vec<[usize; 2]> = matches.iter().map(|m| [m.query, m.object]).collect();
        assert_eq!(found, pairs(&case["pairs"]));
    }
    assert!(
        match_row(0, &[0.0], &[[0.5; 4]], &[])
            .expect("no objects")
            .is_empty()
    );
}

#[test]
fn one_to_many_matching_matches_pytorch() {
    let mut pairs_compared = 0;
    for (at, case) in cases("one_to_many").iter().enumerate() {
        let boxes =
            |key: &str| -> Vec<[f32; 4]> { numbers(&case[key]).as_chunks::<4>().0.to_vec() };
        let rule = OneToMany {
            per_object: case["k"].as_u64().expect("a count") as usize,
            alpha: case["alpha"].as_f64().expect("a number") as f32,
            threshold: case["threshold"].as_f64().expect("a number") as f32,
            ..OneToMany::default()
        };
        let logits = numbers(&case["logits"]);
        let matches = match_many(3, &logits, &boxes("predicted"), &boxes("objects"), &rule);
        let found: Vec<[usize; 2]> = matches.iter().map(|m| [m.query, m.object]).collect();
        assert_eq!(found, pairs(&case["pairs"]), "case {at}");
        let ious: Vec<f32> = matches.iter().map(|m| m.iou).collect();
        close("IoU", &ious, &numbers(&case["ious"]));
        assert!(matches.iter().all(|m| m.row == 3));
        pairs_compared += found.len();
    }
    assert!(pairs_compared > 20);
}

#[test]
fn the_inverse_square_root_schedule_matches() {
    for case in cases("schedule") {
        let count = |key: &str| case[key].as_u64().expect("a count") as usize;
        let base = case["base"].as_f64().expect("a number") as f32;
        let config = ScheduleConfig {
            steps: count("total"),
            warmup_steps: count("warmup"),
            timescale: count("timescale"),
            cooldown_steps: count("cooldown"),
            ..schedule(base)
        };
        let found: Vec<f32> = (0..config.steps)
            .map(|step| learning_rate(&config, step) / base)
            .collect();
        let expected: Vec<f32> = numbers(&case["rates"]).iter().map(|r| r / base).collect();
        close("rate", &found, &expected);
    }
}

#[test]
fn layer_wise_decay_matches() {
    for case in cases("layer_decay") {
        let gamma = case["gamma"].as_f64().expect("a number") as f32;
        let mut config = schedule(2e-4);
        config.groups = vec![group("all", "detector.", None, Some(gamma))];
        let names = case["names"].as_array().expect("names");
        let mut slots: Vec<Slot> = names
            .iter()
            .map(|name| slot(name.as_str().expect("a name")))
            .collect();
        let depth = case["depth"].as_u64().expect("a count") as usize;
        groups::apply(&mut slots, &config, depth).expect("applied");
        let found: Vec<f32> = slots.iter().map(|slot| slot.rate).collect();
        close("factor", &found, &numbers(&case["factors"]));
    }
}

#[test]
fn the_first_group_owns_a_parameter_and_an_empty_one_is_an_error() {
    let mut config = schedule(2e-4);
    config.groups = vec![
        group(
            "trunk",
            "detector.backbone.vision_backbone.trunk.",
            Some(0.0),
            None,
        ),
        group("backbone", "detector.backbone.", Some(1e-4), None),
    ];
    let mut slots = vec![
        slot("detector.backbone.vision_backbone.trunk.ln_pre.bias"),
        slot("detector.backbone.vision_backbone.convs.0.conv_1x1.bias"),
        slot("detector.transformer.decoder.norm.bias"),
    ];
    groups::apply(&mut slots, &config, 4).expect("applied");
    assert_eq!(slots[0].rate, 0.0);
    assert!((slots[1].rate - 0.5).abs() < 1e-6 && slots[2].rate == 1.0);
    config
        .groups
        .push(group("typo", "detector.trunk.", None, None));
    let error = groups::apply(&mut slots, &config, 4).expect_err("no parameter");
    assert!(error.to_string().contains("typo"), "{error}");
}

/// A frozen slot keeps its values and has no part in the norm.
#[test]
fn frozen_parameters_stay() {
    let mut slots = vec![slot("a"), slot("b")];
    slots[0].rate = 0.0;
    let mut state = State::new(vec![vec![1.0, 2.0], vec![3.0]], &slots);
    let update = Update {
        learning_rate: 0.1,
        peak: 0.1,
        weight_decay: 0.5,
        betas: [0.9, 0.999],
        clip_norm: 100.0,
        ema: 0.5,
    };
    let norm = state.update(&slots, &[vec![30.0, 40.0], vec![2.0]], &update);
    assert!((norm - 2.0).abs() < 1e-6);
    assert_eq!(state.weights[0], [1.0, 2.0]);
    assert!(state.weights[1][0] < 3.0);
}

/// What the loss does not depend on stays as it is; PyTorch passes over parameters whose gradient is `None`.
#[test]
fn parameters_without_a_gradient_stay() {
    let slots = [slot("a"), slot("b")];
    let mut state = State::new(vec![vec![1.0, 2.0], vec![3.0]], &slots);
    let update = Update {
        learning_rate: 0.1,
        peak: 0.1,
        weight_decay: 0.5,
        betas: [0.9, 0.999],
        clip_norm: 100.0,
        ema: 0.5,
    };
    state.update(&slots, &[vec![], vec![2.0]], &update);
    assert_eq!(state.weights[0], [1.0, 2.0]);
    assert!(state.weights[1][0] < 3.0);
}

/// A constant group moves by its own rate whatever the schedule says: AdamW's first step is the rate, in the gradient's
/// direction.
#[test]
fn a_constant_rate_does_not_follow_the_schedule() {
    let mut slots = vec![slot("a"), slot("b.c")];
    let mut config = schedule(0.2);
    config.groups = vec![Group {
        constant: true,
        ..group("still", "b.", Some(0.05), None)
    }];
    groups::apply(&mut slots, &config, 4).expect("groups that fit");
    let mut state = State::new(vec![vec![1.0], vec![1.0]], &slots);
    let update = Update {
        learning_rate: 0.002,
        peak: config.learning_rate,
        weight_decay: 0.0,
        betas: [0.9, 0.999],
        clip_norm: 100.0,
        ema: 0.0,
    };
    state.update(&slots, &[vec![3.0], vec![3.0]], &update);
    for (found, expected) in [(state.weights[0][0], 0.998), (state.weights[1][0], 0.95)] {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
}

fn schedule(learning_rate: f32) -> ScheduleConfig {
    ScheduleConfig {
        steps: 10,
        epochs: None,
        learning_rate,
        warmup_steps: 0,
        drop_path: 0.0,
        dropout: 0.0,
        decay: Decay::InverseSqrt,
        final_share: 0.0,
        timescale: 1,
        cooldown_steps: 0,
        weight_decay: 0.0,
        betas: [0.9, 0.999],
        clip_norm: 0.1,
        ema: 0.9,
        groups: vec![],
        lora: None,
    }
}

fn group(name: &str, prefix: &str, rate: Option<f32>, decay: Option<f32>) -> Group {
    Group {
        name: name.to_owned(),
        prefixes: vec![prefix.to_owned()],
        learning_rate: rate,
        layer_decay: decay,
        constant: false,
    }
}

fn slot(name: &str) -> Slot {
    Slot {
        name: name.to_owned(),
        shape: vec![1],
        linear: false,
        decay: true,
        rate: 1.0,
        constant: false,
        adapted: false,
    }
}

fn pairs(value: &Value) -> Vec<[usize; 2]> {
    value
        .as_array()
        .expect("pairs")
        .iter()
        .map(|p| [0, 1].map(|i| p[i].as_u64().expect("an index") as usize))
        .collect()
}

#[test]
fn adamw_matches_pytorch() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/train/goldens.json"
    );
    let all: Value =
        serde_json::from_slice(&std::fs::read(path).expect("goldens.json")).expect("JSON");
    let case = &all["adamw"];
    let pair = |value: &Value| vec![numbers(&value[0]), numbers(&value[1])];
    let slots = [
        slot("a"),
        Slot {
            decay: false,
            ..slot("b")
        },
    ];
    let mut state = State::new(pair(&case["start"]), &slots);
    let update = Update {
        learning_rate: 0.01,
        peak: 0.01,
        weight_decay: 0.1,
        betas: [0.9, 0.999],
        clip_norm: 1.5,
        ema: 0.5,
    };
    for (gradient, norm) in case["gradients"]
        .as_array()
        .expect("steps")
        .iter()
        .zip(numbers(&case["norms"]))
    {
        let found = state.update(&slots, &pair(gradient), &update);
        assert!(
            (found - norm).abs() <= 1e-5 * norm,
            "norm {found} is not {norm}"
        );
    }
    for (what, found, expected) in [
        ("weights", &state.weights, &case["end"]),
        ("average", &state.average, &case["average"]),
    ] {
        for (found, expected) in found.iter().zip(pair(expected)) {
            close(what, found, &expected);
        }
    }
}
