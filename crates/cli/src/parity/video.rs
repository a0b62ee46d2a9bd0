//! The tiny golden of the tracker (`tests/parity/make_video_fixture.py`): a Hugging Face `Sam3VideoModel` followed over a
//! few frames with two objects, every module's output on frames 0 to 2.
//!
//! Frame 0 starts from the recorded masks, and its pointers are those recorded, because Meta makes them in another way. Later
//! frames follow from the pointers that this program makes and from the recorded memories, with which its own are compared.
//! Larger tensors may be samples, `NAME@s512`.

use super::golden::Golden;
use super::{Report, Row, compare};
use anyhow::{Context as _, Result};
use medsam3_model::burn::tensor::{Device, Tensor, TensorData};
use medsam3_model::trace::{Recorded, record, scope};
use medsam3_model::tracker::{
    Filter, Memory, MemoryBank, Moment, Prompt, Tracker, TrackerConfig, bilinear, suppress_shrunken,
};
use medsam3_model::{ParameterInfo, Values, synthetic};
use medsam3_weights::huggingface;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Instant;

/// Objects of the recording.
const OBJECTS: usize = 2;
/// Frames of the recording, of which so many are recorded.
const FRAMES: [usize; 2] = [5, 3];
/// Elements of a sampled tensor.
const SAMPLES: usize = 512;
/// The bias of the object score that the recording was made with, so that objects are there.
const OBJECT_SCORE_BIAS: (&str, f32) = (
    "tracker.sam_mask_decoder.pred_obj_score_head.layers.2.bias",
    5.0,
);
const POINT_EMBEDDINGS: &str = "tracker.sam_prompt_encoder.point_embeddings.";

pub fn run(golden: &Golden, device: &Device) -> Result<Report> {
    let mut config = TrackerConfig::tiny_parity();
    // The reference of this recording has none.
    config.memory.selection = false;
    let tracker = Tracker::new(config, device)
        .load(&mut |info| Ok::<_, Infallible>(Values::F32(weights(info))))?;
    let start = Instant::now();
    let mut replay = Replay {
        golden,
        tracker,
        device,
        bank: MemoryBank::default(),
        rows: Vec::new(),
        bf16: 0,
        seen: BTreeSet::new(),
    };
    for frame in 0..FRAMES[1] {
        let (result, recorded) = record(|_| true, || replay.frame(frame));
        result?;
        replay.modules(frame, &recorded)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let seen = &replay.seen;
    let left_out = golden
        .names("f")
        .filter(|name| !seen.contains(*name))
        .map(|name| (name.clone(), reason(name)))
        .collect();
    Ok(Report {
        kind: "tiny-video",
        rows: replay.rows,
        left_out,
        mask_iou: None,
        bf16_ulps: Some(replay.bf16),
        seconds,
        peak_memory_bytes: None,
    })
}

/// Synthetic values keyed by the Hugging Face names, in the canonical layout.
fn weights(info: &ParameterInfo) -> Vec<f32> {
    if info.name == OBJECT_SCORE_BIAS.0 {
        return vec![OBJECT_SCORE_BIAS.1];
    }
    let name = huggingface::names(&info.name).remove(0);
    // Their four point embeddings are one tensor.
    let row = info.name.strip_prefix(POINT_EMBEDDINGS);
    if let Some(row) = row.and_then(|rest| rest.get(..1)?.parse::<usize>().ok()) {
        let width = info.shape[1];
        let all = synthetic::weights(&name, &[4, width]);
        return all[row * width..(row + 1) * width].to_vec();
    }
    synthetic::weights(&name, &info.shape)
}

struct Replay<'a> {
    golden: &'a Golden,
    tracker: Tracker,
    device: &'a Device,
    bank: MemoryBank<Memory>,
    rows: Vec<Row>,
    /// Largest difference of a stored memory in units of its last place.
    bf16: u32,
    seen: BTreeSet<String>,
}

