//! Group norm with and without ReLU, beside PyTorch (`tests/kernels/make_product_fixtures.py`).

mod support;

use burn::tensor::Tensor;
use medsam3_kernels::group_norm;
use support::{Fixture, assert_close, devices};

fn check(name: &str, groups: usize, limit: f32) {
    let fixture = Fixture::named("products");
    let at = |part: &str| format!("{name}/{part}");
    for (adapter, device) in devices() {
        let channel = |part: &str| -> Tensor<1> { fixture.tensor(&at(part), &device) };
        for (relu, part) in [(false, "out"), (true, "rectified")] {
            let x = fixture.tensor(&at("x"), &device);
            let got = group_norm(x, channel("gamma"), channel("beta"), groups, relu);
            let want = fixture.values(&at(part));
            assert_close(&format!("{name} {part} on {adapter}"), got, &want, limit);
        }
    }
}

#[test]
fn maps_of_many_chunks_and_odd_sizes_agree_with_the_reference() {
    check("group/chunks", 2, 2e-6);
    check("group/odd", 3, 2e-6);
}

/// Values around 300 with a variance of 1: f32 has 2e-5 of it to give.
#[test]
fn a_mean_far_from_zero_leaves_the_variance_right() {
    check("group/far", 8, 1e-4);
}
