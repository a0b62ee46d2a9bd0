//! The image model: everything from pixels and a prompt to boxes, scores and masks (paper figure 2; reference:
//! `sam3_image.py`). The work per image and the work per prompt are separate calls: a further prompt costs 7 %.

use crate::config::Sam3Config;
use crate::decoder::{DecoderOutput, Queries, TransformerDecoder};
use crate::dropout::PromptTraining;
use crate::encoder::TransformerEncoderFusion;
use crate::geometry_encoders::{GeometryPrompt, PointsAndBoxes, SequenceGeometryEncoder};
use crate::maskformer_segmentation::{PixelEmbedding, UniversalSegmentationHead};
use crate::model_misc::DotProductScoring;
use crate::necks::{self, NeckLevel};
use crate::position_encoding::sine_map;
use crate::text_encoder_ve::VETextEncoder;
use crate::trace::{at, scope};
use crate::vitdet::{TrunkTraining, ViT};
use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};

/// Trunk and neck.
#[derive(Module, Debug)]
pub struct VisionBackbone {
    /// The ViT.
    pub trunk: ViT,
    /// The neck, finest level first.
    pub convs: Vec<NeckLevel>,
}

/// What sees and what reads.
#[derive(Module, Debug)]
pub struct Backbone {
    /// Trunk and neck.
    pub vision_backbone: VisionBackbone,
    /// The text encoder.
    pub language_backbone: VETextEncoder,
}

/// DETR encoder and decoder.
#[derive(Module, Debug)]
pub struct Transformer {
    /// The encoder.
    pub encoder: TransformerEncoderFusion,
    /// The decoder.
    pub decoder: TransformerDecoder,
}

/// SAM 3 for images. Field names are those of the checkpoints.
#[derive(Module, Debug)]
pub struct Sam3 {
    /// Vision and text encoders.
    pub backbone: Backbone,
    /// The class token that looks at the image.
    pub geometry_encoder: SequenceGeometryEncoder,
    /// DETR encoder and decoder.
    pub transformer: Transformer,
    /// Masks.
    pub segmentation_head: UniversalSegmentationHead,
    /// Scores.
    pub dot_prod_scoring: DotProductScoring,
}

/// All that prompts need of an image. Cloning shares the tensors.
#[derive(Debug, Clone)]
pub struct ImageFeatures {
    /// Neck maps at 4x, 2x, 1x of the patch grid: `[b, scale * grid, scale * grid, d]`.
    pub maps: Vec<Tensor<4>>,
    /// Position encoding of the coarsest, `[1, grid * grid, d]`.
    pub position: Tensor<3>,
}

impl ImageFeatures {
    /// Features for a batch of prompts: row i is that of image `rows[i]`.
    pub fn select(&self, rows: &[usize]) -> Self {
        let device = self.position.device();
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let rows: Tensor<1, Int> = Tensor::from_data(rows.as_slice(), &device);
        let maps = self
            .maps
            .iter()
            .map(|map| map.clone().select(0, rows.clone()))
            .collect();
        Self {
            maps,
            position: self.position.clone(),
        }
    }
}

/// A prompt behind the text encoder.
#[derive(Debug, Clone)]
pub struct TextFeatures {
    /// `[b, tokens, d]`
    pub tokens: Tensor<3>,
    /// True at tokens, false at padding, `[b, tokens]`.
    pub valid: Tensor<2, Bool>,
}

/// Outputs of one decoder layer.
#[derive(Debug, Clone)]
pub struct LayerGrounding {
    /// Score logits without presence, `[b, q]`.
    pub logits: Tensor<2>,
    /// cx, cy, w, h in 0..1, `[b, q, 4]`.
    pub boxes: Tensor<3>,
    /// Logit of the prompt being in the image at all, `[b]`.
    pub presence: Tensor<1>,
    /// Queries, `[b, q, d]`.
    pub hs: Tensor<3>,
}

