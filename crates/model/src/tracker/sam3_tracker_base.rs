//! The tracker (reference: `sam3_tracker_base.py`, `Sam3TrackerBase`): an object is prompted on one frame, then carried
//! to the next ones with the help of a memory bank.
//!
//! Objects are the batch `b` and share the frame's maps. Masks are logits. Memories are rounded to bf16, as the reference
//! stores them. Nothing here waits for the device: what must be known on the host is handed out as a tensor.

use super::config::TrackerConfig;
use super::mask_decoder::{MaskDecoder, best, pick_masks};
use super::memory::SimpleMaskEncoder;
use super::memory_attention::{Remembered, TransformerEncoderCrossAttention};
use super::memory_bank::{MemoryBank, Moment, Selection};
use super::prompt_encoder::{Point, PromptEncoder};
use super::resize::{Filter, bilinear};
use crate::convolution::Conv4x4Stride4;
use crate::layers::Linear;
use crate::model_misc::Mlp;
use crate::position_encoding::{sine_line, sine_map};
use crate::trace::{at, scope};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Int, Tensor};
use medsam3_kernels::round_to_bf16;

/// Logit of every cell of an object that is not there.
const NO_OBJECT: f64 = -1024.0;
/// A probability of 0..1 is stretched to -10..10 for the memory encoder, and so is a mask that is given as output.
const STRETCH: f64 = 20.0;
/// An object that keeps less of its area where objects overlap is taken to be hidden.
const SHRUNK: f64 = 0.3;

/// The memory attention's place in the checkpoint.
#[derive(Module, Debug)]
pub struct TrackerTransformer {
    /// The memory attention.
    pub encoder: TransformerEncoderCrossAttention,
}

/// The tracker behind its neck. Field names are those of the checkpoints.
#[derive(Module, Debug)]
pub struct Sam3TrackerBase {
    /// How long ago: a row per distance, the last one for conditioning frames, `[7, 1, 1, memory channels]`.
    pub maskmem_tpos_enc: Param<Tensor<4>>,
    /// Added to a frame that remembers nothing, `[1, 1, d]`.
    pub no_mem_embed: Param<Tensor<3>>,
    /// Pointer of an object that is not there, `[1, d]`.
    pub no_obj_ptr: Param<Tensor<2>>,
    /// Added to the memory of an object that is not there, `[1, memory channels]`.
    pub no_obj_embed_spatial: Param<Tensor<2>>,
    /// A mask given as output to the side of the decoder's masks.
    pub mask_downsample: Conv4x4Stride4,
    /// The memory attention.
    pub transformer: TrackerTransformer,
    /// The memory encoder.
    pub maskmem_backbone: SimpleMaskEncoder,
    /// Points, boxes, masks.
    pub sam_prompt_encoder: PromptEncoder,
    /// Masks.
    pub sam_mask_decoder: MaskDecoder,
    /// A mask token to a pointer.
    pub obj_ptr_proj: Mlp,
    /// The time of a pointer.
    pub obj_ptr_tpos_proj: Linear,
    image_side: usize,
    grid: usize,
}

/// All that the tracker needs of a frame.
#[derive(Debug, Clone)]
pub struct FrameFeatures {
    /// Neck map at four times the grid behind `conv_s0`, `[1, 4 grid, 4 grid, d / 8]`.
    pub s0: Tensor<4>,
    /// Neck map at twice the grid behind `conv_s1`, `[1, 2 grid, 2 grid, d / 4]`.
    pub s1: Tensor<4>,
    /// Neck map at the grid, `[1, grid, grid, d]`.
    pub coarse: Tensor<4>,
}

/// What the SAM heads make of a frame and a prompt.
#[derive(Debug, Clone)]
pub struct SamOutput {
    /// All masks asked for, one or three, `[b, m, 4 grid, 4 grid]`.
    pub multimasks: Tensor<4>,
    /// Expected intersection over union of each, `[b, m]`.
    pub ious: Tensor<2>,
    /// The best of them, `[b, 4 grid, 4 grid]`.
    pub low_res: Tensor<3>,
    /// The same at the side of the image, or as it was given, `[b, side, side]`.
    pub high_res: Tensor<3>,
    /// The object's pointer, `[b, d]`.
    pub pointer: Tensor<2>,
    /// Logit of the object being there, `[b, 1]`.
    pub object_score: Tensor<2>,
}

