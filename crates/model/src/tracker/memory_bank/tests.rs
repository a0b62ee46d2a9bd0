//! Selections beside those that Meta's own code made, `tests/parity/memory_selection.json`.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    frame_idx: usize,
    num_frames: usize,
    reverse: bool,
    cond: Vec<usize>,
    scores: BTreeMap<String, f32>,
    selection: bool,
    result: Expected,
}

#[derive(Deserialize)]
struct Expected {
    spatial_frames: Vec<usize>,
    spatial_tpos_row: Vec<usize>,
    ptr_frames: Vec<usize>,
    ptr_pos: Vec<usize>,
    ptr_divisor: Vec<usize>,
}

fn cases() -> Vec<Case> {
    let json = include_str!("../../../../../tests/parity/memory_selection.json");
    serde_json::from_str::<File>(json).expect("JSON").cases
}

fn bank(case: &Case) -> MemoryBank<()> {
    let mut bank = MemoryBank::default();
    for frame in &case.cond {
        bank.insert_prompted(*frame, ());
    }
    for (frame, score) in &case.scores {
        bank.insert_tracked(frame.parse().expect("a frame"), (), *score);
    }
    bank
}

#[test]
fn frames_are_those_that_metas_code_looks_back_at() {
    let cases = cases();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let config = MemoryConfig {
            selection: case.selection,
            ..MemoryConfig::default()
        };
        let moment = Moment {
            frame: case.frame_idx,
            frames: case.num_frames,
            reverse: case.reverse,
        };
        let selection = bank(&case).select(moment, &config);
        let pairs = |a: &[usize], b: &[usize]| -> Vec<(usize, usize)> {
            a.iter().copied().zip(b.iter().copied()).collect()
        };
        let expected = &case.result;
        assert_eq!(
            selection.spatial,
            pairs(&expected.spatial_frames, &expected.spatial_tpos_row),
            "{}",
            case.name
        );
        assert_eq!(
            selection.pointers,
            pairs(&expected.ptr_frames, &expected.ptr_pos),
            "{}",
            case.name
        );
        if let Some(divisor) = expected.ptr_divisor.first() {
            assert_eq!(selection.pointer_divisor, *divisor, "{}", case.name);
        }
    }
}

/// A bank that forgets selects the same as one that does not, over a long sequence with good and bad frames.
#[test]
fn forgetting_changes_no_selection() {
    for selection in [true, false] {
        let config = MemoryConfig {
            selection,
            ..MemoryConfig::default()
        };
        let (mut whole, mut short) = (MemoryBank::default(), MemoryBank::default());
        whole.insert_prompted(0, ());
        short.insert_prompted(0, ());
        for frame in 1..200 {
            let moment = Moment {
                frame,
                frames: 200,
                reverse: false,
            };
            assert_eq!(
                whole.select(moment, &config),
                short.select(moment, &config),
                "frame {frame}"
            );
            let score = if frame % 7 < 3 || (60..90).contains(&frame) {
                0.0
            } else {
                0.5
            };
            whole.insert_tracked(frame, (), score);
            short.insert_tracked(frame, (), score);
            let next = Moment {
                frame: frame + 1,
                ..moment
            };
            short.forget_before(next, &config);
        }
        assert!(short.tracked.len() <= 2 * config.pointers);
    }
}
