//! The measurement of variants, on the adapter that the environment names.

mod support;

use medsam3_kernels::choice::{Choice, measure};
use medsam3_kernels::{Measurement, Tiling};
use support::gpu;

#[test]
fn the_winner_is_used_and_survives_storage() {
    let Some(device) = gpu() else {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    };
    let measured = pollster::block_on(measure(&device));
    assert_eq!(
        measured.timings.len() % Tiling::ALL.len(),
        0,
        "{measured:?}"
    );
    let fastest = measured
        .timings
        .iter()
        .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
        .expect("timings");
    assert_eq!(measured.choice.product, fastest.tiling, "{measured:?}");
    assert_ne!(measured.choice.convolution, Tiling::Stock);
    assert_eq!(Choice::of(&device), measured.choice);
    let stored = Measurement::from_json(&measured.to_json(), &device);
    assert_eq!(stored, Some(measured));
}
