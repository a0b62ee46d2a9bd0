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
    let first = measured.timings.iter().filter(|t| t.shape == [128; 3]);
    assert_eq!(first.count(), Tiling::ALL.len(), "{measured:?}");
    let first = measured.attention.iter().filter(|t| t.shape[0] == 1);
    // The largest tiles take more shared memory than some adapters have.
    let (all, fit) = (candidates().len(), first.count());
    assert!((all - 1..=all).contains(&fit), "{measured:?}");
    assert_eq!(chosen(), measured.choice.attention);
    let largest = measured.timings.last().map(|timing| timing.shape);
    let fastest = measured
        .timings
        .iter()
        .filter(|timing| Some(timing.shape) == largest)
        .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
        .expect("timings");
    assert_eq!(measured.choice.product, fastest.variant, "{measured:?}");
    assert_ne!(measured.choice.convolution, Tiling::Stock);
    assert_eq!(Choice::of(&device), measured.choice);
    // Seconds may lose their last digit on the way through JSON.
    let stored = Measurement::from_json(&measured.to_json(), &device);
    assert_eq!(stored.map(|stored| stored.choice), Some(measured.choice));
    // The next visit: no measurement, the same choice.
    Choice::default().set(&device);
    let again = pollster::block_on(tune(&device, Some(&measured.to_json())));
    let again = again.expect("a GPU has variants");
    assert_eq!(again.timings.len(), measured.timings.len());
    assert_eq!(Choice::of(&device), measured.choice);
}