/// The answer to a prompt.
#[derive(Debug, Clone)]
pub struct Grounding {
    /// Score logits without presence, `[b, q]`. A query's score is `sigmoid(logit) * sigmoid(presence)`.
    pub logits: Tensor<2>,
    /// cx, cy, w, h in 0..1, `[b, q, 4]`.
    pub boxes: Tensor<3>,
    /// Logit of the prompt being in the image at all, `[b]`.
    pub presence: Tensor<1>,
    /// Queries, `[b, q, d]`, from which [`Sam3::masks`] makes masks.
    pub hs: Tensor<3>,
    /// Logits of the semantic mask, `[b, 4 grid, 4 grid]`.
    pub semantic: Tensor<3>,
    /// Pixel embedding of the mask head.
    pub pixels: PixelEmbedding,
    /// All decoder layers, last one last, for auxiliary losses.
    pub layers: Vec<LayerGrounding>,
    /// The same of the second copy of the queries; empty but in training, see [`Sam3::ground_trained`]. Its presence says
    /// nothing.
    pub duplicated: Vec<LayerGrounding>,
}

impl Sam3Config {
    /// A model with initial values as the reference draws them. Call [`Sam3Config::validate`] first on input from
    /// outside: an impossible configuration panics.
    pub fn init(&self, device: &Device) -> Sam3 {
        let d = self.transformer.width;
        Sam3 {
            backbone: Backbone {
                vision_backbone: VisionBackbone {
                    trunk: ViT::new(&self.vit, device),
                    convs: (0..3)
                        .map(|level| NeckLevel::new(level, self.vit.width, d, device))
                        .collect(),
                },
                language_backbone: VETextEncoder::new(&self.text, d, device),
            },
            geometry_encoder: SequenceGeometryEncoder::new(&self.transformer, device),
            transformer: Transformer {
                encoder: TransformerEncoderFusion::new(&self.transformer, device),
                decoder: TransformerDecoder::new(&self.transformer, device),
            },
            segmentation_head: UniversalSegmentationHead::new(&self.transformer, device),
            dot_prod_scoring: DotProductScoring::new(d, self.transformer.feed_forward, device),
        }
    }
}

impl Sam3 {
    /// The work per image: `[b, 3, side, side]` in -1..1.
    pub fn encode_image(&self, image: Tensor<4>) -> ImageFeatures {
        self.encode_image_trained(image, TrunkTraining::default())
    }

    /// As [`Sam3::encode_image`], with the trunk as training runs it.
    pub fn encode_image_trained(&self, image: Tensor<4>, training: TrunkTraining) -> ImageFeatures {
        scope("backbone.vision_backbone", || {
            let trunk = scope("trunk", || {
                self.backbone
                    .vision_backbone
                    .trunk
                    .forward_trained(image, training)
            });
            self.neck(&trunk)
        })
    }

    /// The trunk alone: `[b, 3, side, side] -> [b, grid, grid, vit_width]`.
    pub fn encode_trunk(&self, image: Tensor<4>) -> Tensor<4> {
        self.backbone.vision_backbone.trunk.forward(image)
    }

    /// The neck behind [`Sam3::encode_trunk`].
    pub fn neck(&self, trunk: &Tensor<4>) -> ImageFeatures {
        let maps = necks::forward(&self.backbone.vision_backbone.convs, trunk);
        let [_, grid, _, d] = maps[2].dims();
        let position = sine_map(grid, d, &trunk.device());
        ImageFeatures { maps, position }
    }

    /// The work per string: ids and validity `[b, tokens]`.
    pub fn encode_text(&self, ids: Tensor<2, Int>, valid: Tensor<2, Bool>) -> TextFeatures {
        let tokens = scope("backbone.language_backbone", || {
            self.backbone.language_backbone.forward(ids)
        });
        TextFeatures { tokens, valid }
    }

    /// As [`Sam3::encode_text`], from rows of the token table `[b, tokens, text_width]`.
    pub fn encode_text_rows(&self, rows: Tensor<3>, valid: Tensor<2, Bool>) -> TextFeatures {
        let tokens = scope("backbone.language_backbone", || {
            self.backbone.language_backbone.forward_embedded(rows)
        });
        TextFeatures { tokens, valid }
    }

    /// The work per prompt: one image and one text per row.
    pub fn ground(&self, image: &ImageFeatures, text: &TextFeatures) -> Grounding {
        self.ground_trained(image, text, &PromptTraining::default())
    }

