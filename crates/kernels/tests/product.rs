//! Matrix products in all their variants, beside PyTorch (`tests/kernels/make_product_fixtures.py`).

mod support;

use burn::tensor::{Device, Tensor};
use medsam3_kernels::product::{conv3x3_as, linear_as, matmul_as};
use medsam3_kernels::{Activation, Q8, Tiling, linear_part};
use support::{Fixture, assert_close, devices};

/// Rounding of sums of up to some hundred products in f32.
const LIMIT: f32 = 2e-6;

/// Every device with every variant that it has.
fn variants() -> Vec<(String, Device, Tiling)> {
    let mut variants = Vec::new();
    for (name, device) in devices() {
        for tiling in Tiling::ALL {
            if name == "gpu" || tiling == Tiling::Stock {
                variants.push((format!("{tiling:?} on {name}"), device.clone(), tiling));
            }
        }
    }
    variants
}

fn check_linear<const D: usize>(name: &str, activation: Activation, bias: bool) {
    let fixture = Fixture::named("products");
    for (variant, device, tiling) in variants() {
        let got = linear_as(
            tiling,
            fixture.tensor::<D>(&format!("{name}/x"), &device),
            fixture.tensor(&format!("{name}/weight"), &device),
            bias.then(|| fixture.tensor(&format!("{name}/bias"), &device)),
            activation,
        );
        let want = fixture.values(&format!("{name}/out"));
        assert_close(&format!("{name}, {variant}"), got, &want, LIMIT);
    }
}

#[test]
fn linear_layers_agree_with_the_reference_at_odd_sizes() {
    check_linear::<2>("linear/vectors", Activation::Gelu, true);
    check_linear::<2>("linear/odd", Activation::Relu, true);
    check_linear::<2>("linear/odd_inner", Activation::None, true);
    check_linear::<2>("linear/odd_outer", Activation::Gelu, true);
    check_linear::<2>("linear/tall", Activation::Relu, true);
    check_linear::<2>("linear/wide", Activation::None, true);
    check_linear::<2>("linear/one", Activation::None, true);
    check_linear::<4>("linear/maps", Activation::None, false);
}

/// Products of few tiles, whose long inner dimension is summed in parts where tiles are in shared memory: beside sums in
/// double precision.
#[test]
fn long_inner_dimensions_agree_with_sums_in_double_precision() {
    for [rows, inner, columns] in [[9, 1024, 20], [70, 1032, 68], [1, 4096, 4]] {
        let draw = |count: usize, seed: usize| -> Vec<f32> {
            let value = |i: usize| ((i * 7919 + seed) * 104_729 % 2003) as f32 / 1001.0 - 1.0;
            (0..count).map(value).collect()
        };
        let (x, weight) = (draw(rows * inner, 1), draw(inner * columns, 2));
        let bias = draw(columns, 3);
        let sum = |at: usize| -> f32 {
            let (row, column) = (at / columns, at % columns);
            let products = (0..inner)
                .map(|i| f64::from(x[row * inner + i]) * f64::from(weight[i * columns + column]));
            (products.sum::<f64>() + f64::from(bias[column])).max(0.0) as f32
        };
        let want = ((0..rows * columns).map(sum).collect(), vec![rows, columns]);
        for (variant, device, tiling) in variants() {
            let tensor = |values: &[f32], shape: [usize; 2]| {
                let data = burn::tensor::TensorData::new(values.to_vec(), shape);
                Tensor::<2>::from_data(data, &device)
            };
            let got = linear_as(
                tiling,
                tensor(&x, [rows, inner]),
                tensor(&weight, [inner, columns]),
                Some(tensor(&bias, [1, columns]).reshape([columns])),
                Activation::Relu,
            );
            let what = format!("{rows} x {inner} x {columns}, {variant}");
            assert_close(&what, got, &want, LIMIT);
        }
    }
}

/// A recorded int8 weight.
fn q8(fixture: &Fixture, name: &str) -> Q8 {
    let (integers, shape) = fixture.values(&format!("{name}/integers"));
    let integers = integers.into_iter().map(|value| value as i8).collect();
    let (scales, _) = fixture.values(&format!("{name}/scales"));
    Q8::new(integers, scales, [shape[0], shape[1]]).expect("blocks fit")
}

