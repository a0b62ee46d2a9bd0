//! The tracker beside the tensors that `tests/parity/make_video_fixture.py` recorded: the SAM heads in every prompt mode,
//! and Meta's semantics where `transformers` has others. Every module's tensors are compared by `medsam3 parity`.

use medsam3_model::burn::tensor::{Device, Tensor, TensorData};
use medsam3_model::synthetic::{self, Waves};
use medsam3_model::trace::record;
use medsam3_model::tracker::{
    FrameFeatures, Point, PointLabel, SamOutput, Tracker, TrackerConfig, mask_decoder,
};
use medsam3_model::{ParameterInfo, Values, parameters};
use medsam3_weights::huggingface;
use safetensors::SafeTensors;
use std::convert::Infallible;
use std::sync::OnceLock;

const OBJECT_SCORE_BIAS: &str = "tracker.sam_mask_decoder.pred_obj_score_head.layers.2.bias";
/// The fixture's masks.
const FIELD: Waves = Waves {
    a: (6.0, 1.1),
    f: [1.9, 2.7],
    b: 3.0,
    g: [2.3, 0.4],
    c: -0.7,
};

/// A recorded tensor, whole or as samples of so many values.
struct Recorded {
    values: Vec<f32>,
    sampled: bool,
}

fn fixture(name: &str) -> Recorded {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = FILE.get_or_init(|| {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/parity/tiny_video.safetensors"
        );
        std::fs::read(path).expect("the fixture is in the repository")
    });
    let file = SafeTensors::deserialize(bytes).expect("safetensors");
    let whole = file.tensor(name);
    let sampled = whole.is_err();
    let view = whole
        .or_else(|_| file.tensor(&format!("{name}@s512")))
        .unwrap_or_else(|_| panic!("{name} is recorded"));
    let values = view.data().as_chunks::<4>().0.iter();
    Recorded {
        values: values.map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        sampled,
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Root mean square of the difference over that of the recorded values.
fn rms_rel(name: &str, ours: &[f32]) -> f64 {
    let golden = fixture(name);
    let ours: Vec<f32> = if golden.sampled {
        let count = golden.values.len();
        (0..count).map(|i| ours[i * ours.len() / count]).collect()
    } else {
        ours.to_vec()
    };
    assert_eq!(golden.values.len(), ours.len(), "{name}");
    let sum =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let difference = sum(&mut golden.values.iter().zip(&ours).map(|(a, b)| a - b));
    (difference / sum(&mut golden.values.iter().copied())).sqrt()
}

#[track_caller]
fn agrees<const D: usize>(name: &str, ours: Tensor<D>) {
    let error = rms_rel(name, &values(ours));
    assert!(error < 1e-5, "{name}: rms relative error {error:e}");
}

/// Synthetic values keyed by the Hugging Face names, in the canonical layout.
fn weights(info: &ParameterInfo, object_score: f32) -> Vec<f32> {
    let name = huggingface::names(&info.name).remove(0);
    if info.name == OBJECT_SCORE_BIAS {
        return vec![object_score];
    }
    // Their four point embeddings are one tensor.
    if let Some(rest) = info
        .name
        .strip_prefix("tracker.sam_prompt_encoder.point_embeddings.")
    {
        let row: usize = rest[..1].parse().expect("a number");
        let width = info.shape[1];
        return synthetic::weights(&name, &[4, width])[row * width..(row + 1) * width].to_vec();
    }
    synthetic::weights(&name, &info.shape)
}

fn tracker(object_score: f32) -> Tracker {
    let config = TrackerConfig::tiny_parity();
    Tracker::new(config, &Device::flex())
        .load(&mut |info| Ok::<_, Infallible>(Values::F32(weights(info, object_score))))
        .expect("every tensor has a value")
}

/// The first frame's features.
fn frame(tracker: &Tracker) -> FrameFeatures {
    let trunk = fixture("f0/trunk").values;
    let trunk = TensorData::new(trunk, [1, 12, 12, 64]);
    tracker.features(&Tensor::from_data(trunk, &Device::flex()))
}

fn mask(values: Vec<f32>, side: usize) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values, [1, side, side]), &Device::flex())
}

fn field(side: usize) -> Tensor<3> {
    mask(FIELD.values(side, side), side)
}

fn points(points: &[(f32, f32, PointLabel)]) -> Vec<Vec<Point>> {
    vec![
        points
            .iter()
            .map(|&(x, y, label)| Point { x, y, label })
            .collect(),
    ]
}

/// A prompt mode of the fixture.
struct Mode {
    name: &'static str,
    points: Vec<Vec<Point>>,
    mask: Option<usize>,
    multimask: bool,
    /// Of the finer maps.
    scale: f32,
}

