//! Damaged files end in a picture or in a typed error, soon, and never in a panic: every fixture cut at
//! every 97th byte and with bits flipped by a seeded generator.

mod common;

use std::time::{Duration, Instant};

use medsam3_imaging::open;

/// Mutations of one file: cuts, then flips of one to eight bits.
const FLIPS_PER_FILE: usize = 60;

fn try_open(bytes: &[u8], what: &str) {
    let started = Instant::now();
    match open(bytes) {
        Ok(picture) => {
            let last = picture.frame_count() - 1;
            let _ = picture.render(last, None);
            let _ = picture.value_range(0);
        }
        Err(error) => {
            assert!(!error.code().is_empty());
            assert!(error.to_string().ends_with('.'));
            assert!(error.next_step().ends_with('.'));
        }
    }
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{what} took {elapsed:?}");
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let mut files = common::files("dicom", &["dcm"]);
    files.extend(common::files("phantom", &["dcm", "png", "jpg"]));
    files.extend(common::files("standard", &["png", "jpg"]));
    files
}

#[test]
fn cut_files_never_panic() {
    for (name, bytes) in fixtures() {
        for end in (0..bytes.len()).step_by(97) {
            try_open(&bytes[..end], &format!("{name} cut at {end}"));
        }
    }
}

#[test]
fn flipped_bits_never_panic() {
    let mut state = 20_261_123u32;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as usize) % bound
    };
    for (name, bytes) in fixtures() {
        for round in 0..FLIPS_PER_FILE {
            let mut mutated = bytes.clone();
            // Most of the structure is near the start of the data set.
            let reach = if round % 2 == 0 {
                mutated.len()
            } else {
                mutated.len().min(1600)
            };
            for _ in 0..=next(8) {
                let at = next(reach);
                mutated[at] ^= 1 << next(8);
            }
            try_open(&mutated, &format!("{name} round {round}"));
        }
    }
}

/// A header that asks for 65535 x 65535 x 65535 frames costs nothing.
#[test]
fn declared_sizes_are_checked_before_they_are_allocated() {
    let mut bytes = common::fixture("dicom/MR_small.dcm");
    for tag in [[0x28, 0, 0x10, 0], [0x28, 0, 0x11, 0]] {
        let at = bytes.windows(4).position(|window| window == tag).unwrap();
        bytes[at + 8] = 0xFF;
        bytes[at + 9] = 0xFF;
    }
    let started = Instant::now();
    assert_eq!(open(&bytes).unwrap_err().code(), "IMAGE-TOO-LARGE");
    assert!(started.elapsed() < Duration::from_millis(500));

    let mut bytes = common::fixture("dicom/MR_small.dcm");
    let at = bytes
        .windows(4)
        .position(|window| window == [0x28, 0, 0x10, 0])
        .unwrap();
    bytes[at + 8..at + 10].copy_from_slice(&4096u16.to_le_bytes());
    assert_eq!(open(&bytes).unwrap_err().code(), "DICOM-TRUNCATED");
}

/// A number of half its size makes dicom-rs lose its place and take pixels for a length.
#[test]
fn parts_of_numbers_are_refused() {
    let mut bytes = common::fixture("dicom/MR_small.dcm");
    let at = bytes
        .windows(6)
        .position(|window| window == b"\x28\0\x02\0US")
        .unwrap();
    bytes[at + 5] = b'L';
    assert_eq!(open(&bytes).unwrap_err().code(), "DICOM-MALFORMED");
}