/// What is remembered of a frame.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Rounded to bf16, `[b, grid * grid, memory channels]`.
    pub features: Tensor<3>,
    /// `[b, d]`
    pub pointer: Tensor<2>,
}

/// What the user says of a frame, the same kind for each object.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// Nothing: the frame is tracked.
    None,
    /// Points and corners of boxes, equally many for each object; with the masks of an earlier answer (`[b, 4 grid,
    /// 4 grid]`, logits) when they correct it.
    Points(Vec<Vec<Point>>, Option<Tensor<3>>),
    /// Masks of zeros and ones, `[b, 16 grid, 16 grid]`, which are the output.
    Mask(Tensor<3>),
}

/// The result of a step.
#[derive(Debug, Clone)]
pub struct StepOutput {
    /// Masks and scores.
    pub sam: SamOutput,
    /// How sure the tracker is of its objects, one number; see [`MemoryBank`].
    pub score: Tensor<1>,
}

impl TrackerConfig {
    /// A tracker with initial values as the reference draws them. Call [`TrackerConfig::validate`] first on input from
    /// outside: an impossible configuration panics.
    pub fn init(&self, device: &Device) -> Sam3TrackerBase {
        let (d, m) = (self.width, self.memory_channels);
        let normal = || Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        Sam3TrackerBase {
            maskmem_tpos_enc: normal().init([self.memory.frames, 1, 1, m], device),
            no_mem_embed: normal().init([1, 1, d], device),
            no_obj_ptr: normal().init([1, d], device),
            no_obj_embed_spatial: normal().init([1, m], device),
            mask_downsample: Conv4x4Stride4::new(1, 1, device),
            transformer: TrackerTransformer {
                encoder: TransformerEncoderCrossAttention::new(self, device),
            },
            maskmem_backbone: SimpleMaskEncoder::new(self, device),
            sam_prompt_encoder: PromptEncoder::new(d, self.image_side, self.grid(), device),
            sam_mask_decoder: MaskDecoder::new(d, self.decoder_feed_forward, self.heads, device),
            obj_ptr_proj: Mlp::new(&[d, d, d, d], device),
            obj_ptr_tpos_proj: Linear::new(d, m, device),
            image_side: self.image_side,
            grid: self.grid(),
        }
    }
}

impl Sam3TrackerBase {
    /// Once per frame: the neck's maps, finest first, `[1, scale * grid, scale * grid, d]`.
    pub fn forward_image(&self, [fine, middle, coarse]: [Tensor<4>; 3]) -> FrameFeatures {
        scope("sam_mask_decoder", || FrameFeatures {
            s0: at("conv_s0", self.sam_mask_decoder.conv_s0.forward(fine)),
            s1: at("conv_s1", self.sam_mask_decoder.conv_s1.forward(middle)),
            coarse,
        })
    }

