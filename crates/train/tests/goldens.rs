//! Losses with their gradients, matching and optimiser against PyTorch, torchvision and SciPy
//! (`tests/train/make_goldens.py` writes `tests/train/goldens.json`).

use burn::tensor::{Device, Tensor, TensorData};
use medsam3_train::adamw::{State, Update};
use medsam3_train::losses::{Match, box_losses, classification_loss, mask_losses, presence_loss};
use medsam3_train::matching::match_row;
use medsam3_train::parameters::Slot;
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
        let expected: Vec<[usize; 2]> = case["pairs"]
            .as_array()
            .expect("pairs")
            .iter()
            .map(|p| [0, 1].map(|i| p[i].as_u64().expect("an index") as usize))
            .collect();
        assert_eq!(found, expected);
    }
    assert!(
        match_row(0, &[0.0], &[[0.5; 4]], &[])
            .expect("no objects")
            .is_empty()
    );
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
        Slot {
            name: "a".into(),
            shape: vec![2, 3],
            decay: true,
        },
        Slot {
            name: "b".into(),
            shape: vec![4],
            decay: false,
        },
    ];
    let mut state = State::new(pair(&case["start"]));
    let update = Update {
        learning_rate: 0.01,
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
