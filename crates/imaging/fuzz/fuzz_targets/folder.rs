#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use medsam3_imaging::series::{MemorySource, SeriesReport, SharedSource, find};

const NAMES: [&str; 8] = [
    "a/1.dcm", "a/2.dcm", "b/1", "b/v.hdr", "b/v.img", "c.nii.gz", "d.zip", "._e",
];

// Several files: of each a byte for its name, two for its length, then its bytes.
fuzz_target!(|input: &[u8]| {
    let mut sources: Vec<SharedSource> = Vec::new();
    let mut rest = input;
    while let Some((&[name, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (bytes, after) = after.split_at(length);
        let name = format!("{}{}", sources.len() / 8, NAMES[usize::from(name) % 8]);
        sources.push(Arc::new(MemorySource::new(name, bytes.to_vec())));
        rest = after;
    }
    let listing = find(sources);
    for series in &listing.series {
        let report = SeriesReport::of(series);
        assert_eq!(report.slices, series.slices());
        for slice in [0, series.slices() / 2, series.slices() - 1] {
            if let Ok((picture, frame)) = series.open(slice, series.frames() - 1) {
                let _ = picture.render(frame, None);
            }
            let _ = series.picture_info(slice, 0);
        }
        if let Ok(volume) = series.volume() {
            let _ = volume.turned_to_patient();
        }
    }
});
