//! Lookups in a map beside PyTorch's and torchvision's, `tests/kernels/make_roi_fixture.py`.

mod support;

use burn::tensor::Tensor;
use medsam3_kernels::roi_align::{grid_sample, roi_align};
use support::{Fixture, assert_close, devices};

fn lists<const N: usize>(fixture: &Fixture, name: &str) -> Vec<Vec<[f32; N]>> {
    let (values, shape) = fixture.values(name);
    let items = values.as_chunks::<N>().0.to_vec();
    items.chunks(shape[1]).map(<[[f32; N]]>::to_vec).collect()
}

#[test]
fn points_and_boxes_agree_with_pytorch() {
    let fixture = Fixture::named("roi");
    for (what, device) in devices() {
        let map: Tensor<4> = fixture.tensor("map", &device);
        let sampled = grid_sample(map.clone(), &lists(&fixture, "points"));
        assert_close(what, sampled, &fixture.values("grid_sample"), 1e-6);
        let pooled = roi_align(map, &lists(&fixture, "boxes"), 7);
        assert_close(what, pooled, &fixture.values("roi_align"), 1e-6);
    }
}
