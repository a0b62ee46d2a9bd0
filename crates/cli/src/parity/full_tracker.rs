//! The full tracker's golden: Meta's own code at full size (side 1008), on inputs that formulas make. Tensors are whole, or
//! 4,096 samples at `floor(i * numel / 4096)`; maps there have channels first and tokens come before the batch, which for one
//! object is the same order.
//!
//! Compared are the SAM heads in every prompt mode, the memory encoder, a mask as the output, the memory attention with 5,188
//! and 36,352 keys, and a session that is followed for three frames forwards.

use super::full::row;
use super::golden::Golden;
use super::{Report, Row};
use anyhow::Result;
use medsam3_model::burn::tensor::{Device, Tensor, TensorData};
use medsam3_model::synthetic::{self, Waves};
use medsam3_model::trace::record;
use medsam3_model::tracker::{
    Filter, FrameFeatures, Memory, MemoryBank, Moment, Point, PointLabel, Prompt, Sam3TrackerBase,
    Tracker, TrackerConfig, bilinear,
};
use medsam3_model::{ParameterInfo, Sam3Config, Values};
use std::convert::Infallible;
use std::time::Instant;

const OBJECT_SCORE_BIAS: (&str, f32) = (
    "tracker.sam_mask_decoder.pred_obj_score_head.layers.2.bias",
    5.0,
);
/// The recording's mask of 288 and of 1008 or 1152 cells.
const LOGIT_288: Waves = Waves {
    a: (7.0, 0.3),
    f: [2.3, 1.1],
    b: 4.0,
    g: [0.7, 3.1],
    c: -1.5,
};
const LOGIT_LARGE: Waves = Waves {
    a: (6.0, 1.1),
    f: [1.9, 2.7],
    b: 3.0,
    g: [5.3, 0.4],
    c: -0.7,
};
/// Scale and offset of the maps at 1, 2 and 4 times the grid.
const MAPS: [(&str, [f32; 2], usize); 3] = [
    ("f288", [1.0, 0.5], 288),
    ("f144", [1.0, 0.5], 144),
    ("f72", [2.0, 2.0], 72),
];

pub fn run(golden: &Golden, device: &Device) -> Result<Report> {
    let config = TrackerConfig::of(&Sam3Config::sam3());
    let tracker = Tracker::new(config, device)
        .load(&mut |info| Ok::<_, Infallible>(Values::F32(weights(info))))?;
    let start = Instant::now();
    let mut run = Run {
        golden,
        base: &tracker.base,
        config: &tracker.config,
        device,
        rows: Vec::new(),
    };
    let frame = run.frame("", [32, 64, 256]);
    run.heads(&frame)?;
    run.memories(&frame)?;
    run.mask_as_output(&frame)?;
    run.attention(&frame)?;
    run.session()?;
    Ok(Report {
        kind: "full-tracker",
        rows: run.rows,
        left_out: Vec::new(),
        mask_iou: None,
        bf16_ulps: None,
        seconds: start.elapsed().as_secs_f64(),
        peak_memory_bytes: None,
    })
}

fn weights(info: &ParameterInfo) -> Vec<f32> {
    if info.name == OBJECT_SCORE_BIAS.0 {
        return vec![OBJECT_SCORE_BIAS.1];
    }
    synthetic::weights(&info.name, &info.shape)
}

struct Run<'a> {
    golden: &'a Golden,
    base: &'a Sam3TrackerBase,
    config: &'a TrackerConfig,
    device: &'a Device,
    rows: Vec<Row>,
}

