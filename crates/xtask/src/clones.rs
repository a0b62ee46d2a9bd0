//! Several clones share one build folder, so that Burn is compiled once. Cargo tells a clone's own crates from another
//! clone's by the age of their files alone, and tests know their fixtures by absolute path: the last clone's must go.

use std::fs;

use anyhow::Result;

use crate::process::{run, say};
use crate::workspace::Workspace;

/// Where the build folder says which clone built in it last.
const MARK: &str = "medsam3-clone";

/// Makes the build folder this clone's: drops what another clone has built of the workspace itself, and nothing else.
pub fn claim(workspace: &Workspace) -> Result<()> {
    let mark = workspace.target_dir.join(MARK);
    let here = workspace.root.to_string_lossy();
    let last = fs::read_to_string(&mark).unwrap_or_default();
    if last == here {
        return Ok(());
    }
    if !last.is_empty() {
        say(
            "another clone has built here before: removing its own crates, keeping those of the registry",
        );
        run(workspace.cargo().args(["clean", "--quiet", "--workspace"]))?;
    }
    fs::create_dir_all(&workspace.target_dir)?;
    fs::write(&mark, here.as_bytes())?;
    Ok(())
}
