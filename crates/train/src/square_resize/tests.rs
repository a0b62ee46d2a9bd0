use std::collections::BTreeMap;

use image::imageops::{FilterType, resize};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::target::{Objects, SUBCELLS, Target};

const PAPER: SquareResize = SquareResize {
    smallest: 480,
    step: 32,
    of: 1008,
};

fn drawn(seed: u64, config: SquareResize, full: usize, count: usize) -> Vec<Placement> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let draw = |_| Placement::random(&mut rng, &config, full);
    (0..count).map(draw).collect()
}

/// Python: `list(range(480, 1009, 32))`, each as often, at every offset that leaves the picture whole.
#[test]
fn sides_are_those_of_the_reference_and_equally_likely() {
    let placements = drawn(1, PAPER, 1008, 17 * 400);
    let mut sides = BTreeMap::new();
    let mut first = [0, 0];
    for Placement { side, at, full } in &placements {
        assert!(at.iter().all(|at| at + side <= *full));
        *sides.entry(*side).or_insert(0) += 1;
        first[0] += usize::from(2 * at[0] < full - side);
        first[1] += usize::from(2 * at[1] < full - side);
    }
    let expected: Vec<usize> = (480..1009).step_by(32).collect();
    assert_eq!(sides.keys().copied().collect::<Vec<_>>(), expected);
    // Five standard errors of 400.
    assert!(
        sides.values().all(|&n: &i32| (n - 400).abs() < 100),
        "{sides:?}"
    );
    // Padding is on both sides of each axis, as often more on the one as on the other.
    assert!(first.iter().all(|n| (3100..3700).contains(n)), "{first:?}");
    assert_eq!(placements, drawn(1, PAPER, 1008, 17 * 400));
    assert_ne!(placements, drawn(2, PAPER, 1008, 17 * 400));
}

#[test]
fn sides_follow_the_side_of_the_run() {
    for Placement { side, at, full } in drawn(3, PAPER, 252, 500) {
        assert!((120..=248).contains(&side) && side % 8 == 0, "{side}");
        assert!(at.iter().all(|at| at + side <= full));
    }
    let whole = SquareResize {
        smallest: 7,
        step: 1,
        of: 7,
    };
    for placement in drawn(4, whole, 56, 10) {
        assert_eq!((placement.side, placement.at), (56, [0, 0]));
        let picture = ramp(56);
        let view = placement.whole(View::WHOLE);
        assert_eq!(view, View::WHOLE);
        assert!(matches!(placement.shrink(&picture), Cow::Borrowed(_)));
    }
}

fn ramp(side: usize) -> Raster<u8> {
    let value = |at: usize| 100 + (at % side * 50 / side + at / side * 50 / side) as u8;
    Raster {
        side,
        channels: 1,
        values: (0..side * side).map(value).collect(),
    }
}

/// Where nothing else is changed the picture is the one that a resize and a paste of the `image` crate give, to a hundredth of
/// a grey level, and what is around it is black.
#[test]
fn the_picture_is_resized_and_laid_down() {
    let picture = ramp(112);
    let source = image::GrayImage::from_raw(112, 112, picture.values.clone()).expect("a picture");
    for placement in drawn(5, PAPER, 112, 12) {
        let small = resize(
            &source,
            placement.side as u32,
            placement.side as u32,
            FilterType::Triangle,
        );
        let mut expected = image::GrayImage::new(112, 112);
        let [x, y] = placement.at.map(|at| at as i64);
        image::imageops::replace(&mut expected, &small, x, y);
        let shown = placement.image(View::WHOLE, &picture);
        for (at, (found, expected)) in shown.iter().zip(expected.as_raw()).enumerate() {
            let off = (found * 255.0 - f32::from(*expected)).abs();
            assert!(off < 0.01, "{placement:?} at {at}: {found} of {expected}");
        }
    }
}

/// A bright block on grey: the box and the mask of the label are where the picture is bright, under crops and mirrors too.
#[test]
fn boxes_and_masks_follow_the_picture() {
    let (full, grid) = (224, 64);
    let block = |at: usize| (60..140).contains(&(at % full)) && (30..100).contains(&(at / full));
    let raster = |inside: u8, outside: u8| Raster {
        side: full,
        channels: 1,
        values: (0..full * full)
            .map(|at| if block(at) { inside } else { outside })
            .collect(),
    };
    let (picture, labels) = (raster(250, 80), raster(1, 0));
    let mirrored = View {
        centre: [0.5, 0.5],
        matrix: [-1.0, 0.0, 0.0, 1.0],
    };
    let cropped = View {
        centre: [0.45, 0.4],
        matrix: [0.8, 0.0, 0.0, 0.7],
    };
    for base in [View::WHOLE, mirrored, cropped] {
        for placement in drawn(6, PAPER, full, 20) {
            let shown = placement.image(base, &picture);
            let map = placement.map(base, &labels, grid * SUBCELLS);
            let target = Target::new(&map, None, &[1], Objects::Union, grid);
            let bright = |at: &usize| shown[*at] > 165.0 / 255.0;
            let bright: Vec<usize> = (0..full * full).filter(bright).collect();
            let bounds = |of: fn(usize, usize) -> usize| {
                let places = || bright.iter().map(|&at| of(at, full));
                let (low, high) = (
                    places().min().expect("bright"),
                    places().max().expect("bright"),
                );
                [low as f32 / full as f32, (high + 1) as f32 / full as f32]
            };
            let ([x0, x1], [y0, y1]) = (bounds(|at, side| at % side), bounds(|at, side| at / side));
            let expected = [(x0 + x1) / 2.0, (y0 + y1) / 2.0, x1 - x0, y1 - y0];
            assert_eq!(target.boxes.len(), 1);
            for (found, expected) in target.boxes[0].iter().zip(expected) {
                let off = (found - expected).abs() * full as f32;
                assert!(off < 2.0, "{placement:?}: box off by {off} pixels");
            }
            let area = target.semantic.iter().sum::<f32>() / (grid * grid) as f32;
            let seen = bright.len() as f32 / (full * full) as f32;
            assert!(
                (area - seen).abs() < 0.03 * seen,
                "{placement:?}: {area} of {seen}"
            );
            // Grey is picture, black is padding.
            let black = shown[..full * full].iter().filter(|&&v| v == 0.0).count();
            let around = full * full - placement.side * placement.side;
            assert_eq!(black, around, "{placement:?}");
        }
    }
}