#[test]
fn int8_weights_agree_with_the_reference() {
    let fixture = Fixture::named("products");
    for (name, activation) in [
        ("q8/few_rows", Activation::None),
        ("q8/many_rows", Activation::Gelu),
        ("q8/odd_outer", Activation::Relu),
        ("q8/one_row", Activation::None),
    ] {
        for (variant, device, tiling) in variants() {
            let got = linear_as(
                tiling,
                fixture.tensor::<2>(&format!("{name}/x"), &device),
                q8(&fixture, name).into_tensor(&device),
                Some(fixture.tensor(&format!("{name}/bias"), &device)),
                activation,
            );
            let want = fixture.values(&format!("{name}/out"));
            assert_close(&format!("{name}, {variant}"), got, &want, LIMIT);
        }
    }
}

/// Part of the outputs is the same part of all outputs, for f32 and for int8 weights.
#[test]
fn a_part_of_a_fused_weight_gives_that_part_of_the_outputs() {
    let fixture = Fixture::named("products");
    let name = "q8/few_rows";
    let (values, shape) = fixture.values(&format!("{name}/out"));
    let (rows, outputs) = (shape[0], 4..12);
    let part: Vec<f32> = values
        .chunks(shape[1])
        .flat_map(|row| row[outputs.clone()].to_vec())
        .collect();
    let want = (part, vec![rows, outputs.len()]);
    let weight = q8(&fixture, name);
    for (device_name, device) in devices() {
        let x: Tensor<2> = fixture.tensor(&format!("{name}/x"), &device);
        let bias: Tensor<1> = fixture.tensor(&format!("{name}/bias"), &device);
        let blocks = weight.clone().into_tensor(&device);
        let data = burn::tensor::TensorData::new(weight.dequantise(), weight.shape);
        let dense = Tensor::<2>::from_data(data, &device).swap_dims(0, 1);
        for (kind, weight) in [("int8", blocks), ("f32", dense)] {
            let got = linear_part(x.clone(), weight, bias.clone(), outputs.clone());
            assert_close(&format!("{kind} on {device_name}"), got, &want, LIMIT);
        }
    }
}

#[test]
fn products_of_activations_agree_with_the_reference() {
    let fixture = Fixture::named("products");
    for (variant, device, tiling) in variants() {
        let operand = |name: &str| fixture.tensor::<3>(name, &device);
        let got = matmul_as(tiling, operand("matmul/odd/a"), operand("matmul/odd/b"));
        let want = fixture.values("matmul/odd/out");
        assert_close(&format!("odd, {variant}"), got, &want, LIMIT);
        let operand = |name: &str| fixture.tensor::<4>(name, &device);
        let (a, b) = (operand("matmul/vectors/a"), operand("matmul/vectors/b"));
        let want = fixture.values("matmul/vectors/out");
        assert_close(
            &format!("vectors, {variant}"),
            matmul_as(tiling, a, b),
            &want,
            LIMIT,
        );
    }
}

/// Operands that are views (transposed, narrowed) are read as what they show.
#[test]
fn views_are_multiplied_as_they_look() {
    let fixture = Fixture::named("products");
    for (variant, device, tiling) in variants() {
        let turned = |name: &str| fixture.tensor::<3>(name, &device).swap_dims(1, 2);
        let got = matmul_as(tiling, turned("matmul/odd/b"), turned("matmul/odd/a"));
        let want = fixture.values("matmul/odd/out");
        assert_close(
            &format!("turned, {variant}"),
            got.swap_dims(1, 2),
            &want,
            LIMIT,
        );
    }
}

#[test]
fn convolutions_agree_with_the_reference_at_odd_sizes() {
    let fixture = Fixture::named("products");
    for name in [
        "conv/small",
        "conv/odd_channels",
        "conv/one_pixel",
        "conv/batch",
        "conv/wider_than_a_tile",
    ] {
        for (variant, device, tiling) in variants() {
            let got = conv3x3_as(
                tiling,
                fixture.tensor(&format!("{name}/x"), &device),
                fixture.tensor(&format!("{name}/weight"), &device),
                fixture.tensor(&format!("{name}/bias"), &device),
            );
            let want = fixture.values(&format!("{name}/out"));
            assert_close(&format!("{name}, {variant}"), got, &want, LIMIT);
        }
    }
}
