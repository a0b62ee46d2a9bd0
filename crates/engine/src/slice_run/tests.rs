//! A run over a volume of six slices: what comes out, what a cancel leaves, what a damaged picture costs.

use std::sync::Arc;

use medsam3_imaging::series::{MemorySource, Volume, Voxels, find};
use medsam3_imaging::{Affine, write_nifti};
use pollster::block_on;

use super::*;
use crate::Stage;
use crate::fixture::{ALL, Fixture};

const SIDE: usize = 24;
const SLICES: usize = 6;

/// A bright square that moves to the right from slice to slice.
fn values() -> Vec<i16> {
    let at = |index: usize| {
        let (slice, row, column) = (index / (SIDE * SIDE), index / SIDE % SIDE, index % SIDE);
        let inside = (4..12).contains(&row) && (2 * slice..2 * slice + 8).contains(&column);
        if inside {
            1000
        } else {
            (row * 3 + column) as i16
        }
    };
    (0..SLICES * SIDE * SIDE).map(at).collect()
}

fn series() -> Series {
    let volume = Volume {
        columns: SIDE,
        rows: SIDE,
        slices: SLICES,
        frames: 1,
        voxels: Voxels::I16(values()),
        affine: Some(Affine::from_steps(
            [0.5, 0.0, 0.0],
            [0.0, 0.75, 0.0],
            [0.0, 0.0, 2.0],
            [0.0; 3],
        )),
        spacing_mm: [Some(0.5), Some(0.75), Some(2.0)],
        missing: Vec::new(),
    };
    let mut packed = Vec::new();
    write_nifti(&volume, &mut packed).unwrap();
    let source = MemorySource::new("volume.nii.gz", packed);
    let mut listing = find(vec![Arc::new(source)]);
    assert_eq!(listing.series.len(), 1, "{:?}", listing.failures);
    listing.series.remove(0)
}

fn request(slices: Vec<usize>) -> SliceRequest {
    let place = |slice| Place { slice, frame: 0 };
    SliceRequest {
        pictures: slices.into_iter().map(place).collect(),
        prompts: vec!["polyp".to_owned(), "left lung".to_owned()],
        options: ALL,
        ..SliceRequest::default()
    }
}

#[test]
fn every_slice_is_encoded_once_and_answers_as_it_does_alone() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let series = series();
    let mut run = SliceRun::new(&segmenter, &series, request(vec![4, 1]));
    assert_eq!(run.progress(), (0, 2));
    let first = block_on(run.next(&fixture.control)).unwrap().unwrap();
    assert_eq!(run.progress(), (1, 2));
    let second = block_on(run.next(&fixture.control)).unwrap().unwrap();
    assert!(block_on(run.next(&fixture.control)).is_none());
    assert_eq!((first.place.slice, second.place.slice), (4, 1));
    assert_eq!(segmenter.work().images_encoded, 2);
    assert_eq!(segmenter.work().texts_encoded, 2);
    assert_eq!(first.spacing_mm, Some([0.75, 0.5]));
    assert!(first.window.is_some());
    let (picture, frame) = series.open(1, 0).unwrap();
    let image = picture.render(frame, None).unwrap();
    let alone = fixture.encode(&segmenter, &image).unwrap();
    for (answer, prompt) in second.answers.iter().zip(["polyp", "left lung"]) {
        let expected = fixture.prompt(&segmenter, &alone, prompt).unwrap();
        assert_eq!(answer.mask, expected.mask);
        assert_eq!(answer.presence, expected.presence);
    }
    assert_ne!(first.answers[0].mask, second.answers[0].mask);
}

#[test]
fn a_cancelled_run_goes_on_where_it_stopped() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let series = series();
    let mut run = SliceRun::new(&segmenter, &series, request((0..SLICES).collect()));
    block_on(run.next(&fixture.control)).unwrap().unwrap();
    fixture.control.cancel.cancel();
    for _ in 0..2 {
        let stopped = block_on(run.next(&fixture.control)).unwrap().unwrap_err();
        assert!(matches!(
            stopped,
            SliceError::Engine(EngineError::Cancelled)
        ));
        assert_eq!(run.progress(), (1, SLICES));
    }
    fixture.control.cancel.reset();
    let mut slices = Vec::new();
    while let Some(result) = block_on(run.next(&fixture.control)) {
        slices.push(result.unwrap().place.slice);
    }
    assert_eq!(slices, [1, 2, 3, 4, 5]);
}

#[test]
fn a_slice_that_is_not_there_is_said_and_the_others_go_on() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let series = series();
    let mut run = SliceRun::new(&segmenter, &series, request(vec![0, SLICES, 2]));
    let mut found = Vec::new();
    while let Some(result) = block_on(run.next(&fixture.control)) {
        found.push(match result {
            Ok(result) => Ok(result.place.slice),
            Err(error) => Err(error.to_string()),
        });
    }
    assert_eq!(found[0], Ok(0));
    assert!(
        found[1]
            .as_ref()
            .is_err_and(|said| said.starts_with("Slice 7: "))
    );
    assert_eq!(found[2], Ok(2));
}

#[test]
fn a_second_prompt_finds_the_embeddings_of_the_first() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let series = series();
    let cache = RefCell::new(EmbeddingCache::new(1 << 20, false));
    let mut masks = Vec::new();
    for _ in 0..2 {
        let run = SliceRun::new(&segmenter, &series, request(vec![2, 3]));
        let mut run = run.keeping(&cache, 7);
        while let Some(result) = block_on(run.next(&fixture.control)) {
            masks.push(result.unwrap().answers.remove(0).mask);
        }
    }
    assert_eq!(segmenter.work().images_encoded, 2);
    assert_eq!(cache.borrow().usage().slices, 2);
    assert_eq!(masks[..2], masks[2..]);
}

#[test]
fn a_further_prompt_on_the_slice_in_view_does_no_work_on_the_image() {
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let series = series();
    // Without a budget too: the slice in view is outside it.
    let cache = RefCell::new(EmbeddingCache::new(0, false));
    let mut masks = Vec::new();
    for looked_at in [true, false] {
        fixture.stages();
        let run = SliceRun::new(&segmenter, &series, request(vec![2]));
        let mut run = run.keeping(&cache, 7);
        let result = block_on(run.next(&fixture.control)).unwrap();
        masks.push(result.unwrap().answers.remove(0).mask);
        let stages = fixture.stages();
        assert_eq!(stages.contains(&Stage::EncodingImage), looked_at);
    }
    assert_eq!(masks[0], masks[1]);
}
