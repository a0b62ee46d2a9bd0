//! The CPU's own kernels against plain Burn operations, at odd extents, with tensors that are parts of others.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Distribution, Tensor, activation, module};
use medsam3_kernels::{Activation, Rope, cpu, rope_qkv};

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

/// Largest difference over the largest magnitude.
fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let largest = b.clone().abs().max().into_scalar::<f32>();
    (a - b).abs().max().into_scalar::<f32>() / largest
}

#[test]
fn linear_layers_with_their_activations() {
    for [rows, inputs, outputs] in [[1, 5, 3], [77, 130, 70], [400, 300, 257], [13, 512, 32]] {
        let (x, weight, bias) = (
            random([2, rows, inputs]),
            random([inputs, outputs + 9]).narrow(1, 4, outputs),
            random([outputs]),
        );
        let plain = module::linear(x.clone(), weight.clone(), Some(bias.clone()));
        let pairs = [
            (Activation::None, plain.clone()),
            (Activation::Relu, activation::relu(plain.clone())),
            (Activation::Gelu, activation::gelu(plain)),
        ];
        for (then, plain) in pairs {
            let ours = cpu::linear(&x, &weight, Some(&bias), then).expect("a plain tensor");
            assert!(
                difference(ours, plain) < 2e-6,
                "{rows}x{inputs}x{outputs} {then:?}"
            );
        }
        let ours = cpu::linear(&x, &weight, None, Activation::None).expect("a plain tensor");
        assert!(difference(ours, module::linear(x, weight, None)) < 2e-6);
    }
}

#[test]
fn attention_with_masks_and_biases() {
    // More keys than a tile, more queries than a task, and few of either.
    for [b, heads, n, m, head_dim] in [
        [2, 3, 11, 7, 8],
        [1, 2, 1900, 33, 32],
        [1, 1, 130, 1700, 64],
        [2, 2, 97, 769, 16],
    ] {
        let width = heads * head_dim;
        let qkv = random([b, n.max(m), 3 * width]);
        let [q, k, v] = [(0, n), (1, m), (2, m)].map(|(third, tokens)| {
            qkv.clone()
                .narrow(2, third * width, width)
                .narrow(1, 0, tokens)
        });
        let bias = random([b, heads, n, m]);
        let by_query = random([b, 1, n, m]).lower_elem(-0.7);
        let by_key = random([1, 1, 1, m]).lower_elem(-0.3);
        let split = |x: &Tensor<3>, tokens| {
            x.clone()
                .reshape([b, tokens, heads, head_dim])
                .swap_dims(1, 2)
        };
        for (masked, bias) in [
            (None, None),
            (Some(by_key), None),
            (Some(by_query), Some(bias)),
        ] {
            let options = AttentionModuleOptions::default();
            let (q4, k4, v4) = (split(&q, n), split(&k, m), split(&v, m));
            let plain = module::attention(q4, k4, v4, masked.clone(), bias.clone(), options)
                .swap_dims(1, 2)
                .reshape([b, n, width]);
            let ours =
                cpu::attention(&q, &k, &v, heads, masked.as_ref(), bias.as_ref()).expect("plain");
            assert!(
                difference(ours, plain) < 3e-6,
                "{b} {heads} {n} {m} {head_dim}"
            );
        }
    }
}

#[test]
fn convolution_against_the_products_of_shifted_maps() {
    for [b, h, w, inputs, outputs] in [
        [1, 1, 1, 3, 5],
        [2, 7, 5, 4, 33],
        [1, 40, 50, 24, 32],
        [1, 9, 700, 8, 8],
    ] {
        let (x, weight, bias) = (
            random([b, h, w, inputs]),
            random([9 * inputs, outputs]),
            random([outputs]),
        );
        let mut padded = Tensor::<4>::zeros([b, h + 2, w + 2, inputs], &Device::flex());
        padded = padded.slice_assign([0..b, 1..h + 1, 1..w + 1, 0..inputs], x.clone());
        let plain = (0..9).fold(
            bias.clone()
                .reshape([1, 1, 1, outputs])
                .expand([b, h, w, outputs]),
            |sum, tap| {
                let (y, x) = (tap / 3, tap % 3);
                let shifted = padded.clone().slice([0..b, y..y + h, x..x + w, 0..inputs]);
                sum + module::linear(
                    shifted,
                    weight.clone().narrow(0, tap * inputs, inputs),
                    None,
                )
            },
        );
        let ours = cpu::conv3x3(&x, &weight, &bias).expect("plain");
        assert!(difference(ours, plain) < 2e-6, "{h}x{w}");
        assert!(cpu::conv3x3_cells(h, w) >= h * w);
    }
}

