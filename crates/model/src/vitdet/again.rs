//! A block that keeps its input alone and is computed again in the backward pass.
//!
//! `[b, grid, grid, width]` in and out, as [`Block::forward`].

use super::{Block, BranchFactors, Ropes};
use crate::recompute::{emptied, filled, inputs};
use burn::backend::DispatchTensor;
use burn::tensor::Tensor;
use medsam3_kernels::{Part, recomputed};

/// The input, and weight and bias of two norms and four products.
const INPUTS: usize = 13;

/// [`Block::forward`], by way of [`recomputed`].
pub(super) fn forward(
    block: &Block,
    x: Tensor<4>,
    ropes: &Ropes,
    factors: Option<&BranchFactors>,
) -> Tensor<4> {
    let Some(inputs) = inputs::<_, INPUTS>(vec![x.clone().into_dispatch()], block) else {
        return block.forward(x, ropes, factors);
    };
    let part = Again {
        block: emptied(block),
        ropes: ropes.clone(),
        factors: factors.cloned(),
    };
    Tensor::from_dispatch(recomputed(part, inputs))
}

#[derive(Debug, Clone)]
struct Again {
    block: Block,
    ropes: Ropes,
    factors: Option<BranchFactors>,
}

impl Part<INPUTS> for Again {
    fn forward(&self, [x, parameters @ ..]: [DispatchTensor; INPUTS]) -> DispatchTensor {
        let block = filled(&self.block, &mut parameters.into_iter());
        let y = block.forward(Tensor::from_dispatch(x), &self.ropes, self.factors.as_ref());
        y.into_dispatch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sam3Config;
    use burn::tensor::Device;

    /// With more or fewer parameters nothing would be computed again, silently.
    #[test]
    fn a_block_has_as_many_parameters_as_are_handed_over() {
        let config = Sam3Config::tiny_parity();
        let block = Block::new(&config.vit, 0, &Device::flex());
        assert!(inputs::<_, { INPUTS - 1 }>(Vec::new(), &block).is_some());
    }
}
