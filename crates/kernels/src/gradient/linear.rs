//! Gradient of a linear layer with its activation: three products in the CPU's own tiles.

use super::tape::{Operation, close, open, record};
use crate::cpu;
use crate::cpu::view::Host;
use crate::product::Activation;
use burn::tensor::Tensor;

#[derive(Debug, Clone)]
struct Linear(Activation);

/// `activation(x weight + bias)`, `x` `[.., in]`, `weight` `[in, out]`, `bias` `[out]`, where autodiff follows any of them on the
/// CPU.
pub(crate) fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    activation: Activation,
) -> Option<Tensor<D>> {
    let mut dims = x.dims();
    let [inputs, outputs] = weight.dims();
    let rows: usize = dims[..D - 1].iter().product();
    if dims[D - 1] != inputs || rows * inputs * outputs == 0 {
        return None;
    }
    dims[D - 1] = outputs;
    let x = x.clone().reshape([rows, inputs]).into_dispatch();
    let weight = weight.clone().into_dispatch();
    let operation = Linear(activation);
    let y = match bias {
        Some(bias) => record::<3, _>(operation, [x, weight, bias.clone().into_dispatch()]),
        None => record::<2, _>(operation, [x, weight]),
    }?;
    Some(Tensor::<2>::from_dispatch(y).reshape(dims))
}

/// Input, weight, and what the activation's gradient is computed from.
type Kept = (Host, Host, Option<Host>);

impl Linear {
    fn run(&self, x: Host, weight: Host, bias: Option<Host>) -> Option<(Host, Kept)> {
        let (input, matrix) = (open::<2>(x.clone()), open::<2>(weight.clone()));
        let bias = bias.map(open::<1>);
        // GELU is differentiated at its input, ReLU as well at its result.
        let fused = match self.0 {
            Activation::Gelu => Activation::None,
            other => other,
        };
        let sum = cpu::linear(&input, &matrix, bias.as_ref(), fused)?;
        let (y, about) = match self.0 {
            Activation::None => (sum, None),
            Activation::Relu => (sum.clone(), Some(close(sum))),
            Activation::Gelu => (cpu::gelu(sum.clone()).ok()?, Some(close(sum))),
        };
        Some((close(y), (x, weight, about)))
    }

    fn differentiate(
        &self,
        (x, weight, about): Kept,
        gradient: Host,
        wanted: [bool; 3],
    ) -> [Option<Host>; 3] {
        let (x, weight) = (open::<2>(x), open::<2>(weight));
        let gradient = open::<2>(gradient);
        let gradient = match (self.0, about) {
            (Activation::Gelu, Some(x)) => cpu::gelu_gradient(gradient, &open::<2>(x)),
            (Activation::Relu, Some(y)) => cpu::relu_gradient(gradient, &open::<2>(y)),
            _ => Some(gradient),
        };
        let Some(gradient) = gradient else {
            unreachable!("the gradient of a result on the CPU is on the CPU")
        };
        let of_x =
            wanted[0].then(|| cpu::linear(&gradient, &weight.transpose(), None, Activation::None));
        let of_weight = wanted[1].then(|| cpu::product_of_columns(&x, &gradient));
        let of_bias = wanted[2].then(|| cpu::column_sums(&gradient));
        [
            of_x.flatten().map(close),
            of_weight.flatten().map(close),
            of_bias.flatten().map(close),
        ]
    }
}

impl Operation<3> for Linear {
    type Kept = Kept;

    fn forward(&self, [x, weight, bias]: [Host; 3]) -> Option<(Host, Kept)> {
        self.run(x, weight, Some(bias))
    }

    fn backward(&self, kept: Kept, gradient: Host, wanted: [bool; 3]) -> [Option<Host>; 3] {
        self.differentiate(kept, gradient, wanted)
    }
}

impl Operation<2> for Linear {
    type Kept = Kept;

    fn forward(&self, [x, weight]: [Host; 2]) -> Option<(Host, Kept)> {
        self.run(x, weight, None)
    }

    fn backward(&self, kept: Kept, gradient: Host, [x, weight]: [bool; 2]) -> [Option<Host>; 2] {
        let [x, weight, _] = self.differentiate(kept, gradient, [x, weight, false]);
        [x, weight]
    }
}
