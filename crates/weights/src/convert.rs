//! A checkpoint in any published layout to the canonical tensors of `sam3.pt`: which layout it is, which of its
//! tensors make which of the model's, and whether it has them all, each of the right shape, and nothing unknown.
//!
//! Four layouts are known: `sam3.pt` (`detector.` and `tracker.`), Hugging Face's `model.safetensors`, Medical SAM3 2-D
//! (the detector without its prefix) and Medical SAM3 3-D (as `sam3.pt`, built for images of side 504).

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::{Misshapen, huggingface};

const DETECTOR: &str = "detector.";
const HF_DETECTOR: &str = "detector_model.";
const INTERACTIVE: &str = "inst_interactive_predictor.model.";
const POSITIONS: &str = "detector.backbone.vision_backbone.trunk.pos_embed";
/// Tables of rotary embedding, recomputed for any image side.
const ROPE: &str = ".attn.freqs_cis";
/// Patches along a side of the image that Medical SAM3 3-D is built for: 504 / 14.
const GRID_3D: usize = 36;
/// Tensors that belong to SAM 3 but not to the text-prompted image model, in the names of both layouts.
const UNUSED: &str = include_str!("convert/unused.tsv");

/// A published way to name the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointLayout {
    /// Meta's `sam3.pt`.
    Sam3,
    /// Hugging Face's `model.safetensors`.
    HuggingFace,
    /// Medical SAM3, `checkpoint_2D.pt`.
    Medical2d,
    /// Medical SAM3, `checkpoint_3D.pt`.
    Medical3d,
}

impl CheckpointLayout {
    /// For people and for a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sam3 => "sam3.pt",
            Self::HuggingFace => "Hugging Face",
            Self::Medical2d => "Medical SAM3 2-D",
            Self::Medical3d => "Medical SAM3 3-D",
        }
    }
}

/// A tensor that the model needs: canonical name, and shape in PyTorch's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededTensor {
    /// Canonical name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// How the model's tensors are made of those of a checkpoint that has them all.
#[derive(Debug)]
pub struct Plan {
    layout: CheckpointLayout,
    grid: Option<usize>,
    tensors: Vec<(NeededTensor, Vec<String>)>,
}

impl Plan {
    /// Finds the layout and compares names and shapes. Tensors that the image model does not use (the tracker, the
    /// branch for points and boxes) may be absent; where they are there, their names must be known ones, and in a
    /// checkpoint of the published size (`published_size`) their shapes the published ones.
    ///
    /// # Errors
    /// [`CheckpointError::Layout`], or [`CheckpointError::Tensors`] with every name that is missing, unexpected or of
    /// another shape, as the checkpoint calls it.
    pub fn new(
        checkpoint: &Checkpoint,
        needed: &[NeededTensor],
        published_size: bool,
    ) -> Result<Self, CheckpointError> {
        let names = Names::detect(checkpoint)?;
        let mut missing = Vec::new();
        let mut misshapen = Vec::new();
        let mut used = BTreeSet::new();
        let mut tensors = Vec::with_capacity(needed.len());
        for tensor in needed {
            let parts = names.of(&tensor.name);
            let expected = names.shape(tensor, parts.len());
            for name in &parts {
                match checkpoint.shape(name) {
                    None => missing.push(name.clone()),
                    Some(found) if found != expected => misshapen.push(Misshapen {
                        name: name.clone(),
                        expected: expected.clone(),
                        found: found.to_vec(),
                    }),
                    Some(_) => {}
                }
                used.insert(name.clone());
            }
            tensors.push((tensor.clone(), parts));
        }
        let mut unexpected = Vec::new();
        let unused = unused();
        for (name, found) in checkpoint.tensors() {
            if used.contains(name) || name.ends_with(ROPE) {
                continue;
            }
            match unused.get(names.published(name).as_str()) {
                None => unexpected.push(name.to_owned()),
                Some(expected) if published_size && found != expected => {
                    misshapen.push(Misshapen {
                        name: name.to_owned(),
                        expected: expected.clone(),
                        found: found.to_vec(),
                    });
                }
                Some(_) => {}
            }
        }
        if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
            return Ok(Self {
                layout: names.layout,
                grid: names.grid,
                tensors,
            });
        }
        Err(CheckpointError::Tensors {
            missing,
            unexpected,
            misshapen,
        })
    }

    /// The layout found.
    #[must_use]
    pub fn layout(&self) -> CheckpointLayout {
        self.layout
    }

    /// Patches along a side of the images that the checkpoint's tables are for, where it has any.
    #[must_use]
    pub fn grid(&self) -> Option<usize> {
        self.grid
    }

    /// The model's tensors, in the order in which they were asked for.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &NeededTensor> {
        self.tensors.iter().map(|(tensor, _)| tensor)
    }

    /// Values of the model's tensor number `index`, row-major in its canonical shape.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn read(
        &self,
        checkpoint: &mut Checkpoint,
        index: usize,
    ) -> Result<Vec<f32>, CheckpointError> {
        let Some((tensor, parts)) = self.tensors.get(index) else {
            return Ok(Vec::new());
        };
        let mut values = Vec::new();
        if tensor.name == POSITIONS {
            // The class token's row: no image reads it, and Hugging Face's layout lacks it. Zero in all of them.
            let channels = tensor.shape.last().copied().unwrap_or(0);
            values.resize(channels, 0.0);
            for name in parts {
                let theirs = checkpoint.read(name)?;
                let skip = if self.layout == CheckpointLayout::HuggingFace {
                    0
                } else {
                    channels
                };
                values.extend_from_slice(theirs.get(skip..).unwrap_or_default());
            }
            return Ok(values);
        }
        for name in parts {
            let part = checkpoint.read(name)?;
            if values.is_empty() {
                values = part;
            } else {
                values.extend_from_slice(&part);
            }
        }
        Ok(values)
    }
}

