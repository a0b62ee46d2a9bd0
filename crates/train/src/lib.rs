//! Training of Medical SAM3 by the paper's recipe (reference section 5): corpus, sampling, matching, losses, optimiser,
//! schedule, checkpoints. Native only.
//!
//! ```text
//! corpus -> sample (view, prompts, targets) -> step (forward, match, losses, backward) on every worker
//!        -> adamw (clip, update, average) -> checkpoint, metrics, validation
//! ```

pub mod adamw;
pub mod augment;
pub mod checkpoint;
pub mod config;
pub mod curves;
pub mod devices;
pub mod drop_path;
pub mod dry_run;
mod error;
mod event;
pub mod export;
mod foreign;
pub mod groups;
pub mod learner;
pub mod lora;
pub mod losses;
pub mod matching;
pub mod measure;
mod metrics;
mod model_card;
pub mod objective;
pub mod one_to_many;
pub mod parameters;
mod prepare;
pub mod record;
pub mod resident;
mod run;
pub mod sample;
pub mod schedule;
pub mod square_resize;
mod start;
pub mod step;
pub mod target;
pub mod tokens;
pub mod validate;
mod workers;

pub use config::TrainConfig;
pub use dry_run::dry_run;
pub use error::TrainError;
pub use event::{Event, Watch};
pub use prepare::{Prepared, prepare};
pub use run::{Trainer, run};
