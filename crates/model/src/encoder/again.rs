//! A layer that keeps its input and the prompt alone and is computed again in the backward pass.
//!
//! `[b, tokens, d]` in and out, as [`TransformerEncoderLayer::forward`].

use super::{Context, TransformerEncoderLayer};
use crate::dropout::Dropout;
use crate::recompute::{emptied, filled, inputs};
use burn::backend::DispatchTensor;
use burn::tensor::{Bool, Tensor};
use medsam3_kernels::{Part, recomputed};

/// Input and prompt, and weight and bias of three norms, two products, and two attentions with two each.
const INPUTS: usize = 20;

/// [`TransformerEncoderLayer::forward`], by way of [`recomputed`].
pub(super) fn forward(
    layer: &TransformerEncoderLayer,
    x: Tensor<3>,
    context: &Context<'_>,
    dropout: Dropout,
) -> Tensor<3> {
    let tensors = vec![
        x.clone().into_dispatch(),
        context.prompt.clone().into_dispatch(),
    ];
    let Some(inputs) = inputs::<_, INPUTS>(tensors, layer) else {
        return layer.forward(x, context, &dropout);
    };
    let part = Again {
        layer: emptied(layer),
        pos: context.pos.clone(),
        prompt_masked: context.prompt_masked.clone(),
        dropout,
    };
    Tensor::from_dispatch(recomputed(part, inputs))
}

#[derive(Debug, Clone)]
struct Again {
    layer: TransformerEncoderLayer,
    pos: Tensor<3>,
    prompt_masked: Tensor<4, Bool>,
    dropout: Dropout,
}

impl Part<INPUTS> for Again {
    fn forward(&self, [x, prompt, parameters @ ..]: [DispatchTensor; INPUTS]) -> DispatchTensor {
        let layer = filled(&self.layer, &mut parameters.into_iter());
        let prompt = Tensor::from_dispatch(prompt);
        let context = Context {
            pos: &self.pos,
            prompt: &prompt,
            prompt_masked: &self.prompt_masked,
        };
        // A copy, so that the second time the masks are those of the first.
        let dropout = self.dropout.clone();
        let y = layer.forward(Tensor::from_dispatch(x), &context, &dropout);
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
    fn a_layer_has_as_many_parameters_as_are_handed_over() {
        let config = Sam3Config::tiny_parity();
        let layer = TransformerEncoderLayer::new(&config.transformer, &Device::flex());
        assert!(inputs::<_, { INPUTS - 2 }>(Vec::new(), &layer).is_some());
    }
}
