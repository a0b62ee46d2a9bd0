#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use medsam3_imaging::series::{MemorySource, SharedSource, find};

// One file, plain or gzipped; as a whole, and as a header whose values are its own bytes.
fuzz_target!(|bytes: &[u8]| {
    let file = |name: &str| Arc::new(MemorySource::new(name, bytes.to_vec())) as SharedSource;
    for sources in [vec![file("a.nii")], vec![file("b.hdr"), file("b.img")]] {
        for series in find(sources).series {
            let _ = series.volume().map(|volume| volume.turned_to_patient());
            let last = (series.slices() - 1, series.frames() - 1);
            let _ = series.open(last.0, last.1);
        }
    }
});
