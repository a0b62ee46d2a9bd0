//! SAM's prompt encoder (reference: `sam/prompt_encoder.py`): points, corners of boxes and masks become tokens and a map.
//!
//! Points are in pixels of the square that the model sees, x first; a box is its two corners, labelled as such. Without a
//! mask the map is one learned vector, without points one token says so.

use crate::convolution::{Conv2x2Stride2, LayerNorm2d};
use crate::layers::Conv1x1;
use crate::position_encoding::sin_cos_of_turns;
use crate::trace::{at, scope};
use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Device, Tensor, TensorData};
use medsam3_kernels::{Activation, matmul};

/// Channels of a mask on its way in; a quarter of them behind the first convolution.
const MASK_CHANNELS: usize = 16;

/// What a point says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PointLabel {
    /// Not of the object.
    Negative,
    /// Of the object.
    Positive,
    /// The top left corner of a box around the object.
    TopLeft,
    /// The bottom right corner of a box around the object.
    BottomRight,
}

/// A prompt's point in pixels of the square that the model sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
    /// What it says.
    pub label: PointLabel,
}

impl Point {
    /// The corners of a box, in pixels.
    pub fn corners([left, top, right, bottom]: [f32; 4]) -> [Self; 2] {
        let corner = |x, y, label| Self { x, y, label };
        [
            corner(left, top, PointLabel::TopLeft),
            corner(right, bottom, PointLabel::BottomRight),
        ]
    }
}

/// Encoding of positions by random frequencies (reference: `PositionEmbeddingRandom`).
#[derive(Module, Debug)]
pub struct PositionEmbeddingRandom {
    /// `[2, d / 2]`, x first; part of the checkpoint, never trained.
    pub positional_encoding_gaussian_matrix: Param<Tensor<2>>,
}

impl PositionEmbeddingRandom {
    fn new(width: usize, device: &Device) -> Self {
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let matrix: Param<Tensor<2>> = normal.init([2, width / 2], device);
        Self {
            positional_encoding_gaussian_matrix: matrix.set_require_grad(false),
        }
    }

    /// Positions `[1, n, 2]` in 0..1, x first, to `[1, n, d]`: sines, then cosines.
    fn encode(&self, positions: Tensor<3>) -> Tensor<3> {
        let matrix = self.positional_encoding_gaussian_matrix.val();
        let turns = matmul(positions * 2.0 - 1.0, matrix.unsqueeze_dim::<3>(0));
        let (sine, cosine) = sin_cos_of_turns(turns);
        Tensor::cat(vec![sine, cosine], 2)
    }
}

/// The convolutions of a mask, numbered as in the checkpoint; activations stand between them.
#[derive(Module, Debug)]
pub struct MaskDownscaling {
    /// `1 -> 4`
    pub at_0: Conv2x2Stride2,
    /// Behind it.
    pub at_1: LayerNorm2d,
    /// `4 -> 16`
    pub at_3: Conv2x2Stride2,
    /// Behind it.
    pub at_4: LayerNorm2d,
    /// `16 -> d`
    pub at_6: Conv1x1,
}

/// The prompt encoder.
#[derive(Module, Debug)]
pub struct PromptEncoder {
    /// Where points are.
    pub pe_layer: PositionEmbeddingRandom,
    /// Negative, positive, top left, bottom right: `[1, d]` each.
    pub point_embeddings: Vec<Embedding>,
    /// The token of no point.
    pub not_a_point_embed: Embedding,
    /// What a mask becomes.
    pub mask_downscaling: MaskDownscaling,
    /// The map of no mask.
    pub no_mask_embed: Embedding,
    image_side: usize,
    grid: usize,
}