fn modes() -> Vec<Mode> {
    use PointLabel::{Negative, Positive};
    let one = points(&[(68.3, 47.6, Positive)]);
    let two = points(&[(68.3, 47.6, Positive), (116.5, 101.25, Negative)]);
    let corners = Point::corners([33.0, 25.5, 135.25, 117.0]);
    let boxed = vec![corners.to_vec()];
    let outside = Point {
        x: 106.0,
        y: 63.75,
        label: Negative,
    };
    let corrected = vec![[&corners[..], &[outside]].concat()];
    let mode = |name, points, mask, multimask| Mode {
        name,
        points,
        mask,
        multimask,
        scale: 1.0,
    };
    vec![
        mode("none_multi", vec![], None, true),
        mode("none_single", vec![], None, false),
        mode("point1_multi", one, None, true),
        mode("point2_single", two.clone(), None, false),
        Mode {
            scale: 16.0,
            ..mode("point2_sharp", two, None, false)
        },
        mode("box_single", boxed, None, false),
        mode("box_negative_single", corrected, None, false),
        mode("mask_single", vec![], Some(48), false),
        mode(
            "mask_point_multi",
            points(&[(90.0, 75.5, Positive)]),
            Some(48),
            true,
        ),
        mode("large_mask_single", vec![], Some(192), false),
    ]
}

fn heads(tracker: &Tracker, frame: &FrameFeatures, mode: &Mode) -> SamOutput {
    let scaled = FrameFeatures {
        s0: frame.s0.clone() * mode.scale,
        s1: frame.s1.clone() * mode.scale,
        coarse: frame.coarse.clone(),
    };
    tracker.base.forward_sam_heads(
        frame.coarse.clone(),
        &scaled,
        &mode.points,
        mode.mask.map(field),
        mode.multimask,
    )
}

#[test]
fn sam_heads_agree_in_every_prompt_mode() {
    let tracker = tracker(5.0);
    let frame = frame(&tracker);
    let mut stable = Vec::new();
    for mode in modes() {
        let out = heads(&tracker, &frame, &mode);
        let name = |what: &str| format!("heads/{}/{what}", mode.name);
        agrees(&name("object_score"), out.object_score);
        agrees(&name("pointer"), out.pointer);
        agrees(&name("ious"), out.ious);
        agrees(&name("low_res"), out.low_res);
        agrees(&name("high_res"), out.high_res);
        if !mode.multimask {
            stable.push(fixture(&name("stability")).values[0] >= 0.98);
        }
    }
    assert!(
        stable.contains(&true) && stable.contains(&false),
        "the modes choose the single mask and fall back"
    );
}

/// A prompt's answer does not depend on the other objects in the batch.
#[test]
fn objects_in_a_batch_do_not_touch_each_other() {
    let tracker = tracker(5.0);
    let frame = frame(&tracker);
    let (first, second) = (
        points(&[(68.3, 47.6, PointLabel::Positive)]),
        points(&[(20.0, 150.0, PointLabel::Positive)]),
    );
    let run = |points: &[Vec<Point>]| {
        let b = points.len();
        let image = frame.coarse.clone().expand([b, 12, 12, 128]);
        tracker
            .base
            .forward_sam_heads(image, &frame, points, None, true)
    };
    let both = run(&[first[0].clone(), second[0].clone()]);
    for (row, alone) in [run(&first), run(&second)].into_iter().enumerate() {
        let difference = (both.low_res.clone().narrow(0, row, 1) - alone.low_res).abs();
        assert!(difference.max().into_scalar::<f32>() < 1e-4);
    }
}

#[test]
fn an_absent_object_has_no_mask_and_the_pointer_of_none() {
    let tracker = tracker(-50.0);
    let frame = frame(&tracker);
    let mode = &modes()[2];
    let out = heads(&tracker, &frame, mode);
    assert!(values(out.low_res).iter().all(|logit| *logit == -1024.0));
    agrees("heads/absent/high_res", out.high_res);
    agrees("heads/absent/pointer", out.pointer);
    agrees("heads/absent/object_score", out.object_score);
}

#[test]
fn stability_is_the_share_between_two_thresholds() {
    let logits = vec![1.0, 0.06, 0.04, -0.04, -0.06, -1.0, 0.0, 2.0, -3.0];
    let logits = Tensor::from_data(TensorData::new(logits, [1, 1, 3, 3]), &Device::flex());
    let score = mask_decoder::stability(&logits).into_scalar::<f32>();
    assert!((score - 0.5).abs() < 1e-6, "{score}");
    let none = Tensor::full([1, 1, 3, 3], -5.0, &Device::flex());
    assert_eq!(mask_decoder::stability(&none).into_scalar::<f32>(), 1.0);
}

