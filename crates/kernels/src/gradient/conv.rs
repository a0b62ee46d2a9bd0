//! Gradients of what the pixel decoder and the neck are made of: 3x3 convolution, group norm with ReLU, doubling.

use super::tape::{Operation, close, open, record};
use crate::cpu;
use crate::cpu::view::Host;
use burn::tensor::Tensor;

#[derive(Debug, Clone)]
struct Conv3x3;

/// [`crate::conv3x3`] where autodiff follows any of the tensors on the CPU.
pub(crate) fn conv3x3(x: &Tensor<4>, weight: &Tensor<2>, bias: &Tensor<1>) -> Option<Tensor<4>> {
    let inputs = [
        x.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
    ];
    record(Conv3x3, inputs).map(Tensor::from_dispatch)
}

impl Operation<3> for Conv3x3 {
    type Kept = (Host, Host);

    fn forward(&self, [x, weight, bias]: [Host; 3]) -> Option<(Host, Self::Kept)> {
        let y = cpu::conv3x3(&open(x.clone()), &open(weight.clone()), &open(bias))?;
        Some((close(y), (x, weight)))
    }

    fn backward(
        &self,
        (x, weight): Self::Kept,
        gradient: Host,
        wanted: [bool; 3],
    ) -> [Option<Host>; 3] {
        let gradient = open::<4>(gradient);
        let of_x = wanted[0].then(|| cpu::conv3x3_gradient_of_map(&gradient, &open(weight)));
        let of_kernel = (wanted[1] || wanted[2])
            .then(|| cpu::conv3x3_gradient_of_kernel(&gradient, &open(x)))
            .flatten();
        let (of_weight, of_bias) = of_kernel.unzip();
        [
            of_x.flatten().map(close),
            of_weight.map(close),
            of_bias.map(close),
        ]
    }
}

#[derive(Debug, Clone)]
struct GroupNorm {
    groups: usize,
    epsilon: f64,
    relu: bool,
}

/// [`crate::group_norm`] where autodiff follows any of the tensors on the CPU.
pub(crate) fn group_norm(
    x: &Tensor<4>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    groups: usize,
    epsilon: f64,
    relu: bool,
) -> Option<Tensor<4>> {
    let inputs = [
        x.clone().into_dispatch(),
        gamma.clone().into_dispatch(),
        beta.clone().into_dispatch(),
    ];
    let operation = GroupNorm {
        groups,
        epsilon,
        relu,
    };
    record(operation, inputs).map(Tensor::from_dispatch)
}

impl Operation<3> for GroupNorm {
    type Kept = [Host; 3];

    fn forward(&self, inputs: [Host; 3]) -> Option<(Host, Self::Kept)> {
        let [x, gamma, beta] = inputs.clone();
        let y = cpu::group_norm(
            open(x),
            self.groups,
            &open(gamma),
            &open(beta),
            self.epsilon,
            self.relu,
        );
        Some((close(y.ok()?), inputs))
    }

    fn backward(
        &self,
        [x, gamma, beta]: Self::Kept,
        gradient: Host,
        _wanted: [bool; 3],
    ) -> [Option<Host>; 3] {
        let found = cpu::group_norm_gradient(
            &open(gradient),
            &open(x),
            self.groups,
            &open(gamma),
            &open(beta),
            self.epsilon,
            self.relu,
        );
        match found {
            Some((x, gamma, beta)) => [Some(close(x)), Some(close(gamma)), Some(close(beta))],
            None => [None, None, None],
        }
    }
}

#[derive(Debug, Clone)]
struct Upsample2Add;

/// [`crate::cpu::upsample2_add`] where autodiff follows any of the maps on the CPU.
pub(crate) fn upsample2_add(coarse: &Tensor<4>, fine: &Tensor<4>) -> Option<Tensor<4>> {
    let inputs = [coarse.clone().into_dispatch(), fine.clone().into_dispatch()];
    record(Upsample2Add, inputs).map(Tensor::from_dispatch)
}

impl Operation<2> for Upsample2Add {
    type Kept = ();

    fn forward(&self, [coarse, fine]: [Host; 2]) -> Option<(Host, ())> {
        let y = cpu::upsample2_add(&open(coarse), &open(fine))?;
        Some((close(y), ()))
    }

    fn backward(&self, (): (), gradient: Host, wanted: [bool; 2]) -> [Option<Host>; 2] {
        let of_coarse = wanted[0].then(|| cpu::sum_of_blocks(&open(gradient.clone())));
        [of_coarse.flatten().map(close), Some(gradient)]
    }
}
