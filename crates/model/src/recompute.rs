//! Modules as functions of their parameters: what a part that is computed again in the backward pass is made of
//! ([`medsam3_kernels::recomputed`]). A part must not hold parameters itself: they would be kept alive by the record that the
//! part is in.

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// `inputs`, then the parameters of `module` in their order; `None` where they are not `N` together.
pub(crate) fn inputs<M: Module, const N: usize>(
    inputs: Vec<DispatchTensor>,
    module: &M,
) -> Option<[DispatchTensor; N]> {
    let mut collected = Collector(inputs);
    module.visit(&mut collected);
    collected.0.try_into().ok()
}

/// `module` without values.
pub(crate) fn emptied<M: Module>(module: &M) -> M {
    module.clone().map(&mut Emptier)
}

/// `module` with the values that `tensors` has, in their order.
pub(crate) fn filled<M: Module>(
    module: &M,
    tensors: &mut dyn Iterator<Item = DispatchTensor>,
) -> M {
    module.clone().map(&mut Filler(tensors))
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

struct Filler<'a>(&'a mut dyn Iterator<Item = DispatchTensor>);

impl ModuleMapper for Filler<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.next() {
            Some(tensor) => Param::initialized(param.id, Tensor::from_dispatch(tensor)),
            None => param,
        }
    }
}
