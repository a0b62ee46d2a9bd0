//! Which way an operation is computed: by its own kernel, or by plain tensor operations.
//!
//! A kernel can be switched off for the rest of the process, which is what the self-test does with one that gives wrong
//! results on the user's GPU.

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use std::sync::atomic::{AtomicU32, Ordering};

/// The kernels of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kernel {
    /// Attention with online softmax.
    Attention,
    /// Rotary embedding fused with the split of queries, keys and values into windows.
    RopeQkv,
    /// Matrix product in register tiles.
    Matmul,
    /// Linear layer with int8 weights.
    LinearQ8,
    /// 3x3 convolution as an implicit matrix product.
    Conv3x3,
    /// Layer norm, with or without the sum in front of it.
    LayerNorm,
    /// Group norm, with ReLU behind it.
    GroupNorm,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Attention,
        Self::RopeQkv,
        Self::Matmul,
        Self::LinearQ8,
        Self::Conv3x3,
        Self::LayerNorm,
        Self::GroupNorm,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::RopeQkv => "rotary embedding",
            Self::Matmul => "matrix product",
            Self::LinearQ8 => "int8 matrix product",
            Self::Conv3x3 => "3x3 convolution",
            Self::LayerNorm => "layer norm",
            Self::GroupNorm => "group norm",
        }
    }
}

/// The two ways of computing an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The kernel of this crate.
    Custom,
    /// Plain tensor operations.
    Plain,
}

/// A bit per kernel that is switched off.
static SWITCHED_OFF: AtomicU32 = AtomicU32::new(0);

const fn bit(kernel: Kernel) -> u32 {
    1 << kernel as u8
}

/// How `kernel`'s operation is computed on `device`.
pub fn route(kernel: Kernel, device: &Device) -> Route {
    let is_gpu = matches!(device.as_dispatch(), DispatchDevice::Cube(_));
    if is_gpu && is_on(kernel) {
        Route::Custom
    } else {
        Route::Plain
    }
}

/// Whether `kernel` is used where a device can run it.
pub fn is_on(kernel: Kernel) -> bool {
    SWITCHED_OFF.load(Ordering::Relaxed) & bit(kernel) == 0
}

/// Uses `kernel`, or plain operations in its place, from here on in the whole process.
pub fn switch(kernel: Kernel, on: bool) {
    if on {
        SWITCHED_OFF.fetch_and(!bit(kernel), Ordering::Relaxed);
    } else {
        SWITCHED_OFF.fetch_or(bit(kernel), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_and_devices_that_differentiate_take_plain_operations() {
        for kernel in [Kernel::RopeQkv, Kernel::Matmul] {
            assert_eq!(route(kernel, &Device::flex()), Route::Plain);
            assert_eq!(route(kernel, &Device::flex().autodiff()), Route::Plain);
        }
    }

    #[test]
    fn switching_one_kernel_off_leaves_the_others_on() {
        switch(Kernel::LinearQ8, false);
        assert!(!is_on(Kernel::LinearQ8) && is_on(Kernel::Attention));
        switch(Kernel::LinearQ8, true);
        assert!(is_on(Kernel::LinearQ8));
    }
}