/// Meta stretches a mask before it is resized; `transformers` resizes first, which gives another memory of a noisy mask.
#[test]
fn memories_follow_metas_order_of_operations() {
    let tracker = tracker(5.0);
    let frame = frame(&tracker);
    let logits = synthetic::unit("meta/logits", 168 * 168);
    let logits: Vec<f32> = logits.into_iter().map(|value| 8.0 * value).collect();
    let memory = |score: f32, prompted| {
        let score = Tensor::from_data([[score]], &Device::flex());
        let masks = mask(logits.clone(), 168);
        let base = &tracker.base;
        let run = || values(base.encode_new_memory(&frame, masks, score, prompted));
        let (rounded, exact) = record(|path| path == "maskmem_features", run);
        (rounded, exact[0].values.clone())
    };
    for (name, score, prompted) in [
        ("meta/memory/features", 5.0, false),
        ("meta/memory/prompted", 5.0, true),
        ("meta/memory/prompted_absent", -5.0, true),
    ] {
        let (rounded, exact) = memory(score, prompted);
        let error = rms_rel(name, &exact);
        assert!(error < 1e-5, "{name}: {error:e}");
        // Half a unit in the last place of bf16 is 2^-9 of a value at most.
        for (rounded, exact) in rounded.iter().zip(&exact) {
            assert!((rounded - exact).abs() <= exact.abs() / 256.0);
            assert_eq!(rounded.to_bits() & 0xffff, 0, "{rounded} is a bf16");
        }
    }
    let other = rms_rel("meta/memory/of_transformers", &memory(5.0, false).0);
    assert!(other > 0.05, "no different from transformers: {other:e}");
}

/// Meta makes a mask's pointer from the single mask's token, at 16 cells per patch; `transformers` from the best of three, at
/// the side of the image.
#[test]
fn a_mask_as_output_follows_meta() {
    let tracker = tracker(5.0);
    let frame = frame(&tracker);
    let disc = mask(
        synthetic::ellipse([0.437, 0.561], [0.213, 0.171], 192, 192),
        192,
    );
    let out = tracker.base.use_mask_as_output(&frame, disc);
    agrees("meta/mask_as_output/low_res", out.low_res);
    let pointer = values(out.pointer);
    let error = rms_rel("meta/mask_as_output/pointer", &pointer);
    assert!(error < 1e-5, "{error:e}");
    let other = rms_rel("meta/mask_as_output/of_transformers", &pointer);
    assert!(other > 1e-3, "no different from transformers: {other:e}");
    assert_eq!(values(out.object_score), [10.0]);

    let nothing = Tensor::zeros([1, 192, 192], &Device::flex());
    let out = tracker.base.use_mask_as_output(&frame, nothing);
    assert_eq!(values(out.object_score), [-10.0]);
    let none = values(tracker.base.no_obj_ptr.val());
    assert_eq!(values(out.pointer), none);
}

/// The names and shapes are those of the published checkpoint, whose listing is `tests/parity/checkpoint_keys.txt`.
#[test]
fn parameters_are_those_of_the_published_checkpoint() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/parity/checkpoint_keys.txt"
    );
    let listing = std::fs::read_to_string(path).expect("the listing is in the repository");
    let mut published: std::collections::BTreeMap<&str, &str> = listing
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(name, _)| name.starts_with("tracker.") || name.contains(".sam2_convs."))
        .collect();
    let config = TrackerConfig::of(&medsam3_model::Sam3Config::sam3());
    for parameter in Tracker::new(config, &Device::flex()).parameters() {
        let shape = published.remove(parameter.name.as_str());
        let expected = format!("{:?}", parameter.shape);
        assert_eq!(shape, Some(expected.as_str()), "{}", parameter.name);
    }
    // The encoding of a frame without memory is not used by the reference either, nor is the neck's fourth level.
    let left = |name: &&&str| **name != "tracker.no_mem_pos_enc" && !name.contains("sam2_convs.3.");
    let unknown: Vec<_> = published.keys().filter(left).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn parameters_survive_saving_and_loading() {
    let tracker = tracker(5.0);
    let mut saved = std::collections::HashMap::new();
    parameters::save_at(&tracker.base, "tracker", &mut |info, values| {
        saved.insert(info.name, values);
    });
    parameters::save_at(
        &tracker.neck,
        "backbone.vision_backbone",
        &mut |info, values| {
            saved.insert(info.name, values);
        },
    );
    let config = TrackerConfig::tiny_parity();
    let mut again = 0;
    Tracker::new(config, &Device::flex())
        .load(&mut |info| {
            again += 1;
            assert_eq!(saved[&info.name], weights(info, 5.0), "{}", info.name);
            Ok::<_, Infallible>(Values::F32(saved[&info.name].clone()))
        })
        .expect("loads");
    assert_eq!(again, saved.len());
}
