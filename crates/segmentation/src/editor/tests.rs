//! One history: whatever is done can be taken back and brought back, to the same document.

use super::*;
use crate::origin::Origin;
use crate::{fill_holes, keep_largest, union};

const GRID: Grid = Grid {
    columns: 8,
    rows: 6,
    slices: 5,
    frames: 1,
};

fn at(slice: usize) -> Place {
    Place { slice, frame: 0 }
}

fn pixels(range: std::ops::Range<usize>) -> Runs {
    Runs::of_bits((0..48).map(|pixel| range.contains(&pixel)))
}

fn model(prompt: &str) -> Origin {
    Origin::of_model("default", "abc", prompt)
}

/// Numbers that look random and are the same every time (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count
    }
}

fn some_id(editor: &Editor, numbers: &mut Numbers) -> Option<SegmentId> {
    let ids: Vec<SegmentId> = editor.segments().map(|(id, ..)| id).collect();
    (!ids.is_empty()).then(|| ids[numbers.below(ids.len())])
}

/// One of all that can be done.
fn do_something(editor: &mut Editor, numbers: &mut Numbers) {
    let start = numbers.below(40);
    let runs = pixels(start..start + 1 + numbers.below(8));
    let place = at(numbers.below(GRID.slices));
    let id = some_id(editor, numbers);
    match (numbers.below(9), id) {
        (0 | 1, _) | (_, None) => {
            let prompt = ["liver", "spleen"][numbers.below(2)];
            let origins = vec![model(prompt), model("tumor")];
            let ids = editor.begin_run(origins, OnProtected::Add).unwrap();
            for &id in &ids {
                editor
                    .take(id, place, runs.clone(), |origin| origin.score = Some(0.5))
                    .unwrap();
            }
            // A person works while the run goes on, and what the run brings then lies below.
            if numbers.below(2) == 0 {
                let _ = editor.paint(ids[0], at(0), &pixels(0..3), false).unwrap();
                let _ = editor.undo().unwrap_or_default();
                editor.take(ids[1], at(4), pixels(9..12), |_| {}).unwrap();
            }
            editor.end_run();
        }
        (2, Some(id)) => drop(editor.paint(id, place, &runs, false).unwrap()),
        (3, Some(id)) => drop(editor.paint(id, place, &runs, true).unwrap()),
        (4, Some(id)) => editor
            .change(id, Some(format!("name {start}")), None)
            .unwrap(),
        (5, Some(id)) => drop(editor.delete(id).unwrap()),
        (6, Some(id)) => drop(
            editor
                .edit(StepKind::KeepLargest, id, keep_largest)
                .unwrap(),
        ),
        (7, Some(id)) => drop(editor.edit(StepKind::FillHoles, id, fill_holes).unwrap()),
        (_, Some(id)) => {
            let other = some_id(editor, numbers).unwrap();
            let other = editor.index(other).unwrap();
            editor
                .edit(StepKind::Union, id, |document, index| {
                    union(document, index, other)
                })
                .unwrap();
        }
    }
}

#[test]
fn fifty_steps_come_back_and_return_to_the_same_document() {
    for seed in 0..20 {
        let mut numbers = Numbers(seed);
        let mut editor = Editor::on(GRID);
        let empty = editor.segmentation().clone();
        while editor.done.len() < 50 {
            do_something(&mut editor, &mut numbers);
        }
        let steps = editor.done.len();
        let mut states = vec![editor.segmentation().clone()];
        while editor.undo_step().is_some() {
            editor.undo().unwrap();
            states.push(editor.segmentation().clone());
        }
        assert_eq!(states.len(), steps + 1);
        assert_eq!(states.pop(), Some(empty), "seed {seed}");
        while let Some(expected) = states.pop() {
            editor.redo().unwrap();
            assert_eq!(editor.segmentation(), &expected, "seed {seed}");
        }
    }
}

#[test]
fn a_run_never_takes_what_a_person_made() {
    let mut editor = Editor::on(GRID);
    let run = |editor: &mut Editor, on| editor.begin_run(vec![model("Liver")], on);
    let liver = run(&mut editor, OnProtected::Refuse).unwrap()[0];
    editor.take(liver, at(1), pixels(0..9), |_| {}).unwrap();
    // While it goes on: a stroke on a picture that the run has yet to come to.
    editor.paint(liver, at(2), &pixels(3..4), false).unwrap();
    let taken = editor.take(liver, at(2), pixels(0..9), |_| {}).unwrap();
    assert_eq!(taken, Taken::LeftAlone);
    editor.undo().unwrap();
    assert_eq!(
        editor.undo().unwrap_err().code(),
        "RUN-UNDER-WAY",
        "the run itself is not taken back while it adds to its step"
    );
    editor.end_run();

    // The same words again go into the same segment, and a corrected one is asked about.
    assert_eq!(run(&mut editor, OnProtected::Refuse).unwrap(), [liver]);
    editor.end_run();
    assert_eq!(editor.undo_step().unwrap().0, StepKind::Run);
    assert_eq!(editor.done.len(), 1, "a run without a mask leaves no step");
    editor.paint(liver, at(1), &pixels(20..22), false).unwrap();
    let (_, _, segment) = editor.segments().next().unwrap();
    assert_eq!(segment.origin.method, crate::Method::Semiautomatic);
    let refused = run(&mut editor, OnProtected::Refuse).unwrap_err();
    assert_eq!(refused.code(), "SEGMENT-PROTECTED");
    let beside = run(&mut editor, OnProtected::Add).unwrap()[0];
    assert_ne!(beside, liver);
    editor.end_run();
    editor.undo().unwrap();
    assert_eq!(run(&mut editor, OnProtected::Replace).unwrap(), [liver]);
    editor.set_locked(liver, true).unwrap();
    let taken = editor.take(liver, at(1), pixels(0..2), |_| {}).unwrap();
    assert_eq!(taken, Taken::LeftAlone);
    editor.end_run();
    let refused = run(&mut editor, OnProtected::Replace).unwrap_err();
    assert_eq!(refused.code(), "SEGMENT-LOCKED");
    let stroke = editor.paint(liver, at(1), &pixels(0..2), true).unwrap_err();
    assert_eq!(stroke.code(), "SEGMENT-LOCKED");
}

#[test]
fn masks_of_a_deleted_segment_are_dropped() {
    let mut editor = Editor::on(GRID);
    let ids = editor
        .begin_run(vec![model("liver"), model("spleen")], OnProtected::Refuse)
        .unwrap();
    editor.take(ids[0], at(0), pixels(0..4), |_| {}).unwrap();
    editor.delete(ids[0]).unwrap();
    let taken = editor.take(ids[0], at(1), pixels(0..4), |_| {}).unwrap();
    assert_eq!(taken, Taken::Gone);
    editor.take(ids[1], at(1), pixels(0..4), |_| {}).unwrap();
    editor.end_run();
    let after = editor.segmentation().clone();
    let back = editor.undo().unwrap();
    assert_eq!((back[0].segment, back[0].place), (ids[0], at(0)));
    editor.undo().unwrap();
    assert!(editor.segmentation().segments().is_empty());
    editor.redo().unwrap();
    editor.redo().unwrap();
    assert_eq!(editor.segmentation(), &after);
}
