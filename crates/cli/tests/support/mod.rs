//! Synthetic checkpoints in the published layouts, of any size: names and shapes are the published ones, values follow
//! from the canonical name alone (reference 6.2), so that four files of gigabytes can be compared without keeping any.

pub mod pytorch;
pub mod safetensors_file;

use medsam3_model::burn::tensor::Device;
use medsam3_model::{Sam3Config, parameters, synthetic};
use medsam3_weights::huggingface;

/// Tensors of `sam3.pt`: name and shape.
const KEYS: &str = include_str!("../../../../tests/parity/checkpoint_keys.txt");
/// Those of both layouts that the image model does not use.
const UNUSED: &str = include_str!("../../../weights/src/convert/unused.tsv");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Sam3,
    HuggingFace,
    Medical2d,
    Medical3d,
}

impl Layout {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "sam3" => Self::Sam3,
            "huggingface" => Self::HuggingFace,
            "medical-2d" => Self::Medical2d,
            "medical-3d" => Self::Medical3d,
            _ => return None,
        })
    }
}

/// A tensor to be written; its values are made when they are asked for.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// Complex64, as the tables of rotary embedding are; 8 bytes an element, all zero.
    pub complex: bool,
    canonical: String,
    canonical_shape: Vec<usize>,
    part: Part,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Whole,
    /// One of three along the first axis.
    Third(usize),
    /// Without the first row of the second axis.
    WithoutClass,
}

impl Tensor {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn bytes(&self) -> usize {
        self.elements() * if self.complex { 8 } else { 4 }
    }

    /// The same name with other values, of another shape.
    pub fn with_shape(mut self, shape: &[usize]) -> Self {
        self.canonical_shape = shape.to_vec();
        self.shape = shape.to_vec();
        self
    }

    pub fn values(&self) -> Vec<f32> {
        if self.complex {
            return vec![0.0; 2 * self.elements()];
        }
        let whole = synthetic::weights(&self.canonical, &self.canonical_shape);
        let count = self.elements();
        match self.part {
            Part::Whole => whole,
            Part::Third(third) => whole[third * count..(third + 1) * count].to_vec(),
            Part::WithoutClass => whole[whole.len() - count..].to_vec(),
        }
    }
}

/// All tensors of a checkpoint in a layout: the image model of `config` and, at the published size, everything else
/// that the published files hold.
pub fn tensors(layout: Layout, config: &Sam3Config) -> Vec<Tensor> {
    let infos = parameters::parameters(&config.init(&Device::flex()));
    let mut tensors: Vec<Tensor> = infos
        .into_iter()
        .flat_map(|info| in_layout(layout, &info.name, &info.shape))
        .collect();
    if config.vit == Sam3Config::sam3().vit {
        tensors.extend(beside(layout));
    }
    tensors.extend(rope_tables(layout, config));
    tensors
}

fn plain(name: String, shape: &[usize]) -> Tensor {
    Tensor {
        canonical: name.clone(),
        name,
        shape: shape.to_vec(),
        complex: false,
        canonical_shape: shape.to_vec(),
        part: Part::Whole,
    }
}

fn in_layout(layout: Layout, canonical: &str, shape: &[usize]) -> Vec<Tensor> {
    let whole = plain(canonical.to_owned(), shape);
    match layout {
        Layout::Sam3 | Layout::Medical3d => vec![whole],
        Layout::Medical2d => vec![Tensor {
            name: canonical.trim_start_matches("detector.").to_owned(),
            ..whole
        }],
        Layout::HuggingFace => {
            let names = huggingface::names(canonical);
            let parts = names.len();
            let part = |(index, name): (usize, String)| {
                let mut tensor = Tensor {
                    name: format!("detector_model.{name}"),
                    ..whole.clone()
                };
                if parts > 1 {
                    tensor.shape[0] /= parts;
                    tensor.part = Part::Third(index);
                } else if canonical.ends_with("trunk.pos_embed") {
                    tensor.shape[1] -= 1;
                    tensor.part = Part::WithoutClass;
                }
                tensor
            };
            names.into_iter().enumerate().map(part).collect()
        }
    }
}

/// What the image model does not use.
fn beside(layout: Layout) -> Vec<Tensor> {
    let wanted = |name: &str| match layout {
        Layout::Sam3 | Layout::Medical3d => {
            name.starts_with("detector.") || name.starts_with("tracker.")
        }
        Layout::Medical2d => name.starts_with("detector.") && !name.contains("sam2_convs"),
        Layout::HuggingFace => name.contains("_model.") || name.starts_with("tracker_neck."),
    };
    let lines = UNUSED.lines().filter_map(|line| line.split_once('\t'));
    lines
        .filter(|(name, _)| wanted(name))
        .map(|(name, shape)| {
            let name = match layout {
                Layout::Medical2d => name.trim_start_matches("detector."),
                _ => name,
            };
            plain(name.to_owned(), &sides(shape))
        })
        .collect()
}

/// One complex table a block in the layouts that keep them: by the window where a block has one, else by the image.
fn rope_tables(layout: Layout, config: &Sam3Config) -> Vec<Tensor> {
    if layout == Layout::HuggingFace {
        return Vec::new();
    }
    let grid = match layout {
        Layout::Medical3d => 36,
        _ => config.grid(),
    };
    let prefix = match layout {
        Layout::Medical2d => "",
        _ => "detector.",
    };
    let vit = &config.vit;
    let channels = vit.width / vit.heads / 2;
    (0..vit.depth)
        .map(|block| {
            let side = if vit.global_blocks.contains(&block) {
                grid
            } else {
                vit.window
            };
            let name =
                format!("{prefix}backbone.vision_backbone.trunk.blocks.{block}.attn.freqs_cis");
            Tensor {
                complex: true,
                ..plain(name, &[side * side, channels])
            }
        })
        .collect()
}

fn sides(shape: &str) -> Vec<usize> {
    let sides = shape.trim_matches(['[', ']']).split(", ");
    sides
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().unwrap())
        .collect()
}

/// At the published size, `sam3.pt` has exactly the tensors of the published listing.
pub fn published() -> Vec<(String, Vec<usize>)> {
    let lines = KEYS.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, shape)| (name.to_owned(), sides(shape)))
        .collect()
}
