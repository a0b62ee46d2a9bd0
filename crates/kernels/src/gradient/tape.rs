//! How an operation with a gradient of its own joins Burn's record of a computation.
//!
//! Burn differentiates what it knows, one small operation at a time. Here an operation is given whole: its result with
//! what it keeps for later, and from the gradient of its result those of its inputs, both on plain tensors of the CPU.

use crate::cpu::view::{Host, host, wrap};
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{
    Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
    GradientCheckpointingStrategy, tensor::FloatTensor,
};
use burn::tensor::{DType, Tensor};
use core::fmt::Debug;

/// A tensor of the CPU that autodiff may follow.
type Followed = FloatTensor<Autodiff<Flex>>;

/// An operation of `N` inputs and one result, all in f32 on the CPU.
pub(super) trait Operation<const N: usize>: Clone + Send + Debug + 'static {
    /// What the gradient needs of inputs and result.
    type Kept: Clone + Send + Debug + 'static;

    /// The result and what is kept; `None` where the operation does not take such inputs.
    fn forward(&self, inputs: [Host; N]) -> Option<(Host, Self::Kept)>;

    /// Gradients of the inputs that are `wanted`, from that of the result.
    fn backward(&self, kept: Self::Kept, gradient: Host, wanted: [bool; N]) -> [Option<Host>; N];
}

/// Runs `operation` where at least one of `inputs` is followed by autodiff on the CPU; `None` where none is, or where
/// one is elsewhere or of another type.
pub(super) fn record<const N: usize, O: Operation<N>>(
    operation: O,
    inputs: [DispatchTensor; N],
) -> Option<DispatchTensor> {
    let mut context = DispatchAutodiffContext::Disabled;
    for input in &inputs {
        context = context.merge(input.autodiff);
    }
    let DispatchAutodiffContext::Enabled(strategy) = context else {
        return None;
    };
    let mut followed = Vec::with_capacity(N);
    for input in inputs {
        followed.push(follow(input)?);
    }
    let followed: [Followed; N] = followed.try_into().ok()?;
    let result = match strategy {
        GradientCheckpointingStrategy::Balanced => {
            join::<N, O, BalancedCheckpointing>(operation, followed)
        }
        GradientCheckpointingStrategy::Disabled => {
            join::<N, O, NoCheckpointing>(operation, followed)
        }
    }?;
    Some(DispatchTensor {
        kind: DispatchTensorKind::Autodiff(Box::new(DispatchTensorKind::Flex(
            BackendTensor::Autodiff(result),
        ))),
        autodiff: context,
    })
}

/// `input` as autodiff has it; a tensor that nothing follows counts as a constant.
fn follow(input: DispatchTensor) -> Option<Followed> {
    let kind = match input.kind {
        DispatchTensorKind::Autodiff(inner) => *inner,
        kind => kind,
    };
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Autodiff(x))
            if x.primitive().dtype() == DType::F32 =>
        {
            Some(x)
        }
        DispatchTensorKind::Flex(BackendTensor::Float(x)) if x.dtype() == DType::F32 => {
            Some(Followed::new(x))
        }
        _ => None,
    }
}

fn join<const N: usize, O: Operation<N>, C: CheckpointStrategy>(
    operation: O,
    inputs: [Followed; N],
) -> Option<Followed> {
    let guards = inputs.each_ref().map(|input| input.node());
    let (result, kept) = operation.forward(inputs.map(|input| input.into_primitive()))?;
    let step = Step(core::marker::PhantomData::<O>);
    Some(match step.prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((operation, kept), result),
        OpsKind::UnTracked(prepared) => prepared.finish(result),
    })
}

#[derive(Debug)]
struct Step<O>(core::marker::PhantomData<O>);

impl<const N: usize, O: Operation<N>> Backward<Flex, N> for Step<O> {
    type State = (O, O::Kept);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let inputs: [Option<NodeId>; N] = ops.parents.map(|parent| parent.map(|parent| parent.id));
        let (operation, kept) = ops.state;
        let wanted = inputs.map(|input| input.is_some());
        let found = operation.backward(kept, gradient, wanted);
        for (input, found) in inputs.into_iter().zip(found) {
            if let (Some(input), Some(found)) = (input, found) {
                gradients.register::<Flex>(input, found);
            }
        }
    }
}

/// Whether `x` belongs to autodiff on the CPU.
pub(super) fn is_followed<const D: usize>(x: &Tensor<D>) -> bool {
    let x = x.clone().into_dispatch();
    x.autodiff != DispatchAutodiffContext::Disabled && follow(x).is_some()
}

/// `x` as a constant, whether autodiff follows it or not.
pub(super) fn constant<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    follow(x.clone().into_dispatch()).map(|x| open(x.into_primitive()))
}

/// `x` as a tensor of `D` axes, which it must have.
pub(super) fn open<const D: usize>(x: Host) -> Tensor<D> {
    wrap(x)
}

/// What is behind a plain tensor of the CPU.
pub(super) fn close<const D: usize>(x: Tensor<D>) -> Host {
    host(x).unwrap_or_else(|_| unreachable!("results of the CPU's kernels are on the CPU, in f32"))
}
