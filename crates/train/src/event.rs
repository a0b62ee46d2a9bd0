//! What a training tells whoever started it. The library prints nothing: a run must not die of a closed terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::objective::Terms;
use crate::validate::Score;

/// Hears of a training, and may end it.
pub trait Watch {
    /// Something has happened.
    fn event(&self, event: &Event);
    /// Whether to end after the current step, with a checkpoint.
    fn stop(&self) -> bool;
}

/// Hears nothing; ends the run when the flag is set.
impl Watch for AtomicBool {
    fn event(&self, _event: &Event) {}

    fn stop(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}

/// What has happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The corpus is in memory.
    Loaded {
        /// Training images.
        train: usize,
        /// Validation images.
        val: usize,
        /// Datasets.
        datasets: usize,
    },
    /// The run starts from these weights.
    StartsFrom {
        /// A model folder or a run folder.
        folder: PathBuf,
    },
    /// The model is set up.
    Prepared {
        /// Its parameters, and which are trained, in words.
        model: String,
    },
    /// A run goes on.
    Resumed {
        /// Optimiser steps done.
        step: usize,
    },
    /// Some steps are done.
    Progress {
        /// Optimiser steps done.
        step: usize,
        /// Of so many.
        steps: usize,
        /// Means since the last report.
        #[serde(flatten)]
        terms: Terms,
        /// L2 norm of the last gradient before clipping.
        gradient_norm: f32,
        /// Training images per second.
        images_per_second: f32,
        /// Time left at this speed.
        seconds_left: f32,
    },
    /// The validation split was measured.
    Validation {
        /// Optimiser steps done.
        step: usize,
        /// By `dataset/prompt`.
        scores: BTreeMap<String, Score>,
    },
    /// A checkpoint was written at the end of the run.
    Saved {
        /// Its file.
        checkpoint: PathBuf,
        /// Optimiser steps done.
        step: usize,
        /// Of so many: fewer where the run was stopped.
        steps: usize,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded {
                train,
                val,
                datasets,
            } => write!(
                f,
                "{train} training and {val} validation images of {datasets} datasets"
            ),
            Self::StartsFrom { folder } => {
                write!(f, "starts from the weights of {}", folder.display())
            }
            Self::Prepared { model } => f.write_str(model),
            Self::Resumed { step } => write!(f, "resumed at step {step}"),
            Self::Progress {
                step,
                steps,
                terms,
                gradient_norm,
                images_per_second,
                seconds_left,
            } => write!(
                f,
                "step {step}/{steps}  loss {:.3}  semantic dice {:.3} focal {:.4}  presence {:.3}  \
                 boxes {:.3}  norm {gradient_norm:.2}  {images_per_second:.1} images/s  {} left",
                terms.total,
                terms.semantic_dice,
                terms.semantic_focal,
                terms.presence,
                terms.box_l1,
                clock(*seconds_left)
            ),
            Self::Validation { scores, .. } => {
                for (at, (name, score)) in scores.iter().enumerate() {
                    let end = if at + 1 < scores.len() { "\n" } else { "" };
                    write!(
                        f,
                        "  {name:48} Dice {:.3} (ungated {:.3}) n {}  false positives {:.2} of {}{end}",
                        score.dice,
                        score.dice_ungated,
                        score.images,
                        score.false_positive,
                        score.absent
                    )?;
                }
                Ok(())
            }
            Self::Saved { checkpoint, .. } => write!(f, "saved {}", checkpoint.display()),
        }
    }
}

fn clock(seconds: f32) -> String {
    let minutes = (seconds / 60.0) as u64;
    format!("{}:{:02} h", minutes / 60, minutes % 60)
}
