//! Points and boxes as tokens (reference: `geometry_encoders.py`, `_encode_points` and `_encode_boxes`): each is the sum of
//! where it is, what the image holds there, its position encoding and what it says.
//!
//! The image's map `[b, grid, grid, d]` and prompts to `[b, points + boxes, d]`, points first.

use crate::convolution::Conv7x7Stride7;
use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::position_encoding::sine_shares;
use crate::trace::at;
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use medsam3_kernels::roi_align::{grid_sample, roi_align};

/// A point, in 0..1 of the sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromptPoint {
    /// From the left and from the top.
    pub xy: [f32; 2],
    /// Whether the object is there, or is not.
    pub positive: bool,
}

/// A box, in 0..1 of the sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromptBox {
    /// Centre x, centre y, width, height.
    pub cxcywh: [f32; 4],
    /// Whether it holds an example, or a counterexample.
    pub positive: bool,
}

/// What the user marked on an image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeometryPrompt {
    /// Points.
    pub points: Vec<PromptPoint>,
    /// Boxes.
    pub boxes: Vec<PromptBox>,
}

/// The branches of the geometry encoder for points and boxes. Field names are those of the checkpoints.
#[derive(Module, Debug)]
pub struct PointsAndBoxes {
    /// Counterexample, example: `[2, d]`.
    pub label_embed: Embedding,
    /// `2 -> d`
    pub points_direct_project: Linear,
    /// `d -> d`
    pub points_pool_project: Linear,
    /// `d -> d`
    pub points_pos_enc_project: Linear,
    /// `4 -> d`
    pub boxes_direct_project: Linear,
    /// A box's 7x7 bins to one token.
    pub boxes_pool_project: Conv7x7Stride7,
    /// `d + 2 -> d`
    pub boxes_pos_enc_project: Linear,
    /// Norm of the map that points and boxes look into.
    pub img_pre_norm: LayerNorm,
}

impl PointsAndBoxes {
    /// Where they stand in the model, for [`crate::parameters::load_some`].
    pub const PATH: &'static str = "geometry_encoder";

    /// New branches of `width` channels.
    pub fn new(width: usize, device: &Device) -> Self {
        let linear = |input| Linear::new(input, width, device);
        Self {
            label_embed: EmbeddingConfig::new(2, width).init(device),
            points_direct_project: linear(2),
            points_pool_project: linear(width),
            points_pos_enc_project: linear(width),
            boxes_direct_project: linear(4),
            boxes_pool_project: Conv7x7Stride7::new(width, width, device),
            boxes_pos_enc_project: linear(width + 2),
            img_pre_norm: layer_norm(width, device),
        }
    }

    /// Tokens `[b, points + boxes, d]` of the prompts of `b` images, which have equally many of each.
    ///
    /// # Panics
    /// When rows differ in their numbers, or there is nothing at all.
    pub fn forward(&self, image: &Tensor<4>, prompts: &[GeometryPrompt]) -> Tensor<3> {
        let first = &prompts[0];
        let same = |prompt: &GeometryPrompt| {
            (prompt.points.len(), prompt.boxes.len()) == (first.points.len(), first.boxes.len())
        };
        assert!(prompts.iter().all(same), "rows have equally many prompts");
        let image = at("img_pre_norm", self.img_pre_norm.forward(image.clone()));
        let points: Vec<Vec<PromptPoint>> = prompts.iter().map(|p| p.points.clone()).collect();
        let boxes: Vec<Vec<PromptBox>> = prompts.iter().map(|p| p.boxes.clone()).collect();
        let mut tokens = Vec::with_capacity(2);
        if !first.points.is_empty() {
            tokens.push(self.points(&image, &points));
        }
        if !first.boxes.is_empty() {
            tokens.push(self.boxes(&image, &boxes));
        }
        Tensor::cat(tokens, 1)
    }

    fn points(&self, image: &Tensor<4>, points: &[Vec<PromptPoint>]) -> Tensor<3> {
        let [b, _, _, d] = image.dims();
        let n = points[0].len();
        let places: Vec<Vec<[f32; 2]>> = points
            .iter()
            .map(|row| row.iter().map(|point| point.xy).collect())
            .collect();
        let all: Vec<f32> = places.iter().flatten().flatten().copied().collect();
        // x, then y.
        let encoded = sine_shares(&all, d / 2);
        let table = |values, last| {
            Tensor::<3>::from_data(TensorData::new(values, [b, n, last]), &image.device())
        };
        let direct = self.points_direct_project.forward(table(all, 2));
        let pooled = self
            .points_pool_project
            .forward(grid_sample(image.clone(), &places));
        let position = self.points_pos_enc_project.forward(table(encoded, d));
        let said = points.iter().flatten().map(|point| point.positive);
        at(
            "points",
            direct + pooled + position + self.labels(said, [b, n, d]),
        )
    }

    fn boxes(&self, image: &Tensor<4>, boxes: &[Vec<PromptBox>]) -> Tensor<3> {
        let [b, h, w, d] = image.dims();
        let n = boxes[0].len();
        let side = Conv7x7Stride7::SIDE;
        let corners: Vec<Vec<[f32; 4]>> = boxes
            .iter()
            .map(|row| {
                row.iter()
                    .map(|PromptBox { cxcywh, .. }| {
                        let [cx, cy, width, height] = *cxcywh;
                        [
                            (cx - 0.5 * width) * w as f32,
                            (cy - 0.5 * height) * h as f32,
                            (cx + 0.5 * width) * w as f32,
                            (cy + 0.5 * height) * h as f32,
                        ]
                    })
                    .collect()
            })
            .collect();
        let all = boxes.iter().flatten().map(|item| item.cxcywh);
        let direct: Vec<f32> = all.clone().flatten().collect();
        // y, x, height, width.
        let encoded: Vec<f32> = all
            .flat_map(|[cx, cy, width, height]| {
                let mut row = sine_shares(&[cy, cx], d / 2);
                row.extend([height, width]);
                row
            })
            .collect();
        let table = |values, last| {
            Tensor::<3>::from_data(TensorData::new(values, [b, n, last]), &image.device())
        };
        let direct = at(
            "boxes_direct_project",
            self.boxes_direct_project.forward(table(direct, 4)),
        );
        let bins = roi_align(image.clone(), &corners, side).reshape([b * n, side, side, d]);
        let pooled = at("boxes_pool_project", self.boxes_pool_project.forward(bins));
        let position = at(
            "boxes_pos_enc_project",
            self.boxes_pos_enc_project.forward(table(encoded, d + 2)),
        );
        let said = boxes.iter().flatten().map(|item| item.positive);
        direct + pooled.reshape([b, n, d]) + position + self.labels(said, [b, n, d])
    }

    fn labels(&self, said: impl Iterator<Item = bool>, shape: [usize; 3]) -> Tensor<3> {
        let table = self.label_embed.weight.val();
        let rows: Vec<i32> = said.map(i32::from).collect();
        let rows: Tensor<1, Int> = Tensor::from_data(rows.as_slice(), &table.device());
        table.select(0, rows).reshape(shape)
    }
}
