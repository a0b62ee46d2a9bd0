//! SAM's mask decoder (reference: `sam/mask_decoder.py`): from the image's map and a prompt's tokens to four masks, how
//! good each is, and whether the object is there at all; then the choice among the four.
//!
//! Mask 0 is for prompts that say enough, masks 1 to 3 for those that leave a choice.

use super::transformer::TwoWayTransformer;
use crate::convolution::LayerNorm2d;
use crate::layers::{Conv1x1, ConvTranspose2x2};
use crate::model_misc::Mlp;
use crate::trace::{at, at_as, scope};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Int, Tensor};
use medsam3_kernels::{Activation, matmul};

/// Mask tokens: one for a single mask, three for a choice.
const MASKS: usize = 4;
/// Masks are compared at this logit and its negative.
const STABILITY_DELTA: f64 = 0.05;
/// A mask that changes more between the two is not stable.
const STABILITY: f64 = 0.98;

/// The map at four times the grid, layers numbered as in the checkpoint.
#[derive(Module, Debug)]
pub struct OutputUpscaling {
    /// `d -> d / 4`
    pub at_0: ConvTranspose2x2,
    /// Behind it.
    pub at_1: LayerNorm2d,
    /// `d / 4 -> d / 8`
    pub at_3: ConvTranspose2x2,
}

/// The mask decoder.
#[derive(Module, Debug)]
pub struct MaskDecoder {
    /// Tokens and image.
    pub transformer: TwoWayTransformer,
    /// Asks how good the masks are.
    pub iou_token: Embedding,
    /// Ask for masks, `[4, d]`.
    pub mask_tokens: Embedding,
    /// Asks whether the object is there.
    pub obj_score_token: Embedding,
    /// To four times the grid.
    pub output_upscaling: OutputUpscaling,
    /// `d -> d / 8` of the neck's map at four times the grid.
    pub conv_s0: Conv1x1,
    /// `d -> d / 4` of the neck's map at twice the grid.
    pub conv_s1: Conv1x1,
    /// What of the upscaled map is a mask, by mask token.
    pub output_hypernetworks_mlps: Vec<Mlp>,
    /// How good each mask is.
    pub iou_prediction_head: Mlp,
    /// Whether the object is there.
    pub pred_obj_score_head: Mlp,
}

/// All four masks of a prompt.
#[derive(Debug, Clone)]
pub struct AllMasks {
    /// Logits, `[b, 4, 4 grid, 4 grid]`.
    pub masks: Tensor<4>,
    /// Expected intersection over union in 0..1, `[b, 4]`.
    pub ious: Tensor<2>,
    /// The mask tokens, `[b, 4, d]`.
    pub tokens: Tensor<3>,
    /// Logit of the object being there, `[b, 1]`.
    pub object_score: Tensor<2>,
}

/// The masks that a prompt asks for, one or three.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Logits, `[b, m, 4 grid, 4 grid]`.
    pub masks: Tensor<4>,
    /// Expected intersection over union in 0..1, `[b, m]`.
    pub ious: Tensor<2>,
    /// Tokens that pointers are made of, `[b, m, d]`.
    pub tokens: Tensor<3>,
    /// Logit of the object being there, `[b, 1]`.
    pub object_score: Tensor<2>,
}

impl MaskDecoder {
    /// New decoder of `width` channels.
    pub fn new(width: usize, hidden: usize, heads: usize, device: &Device) -> Self {
        let d = width;
        let tokens = |count| EmbeddingConfig::new(count, d).init(device);
        Self {
            transformer: TwoWayTransformer::new(d, hidden, heads, device),
            iou_token: tokens(1),
            mask_tokens: tokens(MASKS),
            obj_score_token: tokens(1),
            output_upscaling: OutputUpscaling {
                at_0: ConvTranspose2x2::new(d, d / 4, device),
                at_1: LayerNorm2d::new(d / 4, device),
                at_3: ConvTranspose2x2::new(d / 4, d / 8, device),
            },
            conv_s0: Conv1x1::new(d, d / 8, device),
            conv_s1: Conv1x1::new(d, d / 4, device),
            output_hypernetworks_mlps: (0..MASKS)
                .map(|_| Mlp::new(&[d, d, d, d / 8], device))
                .collect(),
            iou_prediction_head: Mlp::new(&[d, d, d, MASKS], device),
            pred_obj_score_head: Mlp::new(&[d, d, d, 1], device),
        }
    }