impl Run<'_> {
    fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }

    /// Noise on an offset for each channel, `[1, side, side, channels]`.
    fn map(&self, key: &str, [scale, offset]: [f32; 2], channels: usize, side: usize) -> Tensor<4> {
        let cells = side * side;
        let mut values = synthetic::unit(key, channels * cells);
        let offsets = synthetic::unit(&format!("{key}/offset"), channels);
        for (channel, values) in values.chunks_mut(cells).enumerate() {
            for value in values {
                *value = scale * *value + offset * offsets[channel];
            }
        }
        self.tensor(values, [1, channels, side, side])
            .permute([0, 2, 3, 1])
    }

    /// The maps of a frame, channels of the finest first.
    fn maps(&self, prefix: &str, channels: [usize; 3]) -> [Tensor<4>; 3] {
        core::array::from_fn(|i| {
            let (name, spec, side) = MAPS[i];
            self.map(&format!("golden/{prefix}{name}"), spec, channels[i], side)
        })
    }

    /// A frame whose finer maps are made as they come out of `conv_s0` and `conv_s1`.
    fn frame(&self, prefix: &str, channels: [usize; 3]) -> FrameFeatures {
        let [s0, s1, coarse] = self.maps(prefix, channels);
        FrameFeatures { s0, s1, coarse }
    }

    fn mask(&self, waves: &Waves, side: usize) -> Tensor<3> {
        self.tensor(waves.values(side, side), [1, side, side])
    }

    /// Compares, if the golden has it.
    fn check<const D: usize>(&mut self, name: &str, ours: Tensor<D>) -> Result<()> {
        let ours: Vec<f32> = ours.into_data().iter::<f32>().collect();
        self.rows.extend(row(self.golden, name, &ours)?);
        Ok(())
    }

    /// As [`Run::check`], of a map with channels last or tokens with channels last.
    fn check_map(&mut self, name: &str, ours: Tensor<3>) -> Result<()> {
        self.check(name, ours.swap_dims(1, 2))
    }

    /// Part (a): every prompt mode.
    fn heads(&mut self, frame: &FrameFeatures) -> Result<()> {
        use PointLabel::{Negative, Positive};
        let point = |x, y, label| Point { x, y, label };
        let (inside, outside) = (
            point(412.3, 287.6, Positive),
            point(700.5, 611.25, Negative),
        );
        let corners = Point::corners([203.0, 155.5, 811.25, 702.0]);
        let corrected = [&corners[..], &[point(640.0, 380.75, Negative)]].concat();
        let (small, large) = (self.mask(&LOGIT_288, 288), self.mask(&LOGIT_LARGE, 1152));
        let modes = [
            ("none_multi", vec![], None, true, 1.0),
            ("none_single", vec![], None, false, 1.0),
            ("point1_multi", vec![inside], None, true, 1.0),
            ("point2_single", vec![inside, outside], None, false, 1.0),
            ("point2_stable", vec![inside, outside], None, false, 16.0),
            ("box_single", corners.to_vec(), None, false, 1.0),
            ("box_neg_single", corrected, None, false, 1.0),
            ("mask_single", vec![], Some(&small), false, 1.0),
            (
                "mask_point_multi",
                vec![point(540.0, 455.5, Positive)],
                Some(&small),
                true,
                1.0,
            ),
            ("mask1152_single", vec![], Some(&large), false, 1.0),
        ];
        for (name, points, mask, multimask, scale) in modes {
            let scaled = FrameFeatures {
                s0: frame.s0.clone() * scale,
                s1: frame.s1.clone() * scale,
                coarse: frame.coarse.clone(),
            };
            let points = if points.is_empty() {
                vec![]
            } else {
                vec![points]
            };
            let out = self.base.forward_sam_heads(
                frame.coarse.clone(),
                &scaled,
                &points,
                mask.cloned(),
                multimask,
            );
            let name = |part: &str| format!("a/{name}/{part}");
            self.check(&name("object_score_logits"), out.object_score)?;
            self.check(&name("obj_ptr"), out.pointer)?;
            self.check(&name("low_res_multimasks"), out.multimasks)?;
            self.check(&name("ious"), out.ious)?;
            self.check(&name("low_res_masks"), out.low_res)?;
            self.check(&name("high_res_masks"), out.high_res)?;
        }
        Ok(())
    }

    /// Part (b): the memory encoder, in front of its rounding to bf16.
    fn memories(&mut self, frame: &FrameFeatures) -> Result<()> {
        let small = bilinear(self.mask(&LOGIT_288, 288), [1152; 2], Filter::Plain);
        for (name, logits, score, prompted) in [
            ("field1152", self.mask(&LOGIT_LARGE, 1152), 5.0, false),
            ("field1008", self.mask(&LOGIT_LARGE, 1008), 5.0, false),
            ("points1008", self.mask(&LOGIT_LARGE, 1008), 5.0, true),
            ("absent1008", self.mask(&LOGIT_LARGE, 1008), -3.0, false),
            ("lowres288", small, 10.0, false),
        ] {
            let features = self.encode(frame, logits, score, prompted).1;
            self.check_map(&format!("b/{name}/features"), features)?;
        }
        Ok(())
    }

    /// A memory, and the same in front of its rounding, `[1, cells, channels]`.
    fn encode(
        &self,
        frame: &FrameFeatures,
        logits: Tensor<3>,
        score: f32,
        prompted: bool,
    ) -> (Tensor<3>, Tensor<3>) {
        let score = self.tensor(vec![score], [1, 1]);
        let encode = || self.base.encode_new_memory(frame, logits, score, prompted);
        let (rounded, exact) = record(|path| path == "maskmem_features", encode);
        let exact = self.tensor(exact[0].values.clone(), rounded.dims());
        (rounded, exact)
    }

    /// Part (c): a mask as the output.
    fn mask_as_output(&mut self, frame: &FrameFeatures) -> Result<()> {
        let disc = synthetic::ellipse([0.437, 0.561], [0.213, 0.171], 1152, 1152);
        let soft = Waves {
            a: (0.3, 0.4),
            f: [1.7, 0.9],
            b: 0.2,
            g: [0.6, 2.3],
            c: 0.5,
        };
        for (name, mask) in [("disc", disc), ("soft", soft.values(1152, 1152))] {
            let mask = self.tensor(mask, [1, 1152, 1152]);
            let out = self.base.use_mask_as_output(frame, mask);
            self.check(&format!("c/{name}/obj_ptr"), out.pointer)?;
            self.check(&format!("c/{name}/low_res_masks"), out.low_res)?;
            self.check(&format!("c/{name}/high_res_masks"), out.high_res)?;
            self.check(&format!("c/{name}/object_score_logits"), out.object_score)?;
        }
        Ok(())
    }

    /// Part (d): the memory attention, the larger one with 7 spatial memories and 16 pointers.
    fn attention(&mut self, frame: &FrameFeatures) -> Result<()> {
        let scores = [
            0.55, 0.41, 0.62, 0.5, 0.004, 0.33, 0.71, 0.45, 0.52, 0.6, 0.37, 0.0, 0.48, 0.58, 0.66,
            0.009, 0.53, 0.44, 0.002,
        ];
        for (name, index, scores) in [("mem1", 1, &scores[..0]), ("mem7", 20, &scores[..])] {
            let mut bank = MemoryBank::default();
            bank.insert_prompted(0, self.noise(0));
            for (at, score) in scores.iter().enumerate() {
                bank.insert_tracked(at + 1, self.noise(at + 1), *score);
            }
            let moment = Moment {
                frame: index,
                frames: 24,
                reverse: false,
            };
            let selection = bank.select(moment, &self.config.memory);
            let remembered = self.base.remembered(&bank, &selection, self.device);
            self.check(&format!("d/{name}/memory_tokens"), remembered.tokens)?;
            self.check(&format!("d/{name}/memory_pos"), remembered.position)?;
            let (out, layers) = record(
                |path| {
                    path.ends_with("cross_attn_image.out_proj") || path.ends_with("encoder.norm")
                },
                || self.base.remember(frame, &bank, &selection),
            );
            for (layer, tensor) in layers.iter().enumerate() {
                if tensor.path.ends_with("out_proj") {
                    let name = format!("d/{name}/layer{layer}_cross_attn");
                    self.rows.extend(row(self.golden, &name, &tensor.values)?);
                }
            }
            let [b, h, w, d] = out.dims();
            let out = out.reshape([b, h * w, d]);
            self.check(&format!("d/{name}/out_seq"), out.clone())?;
            self.check_map(&format!("d/{name}/out"), out)?;
        }
        Ok(())
    }

    /// A remembered frame of part (d).
    fn noise(&self, index: usize) -> Memory {
        let cells = self.config.grid().pow(2);
        let scaled = |key: String, scale: f32, count| -> Vec<f32> {
            let values = synthetic::unit(&key, count);
            values.into_iter().map(|value| scale * value).collect()
        };
        let features = scaled(format!("golden/d/mem/{index}"), 3.0, 64 * cells);
        let features = self.tensor(features, [1, 64, cells]).swap_dims(1, 2);
        let pointer = scaled(format!("golden/d/ptr/{index}"), 2.0, 256);
        Memory {
            features: medsam3_model::kernels::round_to_bf16(features),
            pointer: self.tensor(pointer, [1, 256]),
        }
    }

    /// Part (e): a mask on frame 0, then three frames that follow from it.
    fn session(&mut self) -> Result<()> {
        let mask = synthetic::ellipse([0.4748, 0.5309], [0.2199, 0.1803], 1152, 1152);
        let mask = self.tensor(mask, [1, 1152, 1152]);
        let mut bank = MemoryBank::default();
        for index in 0..4 {
            let maps = self.maps(&format!("e/{index}/"), [256; 3]);
            let frame = self.base.forward_image(maps);
            let name = |part: &str| format!("e/forward/{index}/{part}");
            if index == 0 {
                let sam = self.base.use_mask_as_output(&frame, mask.clone());
                self.check(&name("obj_ptr"), sam.pointer.clone())?;
                // A session keeps a prompt at the size of the video, and remembers what is left of it.
                let video = bilinear(mask.clone(), [500, 700], Filter::Antialiased);
                let video = video.greater_elem(0.5).float();
                let small = bilinear(video * 2048.0 - 1024.0, [288; 2], Filter::Antialiased);
                self.check(&name("pred_masks"), small.clone())?;
                let large = bilinear(small, [1008; 2], Filter::Plain);
                let (features, _) = self.encode(&frame, large, 10.0, true);
                self.check_map(&name("maskmem_features"), features.clone())?;
                let pointer = sam.pointer;
                bank.insert_prompted(0, Memory { features, pointer });
                continue;
            }
            let moment = Moment {
                frame: index,
                frames: 4,
                reverse: false,
            };
            let selection = bank.select(moment, &self.config.memory);
            let base = self.base;
            let step = base.track_step(&frame, &Prompt::None, 1, false, &bank, &selection);
            let score: f32 = step.score.clone().into_scalar();
            self.check(&name("pred_masks"), step.sam.low_res.clone())?;
            self.check(&name("low_res_multimasks"), step.sam.multimasks.clone())?;
            self.check(&name("ious"), step.sam.ious.clone())?;
            self.check(&name("obj_ptr"), step.sam.pointer.clone())?;
            let present = step.sam.object_score.clone();
            self.check(&name("object_score_logits"), present.clone())?;
            self.check(&name("eff_iou_score"), step.score)?;
            let present: f32 = present.into_scalar();
            let high = step.sam.high_res.clone();
            let (features, exact) = self.encode(&frame, high, present, false);
            self.check_map(&name("memory_f32"), exact)?;
            let memory = Memory {
                features,
                pointer: step.sam.pointer,
            };
            bank.insert_tracked(index, memory, score);
        }
        Ok(())
    }
}
