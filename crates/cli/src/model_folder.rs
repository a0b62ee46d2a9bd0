//! Where the model is: the folder named by the user, else the one that comes with the program.

use std::path::{Path, PathBuf};

use crate::failure::UsageError;
use anyhow::Result;

const DEFAULT: &str = "weights/default";

/// The user's folder, or `weights/default` in the working directory, in a directory above the program, or in the
/// sources that it was built from.
pub fn find(asked_for: Option<&Path>) -> Result<PathBuf> {
    if let Some(folder) = asked_for {
        return Ok(folder.to_owned());
    }
    let program = std::env::current_exe().ok();
    let above = program
        .iter()
        .flat_map(|program| program.ancestors().skip(1));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let candidates = std::iter::once(Path::new("")).chain(above).chain(sources);
    let mut candidates = candidates.map(|folder| folder.join(DEFAULT));
    let found = candidates.find(|folder| folder.join(medsam3_weights::MANIFEST_FILE).is_file());
    found.ok_or_else(|| {
        UsageError("no model found; name its folder with --model DIR".to_owned()).into()
    })
}
