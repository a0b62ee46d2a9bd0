//! Operations with gradients of their own beside Burn's differentiation of what they are made of, on the CPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::backend::DispatchTensor;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bool, Device, Distribution, Tensor, activation, module};
use medsam3_kernels::attention::{WindowGrid, plain as plain_attention};
use medsam3_kernels::group_norm::plain as plain_group_norm;
use medsam3_kernels::{
    Activation, Part, Rope, attention, conv3x3, group_norm, layer_norm, linear, recomputed,
    rope_attention, rope_qkv, upsample2_add,
};

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device()).require_grad()
}

/// Largest difference, over the largest value of the second.
fn difference<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let scale = b.clone().abs().max().into_scalar::<f32>().max(1e-6);
    (a.clone() - b.clone()).abs().max().into_scalar::<f32>() / scale
}

/// A scalar that depends on every value of `y` in a way of its own.
fn scalar<const D: usize>(y: &Tensor<D>) -> Tensor<1> {
    let n = y.shape().num_elements();
    let weights = Tensor::<1, burn::tensor::Int>::arange(0..n as i64, &y.device()).float();
    (y.clone().reshape([n]) * (weights * 0.37).sin()).sum()
}

/// Results and gradients of the inputs `$x` of two ways of computing the same.
macro_rules! compare {
    ($name:literal, [$($x:ident),+], $ours:expr, $plain:expr) => {{
        let (ours, plain) = ($ours, $plain);
        let off = difference(&ours, &plain);
        assert!(off < 1e-5, "{}: results differ by {off}", $name);
        let (of_ours, of_plain) = (scalar(&ours).backward(), scalar(&plain).backward());
        $(
            let found = $x.grad(&of_ours).expect("a gradient");
            let off = difference(&found, &$x.grad(&of_plain).expect("a gradient"));
            assert!(off < 2e-5, "{}: gradients of {} differ by {off}", $name, stringify!($x));
        )+
    }};
}

#[test]
fn linear_layers() {
    for (activation, [rows, inputs, outputs]) in [
        (Activation::None, [1, 1, 1]),
        (Activation::Relu, [37, 300, 65]),
        (Activation::Gelu, [530, 19, 70]),
    ] {
        let (x, w, b) = (
            random([2, rows, inputs]),
            random([inputs, outputs]),
            random([outputs]),
        );
        let plain = module::linear(x.clone(), w.clone(), Some(b.clone()));
        let plain = match activation {
            Activation::None => plain,
            Activation::Relu => activation::relu(plain),
            Activation::Gelu => activation::gelu(plain),
        };
        let ours = linear(x.clone(), w.clone(), Some(b.clone()), activation);
        compare!("linear", [x, w, b], ours, plain);
    }
}

#[test]
fn a_constant_has_no_gradient_and_does_not_disturb_the_others() {
    let w = random([8, 5]);
    let x = Tensor::<2>::random([7, 8], Distribution::Normal(0.0, 1.0), &device());
    let ours = linear(x.clone(), w.clone(), None, Activation::None);
    compare!("linear", [w], ours, x.clone().matmul(w.clone()));
    let gradients = scalar(&linear(x.clone(), w, None, Activation::None)).backward();
    assert!(x.grad(&gradients).is_none());
}

#[test]
fn layer_norms() {
    for width in [1, 20, 64, 193] {
        let (x, gamma, beta) = (random([3, 41, width]), random([width]), random([width]));
        let plain = module::layer_norm(x.clone(), gamma.clone(), Some(beta.clone()), 1e-5);
        let ours = layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-5);
        if width > 1 {
            compare!("layer norm", [x, gamma, beta], ours, plain);
        } else {
            assert!(difference(&ours, &plain) < 1e-5);
        }
    }
}

#[test]
fn convolutions() {
    for [b, h, w, c, o] in [[1, 1, 1, 1, 1], [2, 7, 5, 3, 4], [1, 30, 33, 20, 34]] {
        let (x, weight, bias) = (random([b, h, w, c]), random([9 * c, o]), random([o]));
        let kernel = weight.clone().reshape([3, 3, c, o]).permute([3, 2, 0, 1]);
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let plain = module::conv2d(
            x.clone().permute([0, 3, 1, 2]),
            kernel,
            Some(bias.clone()),
            options,
        );
        let ours = conv3x3(x.clone(), weight.clone(), bias.clone());
        compare!(
            "convolution",
            [x, weight, bias],
            ours,
            plain.permute([0, 2, 3, 1])
        );
    }
}

#[test]
fn group_norms() {
    for relu in [false, true] {
        let (x, gamma, beta) = (random([2, 9, 11, 24]), random([24]), random([24]));
        let plain = plain_group_norm(x.clone(), gamma.clone(), beta.clone(), 8);
        let plain = if relu { activation::relu(plain) } else { plain };
        let ours = group_norm(x.clone(), gamma.clone(), beta.clone(), 8, relu);
        compare!("group norm", [x, gamma, beta], ours, plain);
    }
}