impl PromptEncoder {
    /// New encoder for a grid of `grid` cells over an image of `image_side` pixels.
    pub fn new(width: usize, image_side: usize, grid: usize, device: &Device) -> Self {
        let embedding = || EmbeddingConfig::new(1, width).init(device);
        let quarter = MASK_CHANNELS / 4;
        Self {
            pe_layer: PositionEmbeddingRandom::new(width, device),
            point_embeddings: (0..4).map(|_| embedding()).collect(),
            not_a_point_embed: embedding(),
            mask_downscaling: MaskDownscaling {
                at_0: Conv2x2Stride2::new(1, quarter, device),
                at_1: LayerNorm2d::new(quarter, device),
                at_3: Conv2x2Stride2::new(quarter, MASK_CHANNELS, device),
                at_4: LayerNorm2d::new(MASK_CHANNELS, device),
                at_6: Conv1x1::new(MASK_CHANNELS, width, device),
            },
            no_mask_embed: embedding(),
            image_side,
            grid,
        }
    }

    /// Position encoding of the image's cells, `[1, grid * grid, d]`.
    pub fn dense_position(&self, device: &Device) -> Tensor<3> {
        let grid = self.grid;
        let place = |cell: usize| (cell as f32 + 0.5) / grid as f32;
        let mut places = Vec::with_capacity(2 * grid * grid);
        for y in 0..grid {
            for x in 0..grid {
                places.extend([place(x), place(y)]);
            }
        }
        let places = Tensor::from_data(TensorData::new(places, [1, grid * grid, 2]), device);
        self.pe_layer.encode(places)
    }

    /// Tokens `[b, n + 1, d]` of `n` points for each of `b` objects; objects have equally many. The last token is the one
    /// that says "no point" and is always there; without any point there are two of it.
    ///
    /// # Panics
    /// When objects have differing numbers of points.
    pub fn points(&self, objects: &[Vec<Point>], device: &Device) -> Tensor<3> {
        let (b, n) = (objects.len(), objects.first().map_or(0, Vec::len));
        assert!(objects.iter().all(|points| points.len() == n));
        let d = self.no_mask_embed.weight.dims()[1];
        let none = self.not_a_point_embed.weight.val().reshape([1, 1, d]);
        if n == 0 {
            return at("sparse", none.expand([b, 2, d]));
        }
        let none = none.expand([b, 1, d]);
        let side = self.image_side as f32;
        let places: Vec<f32> = objects
            .iter()
            .flatten()
            .flat_map(|point| [(point.x + 0.5) / side, (point.y + 0.5) / side])
            .collect();
        let places = Tensor::from_data(TensorData::new(places, [1, b * n, 2]), device);
        let labels = objects.iter().flatten().map(|point| {
            let embedding = &self.point_embeddings[point.label as usize];
            embedding.weight.val().reshape([1, 1, d])
        });
        let labels = Tensor::cat(labels.collect(), 1);
        let tokens = (self.pe_layer.encode(places) + labels).reshape([b, n, d]);
        at("sparse", Tensor::cat(vec![tokens, none], 1))
    }

    /// The map `[b, grid * grid, d]` of masks `[b, 4 grid, 4 grid]`, or that of no masks.
    pub fn masks(&self, masks: Option<Tensor<3>>, b: usize) -> Tensor<3> {
        let cells = self.grid * self.grid;
        let d = self.no_mask_embed.weight.dims()[1];
        let Some(masks) = masks else {
            let none = self.no_mask_embed.weight.val().reshape([1, 1, d]);
            return none.expand([b, cells, d]);
        };
        let map = scope("mask_downscaling", || {
            let layers = &self.mask_downscaling;
            let gelu = |x: Tensor<4>| Activation::Gelu.apply(x);
            let x = at("0", layers.at_0.forward(masks.unsqueeze_dim::<4>(3)));
            let x = gelu(at("1", layers.at_1.forward(x)));
            let x = at("3", layers.at_3.forward(x));
            let x = gelu(at("4", layers.at_4.forward(x)));
            at("6", layers.at_6.forward(x))
        });
        map.reshape([b, cells, d])
    }
}
