//! Rotation and split by windows, beside complex products in PyTorch (`tests/kernels/make_fixtures.py`).

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use medsam3_kernels::{Rope, rope_qkv};
use support::{Fixture, assert_close, devices};

fn rope(fixture: &Fixture, name: &str, device: &Device) -> Rope {
    let cos = fixture.tensor::<2>(&format!("{name}/cos"), device);
    let [_, head_dim] = cos.dims();
    let mut turn = vec![0f32; head_dim * head_dim];
    for u in (0..head_dim).step_by(2) {
        turn[(u + 1) * head_dim + u] = -1.0;
        turn[u * head_dim + u + 1] = 1.0;
    }
    Rope {
        cos,
        sin: fixture.tensor(&format!("{name}/sin"), device),
        turn: Tensor::from_data(TensorData::new(turn, [head_dim, head_dim]), device),
    }
}

/// Windows that fit, windows that do not, one window for all, and a head of six channels (vectors of two).
#[test]
fn windows_are_split_and_turned_as_in_the_reference() {
    let fixture = Fixture::read();
    for (name, window) in [
        ("rope/fitting", (3, 3)),
        ("rope/padded", (4, 3)),
        ("rope/global", (5, 7)),
        ("rope/head_6", (2, 3)),
    ] {
        for (adapter, device) in devices() {
            let parts = rope_qkv(
                fixture.tensor::<4>(&format!("{name}/qkv"), &device),
                fixture.tensor::<1>(&format!("{name}/bias"), &device),
                &rope(&fixture, name, &device),
                window,
            );
            for (part, got) in ["q", "k", "v"].into_iter().zip(parts) {
                let want = fixture.values(&format!("{name}/{part}"));
                assert_close(&format!("{name} {part} on {adapter}"), got, &want, 1e-6);
            }
        }
    }
}