#[test]
fn doubling() {
    let (coarse, fine) = (random([2, 3, 5, 7]), random([2, 6, 10, 7]));
    let plain = coarse
        .clone()
        .reshape([2, 3, 1, 5, 1, 7])
        .expand([2, 3, 2, 5, 2, 7])
        .reshape([2, 6, 10, 7])
        + fine.clone();
    compare!(
        "doubling",
        [coarse, fine],
        upsample2_add(&coarse, &fine),
        plain
    );
}

#[test]
fn attention_with_bias_and_masked_keys() {
    let [b, heads, n, m, width] = [2, 3, 131, 70, 24];
    let (q, k, v) = (
        random([b, n, width]),
        random([b, m, width]),
        random([b, m, width]),
    );
    let bias = random([b, heads, n, m]);
    let masked: Tensor<4, Bool> =
        Tensor::<4>::random([b, 1, 1, m], Distribution::Uniform(0.0, 1.0), &device())
            .lower_elem(0.3);
    let plain = |masked: Option<Tensor<4, Bool>>, bias: Option<Tensor<4>>| {
        let (q, k, v) = (q.clone(), k.clone(), v.clone());
        plain_attention(q, k, v, heads, masked, bias)
    };
    let ours = |masked: Option<Tensor<4, Bool>>, bias: Option<Tensor<4>>| {
        attention(q.clone(), k.clone(), v.clone(), heads, masked, bias)
    };
    compare!("attention", [q, k, v], ours(None, None), plain(None, None));
    compare!(
        "masked attention",
        [q, k, v, bias],
        ours(Some(masked.clone()), Some(bias.clone())),
        plain(Some(masked), Some(bias.clone()))
    );
}

#[test]
fn attention_of_the_trunk() {
    let (heads, head_dim, grid) = (3, 8, 12);
    let width = heads * head_dim;
    for window in [4, 12] {
        let tokens = window * window;
        let angles = Tensor::<2>::random(
            [tokens, head_dim / 2],
            Distribution::Normal(0.0, 1.0),
            &device(),
        );
        let pairs = |x: Tensor<2>| {
            x.unsqueeze_dim::<3>(2)
                .repeat(&[1, 1, 2])
                .reshape([tokens, head_dim])
        };
        let mut turn = vec![0.0f32; head_dim * head_dim];
        for j in 0..head_dim / 2 {
            turn[(2 * j + 1) * head_dim + 2 * j] = -1.0;
            turn[2 * j * head_dim + 2 * j + 1] = 1.0;
        }
        let turn = burn::tensor::TensorData::new(turn, [head_dim, head_dim]);
        let rope = Rope {
            cos: pairs(angles.clone().cos()),
            sin: pairs(angles.sin()),
            turn: Tensor::from_data(turn, &device()),
        };
        let qkv = random([2, grid, grid, 3 * width]);
        let bias = Tensor::zeros([3 * width], &device());
        let place = WindowGrid {
            rows: grid,
            columns: grid,
            window_rows: window,
            window_columns: window,
        };
        let [q, k, v] = rope_qkv::plain(qkv.clone(), bias.clone(), &rope, (window, window));
        let plain = plain_attention(q, k, v, heads, None, None);
        let across = grid / window;
        let plain = plain
            .reshape([2, across, across, window, window, width])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([2, grid, grid, width]);
        let ours = rope_attention(qkv.clone(), bias, &rope, heads, place);
        compare!("attention of the trunk", [qkv], ours, plain);
    }
}

/// `tanh(x w) * x`, and how often it was computed.
#[derive(Debug, Clone)]
struct Gate(Arc<AtomicUsize>);

fn gate(x: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
    x.clone().matmul(w).tanh() * x
}

impl Part<2> for Gate {
    fn forward(&self, [x, w]: [DispatchTensor; 2]) -> DispatchTensor {
        self.0.fetch_add(1, Ordering::Relaxed);
        gate(Tensor::from_dispatch(x), Tensor::from_dispatch(w)).into_dispatch()
    }
}

/// Computed once forward and once more backward, once where nothing is followed; a constant input has no gradient. Parts within
/// parts are computed as often as they are asked for.
#[test]
fn recomputed_parts() {
    let (x, w) = (random([5, 7]), random([7, 7]));
    let times = Arc::new(AtomicUsize::new(0));
    let again = |x: &Tensor<2>, w: &Tensor<2>| -> Tensor<2> {
        let inputs = [x.clone(), w.clone()].map(Tensor::into_dispatch);
        Tensor::from_dispatch(recomputed(Gate(Arc::clone(&times)), inputs))
    };
    // Twice, so that both inputs get gradients from two places.
    compare!(
        "recomputed",
        [x, w],
        again(&again(&x, &w), &w),
        gate(gate(x.clone(), w.clone()), w.clone())
    );
    assert_eq!(
        times.swap(0, Ordering::Relaxed),
        4,
        "two parts, each once forward and once backward"
    );

    let constant = x.clone().detach();
    compare!(
        "a constant",
        [w],
        again(&constant, &w),
        gate(constant.clone(), w.clone())
    );
    times.store(0, Ordering::Relaxed);
    let (x, w) = (x.inner(), w.inner());
    assert!(difference(&again(&x, &w), &gate(x.clone(), w.clone())) < 1e-6);
    assert_eq!(times.load(Ordering::Relaxed), 1);
}
