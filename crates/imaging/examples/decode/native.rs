//! `cargo run --release -p medsam3-imaging --example decode_native` reads paths from its input, one a line, and prints
//! for each what it decodes to; `tests/browser/decode.mjs` compares that with WebAssembly.

#[path = "digest.rs"]
mod digest;

fn main() -> std::io::Result<()> {
    for path in std::io::stdin().lines() {
        println!("{}", digest::line(&std::fs::read(path?)?));
    }
    Ok(())
}
