//! Damaged files end in a picture or in a typed error, soon, within bounds of memory, and never in a panic: every
//! fixture cut at every 97th byte and with bits flipped by a seeded generator.

// An allocator that counts is the only way to see what a file costs.
#![allow(unsafe_code)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use medsam3_imaging::open;
use medsam3_imaging::series::{MemorySource, SeriesReport, SharedSource, find};

/// The system's allocator, which remembers the largest single request.
struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes of one request that a fixture may cost, however it is mutated: gray values of the largest frame.
const MOST: usize = 4 << 27;

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
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= MOST, "{what} asked for {largest} bytes");
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let mut files = common::files("dicom", &["dcm"]);
    files.extend(common::files("regressions", &["dcm"]));
    files.extend(common::files("phantom", &["dcm", "png", "jpg"]));
    files.extend(common::files("standard", &["png", "jpg"]));
    files.extend(common::files("tiff", &["tif"]));
    files.extend(common::files("mosaic", &["dcm"]));
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

/// Numbers below a bound, the same in every run.
fn seeded(mut state: u32) -> impl FnMut(usize) -> usize {
    move |bound: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as usize) % bound
    }
}

/// One to eight flipped bits, every other time near the start, where most of the structure is.
fn flip(bytes: &mut [u8], round: usize, start: usize, next: &mut impl FnMut(usize) -> usize) {
    let reach = if round.is_multiple_of(2) {
        bytes.len()
    } else {
        bytes.len().min(start)
    };
    for _ in 0..=next(8) {
        let at = next(reach);
        bytes[at] ^= 1 << next(8);
    }
}

#[test]
fn flipped_bits_never_panic() {
    let mut next = seeded(20_261_123);
    for (name, bytes) in fixtures() {
        for round in 0..FLIPS_PER_FILE {
            let mut mutated = bytes.clone();
            flip(&mut mutated, round, 1600, &mut next);
            try_open(&mutated, &format!("{name} round {round}"));
        }
    }
}

/// Lists files, opens the first and last picture of every series, and makes volumes of what is one.
fn try_list(files: Vec<(String, Vec<u8>)>, what: &str) {
    let started = Instant::now();
    let source = |(name, bytes)| Arc::new(MemorySource::new(name, bytes)) as SharedSource;
    let listing = find(files.into_iter().map(source).collect());
    for failure in &listing.failures {
        assert!(failure.error.to_string().ends_with('.'), "{what}");
    }
    for series in &listing.series {
        assert!(serde_json::to_string(&SeriesReport::of(series)).is_ok());
        for slice in [0, series.slices() - 1] {
            if let Ok((picture, frame)) = series.open(slice, series.frames() - 1) {
                let _ = picture.render(frame, None);
            }
        }
        if let Ok(volume) = series.volume() {
            let _ = volume.turned_to_patient();
        }
    }
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{what} took {elapsed:?}");
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= MOST, "{what} asked for {largest} bytes");
}

/// As a whole file, and as header and values of a pair; packed ones also with flips below the compression.
#[test]
fn mutated_nifti_files_never_panic() {
    let mut next = seeded(20_261_126);
    let mut files = Vec::new();
    for (name, bytes) in common::files("nifti", &["nii", "gz"]) {
        let mut plain = Vec::new();
        let mut stream = flate2::read::GzDecoder::new(bytes.as_slice());
        if std::io::Read::read_to_end(&mut stream, &mut plain).is_ok() {
            files.push((format!("plain {name}"), plain));
        }
        files.push((name, bytes));
    }
    assert!(files.len() >= 20);
    for (name, bytes) in files {
        for end in (0..bytes.len()).step_by(97) {
            try_list(vec![("a.nii".into(), bytes[..end].to_vec())], &name);
        }
        for round in 0..FLIPS_PER_FILE {
            let mut mutated = bytes.clone();
            flip(&mut mutated, round, 352, &mut next);
            let what = format!("{name} round {round}");
            try_list(vec![("a.nii".into(), mutated.clone())], &what);
            let pair = [("b.hdr", mutated), ("b.img", bytes.clone())];
            try_list(pair.map(|(name, bytes)| (name.into(), bytes)).into(), &what);
        }
    }
}

/// One damaged file among the whole ones of a series, and damaged archives.
#[test]
fn mutated_folders_and_archives_never_panic() {
    let mut next = seeded(20_261_127);
    for folder in [
        "axial",
        "oblique",
        "enhanced",
        "time-points",
        "duplicate",
        "tilt",
    ] {
        let files = common::files(&format!("series/{folder}"), &["dcm"]);
        for round in 0..FLIPS_PER_FILE * 2 {
            let mut mutated = files.clone();
            let hit = next(mutated.len());
            flip(&mut mutated[hit].1, round, 1600, &mut next);
            try_list(mutated, &format!("{folder} round {round}"));
        }
    }
    let archive = common::fixture("series/axial.zip");
    for end in (0..archive.len()).step_by(97) {
        try_list(
            vec![("a.zip".into(), archive[..end].to_vec())],
            "cut archive",
        );
    }
    for round in 0..FLIPS_PER_FILE * 10 {
        let mut mutated = archive.clone();
        // The directory is at the end.
        mutated.reverse();
        flip(&mut mutated, round, 700, &mut next);
        mutated.reverse();
        try_list(
            vec![("a.zip".into(), mutated)],
            &format!("archive round {round}"),
        );
    }
}

