//! The measurement of variants, on the adapter that the environment names.

mod support;

use medsam3_kernels::attention::{candidates, chosen};
use medsam3_kernels::choice::{Choice, measure, tune};
use medsam3_kernels::{Measurement, Tiling};
use support::gpu;

#[test]
fn the_winner_is_used_and_survives_storage() {
    let Some(device) = gpu() else {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    };
    let measured = pollster::block_on(measure(&device));
    let first = measured.timings.iter().filter(|timing| timing.side == 128);
    assert_eq!(first.count(), Tiling::ALL.len(), "{measured:?}");
    assert_eq!(measured.attention.len(), candidates().len(), "{measured:?}");
    assert_eq!(chosen(), measured.choice.attention);
    let side = measured.timings.iter().map(|timing| timing.side).max();
    let fastest = measured
        .timings
        .iter()
        .filter(|timing| Some(timing.side) == side)
        .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
        .expect("timings");
    assert_eq!(measured.choice.product, fastest.tiling, "{measured:?}");
    assert_ne!(measured.choice.convolution, Tiling::Stock);
    assert_eq!(Choice::of(&device), measured.choice);
    let stored = Measurement::from_json(&measured.to_json(), &device);
    assert_eq!(stored, Some(measured.clone()));
    // The next visit: no measurement, the same choice.
    Choice::default().set(&device);
    let again = pollster::block_on(tune(&device, Some(&measured.to_json())));
    assert_eq!(again, Some(measured.clone()));
    assert_eq!(Choice::of(&device), measured.choice);
}
