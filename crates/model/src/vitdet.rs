//! The ViT trunk, "PE-L+" (paper section 3.1; reference: `vitdet.py`): 14-pixel patches, tiled position
//! embedding, pre-norm blocks with axial rotary embedding, windowed but for a few global blocks.
//!
//! `[batch, 3, side, side]` in -1..1 becomes `[batch, grid, grid, width]`.

use crate::config::VitConfig;
use crate::layers::{LayerNorm, Linear, layer_norm, pad_bottom_right, uniform};
use crate::rope::axial;
use crate::trace::{at, at_as, scope};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, TensorData};
use medsam3_kernels::attention::WindowGrid;
use medsam3_kernels::{Activation, Rope, linear, rope_attention};

mod again;

/// The kernel of the patch embedding; it has no bias.
#[derive(Module, Debug)]
pub struct PatchProjection {
    /// `[3 * patch * patch, width]`: channel, row, column.
    pub weight: Param<Tensor<2>>,
}

/// Cuts the image into patches and projects each.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// The projection.
    pub proj: PatchProjection,
    patch: usize,
}

impl PatchEmbed {
    fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let [b, channels, height, width] = image.dims();
        let p = self.patch;
        let (rows, columns) = (height / p, width / p);
        let patches = image
            .reshape([b, channels, rows, p, columns, p])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([b, rows, columns, channels * p * p]);
        linear(patches, self.proj.weight.val(), None, Activation::None)
    }
}

/// Attention of a block: fused q, k, v projection.
#[derive(Module, Debug)]
pub struct Attention {
    /// `width -> 3 * width`
    pub qkv: Linear,
    /// Output projection.
    pub proj: Linear,
    heads: usize,
}

impl Attention {
    /// `[b, grid, grid, width]` in and out; tokens attend within windows of `window` tokens a side. Projections see the
    /// grid as it is: a window's cells beyond it come in with the bias, which is what a token of zeros projects to.
    fn forward(&self, x: Tensor<4>, window: usize, rope: &Rope) -> Tensor<4> {
        let [_, rows, columns, width] = x.dims();
        let qkv = at_as("qkv", self.qkv.forward(x), |x| partition(x, window));
        let bias = self.qkv.bias.as_ref().map_or_else(
            || Tensor::zeros([3 * width], &qkv.device()),
            |bias| bias.val(),
        );
        let grid = WindowGrid {
            rows,
            columns,
            window_rows: window,
            window_columns: window,
        };
        let attended = rope_attention(qkv, bias, rope, self.heads, grid);
        at_as("proj", self.proj.forward(attended), |x| {
            partition(x, window)
        })
    }
}

/// The MLP of a block, with exact GELU.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `width -> hidden`
    pub fc1: Linear,
    /// `hidden -> width`
    pub fc2: Linear,
}

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub struct Block {
    /// Norm in front of attention.
    pub norm1: LayerNorm,
    /// Attention.
    pub attn: Attention,
    /// Norm in front of the MLP.
    pub norm2: LayerNorm,
    /// MLP.
    pub mlp: Mlp,
    /// Window side in tokens; 0 attends over the whole grid.
    window: usize,
}

impl Block {
    fn new(config: &VitConfig, index: usize, device: &Device) -> Self {
        let width = config.width;
        Self {
            norm1: layer_norm(width, device),
            attn: Attention {
                qkv: Linear::new(width, 3 * width, device),
                proj: Linear::new(width, width, device),
                heads: config.heads,
            },
            norm2: layer_norm(width, device),
            mlp: Mlp {
                fc1: Linear::new(width, config.mlp_hidden, device),
                fc2: Linear::new(config.mlp_hidden, width, device),
            },
            window: if config.global_blocks.contains(&index) {
                0
            } else {
                config.window
            },
        }
    }

    /// `[b, grid, grid, width]` in and out.
    fn forward(&self, x: Tensor<4>, ropes: &Ropes, factors: Option<&BranchFactors>) -> Tensor<4> {
        let [_, grid, _, _] = x.dims();
        let normed = at("norm1", self.norm1.forward(x.clone()));
        let attended = scope("attn", || match self.window {
            0 => self.attn.forward(normed, grid, &ropes.global),
            window => self.attn.forward(normed, window, &ropes.window),
        });
        let attended = scaled(attended, factors.map(|factors| &factors.attention));
        let (x, hidden) = self.norm2.after_sum(x, attended);
        let hidden = at("norm2", hidden);
        let hidden = scope("mlp", || {
            let hidden = self.mlp.fc1.activated("fc1", hidden, Activation::Gelu);
            at("fc2", self.mlp.fc2.forward(hidden))
        });
        at("", x + scaled(hidden, factors.map(|factors| &factors.mlp)))
    }
}

/// What the two residual branches of a block are multiplied with, per image: stochastic depth (Huang et al. 2016), as the
/// reference's drop-path has it, is 0 for a branch that is dropped and `1 / (1 - rate)` for one that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchFactors {
    /// Of attention, `[b]`.
    pub attention: Vec<f32>,
    /// Of the MLP, `[b]`.
    pub mlp: Vec<f32>,
}

/// How the trunk runs while it is trained; by default as it does at inference.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrunkTraining {
    /// Of the blocks in their order; those that have none are not scaled.
    pub factors: Vec<BranchFactors>,
    /// Whether only the input of each block is kept, and the block computed again in the backward pass.
    pub recompute: bool,
}

