//! Whether a device computes what the CPU computes: every kernel of its own, then two blocks of a trunk together.
//!
//! A kernel that is wrong is replaced by plain operations for the rest of the process; a device that is wrong even so
//! is not fit for any result. The stored results are checked against the CPU by a test, which writes them anew with
//! `MEDSAM3_WRITE_SELF_TEST=1`.

use crate::config::VitConfig;
use crate::parameters;
use crate::synthetic;
use crate::vitdet::ViT;
use burn::tensor::{Device, Tensor, TensorData};
pub use medsam3_kernels::Kernel;
use medsam3_kernels::route;
use medsam3_kernels::self_test::{self, Finding, LIMIT};
use std::convert::Infallible;

/// `[5, 5, 64]`, little-endian f32.
const EXPECTED: &[u8] = include_bytes!("self_test.f32");

/// What was found on a device, and done about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Every kernel alone, in the order of the run.
    pub kernels: Vec<Finding>,
    /// Kernels that plain operations stand in for from here on.
    pub replaced: Vec<Kernel>,
    /// Error of the two blocks relative to their largest value, after replacing.
    pub blocks: f32,
}

impl Report {
    /// Whether the device may give results.
    pub fn is_fit(&self) -> bool {
        self.blocks <= LIMIT
    }

    /// The largest error of a kernel or of the blocks.
    pub fn largest_error(&self) -> f32 {
        let kernels = self.kernels.iter().map(|finding| finding.error);
        kernels.fold(self.blocks, f32::max)
    }
}

/// Tests `device` and replaces what is wrong. Costs one compilation of each kernel.
pub async fn check(device: &Device) -> Report {
    let on = || {
        Kernel::ALL
            .into_iter()
            .filter(|kernel| route::is_on(*kernel))
    };
    let before: Vec<Kernel> = on().collect();
    let kernels = self_test::run_and_replace(device).await;
    let mut blocks = blocks_error(device).await;
    if blocks > LIMIT {
        // Each kernel may be right alone at the sizes tried, and still be what is wrong here.
        on().for_each(|kernel| route::switch(kernel, false));
        blocks = blocks_error(device).await;
    }
    let replaced = before.into_iter().filter(|kernel| !route::is_on(*kernel));
    Report {
        kernels,
        replaced: replaced.collect(),
        blocks,
    }
}

async fn blocks_error(device: &Device) -> f32 {
    self_test::error(&blocks(device).into_data_async().await.ok(), EXPECTED)
}

/// A windowed block, whose windows do not fit the grid, and a global one on an image of 70 x 70 pixels.
fn blocks(device: &Device) -> Tensor<1> {
    let config = VitConfig {
        patch: 14,
        width: 64,
        depth: 2,
        heads: 2,
        mlp_hidden: 96,
        window: 3,
        global_blocks: vec![1],
        pretrain_grid: 4,
    };
    let side = 5 * config.patch;
    let known = |info: &parameters::ParameterInfo| {
        Ok::<_, Infallible>(synthetic::weights(&info.name, &info.shape))
    };
    let Ok(trunk) = parameters::load(ViT::new(&config, device), &mut { known }) else {
        return Tensor::zeros([1], device);
    };
    let image = TensorData::new(synthetic::image(side, side), [1, 3, side, side]);
    trunk
        .forward(Tensor::from_data(image, device))
        .reshape([5 * 5 * 64])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored results are those of the CPU.
    #[test]
    fn the_stored_results_are_the_cpus() {
        let data = blocks(&Device::flex()).into_data();
        if std::env::var_os("MEDSAM3_WRITE_SELF_TEST").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/self_test.f32");
            let bytes: Vec<u8> = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
            std::fs::write(path, bytes).expect("written");
        } else {
            let error = self_test::error(&Some(data), EXPECTED);
            assert!(error < 1e-5, "{error:e}");
        }
    }
}
