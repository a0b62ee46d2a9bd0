//! Packs the built page that `MEDSAM3_PAGE` names into the program; without it the program carries none.

#[path = "src/pack.rs"]
mod pack;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=MEDSAM3_PAGE");
    let page = env::var_os("MEDSAM3_PAGE").filter(|page| !page.is_empty());
    let source = match page {
        Some(page) => {
            let folder = fs::canonicalize(&page)
                .map_err(|error| format!("MEDSAM3_PAGE, {}: {error}", page.display()))?;
            println!("cargo::rerun-if-changed={}", folder.display());
            pack::source_of(&folder)?
        }
        None => "&[]".to_owned(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(Path::new(&out).join("carried.rs"), source)?;
    Ok(())
}
