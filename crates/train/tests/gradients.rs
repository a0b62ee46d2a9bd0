//! Gradients of the small model against those of the reference model in double precision, and against finite differences of
//! its loss (`tests/train/make_gradients.py` writes `tests/train/gradients.safetensors`).

use std::collections::BTreeMap;
use std::convert::Infallible;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::{Sam3, Sam3Config, parameters as canonical, synthetic};
use medsam3_train::parameters;
use medsam3_weights::huggingface;
use safetensors::{Dtype, SafeTensors};

/// Of each tensor's gradient; issue and reference ask for 1e-3.
const TOLERANCE: f64 = 1e-3;
/// Of the largest gradient: what is smaller is noise of single precision, like that of key biases, which are zero.
const NOISE: f64 = 2e-6;
const SAMPLES: usize = 96;

struct Fixture(BTreeMap<String, Vec<f64>>);

impl Fixture {
    fn read() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/train/gradients.safetensors"
        );
        let bytes = std::fs::read(path).expect("the fixture is in the repository");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let values = |view: &safetensors::tensor::TensorView<'_>| match view.dtype() {
            Dtype::F64 => view
                .data()
                .as_chunks::<8>()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect(),
            _ => view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f64::from(f32::from_le_bytes(*b)))
                .collect(),
        };
        Self(
            file.tensors()
                .iter()
                .map(|(name, view)| (name.clone(), values(view)))
                .collect(),
        )
    }

    fn get(&self, kind: &str, name: &str) -> Option<&Vec<f64>> {
        self.0.get(&format!("{kind}/{name}"))
    }
}

/// Uniform values in -1..1 that follow from the name; matrices of one column are scaled by the root of three.
fn unit(name: &str, count: usize) -> Vec<f32> {
    let root = 3f32.sqrt();
    synthetic::weights(name, &[count, 1])
        .into_iter()
        .map(|value| value / root)
        .collect()
}

/// A model with the synthetic weights of the fixture, which are keyed by Hugging Face names.
fn model(config: &Sam3Config) -> Sam3 {
    canonical::load(config.init(&Device::flex()), &mut |info| {
        let names = huggingface::names(&info.name);
        let mut shape = info.shape.clone();
        let mut values = Vec::new();
        if info.name.ends_with("pos_embed") {
            values = vec![0.0; shape[2]];
            shape[1] -= 1;
        }
        shape[0] /= names.len();
        values.extend(
            names
                .iter()
                .flat_map(|name| synthetic::weights(name, &shape)),
        );
        Ok::<_, Infallible>(values)
    })
    .expect("every tensor has a value")
}

fn weighted_mean<const D: usize>(name: &str, output: Tensor<D>) -> Tensor<1> {
    let count = output.shape().num_elements();
    let factors = TensorData::new(unit(&format!("gradient.{name}"), count), [count]);
    let factors = Tensor::<1>::from_data(factors, &output.device());
    (output.reshape([count]) * factors).mean()
}

fn loss(model: &Sam3, device: &Device) -> Tensor<1> {
    let image = TensorData::new(synthetic::image(168, 168), [1, 3, 168, 168]);
    let features = model.encode_image(Tensor::<4>::from_data(image, device));
    let mut ids = vec![510, 5, 77, 300, 511];
    ids.resize(16, 0);
    let valid: Vec<bool> = (0..16).map(|at| at < 5).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, 16]), device);
    let valid = Tensor::<2, Bool>::from_data(TensorData::new(valid, [1, 16]), device);
    let answer = model.ground(&features, &model.encode_text(ids, valid));
    let masks = model.masks(&answer.pixels, answer.hs);
    let [x, y, w, h] = [0, 1, 2, 3].map(|at| answer.boxes.clone().narrow(2, at, 1));
    let (w, h) = (w * 0.5, h * 0.5);
    let corners = vec![x.clone() - w.clone(), y.clone() - h.clone(), x + w, y + h];
    weighted_mean("pred_masks", masks)
        + weighted_mean("pred_boxes", Tensor::cat(corners, 2))
        + weighted_mean("pred_logits", answer.logits)
        + weighted_mean("presence_logits", answer.presence)
        + weighted_mean("semantic_seg", answer.semantic)
}