    /// All masks: of `image` `[b, grid * grid, d]`, the prompt's map added, with `image_pe` `[1, grid * grid, d]`; of the
    /// prompt's tokens `sparse` `[b, n, d]`; and of the finer maps `s0` `[b, 4 grid, 4 grid, d / 8]` and `s1` `[b, 2 grid,
    /// 2 grid, d / 4]`.
    pub fn predict_masks(
        &self,
        image: Tensor<3>,
        image_pe: &Tensor<3>,
        sparse: Tensor<3>,
        [s0, s1]: [&Tensor<4>; 2],
    ) -> AllMasks {
        let [b, cells, d] = image.dims();
        let grid = cells.isqrt();
        let asked = [&self.obj_score_token, &self.iou_token, &self.mask_tokens]
            .map(|token| token.weight.val());
        let asked = Tensor::cat(asked.to_vec(), 0).unsqueeze_dim::<3>(0);
        let asked = asked.expand([b, 2 + MASKS, d]);
        let tokens = Tensor::cat(vec![asked, sparse], 1);
        let (tokens, image) = scope("transformer", || {
            self.transformer.forward(image, image_pe, tokens)
        });
        let masks_out = tokens.clone().narrow(1, 2, MASKS);

        let upscaled = scope("output_upscaling", || {
            let layers = &self.output_upscaling;
            let x = at_as(
                "0",
                layers.at_0.forward(image.reshape([b, grid, grid, d])),
                |x| x,
            );
            let x = at("1", layers.at_1.forward(x + s1.clone()));
            let x = Activation::Gelu.apply(x);
            let x = at("3", layers.at_3.forward(x));
            at("4", Activation::Gelu.apply(x + s0.clone()))
        });
        let [_, rows, columns, channels] = upscaled.dims();
        let asked = self
            .output_hypernetworks_mlps
            .iter()
            .enumerate()
            .map(|(i, mlp)| {
                scope(format!("output_hypernetworks_mlps.{i}"), || {
                    mlp.forward(masks_out.clone().narrow(1, i, 1))
                })
            });
        let asked = Tensor::cat(asked.collect(), 1);
        let pixels = upscaled.reshape([b, rows * columns, channels]);
        let masks = matmul(asked, pixels.swap_dims(1, 2)).reshape([b, MASKS, rows, columns]);
        let row = |i| tokens.clone().narrow(1, i, 1).squeeze_dim::<2>(1);
        let ious = scope("iou_prediction_head", || {
            self.iou_prediction_head.forward(row(1))
        });
        AllMasks {
            masks: at("masks", masks),
            ious: at("ious", sigmoid(ious)),
            tokens: masks_out,
            object_score: scope("pred_obj_score_head", || {
                self.pred_obj_score_head.forward(row(0))
            }),
        }
    }

    /// Three masks to choose from (`multimask`), or one: mask 0 where it is stable, else the best of the three. The
    /// pointer's token is that of mask 0 even then.
    pub fn choose(&self, all: AllMasks, multimask: bool) -> Chosen {
        if multimask {
            return Chosen {
                masks: all.masks.narrow(1, 1, MASKS - 1),
                ious: all.ious.narrow(1, 1, MASKS - 1),
                tokens: all.tokens.narrow(1, 1, MASKS - 1),
                object_score: all.object_score,
            };
        }
        let b = all.ious.dims()[0];
        let rest = (
            all.masks.clone().narrow(1, 1, MASKS - 1),
            all.ious.clone().narrow(1, 1, MASKS - 1),
        );
        let best = best(rest.1.clone());
        let (masks, ious) = (all.masks.narrow(1, 0, 1), all.ious.narrow(1, 0, 1));
        let stable = stability(&masks).greater_equal_elem(STABILITY);
        let masks = pick_masks(rest.0, &best).mask_where(
            stable.clone().reshape([b, 1, 1, 1]).expand(masks.dims()),
            masks,
        );
        let ious = pick(rest.1, &best).mask_where(stable, ious);
        Chosen {
            masks,
            ious,
            tokens: all.tokens.narrow(1, 0, 1),
            object_score: all.object_score,
        }
    }
}

/// Share of the cells above minus delta that are above delta too, of masks `[b, 1, h, w]`: `[b, 1]`, 1 where there are
/// none.
pub fn stability(masks: &Tensor<4>) -> Tensor<2> {
    let [b, _, h, w] = masks.dims();
    let masks = masks.clone().reshape([b, h * w]);
    let area = |mask: Tensor<2, Bool>| mask.float().sum_dim(1);
    let inner = area(masks.clone().greater_elem(STABILITY_DELTA));
    let outer = area(masks.greater_elem(-STABILITY_DELTA));
    let none = outer.clone().equal_elem(0.0);
    let share = inner / outer.clone().clamp_min(1.0);
    share.mask_fill(none, 1.0)
}

/// One where a mask is the best of its row, zero elsewhere: `[b, m]` in and out.
pub(super) fn best(ious: Tensor<2>) -> Tensor<2> {
    let [b, m] = ious.dims();
    let device = ious.device();
    let best = ious.argmax(1).expand([b, m]);
    let index = Tensor::<1, Int>::arange(0..m as i64, &device)
        .reshape([1, m])
        .expand([b, m]);
    index.equal(best).float()
}

/// The masks that [`best`] marks: `[b, m, h, w] -> [b, 1, h, w]`.
pub(super) fn pick_masks(masks: Tensor<4>, best: &Tensor<2>) -> Tensor<4> {
    let [b, m, _, _] = masks.dims();
    (masks * best.clone().reshape([b, m, 1, 1])).sum_dim(1)
}

/// The values that [`best`] marks: `[b, m] -> [b, 1]`.
pub(super) fn pick(values: Tensor<2>, best: &Tensor<2>) -> Tensor<2> {
    (values * best.clone()).sum_dim(1)
}
