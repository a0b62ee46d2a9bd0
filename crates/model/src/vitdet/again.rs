//! A block that keeps its input alone and is computed again in the backward pass.
//!
//! `[b, grid, grid, width]` in and out, as [`Block::forward`].

use super::{Block, BranchFactors, Ropes};
use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
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
    let mut collected = Collector(vec![x.clone().into_dispatch()]);
    block.visit(&mut collected);
    // A block with other parameters than these cannot be cut in this way.
    let Ok(inputs) = <[DispatchTensor; INPUTS]>::try_from(collected.0) else {
        return block.forward(x, ropes, factors);
    };
    let part = Again {
        block: block.clone().map(&mut Emptier),
        ropes: ropes.clone(),
        factors: factors.cloned(),
    };
    Tensor::from_dispatch(recomputed(part, inputs))
}

/// A block whose parameters come from outside: held here, they would be kept alive by the record that they are part of.
#[derive(Debug, Clone)]
struct Again {
    block: Block,
    ropes: Ropes,
    factors: Option<BranchFactors>,
}

impl Part<INPUTS> for Again {
    fn forward(&self, inputs: [DispatchTensor; INPUTS]) -> DispatchTensor {
        let mut inputs = inputs.into_iter();
        let Some(x) = inputs.next() else {
            unreachable!("the input is the first")
        };
        let block = self.block.clone().map(&mut Filler(inputs));
        let y = block.forward(Tensor::from_dispatch(x), &self.ropes, self.factors.as_ref());
        y.into_dispatch()
    }
}

struct Collector(Vec<DispatchTensor>);

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().into_dispatch());
    }
}

struct Emptier;

impl ModuleMapper for Emptier {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let device = param.lazy_device().inner();
        Param::initialized(param.id, Tensor::empty([0; D], &device))
    }
}

struct Filler(std::array::IntoIter<DispatchTensor, INPUTS>);

impl ModuleMapper for Filler {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.next() {
            Some(tensor) => Param::initialized(param.id, Tensor::from_dispatch(tensor)),
            None => param,
        }
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
        assert_eq!(crate::parameters::parameters(&block).len() + 1, INPUTS);
    }
}
