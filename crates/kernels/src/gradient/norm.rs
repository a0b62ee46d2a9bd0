//! Gradient of layer norm: the moments of the rows are kept.

use super::tape::{Operation, close, open, record};
use crate::cpu;
use crate::cpu::layer_norm::Moments;
use crate::cpu::view::Host;
use burn::tensor::Tensor;

#[derive(Debug, Clone)]
struct LayerNorm {
    epsilon: f32,
}

/// [`crate::layer_norm`] where autodiff follows any of the tensors on the CPU.
pub(crate) fn layer_norm<const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<Tensor<D>> {
    let dims = x.dims();
    let rows: usize = dims[..D - 1].iter().product();
    let operation = LayerNorm {
        epsilon: epsilon as f32,
    };
    let inputs = [
        x.clone().reshape([rows, dims[D - 1]]).into_dispatch(),
        gamma.clone().into_dispatch(),
        beta.clone().into_dispatch(),
    ];
    let y = record(operation, inputs)?;
    Some(Tensor::<2>::from_dispatch(y).reshape(dims))
}

impl Operation<3> for LayerNorm {
    type Kept = (Host, Host, Moments);

    fn forward(&self, [x, gamma, beta]: [Host; 3]) -> Option<(Host, Self::Kept)> {
        let (y, moments) = cpu::layer_norm::layer_norm(
            &open(x.clone()),
            &open(gamma.clone()),
            &open(beta),
            self.epsilon,
        )?;
        Some((close(y), (x, gamma, moments)))
    }

    fn backward(
        &self,
        (x, gamma, moments): Self::Kept,
        gradient: Host,
        _wanted: [bool; 3],
    ) -> [Option<Host>; 3] {
        let found =
            cpu::layer_norm::layer_norm_gradient(&open(gradient), &open(x), &open(gamma), &moments);
        match found {
            Some((x, gamma, beta)) => [Some(close(x)), Some(close(gamma)), Some(close(beta))],
            None => [None, None, None],
        }
    }
}