    /// The SAM heads (`_forward_sam_heads`) on a frame's map `image` `[b, grid, grid, d]`, which may hold memory. `points`
    /// has a list for each object; `masks` is `[b, 4 grid, 4 grid]` or larger.
    pub fn forward_sam_heads(
        &self,
        image: Tensor<4>,
        frame: &FrameFeatures,
        points: &[Vec<Point>],
        masks: Option<Tensor<3>>,
        multimask: bool,
    ) -> SamOutput {
        let [b, grid, _, d] = image.dims();
        let device = image.device();
        let side = 4 * grid;
        let masks = masks.map(|masks| bilinear(masks, [side, side], Filter::Antialiased));
        let encoder = &self.sam_prompt_encoder;
        let (sparse, dense) = scope("sam_prompt_encoder", || {
            let none = vec![Vec::new(); b];
            let points = if points.is_empty() { &none } else { points };
            (
                encoder.points(points, &device),
                at("dense", encoder.masks(masks, b)),
            )
        });
        let position = encoder.dense_position(&device);
        let image = image.reshape([b, grid * grid, d]) + dense;
        let chosen = scope("sam_mask_decoder", || {
            let decoder = &self.sam_mask_decoder;
            let all = decoder.predict_masks(image, &position, sparse, [&frame.s0, &frame.s1]);
            decoder.choose(all, multimask)
        });

        let absent = chosen.object_score.clone().lower_equal_elem(0.0);
        let [_, m, _, _] = chosen.masks.dims();
        let hidden = absent
            .clone()
            .reshape([b, 1, 1, 1])
            .expand([b, m, side, side]);
        let multimasks = chosen.masks.mask_fill(hidden, NO_OBJECT);
        let best = best(chosen.ious.clone());
        let low_res = pick_masks(multimasks.clone(), &best).reshape([b, side, side]);
        let token = (chosen.tokens * best.reshape([b, m, 1])).sum_dim(1);
        let pointer = scope("obj_ptr_proj", || {
            self.obj_ptr_proj.forward(token.squeeze_dim::<2>(1))
        });
        let whole = [self.image_side; 2];
        SamOutput {
            high_res: bilinear(low_res.clone(), whole, Filter::Plain),
            multimasks,
            ious: chosen.ious,
            low_res,
            pointer: at("obj_ptr", self.pointer_or_none(pointer, absent)),
            object_score: chosen.object_score,
        }
    }

    /// `pointer` `[b, d]`, or that of no object where `absent` `[b, 1]`.
    fn pointer_or_none(&self, pointer: Tensor<2>, absent: Tensor<2, Bool>) -> Tensor<2> {
        let shape = pointer.dims();
        let none = self.no_obj_ptr.val().expand(shape);
        pointer.mask_where(absent.expand(shape), none)
    }

    /// Masks of zeros and ones `[b, 16 grid, 16 grid]` as the output (`_use_mask_as_output`); the heads give the pointer
    /// alone.
    pub fn use_mask_as_output(&self, frame: &FrameFeatures, masks: Tensor<3>) -> SamOutput {
        let [b, h, w] = masks.dims();
        let device = masks.device();
        let stretched = masks.clone() * STRETCH - STRETCH / 2.0;
        let patch = self.image_side / self.grid;
        let low_res = bilinear(
            stretched.clone(),
            [h / patch * 4, w / patch * 4],
            Filter::Antialiased,
        );
        let small = at(
            "mask_downsample",
            self.mask_downsample
                .forward(masks.clone().unsqueeze_dim::<4>(3)),
        );
        let small = small.squeeze_dim::<3>(3);
        let image = self.of_all(&frame.coarse, b);
        let heads = self.forward_sam_heads(image, frame, &[], Some(small), false);
        let absent = masks.reshape([b, h * w]).max_dim(1).lower_equal_elem(0.0);
        let present = absent.clone().bool_not().float();
        SamOutput {
            multimasks: low_res.clone().unsqueeze_dim::<4>(1),
            ious: Tensor::ones([b, 1], &device),
            low_res,
            high_res: stretched,
            pointer: self.pointer_or_none(heads.pointer, absent),
            object_score: present * STRETCH - STRETCH / 2.0,
        }
    }

    fn of_all(&self, map: &Tensor<4>, b: usize) -> Tensor<4> {
        let [_, h, w, c] = map.dims();
        map.clone().expand([b, h, w, c])
    }

