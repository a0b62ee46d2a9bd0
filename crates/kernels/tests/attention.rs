//! Attention beside PyTorch's `scaled_dot_product_attention` in float64 (`tests/kernels/make_fixtures.py`), and windowed
//! attention beside attention and a copy to the grid.

mod support;

use burn::tensor::{Device, Distribution, Tensor};
use medsam3_kernels::attention::{self, Form, Variant, WindowGrid, attention, window_attention};
use support::{Fixture, assert_close, devices};

/// Every variant, and the one that is used when none was chosen.
fn variants() -> impl Iterator<Item = Variant> {
    let odd = [
        (Form::Registers, 1, 1),
        (Form::Registers, 3, 5),
        (Form::Shared, 3, 5),
        (Form::Tiled, 1, 4),
    ];
    let odd = odd.map(|(form, rows, step)| Variant { form, rows, step });
    attention::candidates().into_iter().chain(odd)
}

fn run(fixture: &Fixture, name: &str, heads: usize, device: &Device) -> Tensor<3> {
    let tensor = |part: &str| fixture.tensor::<3>(&format!("{name}/{part}"), device);
    let bias = name.contains("bias") || name.ends_with("head_8");
    let masked = name.contains("mask") || name.ends_with("head_12");
    attention(
        tensor("q"),
        tensor("k"),
        tensor("v"),
        heads,
        masked.then(|| fixture.flags(&format!("{name}/masked"), device)),
        bias.then(|| fixture.tensor::<4>(&format!("{name}/bias"), device)),
    )
}

const CASES: [(&str, usize); 10] = [
    ("attention/head_64", 2),
    ("attention/head_32", 2),
    ("attention/head_16", 2),
    ("attention/head_12", 4),
    ("attention/head_8", 4),
    ("attention/key_mask", 2),
    ("attention/bias_and_mask", 2),
    ("attention/one_key", 2),
    ("attention/one_query", 2),
    ("attention/sharp", 1),
];

/// One test, because the variant in use belongs to the process.
#[test]
fn every_variant_agrees_with_the_reference() {
    let fixture = Fixture::read();
    for (adapter, device) in devices() {
        for variant in variants() {
            attention::choose(variant);
            // A driver compiles each head width anew: the other variants take a narrow and a wide one.
            let all = variant == attention::candidates()[0];
            for (name, heads) in CASES {
                if !all && !matches!(name, "attention/head_8" | "attention/bias_and_mask") {
                    continue;
                }
                let want = fixture.values(&format!("{name}/out"));
                let got = run(&fixture, name, heads, &device);
                assert_close(
                    &format!("{name} on {adapter}, {variant:?}"),
                    got,
                    &want,
                    2e-6,
                );
            }
            windows_return_to_the_grid(&device, &format!("{adapter}, {variant:?}"));
            if adapter == "cpu" {
                break;
            }
        }
    }
}

/// 5 x 7 cells in windows of 3 x 4: two windows down, two across, the last of each not filled.
fn windows_return_to_the_grid(device: &Device, what: &str) {
    let grid = WindowGrid {
        rows: 5,
        columns: 7,
        window_rows: 3,
        window_columns: 4,
    };
    let cpu = Device::flex();
    let random = || Tensor::<3>::random([2 * 4, 12, 32], Distribution::Normal(0.0, 1.0), &cpu);
    let parts = [random(), random(), random()];
    let [q, k, v] = parts.clone();
    let want = attention::plain(q, k, v, 2, None, None);
    let [q, k, v] = parts.map(|x| Tensor::from_data(x.into_data(), device));
    let got = window_attention(q, k, v, 2, grid);
    assert_eq!(got.dims(), [2, 5, 7, 32]);
    let got = Tensor::<4>::from_data(got.into_data(), &cpu);
    for (row, column, window, token) in [
        (0, 0, 0, 0),
        (2, 3, 0, 11),
        (1, 4, 1, 4),
        (3, 2, 2, 2),
        (4, 6, 3, 6),
    ] {
        for image in 0..2 {
            let got = got
                .clone()
                .slice([image..image + 1, row..row + 1, column..column + 1]);
            let window = image * 4 + window;
            let want = want.clone().slice([window..window + 1, token..token + 1]);
            let difference = (got.reshape([32]) - want.reshape([32]))
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(
                difference < 2e-6,
                "{what}: cell {row}, {column} differs by {difference}"
            );
        }
    }
}

/// Half precision is stored and multiplied, sums are f32: the error is that of rounding inputs and output.
#[test]
fn half_precision_agrees_where_the_adapter_has_it() {
    use burn::tensor::{DType, FloatDType};
    let Some(device) = support::gpu() else {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    };
    if !device.supports_dtype(DType::F16) {
        println!("skipped: no shader-f16 on this adapter");
        return;
    }
    let fixture = Fixture::read();
    let tensor = |part: &str| {
        fixture
            .tensor::<3>(&format!("attention/head_64/{part}"), &device)
            .cast(FloatDType::F16)
    };
    let got = attention(tensor("q"), tensor("k"), tensor("v"), 2, None, None);
    let want = fixture.values("attention/head_64/out");
    assert_close("f16", got.cast(FloatDType::F32), &want, 3e-3);
}