impl Replay<'_> {
    fn frame(&mut self, frame: usize) -> Result<()> {
        let trunk: Tensor<4> = self.given(&format!("f{frame}/trunk"))?;
        let features = self.tracker.features(&trunk);
        let base = self.tracker.base.clone();
        if frame == 0 {
            for object in 0..OBJECTS {
                let mask: Tensor<4> = self.given(&format!("f0/mask_downsample.in#{object}"))?;
                let [_, _, h, w] = mask.dims();
                let small = base.mask_downsample.forward(mask.reshape([1, h, w, 1]));
                let name = format!("f0/mask_downsample.out#{object}");
                self.compare(&name, &values(small))?;
                // The reference takes the best of three masks here, this program the single one.
                let small: Tensor<4> = self.given(&name)?;
                let [_, _, h, w] = small.dims();
                scope("tracker", || {
                    let masks = Some(small.reshape([1, h, w]));
                    base.forward_sam_heads(features.coarse.clone(), &features, &[], masks, true)
                });
            }
            let masks: Tensor<4> = self.given("f0/memory.masks#0")?;
            let score: Tensor<3> = self.given("f0/memory.object_score#0")?;
            self.memory(frame, &features, masks.squeeze_dim::<3>(1), score)?;
            let named = |object| self.given::<2>(&format!("f0/stored.pointer#{object}"));
            let pointers: Result<Vec<Tensor<2>>> = (0..OBJECTS).map(named).collect();
            let memory = Memory {
                features: self.stored_memories(0)?,
                pointer: Tensor::cat(pointers?, 0),
            };
            for part in ["features", "pointer", "masks"] {
                let named = (0..OBJECTS).map(|object| format!("f0/stored.{part}#{object}"));
                self.seen.extend(named);
            }
            self.bank.insert_prompted(0, memory);
            return Ok(());
        }
        let moment = Moment {
            frame,
            frames: FRAMES[0],
            reverse: false,
        };
        let selection = self.bank.select(moment, &self.tracker.config.memory);
        let step = scope("tracker", || {
            base.track_step(
                &features,
                &Prompt::None,
                OBJECTS,
                false,
                &self.bank,
                &selection,
            )
        });
        self.compare_objects(frame, "masks", &values(step.sam.low_res.clone()))?;
        self.compare_objects(frame, "pointer", &values(step.sam.pointer.clone()))?;
        let score = step.sam.object_score.clone();
        self.compare_objects(frame, "object_score", &values(score))?;

        let masks = suppress_shrunken(step.sam.low_res.clone());
        self.compare(&format!("f{frame}/memory.masks#0"), &values(masks.clone()))?;
        let score: Tensor<3> = self.given(&format!("f{frame}/memory.object_score#0"))?;
        self.memory(frame, &features, masks, score)?;
        let memory = Memory {
            features: self.stored_memories(frame)?,
            pointer: step.sam.pointer,
        };
        self.bank.insert_tracked(frame, memory, 1.0);
        Ok(())
    }

    /// Memories of a frame, compared. The reference resizes logits, this program what it makes of them, so that the logits
    /// are resized in front of it here.
    fn memory(
        &mut self,
        frame: usize,
        features: &medsam3_model::tracker::FrameFeatures,
        masks: Tensor<3>,
        score: Tensor<3>,
    ) -> Result<()> {
        let side = self.tracker.config.mask_side();
        let masks = bilinear(masks, [side, side], Filter::Antialiased);
        let score = score.squeeze_dim::<2>(2);
        let base = &self.tracker.base;
        let memory = scope("tracker", || {
            // A mask given as a prompt is cut at zero.
            base.encode_new_memory(features, masks, score, frame == 0)
        });
        let [_, cells, channels] = memory.dims();
        let ours = values(memory);
        for (object, ours) in ours.chunks(cells * channels).enumerate() {
            let name = format!("f{frame}/stored.features#{object}");
            let golden = &self.golden.require(&name)?.values;
            anyhow::ensure!(golden.len() == ours.len(), "{name} has another size");
            let largest = golden
                .iter()
                .fold(0f32, |most, value| most.max(value.abs()));
            for (golden, ours) in golden.iter().zip(ours) {
                // Next to zero, a difference of f32 is many places.
                if (golden - ours).abs() > 1e-5 * largest {
                    self.bf16 = self.bf16.max(ulps(*golden, *ours));
                }
            }
            self.seen.insert(name);
        }
        for part in [
            "memory.features#0",
            "memory.object_score#0",
            "memory.masks#0",
            "trunk",
        ] {
            self.seen.insert(format!("f{frame}/{part}"));
        }
        Ok(())
    }

    fn given<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        let tensor = self.golden.require(name)?;
        let shape: [usize; D] = tensor
            .shape
            .clone()
            .try_into()
            .map_err(|shape| anyhow::anyhow!("{name} has the shape {shape:?}"))?;
        let data = TensorData::new(tensor.values.clone(), shape);
        Ok(Tensor::from_data(data, self.device))
    }

    /// The reference's memories of a frame: what is one in the last place of bf16 off here would be 1e-5 of later tensors.
    fn stored_memories(&self, frame: usize) -> Result<Tensor<3>> {
        let named = |object| self.given::<3>(&format!("f{frame}/stored.features#{object}"));
        let memories: Result<Vec<Tensor<3>>> = (0..OBJECTS).map(named).collect();
        Ok(Tensor::cat(memories?, 0))
    }

    fn compare_objects(&mut self, frame: usize, part: &str, ours: &[f32]) -> Result<()> {
        for (object, ours) in ours.chunks(ours.len() / OBJECTS).enumerate() {
            self.compare(&format!("f{frame}/stored.{part}#{object}"), ours)?;
        }
        Ok(())
    }

    /// Compares with a recorded tensor, whole or sampled, if there is one.
    fn compare(&mut self, name: &str, ours: &[f32]) -> Result<bool> {
        let sampled = format!("{name}@s{SAMPLES}");
        let (stored, ours) = if self.golden.contains(&sampled) {
            let sample = (0..SAMPLES).map(|i| ours[i * ours.len() / SAMPLES]);
            (sampled, sample.collect())
        } else if self.golden.contains(name) {
            (name.to_owned(), ours.to_vec())
        } else {
            return Ok(false);
        };
        let golden = self.golden.require(&stored)?;
        self.rows.push(compare(&stored, &golden.values, &ours)?);
        self.seen.insert(stored);
        Ok(true)
    }

    /// Compares the outputs of all modules of a frame.
    fn modules(&mut self, frame: usize, recorded: &[Recorded]) -> Result<()> {
        // Objects are calls there and rows here, or calls in both.
        let mut all: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for tensor in recorded {
            let (name, values) = as_recorded(tensor);
            // The frame's map, which all objects share, is projected once here, and for each of them there on frame 0.
            let repeated = frame == 0 && name.ends_with("feature_projection");
            let repeats = if repeated { OBJECTS } else { 1 };
            all.entry(name).or_default().extend(values.repeat(repeats));
        }
        for (name, ours) in all {
            let name = format!("f{frame}/{name}");
            if self.compare(&name, &ours).context(name.clone())? {
                continue;
            }
            // What all objects share is computed once here.
            let shared = name.contains("temporal_positional");
            let part = ours.len() / if shared { 1 } else { OBJECTS };
            for (object, ours) in ours.chunks(part.max(1)).cycle().enumerate().take(OBJECTS) {
                self.compare(&format!("{name}#{object}"), ours)
                    .context(name.clone())?;
            }
        }
        Ok(())
    }
}