    /// The memory of a frame (`_encode_new_memory`), rounded to bf16: `[b, grid * grid, memory channels]`.
    ///
    /// `masks` are logits `[b, h, w]`, `object_score` is `[b, 1]`. Masks that answer a prompt (`prompted`) are cut at zero,
    /// others softened; both are stretched, and only then brought to the side of the memory encoder.
    pub fn encode_new_memory(
        &self,
        frame: &FrameFeatures,
        masks: Tensor<3>,
        object_score: Tensor<2>,
        prompted: bool,
    ) -> Tensor<3> {
        let [b, _, _] = masks.dims();
        let side = 16 * self.grid;
        let share = if prompted {
            masks.greater_elem(0.0).float()
        } else {
            sigmoid(masks)
        };
        let masks = at("mask_in", share * STRETCH - STRETCH / 2.0);
        let masks = bilinear(masks, [side, side], Filter::Antialiased);
        let features = scope("maskmem_backbone", || {
            self.maskmem_backbone.forward(frame.coarse.clone(), masks)
        });
        let [_, _, _, channels] = features.dims();
        let features = features.reshape([b, self.grid * self.grid, channels]);
        let absent = object_score.lower_equal_elem(0.0).float();
        let none = self.no_obj_embed_spatial.val().unsqueeze_dim::<3>(0);
        let features = features + absent.unsqueeze_dim::<3>(2) * none;
        round_to_bf16(at("maskmem_features", features))
    }

    /// A frame's map with what is remembered in it (`_prepare_memory_conditioned_features`), `[b, grid, grid, d]`.
    pub fn remember(
        &self,
        frame: &FrameFeatures,
        bank: &MemoryBank<Memory>,
        selection: &Selection,
    ) -> Tensor<4> {
        let [_, grid, _, d] = frame.coarse.dims();
        let device = frame.coarse.device();
        let memory = self.remembered(bank, selection, &device);
        let [b, _, _] = memory.tokens.dims();
        let image = frame.coarse.clone().reshape([1, grid * grid, d]);
        let conditioned = scope("transformer.encoder", || {
            let encoder = &self.transformer.encoder;
            encoder.forward(image, &sine_map(grid, d, &device), &memory)
        });
        conditioned.reshape([b, grid, grid, d])
    }

    /// Tokens and positions of the frames selected.
    pub fn remembered(
        &self,
        bank: &MemoryBank<Memory>,
        selection: &Selection,
        device: &Device,
    ) -> Remembered {
        let m = self.no_obj_embed_spatial.dims()[1];
        let cells = self.grid * self.grid;
        let place = sine_map(self.grid, m, device);
        let times = self.maskmem_tpos_enc.val();
        let frames = times.dims()[0];
        let times = times.reshape([1, frames, m]);
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        for (index, row) in &selection.spatial {
            let Some(memory) = bank.get(*index) else {
                continue;
            };
            tokens.push(memory.features.clone());
            positions.push(place.clone() + times.clone().narrow(1, *row, 1).expand([1, cells, m]));
        }
        let pointers: Vec<(&Memory, usize)> = selection
            .pointers
            .iter()
            .filter_map(|(index, distance)| Some((bank.get(*index)?, *distance)))
            .collect();
        let mut pointer_tokens = 0;
        if !pointers.is_empty() {
            let divisor = selection.pointer_divisor as f32;
            let distances: Vec<f32> = pointers
                .iter()
                .map(|(_, distance)| *distance as f32 / divisor)
                .collect();
            let all: Vec<Tensor<3>> = pointers
                .iter()
                .map(|(memory, _)| memory.pointer.clone().unsqueeze_dim::<3>(1))
                .collect();
            let [b, d] = pointers[0].0.pointer.dims();
            let (count, each) = (distances.len(), d / m);
            pointer_tokens = count * each;
            tokens.push(Tensor::cat(all, 1).reshape([b, pointer_tokens, m]));
            let position = self
                .obj_ptr_tpos_proj
                .forward(sine_line(&distances, d, device));
            let position = at("obj_ptr_tpos_proj", position);
            positions.push(
                position
                    .reshape([count, 1, m])
                    .expand([count, each, m])
                    .reshape([1, pointer_tokens, m]),
            );
        }
        Remembered {
            tokens: Tensor::cat(tokens, 1),
            position: Tensor::cat(positions, 1),
            pointer_tokens,
        }
    }