/// How this checkpoint names the canonical tensors.
struct Names {
    layout: CheckpointLayout,
    grid: Option<usize>,
    /// Hugging Face: in front of every name of the detector; empty in an export of the image model alone.
    prefix: &'static str,
}

impl Names {
    fn detect(checkpoint: &Checkpoint) -> Result<Self, CheckpointError> {
        let is_adapter = |name: &str| name.contains("lora_A") || name.contains("lora_B");
        if let Some((first, _)) = checkpoint.tensors().next()
            && checkpoint.tensors().all(|(name, _)| is_adapter(name))
        {
            return Err(CheckpointError::AdapterAlone {
                tensors: checkpoint.tensors().count(),
                first: first.to_owned(),
            });
        }
        let has = |start: &str| {
            checkpoint
                .tensors()
                .any(|(name, _)| name.starts_with(start))
        };
        let tables = checkpoint
            .tensors()
            .filter(|(name, _)| name.ends_with(ROPE));
        let rows = tables.filter_map(|(_, shape)| shape.first().copied()).max();
        let grid = rows.map(usize::isqrt);
        let (layout, prefix) = if has("detector.backbone.") {
            let is_3d = grid == Some(GRID_3D);
            let layout = if is_3d {
                CheckpointLayout::Medical3d
            } else {
                CheckpointLayout::Sam3
            };
            (layout, "")
        } else if has("detector_model.vision_encoder.") {
            (CheckpointLayout::HuggingFace, HF_DETECTOR)
        } else if has("vision_encoder.") {
            (CheckpointLayout::HuggingFace, "")
        } else if has("backbone.vision_backbone.") {
            (CheckpointLayout::Medical2d, "")
        } else {
            let first = checkpoint.tensors().next().map(|(name, _)| name.to_owned());
            return Err(CheckpointError::Layout {
                first: first.unwrap_or_default(),
            });
        };
        Ok(Self {
            layout,
            grid,
            prefix,
        })
    }

    /// Names in the checkpoint of a canonical tensor: one, or three that are concatenated along the first axis.
    fn of(&self, canonical: &str) -> Vec<String> {
        match self.layout {
            CheckpointLayout::Sam3 | CheckpointLayout::Medical3d => vec![canonical.to_owned()],
            CheckpointLayout::Medical2d => {
                let name = canonical.strip_prefix(DETECTOR).unwrap_or(canonical);
                vec![name.to_owned()]
            }
            CheckpointLayout::HuggingFace => huggingface::names(canonical)
                .into_iter()
                .map(|name| format!("{}{name}", self.prefix))
                .collect(),
        }
    }

    /// Shape in the checkpoint of each of `parts` tensors that make a canonical one.
    fn shape(&self, tensor: &NeededTensor, parts: usize) -> Vec<usize> {
        let mut shape = tensor.shape.clone();
        if self.layout == CheckpointLayout::HuggingFace {
            if let (Some(rows), true) = (shape.first_mut(), parts > 1) {
                *rows /= parts;
            }
            if let (Some(positions), true) = (shape.get_mut(1), tensor.name == POSITIONS) {
                *positions = positions.saturating_sub(1);
            }
        }
        shape
    }

    /// A name of the checkpoint as `sam3.pt` or the published Hugging Face file has it.
    fn published(&self, name: &str) -> String {
        match self.layout {
            CheckpointLayout::Sam3 | CheckpointLayout::Medical3d => name.to_owned(),
            CheckpointLayout::Medical2d => match name.strip_prefix(INTERACTIVE) {
                Some(of_tracker) => format!("tracker.{of_tracker}"),
                None => format!("{DETECTOR}{name}"),
            },
            CheckpointLayout::HuggingFace if self.prefix.is_empty() => {
                format!("{HF_DETECTOR}{name}")
            }
            CheckpointLayout::HuggingFace => name.to_owned(),
        }
    }
}

fn unused() -> BTreeMap<&'static str, Vec<usize>> {
    let line = |line: &'static str| {
        let (name, shape) = line.split_once('\t')?;
        let sides = shape.trim_matches(['[', ']']).split(", ");
        let sides: Result<Vec<usize>, _> =
            sides.filter(|s| !s.is_empty()).map(str::parse).collect();
        Some((name, sides.ok()?))
    };
    UNUSED.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests;
