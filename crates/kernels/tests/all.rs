//! All tests of this folder as one program, for machines with a GPU and without a toolchain (`cargo xtask gpu`).
//!
//! Not run by `cargo test`, which runs each file by itself. One test per process (`all NAME --exact`): they choose
//! variants for the whole process.

#[path = "attention.rs"]
mod attention;
#[path = "bf16.rs"]
mod bf16;
#[path = "choice.rs"]
mod choice;
#[path = "group_norm.rs"]
mod group_norm;
#[path = "layer_norm.rs"]
mod layer_norm;
#[path = "pieces.rs"]
mod pieces;
#[path = "product.rs"]
mod product;
#[path = "roi_align.rs"]
mod roi_align;
#[path = "rope_qkv.rs"]
mod rope_qkv;
#[path = "self_test.rs"]
mod self_test;
