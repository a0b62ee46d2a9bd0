//! Small parts shared by the heads (reference: `model_misc.py`): the MLP and the scoring by dot product.

use crate::layers::{LayerNorm, Linear, layer_norm};
use crate::trace::{at, scope};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use medsam3_kernels::Activation;

/// Linear layers with ReLU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    /// The linear layers.
    pub layers: Vec<Linear>,
}

impl Mlp {
    /// New MLP through the given channel counts, input first.
    pub fn new(channels: &[usize], device: &Device) -> Self {
        let layers = channels
            .windows(2)
            .map(|pair| Linear::new(pair[0], pair[1], device))
            .collect();
        Self { layers }
    }

    /// `[.., in] -> [.., out]`
    pub fn forward<const D: usize>(&self, mut x: Tensor<D>) -> Tensor<D> {
        for (i, layer) in self.layers.iter().enumerate() {
            let name = format!("layers.{i}");
            x = if i + 1 < self.layers.len() {
                layer.activated(&name, x, Activation::Relu)
            } else {
                at(&name, layer.forward(x))
            };
        }
        x
    }
}

/// The MLP that the scoring puts in front of its projection: residual, then layer norm.
#[derive(Module, Debug)]
pub struct PromptMlp {
    /// The linear layers.
    pub layers: Vec<Linear>,
    /// Norm of the sum of prompt and MLP.
    pub out_norm: LayerNorm,
}

/// Score of a query: the dot product with the pooled prompt (reference: `DotProductScoring`).
#[derive(Module, Debug)]
pub struct DotProductScoring {
    /// Residual MLP over prompt tokens.
    pub prompt_mlp: PromptMlp,
    /// Projection of the pooled prompt.
    pub prompt_proj: Linear,
    /// Projection of the queries.
    pub hs_proj: Linear,
}

impl DotProductScoring {
    /// Logits are clamped to plus and minus this.
    const CLAMP: f64 = 12.0;

    /// New scoring for `width` channels.
    pub fn new(width: usize, hidden: usize, device: &Device) -> Self {
        let layers = Mlp::new(&[width, hidden, width], device).layers;
        Self {
            prompt_mlp: PromptMlp {
                layers,
                out_norm: layer_norm(width, device),
            },
            prompt_proj: Linear::new(width, width, device),
            hs_proj: Linear::new(width, width, device),
        }
    }

    /// The prompt as one vector, `[b, d]`: `prompt` is `[b, tokens, d]`, `valid` `[b, tokens]`.
    pub fn pool(&self, prompt: Tensor<3>, valid: Tensor<2, Bool>) -> Tensor<2> {
        let mlp = Mlp {
            layers: self.prompt_mlp.layers.clone(),
        };
        let prompt = scope("prompt_mlp", || {
            let hidden = mlp.forward(prompt.clone());
            at(
                "out_norm",
                self.prompt_mlp.out_norm.forward(prompt + hidden),
            )
        });
        let weight = valid.float().unsqueeze_dim::<3>(2);
        let count = weight.clone().sum_dim(1);
        let pooled = ((prompt * weight).sum_dim(1) / count).squeeze_dim::<2>(1);
        at("prompt_proj", self.prompt_proj.forward(pooled))
    }

    /// Logits `[b, queries]` of `hs` `[b, queries, d]` against the pooled prompt `[b, d]`.
    pub fn forward(&self, hs: Tensor<3>, pooled: Tensor<2>) -> Tensor<2> {
        let width = hs.dims()[2];
        let queries = at("hs_proj", self.hs_proj.forward(hs));
        let logits = queries
            .matmul(pooled.unsqueeze_dim::<3>(2))
            .squeeze_dim::<2>(2);
        (logits / (width as f64).sqrt()).clamp(-Self::CLAMP, Self::CLAMP)
    }
}
