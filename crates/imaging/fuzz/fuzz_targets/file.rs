#![no_main]

use libfuzzer_sys::fuzz_target;
use medsam3_imaging::open;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = open(bytes) {
        let _ = picture.render(picture.frame_count() - 1, None);
        let _ = picture.value_range(0);
    }
});