/// Gradients by Hugging Face name, in its layout.
fn gradients() -> BTreeMap<String, Vec<f64>> {
    let config = Sam3Config::tiny_parity();
    let device = Device::flex().autodiff();
    let (slots, values) = parameters::collect(&model(&config));
    let held = parameters::hold(config.init(&Device::flex()), values.clone());
    let model = parameters::tracked(&held, &slots, &device);
    let mut found = parameters::gradients(&model, loss(&model, &device).backward());
    for (gradient, values) in found.iter_mut().zip(&values) {
        gradient.resize(values.len(), 0.0);
    }
    // Saved as if they were the weights, they take the canonical layout.
    let carrier = parameters::assign(config.init(&Device::flex()), &found, false);
    let mut named = BTreeMap::new();
    canonical::save(&carrier, &mut |info, mut values| {
        if info.name.ends_with("pos_embed") {
            values.drain(..info.shape[2]);
        }
        let names = huggingface::names(&info.name);
        let each = values.len() / names.len();
        for (name, part) in names.into_iter().zip(values.chunks(each)) {
            named.insert(name, part.iter().map(|&value| f64::from(value)).collect());
        }
    });
    named
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values
        .into_iter()
        .map(|value| value * value)
        .sum::<f64>()
        .sqrt()
}

#[test]
fn gradients_match_the_reference_and_finite_differences() {
    let fixture = Fixture::read();
    let found = gradients();
    let largest = found
        .values()
        .map(|values| norm(values.iter().copied()))
        .fold(0.0, f64::max);
    let mut worst = (0.0, String::new());
    let mut compared = 0;
    for (name, gradient) in &found {
        let own = norm(gradient.iter().copied());
        let Some(expected) = fixture.get("values", name) else {
            assert!(
                own == 0.0,
                "{name} has a gradient, in the reference it has none"
            );
            continue;
        };
        let stride = (gradient.len() / SAMPLES).max(1);
        let sampled: Vec<f64> = gradient
            .iter()
            .copied()
            .step_by(stride)
            .take(SAMPLES)
            .collect();
        assert_eq!(sampled.len(), expected.len(), "{name}");
        let whole = fixture
            .get("norm", name)
            .and_then(|one| one.first())
            .copied()
            .expect("a norm");
        assert!(
            (own - whole).abs() <= TOLERANCE * whole + NOISE * largest,
            "the norm of {name}: {own} is not {whole}"
        );
        let difference = norm(sampled.iter().zip(expected).map(|(a, b)| a - b));
        let scale = norm(expected.iter().copied());
        assert!(
            difference <= TOLERANCE * scale + NOISE * largest,
            "{name}: {difference} of {scale}"
        );
        if scale > 100.0 * NOISE * largest && difference / scale > worst.0 {
            worst = (difference / scale, name.clone());
        }
        compared += 1;
    }
    assert!(compared > 200, "{compared} tensors compared");
    println!(
        "{compared} gradients; the worst differs by {:.1e} of its norm: {}",
        worst.0, worst.1
    );

    let mut parts = 0;
    for (key, expected) in fixture
        .0
        .iter()
        .filter(|(key, _)| key.starts_with("difference/"))
    {
        let part = key.trim_start_matches("difference/");
        let along: f64 = found
            .iter()
            .filter(|(name, _)| name.starts_with(part) && fixture.get("values", name).is_some())
            .map(|(name, gradient)| {
                let direction = unit(&format!("direction.{name}"), gradient.len());
                gradient
                    .iter()
                    .zip(direction)
                    .map(|(g, d)| g * f64::from(d))
                    .sum::<f64>()
            })
            .sum();
        let expected = expected[0];
        assert!(
            (along - expected).abs() <= TOLERANCE * expected.abs(),
            "{part}: {along} along the direction, {expected} by differences"
        );
        parts += 1;
    }
    assert_eq!(parts, 9);
}