/// The reference's name of a recorded tensor and its values in the reference's layout.
fn as_recorded(tensor: &Recorded) -> (String, Vec<f32>) {
    let path = if tensor.path.starts_with("tracker.") {
        tensor.path.clone()
    } else {
        format!("detector.{}", tensor.path)
    };
    // Outputs that have a module's name there and one of their own here.
    let outputs = [
        ("sam_prompt_encoder.sparse", "prompt_encoder[0]"),
        ("sam_prompt_encoder.dense", "prompt_encoder[1]"),
        ("sam_mask_decoder.ious", "mask_decoder.iou_prediction_head"),
        (
            "transformer.layers.0.tokens",
            "mask_decoder.transformer.layers.0[0]",
        ),
        (
            "transformer.layers.0.image",
            "mask_decoder.transformer.layers.0[1]",
        ),
        (
            "transformer.layers.1.tokens",
            "mask_decoder.transformer.layers.1[0]",
        ),
        (
            "transformer.layers.1.image",
            "mask_decoder.transformer.layers.1[1]",
        ),
        (
            "obj_ptr_tpos_proj",
            "temporal_positional_encoding_projection_layer",
        ),
    ];
    let output = outputs.iter().find(|(ours, _)| path.ends_with(ours));
    let name = output.map_or_else(
        || huggingface::names(&path).remove(0),
        |(_, theirs)| format!("tracker_model.{theirs}"),
    );
    let is_map = tensor.shape.len() == 4 && !name.contains("pointwise_conv");
    let values = match tensor.shape[..] {
        [b, h, w, c] if is_map => channels_first(&tensor.values, [b, h * w, c]),
        [b, n, c] if name == "tracker_model.prompt_encoder[1]" => {
            channels_first(&tensor.values, [b, n, c])
        }
        _ => tensor.values.clone(),
    };
    (name, values)
}

/// `[b, n, c]` to `[b, c, n]`.
fn channels_first(values: &[f32], [_, n, c]: [usize; 3]) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for image in values.chunks(n * c) {
        for channel in 0..c {
            out.extend((0..n).map(|cell| image[cell * c + channel]));
        }
    }
    out
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Units in the last place between two numbers that are rounded to bf16.
fn ulps(a: f32, b: f32) -> u32 {
    // The order of floats as that of integers.
    let place = |value: f32| {
        let bits = i32::from((value.to_bits() >> 16) as u16 & 0x7fff);
        if value.is_sign_negative() {
            -bits
        } else {
            bits
        }
    };
    place(a).abs_diff(place(b))
}

/// Why a recorded tensor is not compared.
fn reason(name: &str) -> &'static str {
    const REASONS: [(&str, &str); 7] = [
        ("scale_layers.1", "an activation inside a compared module"),
        (
            "mask_downsampler.layers",
            "the activation of a compared tensor",
        ),
        (
            "mask_decoder[0]",
            "a product of compared tensors; the best mask is compared on frames 1 and 2",
        ),
        ("mask_downsample.in", "an input"),
        ("memory.position", "a table; its effect is compared"),
        ("memory_encoder[1]", "a table; its effect is compared"),
        ("f0/stored.object_score", "the mask's own, not the heads'"),
    ];
    REASONS
        .iter()
        .find(|(part, _)| name.contains(part))
        .map_or("a copy or a part of a compared tensor", |(_, reason)| {
            reason
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_the_last_place_are_counted_across_zero() {
        let next = |bits: u32| f32::from_bits(bits << 16);
        assert_eq!(ulps(1.0, 1.0), 0);
        assert_eq!(ulps(1.0, next(0x3f81)), 1);
        assert_eq!(ulps(next(0x0001), next(0x8001)), 2);
    }
}