fn scaled(branch: Tensor<4>, factors: Option<&Vec<f32>>) -> Tensor<4> {
    let Some(factors) = factors else {
        return branch;
    };
    let data = TensorData::new(factors.clone(), [factors.len(), 1, 1, 1]);
    let factors = Tensor::from_data(data, &branch.device());
    branch * factors
}

/// Rotary tables of one forward pass.
#[derive(Debug, Clone)]
struct Ropes {
    window: Rope,
    global: Rope,
}

/// `[b, rows, columns, c] -> [b * windows, window * window, c]`, windows in the order of rows, as the reference sees
/// them; zeros beyond the grid.
fn partition(x: Tensor<4>, window: usize) -> Tensor<3> {
    let x = {
        let pad = x.dims()[1].next_multiple_of(window) - x.dims()[1];
        pad_bottom_right(x, pad)
    };
    let [b, rows, columns, c] = x.dims();
    x.reshape([b, rows / window, window, columns / window, window, c])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([b * (rows / window) * (columns / window), window * window, c])
}

/// A forward pass between two blocks. The work of a block at full size is seconds on a slow device: a caller that
/// goes block by block can tell how far it is, stop, and keep the device's queue short.
#[derive(Debug)]
pub struct TrunkPass {
    /// `[b, grid, grid, width]`
    pub x: Tensor<4>,
    ropes: Ropes,
    training: TrunkTraining,
    next: usize,
}

/// The trunk.
#[derive(Module, Debug)]
pub struct ViT {
    /// `[1, pretrain_grid^2 + 1, width]`; the first row belongs to a class token that SAM 3 does not have.
    pub pos_embed: Param<Tensor<3>>,
    /// Patch embedding.
    pub patch_embed: PatchEmbed,
    /// Norm in front of the blocks.
    pub ln_pre: LayerNorm,
    /// The blocks.
    pub blocks: Vec<Block>,
    window: usize,
    pretrain_grid: usize,
}

impl ViT {
    /// New trunk.
    pub fn new(config: &VitConfig, device: &Device) -> Self {
        let inputs = 3 * config.patch * config.patch;
        let positions = config.pretrain_grid * config.pretrain_grid + 1;
        Self {
            pos_embed: Initializer::Normal {
                mean: 0.0,
                std: 0.02,
            }
            .init([1, positions, config.width], device),
            patch_embed: PatchEmbed {
                proj: PatchProjection {
                    weight: uniform([inputs, config.width], inputs, device),
                },
                patch: config.patch,
            },
            ln_pre: layer_norm(config.width, device),
            blocks: (0..config.depth)
                .map(|i| Block::new(config, i, device))
                .collect(),
            window: config.window,
            pretrain_grid: config.pretrain_grid,
        }
    }

    /// `[b, 3, side, side] -> [b, grid, grid, width]`
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        self.forward_trained(image, TrunkTraining::default())
    }

    /// As [`ViT::forward`], the way that training asks for.
    pub fn forward_trained(&self, image: Tensor<4>, training: TrunkTraining) -> Tensor<4> {
        let mut pass = self.begin(image);
        pass.training = training;
        while pass.next < self.blocks.len() {
            pass = self.advance(pass);
        }
        pass.x
    }

    /// Everything in front of the blocks, `[b, 3, side, side]`.
    pub fn begin(&self, image: Tensor<4>) -> TrunkPass {
        let x = at("patch_embed.proj", self.patch_embed.forward(image));
        let [_, grid, _, _] = x.dims();
        let x = at(
            "ln_pre",
            self.ln_pre.forward(x + self.position_embedding(grid)),
        );
        let ropes = self.ropes(grid, &x.device());
        TrunkPass {
            x,
            ropes,
            training: TrunkTraining::default(),
            next: 0,
        }
    }

    /// One more block; behind the last one nothing happens.
    pub fn advance(&self, pass: TrunkPass) -> TrunkPass {
        let Some(block) = self.blocks.get(pass.next) else {
            return pass;
        };
        let TrunkPass {
            x,
            ropes,
            training,
            next,
        } = pass;
        let factors = training.factors.get(next);
        let x = scope(format!("blocks.{next}"), || {
            if training.recompute {
                again::forward(block, x, &ropes, factors)
            } else {
                block.forward(x, &ropes, factors)
            }
        });
        TrunkPass {
            x,
            ropes,
            training,
            next: next + 1,
        }
    }

    fn ropes(&self, grid: usize, device: &Device) -> Ropes {
        let [width, _] = self
            .blocks
            .first()
            .map_or([4, 0], |block| block.attn.proj.weight.dims());
        let head_dim = width / self.blocks.first().map_or(1, |block| block.attn.heads);
        Ropes {
            window: axial(head_dim, self.window, 1.0, device),
            global: axial(head_dim, grid, self.window as f64 / grid as f64, device),
        }
    }

    /// The embedding without the class token's row, tiled over the grid and cropped: `[1, grid, grid, width]`.
    fn position_embedding(&self, grid: usize) -> Tensor<4> {
        let [_, positions, width] = self.pos_embed.dims();
        let side = self.pretrain_grid;
        let tile = self
            .pos_embed
            .val()
            .narrow(1, 1, positions - 1)
            .reshape([1, side, side, width]);
        let times = grid.div_ceil(side);
        let tiled = if times == 1 {
            tile
        } else {
            tile.repeat(&[1, times, times, 1])
        };
        tiled.slice([0..1, 0..grid, 0..grid, 0..width])
    }
}
