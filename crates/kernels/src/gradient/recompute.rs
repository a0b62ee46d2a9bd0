//! The gradient of a part of a model that is computed again: an autodiff within autodiff. Burn allows a backward step to run a
//! backward pass of its own, on a graph of its own (`runtime/graph.rs` of burn-autodiff 0.22.1, on reentrance).

use crate::recompute::Part;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, BackendTensor, Cube, DispatchAutodiffContext,
    DispatchTensor, DispatchTensorKind, Flex, GradientCheckpointingStrategy, tensor::FloatTensor,
};
use core::marker::PhantomData;

/// A float of a back end.
type Plain<B> = FloatTensor<B>;
/// A float that autodiff may follow.
type Followed<B> = FloatTensor<Autodiff<B>>;

/// A back end whose tensors have a kind of their own.
trait Home: Backend {
    fn open(kind: DispatchTensorKind) -> Option<BackendTensor<Self>>;
    fn close(tensor: BackendTensor<Self>) -> DispatchTensorKind;
}

impl Home for Flex {
    fn open(kind: DispatchTensorKind) -> Option<BackendTensor<Self>> {
        match kind {
            DispatchTensorKind::Flex(tensor) => Some(tensor),
            _ => None,
        }
    }

    fn close(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::Flex(tensor)
    }
}

impl Home for Cube {
    fn open(kind: DispatchTensorKind) -> Option<BackendTensor<Self>> {
        match kind {
            DispatchTensorKind::Cube(tensor) => Some(tensor),
            _ => None,
        }
    }

    fn close(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::Cube(tensor)
    }
}

/// [`crate::recomputed`] where autodiff follows any of the inputs and all are floats of one back end.
pub(crate) fn recomputed<const N: usize, P: Part<N>>(
    part: &P,
    inputs: &[DispatchTensor; N],
) -> Option<DispatchTensor> {
    let mut context = DispatchAutodiffContext::Disabled;
    for input in inputs {
        context = context.merge(input.autodiff);
    }
    let DispatchAutodiffContext::Enabled(strategy) = context else {
        return None;
    };
    let kind = match strategy {
        GradientCheckpointingStrategy::Balanced => {
            join_any::<N, P, BalancedCheckpointing>(part, inputs, context)
        }
        GradientCheckpointingStrategy::Disabled => {
            join_any::<N, P, NoCheckpointing>(part, inputs, context)
        }
    }?;
    Some(DispatchTensor {
        kind,
        autodiff: context,
    })
}

fn join_any<const N: usize, P: Part<N>, C: CheckpointStrategy>(
    part: &P,
    inputs: &[DispatchTensor; N],
    context: DispatchAutodiffContext,
) -> Option<DispatchTensorKind> {
    join::<Flex, N, P, C>(part, inputs, context)
        .or_else(|| join::<Cube, N, P, C>(part, inputs, context))
}

fn follow<B: Home>(input: DispatchTensor) -> Option<Followed<B>> {
    let kind = match input.kind {
        DispatchTensorKind::Autodiff(inner) => *inner,
        kind => kind,
    };
    match B::open(kind)? {
        BackendTensor::Autodiff(x) => Some(x),
        BackendTensor::Float(x) => Some(Followed::<B>::new(x)),
        _ => None,
    }
}

fn wrap<B: Home>(tensor: Followed<B>) -> DispatchTensorKind {
    DispatchTensorKind::Autodiff(Box::new(B::close(BackendTensor::Autodiff(tensor))))
}

fn join<B: Home, const N: usize, P: Part<N>, C: CheckpointStrategy>(
    part: &P,
    inputs: &[DispatchTensor; N],
    context: DispatchAutodiffContext,
) -> Option<DispatchTensorKind> {
    let mut followed = Vec::with_capacity(N);
    for input in inputs {
        followed.push(follow::<B>(input.clone())?);
    }
    let followed: [Followed<B>; N] = followed.try_into().ok()?;
    let guards = followed.each_ref().map(|input| input.node());
    let kept: [Plain<B>; N] = followed.map(|input| input.into_primitive());
    // None of these wants a gradient, so that nothing is recorded; the operations are those of the second time.
    let result =
        run::<B, N, P>(part, kept.clone().map(Followed::<B>::new), context)?.into_primitive();
    let step = Again(PhantomData::<(B, P)>);
    let prepared = step.prepare::<C>(guards).compute_bound();
    Some(wrap::<B>(match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((part.clone(), kept, context), result),
        OpsKind::UnTracked(prepared) => prepared.finish(result),
    }))
}

/// The part on tensors of autodiff. Constants that it holds have the context of the inputs, and no two may meet.
fn run<B: Home, const N: usize, P: Part<N>>(
    part: &P,
    inputs: [Followed<B>; N],
    context: DispatchAutodiffContext,
) -> Option<Followed<B>> {
    let inputs = inputs.map(|input| DispatchTensor {
        kind: wrap::<B>(input),
        autodiff: context,
    });
    follow::<B>(part.forward(inputs))
}

#[derive(Debug)]
struct Again<B, P>(PhantomData<(B, P)>);

impl<B: Home, const N: usize, P: Part<N>> Backward<B, N> for Again<B, P> {
    type State = (P, [Plain<B>; N], DispatchAutodiffContext);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let parents: [Option<NodeId>; N] = ops.parents.map(|parent| parent.map(|parent| parent.id));
        let (part, kept, context) = ops.state;
        let mut wanted = parents.iter().map(Option::is_some);
        let leaves: [Followed<B>; N] = kept.map(|input| {
            let leaf = Followed::<B>::new(input);
            if wanted.next() == Some(true) {
                leaf.require_grad()
            } else {
                leaf
            }
        });
        let Some(result) = run::<B, N, P>(&part, leaves.clone(), context) else {
            unreachable!("a part that gave a result gives it again")
        };
        // The gradient of sum(result * gradient) by the result is `gradient`, exactly.
        let product = Autodiff::<B>::float_mul(result, Followed::<B>::new(gradient));
        let mut found = Autodiff::<B>::backward(Autodiff::<B>::float_sum(product));
        for (leaf, parent) in leaves.iter().zip(parents) {
            if let Some(parent) = parent
                && let Some(gradient) = Autodiff::<B>::grad_remove(leaf, &mut found)
            {
                gradients.register::<B>(parent, gradient);
            }
        }
    }
}