    /// One step (`track_step` without its memory encoder, which [`Sam3TrackerBase::memorise`] is, so that the masks can be
    /// changed in between): the answer to a prompt on a frame, or the objects carried to it.
    ///
    /// `objects` is the number of objects; `initial` says that the prompt is the object's first, which then looks at no memory.
    pub fn track_step(
        &self,
        frame: &FrameFeatures,
        prompt: &Prompt,
        objects: usize,
        initial: bool,
        bank: &MemoryBank<Memory>,
        selection: &Selection,
    ) -> StepOutput {
        let sam = match prompt {
            Prompt::Mask(masks) => self.use_mask_as_output(frame, masks.clone()),
            Prompt::Points(points, previous) => {
                let image = self.conditioned(frame, objects, initial, bank, selection);
                let few = points.iter().all(|points| points.len() <= 1);
                self.forward_sam_heads(image, frame, points, previous.clone(), few)
            }
            Prompt::None => {
                let image = self.conditioned(frame, objects, initial, bank, selection);
                self.forward_sam_heads(image, frame, &[], None, true)
            }
        };
        let score = memory_score(&sam.object_score, &sam.ious);
        StepOutput { sam, score }
    }

    fn conditioned(
        &self,
        frame: &FrameFeatures,
        objects: usize,
        initial: bool,
        bank: &MemoryBank<Memory>,
        selection: &Selection,
    ) -> Tensor<4> {
        if initial {
            let d = frame.coarse.dims()[3];
            let none = self.no_mem_embed.val().reshape([1, 1, 1, d]);
            return self.of_all(&(frame.coarse.clone() + none), objects);
        }
        self.remember(frame, bank, selection)
    }

    /// What is to be remembered of a step, from the masks that it ended with.
    pub fn memorise(
        &self,
        frame: &FrameFeatures,
        masks: Tensor<3>,
        sam: &SamOutput,
        prompted: bool,
    ) -> Memory {
        Memory {
            features: self.encode_new_memory(frame, masks, sam.object_score.clone(), prompted),
            pointer: sam.pointer.clone(),
        }
    }
}

/// How sure the tracker is of a frame, one number for all its objects (`cal_mem_score`): the mean over them of how present
/// they are times how good their best mask should be. `object_score` is `[b, 1]`, `ious` `[b, m]`.
pub fn memory_score(object_score: &Tensor<2>, ious: &Tensor<2>) -> Tensor<1> {
    let present = (sigmoid(object_score.clone()) * 2.0 - 1.0).clamp_min(0.0);
    (present * ious.clone().max_dim(1)).mean()
}

/// What objects keep when each cell belongs to the one with the largest logit (`_suppress_object_pw_area_shrinkage`): one
/// that keeps less than 0.3 of its area is pushed to -10 and below as a whole, the others are left as they are, their
/// overlaps too. `[b, h, w]` in and out.
pub fn suppress_shrunken(masks: Tensor<3>) -> Tensor<3> {
    let [b, h, w] = masks.dims();
    if b == 1 {
        return masks;
    }
    let winner = masks.clone().argmax(0).expand([b, h, w]);
    let object = Tensor::<1, Int>::arange(0..b as i64, &masks.device()).reshape([b, 1, 1]);
    let own = winner.equal(object.expand([b, h, w]));
    let positive = masks.clone().greater_elem(0.0);
    let area = |mask: Tensor<3, Bool>| mask.float().reshape([b, h * w]).sum_dim(1);
    let before = area(positive.clone());
    let after = area(positive.bool_and(own));
    let shrunken = (after / before.clamp_min(1.0)).lower_elem(SHRUNK);
    let pushed = masks.clone().clamp_max(-STRETCH / 2.0);
    masks.mask_where(shrunken.reshape([b, 1, 1]).expand([b, h, w]), pushed)
}

/// [`MemoryBank::select`] with the tracker's own numbers.
pub fn select(bank: &MemoryBank<Memory>, moment: Moment, config: &TrackerConfig) -> Selection {
    bank.select(moment, &config.memory)
}