/// Pages and tags that lie on one another cost no more than the file is long.
#[test]
fn directories_on_top_of_each_other_end_soon() {
    // Every directory is the next two bytes of a file of one repeated pattern.
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    let mut entries = Vec::new();
    for tag in [254u16, 256, 257, 258, 259, 262, 273, 277, 278, 279] {
        entries.extend(tag.to_le_bytes());
        entries.extend(3u16.to_le_bytes());
        entries.extend(0x000F_FFFFu32.to_le_bytes());
        entries.extend(8u32.to_le_bytes());
    }
    for page in 0..4000u32 {
        bytes.extend(10u16.to_le_bytes());
        bytes.extend(&entries);
        bytes.extend((8 + (page + 1) * 126).to_le_bytes());
    }
    bytes.extend(vec![1; 2 << 20]);
    try_open(&bytes, "directories");
    try_list(vec![("a.tif".into(), bytes)], "directories");
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

/// Header and stream agree on 11 000 x 11 000 pixels, and the stream holds a few.
#[test]
fn streams_too_short_for_their_size_are_damaged() {
    let files = [
        ("dicom/MR_small_RLE.dcm", None),
        ("dicom/derived_jpeg_lossless_70.dcm", Some([0xFF, 0xC3])),
        ("dicom/JPGExtended.dcm", Some([0xFF, 0xC1])),
        ("dicom/SC_rgb_small_odd_jpeg.dcm", Some([0xFF, 0xC0])),
        ("dicom/derived_jpeg_progressive_55.dcm", Some([0xFF, 0xC2])),
        ("dicom/MR_small_jpeg_ls_lossless.dcm", Some([0xFF, 0xF7])),
        ("dicom/JPEG2000.dcm", Some([0xFF, 0x51])),
        ("regressions/JPEGLSNearLossless_16.dcm", Some([0xFF, 0xF7])),
    ];
    const SIDE: u16 = 11_000;
    for (name, start_of_frame) in files {
        let mut bytes = common::fixture(name);
        for tag in [[0x28, 0, 0x10, 0], [0x28, 0, 0x11, 0]] {
            let at = bytes.windows(4).position(|window| window == tag).unwrap();
            bytes[at + 8..at + 10].copy_from_slice(&SIDE.to_le_bytes());
        }
        if let Some(marker) = start_of_frame {
            let at = bytes.windows(2).rposition(|pair| pair == marker).unwrap();
            let sides: &[usize] = if marker == [0xFF, 0x51] {
                // Image and tile sizes of four bytes each.
                &[at + 8, at + 12, at + 24, at + 28]
            } else {
                &[at + 5, at + 7]
            };
            for &side in sides {
                bytes[side..side + 2].copy_from_slice(&SIDE.to_be_bytes());
            }
        }
        let started = Instant::now();
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.code(), "DICOM-FRAME-DAMAGED", "{name}: {error}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}");
    }
}

/// A stream that ends early inside a whole file: no codec fills the rest in silence.
#[test]
fn frames_that_end_early_are_damaged() {
    let files = [
        "dicom/MR_small_RLE.dcm",
        "dicom/derived_jpeg_lossless_70.dcm",
        "dicom/JPGExtended.dcm",
        "dicom/SC_rgb_jpeg_dcmtk.dcm",
        "dicom/derived_jpeg_progressive_55.dcm",
        "dicom/MR_small_jpeg_ls_lossless.dcm",
        "dicom/JPEG2000.dcm",
        "regressions/SC_rgb_jls_lossy_sample.dcm",
        "regressions/GDCMJ2K_TextGBR.dcm",
        "regressions/MR_small_jp2klossless.dcm",
    ];
    let mut opened = Vec::new();
    for name in files {
        let bytes = common::fixture(name);
        assert!(open(&bytes).is_ok(), "{name}");
        // The second item of the pixel data: behind the offset table.
        let items = |pair: &(usize, &[u8])| pair.1 == [0xFE, 0xFF, 0x00, 0xE0];
        let pixels = bytes
            .windows(4)
            .rposition(|tag| tag == [0xE0, 0x7F, 0x10, 0]);
        let fragment = bytes.windows(4).enumerate().filter(items);
        let start = fragment
            .map(|(at, _)| at)
            .filter(|&at| Some(at) > pixels)
            .nth(1)
            .unwrap();
        let length = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().unwrap()) as usize;
        for part in [3, 5, 7, 9] {
            let kept = length * part / 20 * 2;
            let mut cut = bytes[..start + 8 + kept].to_vec();
            cut[start + 4..start + 8].copy_from_slice(&(kept as u32).to_le_bytes());
            cut.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
            match open(&cut) {
                Err(error) => assert_eq!(error.code(), "DICOM-FRAME-DAMAGED", "{name} {part}"),
                Ok(_) => opened.push((name, part)),
            }
        }
    }
    assert!(opened.is_empty(), "{opened:?}");
}
