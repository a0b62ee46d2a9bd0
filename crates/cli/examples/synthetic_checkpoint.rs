//! Writes a synthetic checkpoint of the published size in one of the published layouts:
//!
//!     cargo run --release --example synthetic_checkpoint -- LAYOUT OUT [flat|nested|with-optimizer]
//!
//! LAYOUT is sam3, huggingface, medical-2d or medical-3d; OUT ends with .pt or .safetensors.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code)] // The tests use the rest.
mod support;

use std::io::{BufWriter, Write as _};

use medsam3_model::Sam3Config;
use support::Layout;
use support::pytorch::{self, Nesting};
use support::safetensors_file;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "LAYOUT OUT [flat|nested|with-optimizer]";
    let (Some(layout), Some(out)) = (arguments.first(), arguments.get(1)) else {
        return Err(usage.into());
    };
    let layout = Layout::of(layout).ok_or(usage)?;
    let nesting = match arguments.get(2).map(String::as_str) {
        None | Some("flat") => Nesting::Flat,
        Some("nested") => Nesting::Nested,
        Some("with-optimizer") => Nesting::WithOptimizer,
        Some(_) => return Err(usage.into()),
    };
    let tensors = support::tensors(layout, &Sam3Config::sam3());
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(out)?);
    if out.ends_with(".safetensors") {
        safetensors_file::write(&mut file, &tensors)?;
    } else {
        file = pytorch::write(file, &tensors, nesting)?;
    }
    file.flush()?;
    println!("{} tensors", tensors.len());
    Ok(())
}