    /// As [`Sam3::ground`], the way that training asks for.
    pub fn ground_trained(
        &self,
        image: &ImageFeatures,
        text: &TextFeatures,
        training: &PromptTraining,
    ) -> Grounding {
        self.ground_with(image, text, None, training)
    }

    /// As [`Sam3::ground`], with points and boxes beside the text: equally many for each row, and at least one.
    pub fn ground_prompted(
        &self,
        image: &ImageFeatures,
        text: &TextFeatures,
        branches: &PointsAndBoxes,
        prompts: &[GeometryPrompt],
    ) -> Grounding {
        let tokens = scope("geometry_encoder", || {
            branches.forward(&image.maps[2], prompts)
        });
        self.ground_with(image, text, Some(tokens), &PromptTraining::default())
    }

    /// `geometry` has tokens of points and boxes, `[b, n, d]`.
    fn ground_with(
        &self,
        image: &ImageFeatures,
        text: &TextFeatures,
        geometry: Option<Tensor<3>>,
        training: &PromptTraining,
    ) -> Grounding {
        let dropout = &training.dropout;
        let coarse = &image.maps[2];
        let [b, grid, _, d] = coarse.dims();
        let tokens = coarse.clone().reshape([b, grid * grid, d]);
        let position = &image.position;

        let geometry = scope("geometry_encoder", || match geometry {
            None => self.geometry_encoder.forward(&tokens, position),
            Some(prompted) => {
                let encoder = &self.geometry_encoder;
                encoder.forward_prompted(prompted, &tokens, position)
            }
        });
        let [_, added, _] = geometry.dims();
        let prompt = Tensor::cat(vec![text.tokens.clone(), geometry], 1);
        let always = Tensor::<2, Int>::ones([b, added], &tokens.device()).equal_elem(1);
        let valid = Tensor::cat(vec![text.valid.clone(), always], 1);
        let masked = valid.clone().bool_not().unsqueeze_dims::<4>(&[1, 1]);

        let decode = |memory: &Tensor<3>, queries| {
            let decoder = &self.transformer.decoder;
            decoder.forward(memory, position, grid, &prompt, &masked, dropout, queries)
        };
        let (memory, decoded) = scope("transformer", || {
            let memory = scope("encoder", || {
                self.transformer
                    .encoder
                    .forward(tokens, position, &prompt, &masked, training)
            });
            let decoded = scope("decoder", || decode(&memory, Queries::Competing));
            (memory, decoded)
        });
        let copies = if training.duplicate {
            decode(&memory, Queries::Duplicated)
        } else {
            Vec::new()
        };

        let pooled = scope("dot_prod_scoring", || {
            self.dot_prod_scoring.pool(prompt.clone(), valid)
        });
        let score = |layer: DecoderOutput| LayerGrounding {
            logits: scope("dot_prod_scoring", || {
                let scoring = &self.dot_prod_scoring;
                at("", scoring.forward(layer.hs.clone(), pooled.clone()))
            }),
            boxes: layer.boxes,
            presence: layer.presence,
            hs: layer.hs,
        };
        let layers: Vec<LayerGrounding> = decoded.into_iter().map(score).collect();
        let duplicated = copies.into_iter().map(score).collect();
        let pixels = scope("segmentation_head", || {
            self.segmentation_head
                .embed_pixels(memory, &image.maps, &prompt, &masked)
        });
        let last = layers.last().expect("the decoder has layers").clone();
        Grounding {
            logits: last.logits,
            boxes: last.boxes,
            presence: last.presence,
            hs: last.hs,
            semantic: pixels.semantic.clone(),
            pixels,
            layers,
            duplicated,
        }
    }

    /// Mask logits `[b, q, 4 grid, 4 grid]` of queries `hs` `[b, q, d]`, all or a selection of [`Grounding::hs`].
    pub fn masks(&self, pixels: &PixelEmbedding, hs: Tensor<3>) -> Tensor<4> {
        scope("segmentation_head", || {
            self.segmentation_head.instance_masks(pixels, hs)
        })
    }
}