#[test]
fn group_norm_with_relu() {
    let x = random([2, 40, 33, 24]) * 3.0 + 5.0;
    let (gamma, beta) = (random([24]), random([24]));
    let groups = x.clone().reshape([2, 40 * 33, 4, 6]);
    let centred = groups.clone() - groups.mean_dim(3).mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(3).mean_dim(1);
    let plain = (centred / (variance + 1e-5).sqrt()).reshape([2, 40, 33, 24])
        * gamma.clone().reshape([1, 1, 1, 24])
        + beta.clone().reshape([1, 1, 1, 24]);
    let normed = cpu::group_norm(x.clone(), 4, &gamma, &beta, 1e-5, false).expect("plain");
    assert!(difference(normed, plain.clone()) < 2e-6);
    let positive = cpu::group_norm(x, 4, &gamma, &beta, 1e-5, true).expect("plain");
    assert!(difference(positive, activation::relu(plain)) < 2e-6);
}

#[test]
fn rotary_embedding_with_windows_beyond_the_grid() {
    let (qkv, bias) = (random([2, 5, 7, 3 * 16]), random([48]));
    let mut turn = vec![0f32; 64];
    for pair in 0..4 {
        turn[(2 * pair + 1) * 8 + 2 * pair] = -1.0;
        turn[2 * pair * 8 + 2 * pair + 1] = 1.0;
    }
    let twice = |x: Tensor<2>| x.reshape([12, 4, 1]).expand([12, 4, 2]).reshape([12, 8]);
    let rope = Rope {
        cos: twice(random([12, 4])),
        sin: twice(random([12, 4])),
        turn: Tensor::<1>::from_floats(turn.as_slice(), &Device::flex()).reshape([8, 8]),
    };
    let ours = cpu::rope_qkv(&qkv, &bias, &rope, (3, 4)).expect("plain");
    let plain = rope_qkv::plain(qkv, bias, &rope, (3, 4));
    for (ours, plain) in ours.into_iter().zip(plain) {
        assert!(difference(ours, plain) < 1e-6);
    }
}

#[test]
fn doubled_maps() {
    let (coarse, fine) = (random([2, 3, 5, 7]), random([2, 6, 10, 7]));
    let doubled = coarse
        .clone()
        .reshape([2, 3, 1, 5, 1, 7])
        .expand([2, 3, 2, 5, 2, 7]);
    let plain = doubled.reshape([2, 6, 10, 7]) + fine.clone();
    assert_eq!(
        difference(cpu::upsample2_add(&coarse, &fine).expect("plain"), plain),
        0.0
    );
}

#[test]
fn sums_along_both_axes_behind_a_row_of_zeros() {
    let (x, y) = (random([2, 5, 4, 3]), random([2, 5, 4, 3]));
    let [x, y] = [x, y].map(|along| along.permute([0, 3, 1, 2]));
    let sums =
        (y.clone().unsqueeze_dim::<5>(4) + x.clone().unsqueeze_dim::<5>(3)).reshape([2, 3, 5, 16]);
    let plain = Tensor::cat(vec![Tensor::zeros([2, 3, 1, 16], &Device::flex()), sums], 2);
    let ours = cpu::axial_sums(&x, &y).expect("plain");
    assert_eq!(difference(ours, plain), 0.0);
}

#[test]
fn tensors_that_are_differentiated_are_left_alone() {
    let x = Tensor::<2>::ones([2, 2], &Device::flex().autodiff());
    assert!(cpu::gelu(x.clone()).is_err());
    assert!(cpu::linear(&x, &x, None, Activation::None).is_none());
}
