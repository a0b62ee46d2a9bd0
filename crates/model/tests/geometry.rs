//! Points and boxes as prompts of the detector beside the tensors that `tests/parity/make_box_fixture.py` recorded.

use medsam3_model::burn::module::Module;
use medsam3_model::burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::geometry_encoders::{GeometryPrompt, PointsAndBoxes, PromptBox, PromptPoint};
use medsam3_model::parameters::{self, Values, load_some};
use medsam3_model::trace::{Recorded, record};
use medsam3_model::{ParameterInfo, Sam3, Sam3Config, synthetic};
use medsam3_weights::huggingface;
use safetensors::SafeTensors;
use std::convert::Infallible;

fn fixture(name: &str) -> Vec<f32> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/parity/tiny_box.safetensors"
    );
    let bytes = std::fs::read(path).expect("the fixture is in the repository");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let view = file.tensor(name).expect("a recorded tensor");
    let values = view.data().as_chunks::<4>().0.iter();
    values.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[track_caller]
fn agrees(name: &str, ours: &[f32]) {
    let golden = fixture(name);
    assert_eq!(golden.len(), ours.len(), "{name}");
    let sum = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value).powi(2)).sum::<f64>()
    };
    let difference = sum(&mut golden.iter().zip(ours).map(|(a, b)| a - b));
    let error = (difference / sum(&mut golden.iter().copied())).sqrt();
    assert!(error < 1e-5, "{name}: rms relative error {error:e}");
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Synthetic values keyed by the Hugging Face names, in the canonical layout.
fn weights(info: &ParameterInfo) -> Result<Values, Infallible> {
    let names = huggingface::names(&info.name);
    let mut shape = info.shape.clone();
    let mut values = Vec::new();
    if info.name.ends_with("pos_embed") {
        values = vec![0.0; shape[2]];
        shape[1] -= 1;
    }
    shape[0] /= names.len();
    let of = |name: &String| synthetic::weights(name, &shape);
    values.extend(names.iter().flat_map(of));
    Ok(Values::F32(values))
}

fn filled<M: Module>(part: M, at: &str) -> M {
    load_some(part, at, &|_| true, &mut weights).expect("every tensor has a value")
}

fn model() -> Sam3 {
    filled(Sam3Config::tiny_parity().init(&Device::flex()), "")
}

fn branches() -> PointsAndBoxes {
    let width = Sam3Config::tiny_parity().transformer.width;
    let new = PointsAndBoxes::new(width, &Device::flex());
    filled(new, PointsAndBoxes::PATH)
}

fn boxes() -> GeometryPrompt {
    let marked = |cxcywh, positive| PromptBox { cxcywh, positive };
    GeometryPrompt {
        points: Vec::new(),
        boxes: vec![
            marked([0.5, 0.45, 0.3, 0.4], true),
            marked([0.25, 0.7, 0.2, 0.1], false),
        ],
    }
}

fn points() -> GeometryPrompt {
    let marked = |xy, positive| PromptPoint { xy, positive };
    GeometryPrompt {
        points: vec![
            marked([0.31, 0.62], true),
            marked([0.97, 0.04], false),
            marked([0.5, 0.5], true),
        ],
        boxes: Vec::new(),
    }
}

/// From the image and two boxes to masks, with the geometry encoder's modules on the way.
#[test]
fn boxes_beside_the_text_agree_with_the_reference() {
    let (model, branches) = (model(), branches());
    let device = Device::flex();
    let image = TensorData::new(synthetic::image(168, 168), [1, 3, 168, 168]);
    let image = model.encode_image(Tensor::from_data(image, &device));
    let mut ids = vec![510, 5, 77, 300, 511];
    ids.resize(16, 0);
    let valid: Vec<bool> = ids.iter().map(|id| *id != 0).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, 16]), &device);
    let valid = Tensor::<2, Bool>::from_data(TensorData::new(valid, [1, 16]), &device);
    let text = model.encode_text(ids, valid);
    let (grounding, recorded) = record(
        |_| true,
        || model.ground_prompted(&image, &text, &branches, &[boxes()]),
    );
    for (ours, theirs) in [
        ("geometry_encoder.img_pre_norm", "vision_layer_norm"),
        (
            "geometry_encoder.boxes_direct_project",
            "boxes_direct_project",
        ),
        ("geometry_encoder.boxes_pool_project", "boxes_pool_project"),
        (
            "geometry_encoder.boxes_pos_enc_project",
            "boxes_pos_enc_project",
        ),
        ("geometry_encoder.final_proj", "final_proj"),
        ("geometry_encoder.norm", "prompt_layer_norm"),
        ("geometry_encoder.encode.0", "layers.0"),
        ("geometry_encoder.encode.1", "layers.1"),
        ("geometry_encoder.encode_norm", "output_layer_norm"),
        ("transformer.encoder.layers.1", "memory"),
    ] {
        let found = |tensor: &&Recorded| tensor.path == ours;
        let tensor = recorded.iter().find(found).expect("recorded");
        agrees(&format!("boxes/{theirs}"), &tensor.values);
    }
    let masks = model.masks(&grounding.pixels, grounding.hs.clone());
    agrees("boxes/out.pred_logits", &values(grounding.logits));
    agrees("boxes/out.presence_logits", &values(grounding.presence));
    agrees("boxes/out.semantic_seg", &values(grounding.semantic));
    agrees("boxes/out.pred_masks", &values(masks));
    let corners: Vec<f32> = values(grounding.boxes)
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|[cx, cy, w, h]| [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0])
        .collect();
    agrees("boxes/out.pred_boxes", &corners);
}

/// Points, which `transformers` lacks, by Meta's formula; and points in front of boxes in front of the class token.
#[test]
fn points_agree_with_metas_formula() {
    let (model, branches) = (model(), branches());
    let map = TensorData::new(fixture("map"), [1, 12, 12, 32]);
    let map = Tensor::<4>::from_data(map, &Device::flex());
    agrees(
        "points/tokens",
        &values(branches.forward(&map, &[points()])),
    );
    let both = GeometryPrompt {
        boxes: boxes().boxes,
        ..points()
    };
    let tokens = branches.forward(&map, &[both]);
    let position = medsam3_model::position_encoding::sine_map(12, 32, &Device::flex());
    let image = map.reshape([1, 144, 32]);
    let encoded = model
        .geometry_encoder
        .forward_prompted(tokens, &image, &position);
    agrees("points_and_boxes/encoded", &values(encoded));
}

/// The names and shapes are those of the published checkpoint, whose listing is `tests/parity/checkpoint_keys.txt`.
#[test]
fn parameters_are_those_of_the_published_checkpoint() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/parity/checkpoint_keys.txt"
    );
    let listing = std::fs::read_to_string(path).expect("the listing is in the repository");
    let new = PointsAndBoxes::new(256, &Device::flex());
    let all = parameters::parameters_at(&new, PointsAndBoxes::PATH);
    assert_eq!(all.len(), 15);
    for parameter in all {
        let line = format!("{}\t{:?}", parameter.name, parameter.shape);
        assert!(listing.lines().any(|known| known == line), "{line}");
    }
}
