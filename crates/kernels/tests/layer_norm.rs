//! Layer norm and the sum in front of it, beside PyTorch (`tests/kernels/make_product_fixtures.py`).

mod support;

use burn::tensor::{Device, Tensor};
use medsam3_kernels::{add_layer_norm, layer_norm};
use support::{Fixture, assert_close, devices};

fn check<const D: usize>(name: &str, limit: f32) {
    let fixture = Fixture::named("products");
    let at = |part: &str| format!("{name}/{part}");
    for (adapter, device) in devices() {
        let row = |part: &str| -> Tensor<1> { fixture.tensor(&at(part), &device) };
        let rows = |part: &str, device: &Device| fixture.tensor::<D>(&at(part), device);
        let got = layer_norm(rows("x", &device), row("gamma"), row("beta"), 1e-5);
        assert_close(
            &format!("{name} on {adapter}"),
            got,
            &fixture.values(&at("out")),
            limit,
        );
        let (x, y) = (rows("x", &device), rows("y", &device));
        let (sum, normed) = add_layer_norm(x, y, row("gamma"), row("beta"), 1e-5);
        assert_close(
            &format!("{name} sum on {adapter}"),
            sum,
            &fixture.values(&at("sum")),
            1e-6,
        );
        let want = fixture.values(&at("sum_out"));
        assert_close(
            &format!("{name} norm of a sum on {adapter}"),
            normed,
            &want,
            limit,
        );
    }
}

#[test]
fn norms_agree_with_the_reference_at_odd_sizes() {
    check::<3>("norm/vectors", 2e-6);
    check::<2>("norm/odd", 2e-6);
    check::<2>("norm/narrow", 2e-5);
}

/// Values around 500 with a variance of 1: f32 has 3e-5 of it to give.
#[test]
fn a_mean_far_from_zero_leaves_the_variance_right() {
    check::<2>("norm/far", 2e-4);
}
