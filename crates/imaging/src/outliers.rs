//! The window of gray values that come without one. It spans them all, as viewers do, unless a few pixels lie so
//! far out (a hot pixel, a burnt-in marker) that everything else would be one shade; those are then left out.

use crate::Window;

/// Part of the pixels that may lie outside, per side.
const OUTLIERS: f64 = 0.001;
/// The full range has to be wider than the others' by this factor before any are left out.
const FACTOR: f32 = 8.0;

/// A window and whether it leaves values out.
pub(crate) fn window(values: &[f32], range: (f32, f32)) -> (Window, bool) {
    let (low, high) = range;
    let whole = (Window::from_range(low, high), false);
    let mut inside: Vec<f32> = values
        .iter()
        .copied()
        .filter(|value| (low..=high).contains(value))
        .collect();
    let Some(last) = inside.len().checked_sub(1) else {
        return whole;
    };
    let cut = (inside.len() as f64 * OUTLIERS) as usize;
    let mut at = |index: usize| {
        let (_, value, _) = inside.select_nth_unstable_by(index, f32::total_cmp);
        *value
    };
    let (from, to) = (at(cut.min(last)), at(last.saturating_sub(cut)));
    // Each end by itself: a marker is bright, and black is still black.
    let spread = to - from;
    let far = |distance: f32| spread > 0.0 && distance > spread * (FACTOR - 1.0);
    let bounds = (
        if far(from - low) { from } else { low },
        if far(high - to) { to } else { high },
    );
    if bounds == range {
        whole
    } else {
        (Window::from_range(bounds.0, bounds.1), true)
    }
}

#[cfg(test)]
mod tests {
    use super::window;
    use crate::Window;

    #[test]
    fn a_hot_pixel_is_left_out_and_a_bright_structure_is_not() {
        let ramp: Vec<f32> = (0..10_000).map(|i| (i % 1000) as f32).collect();
        let mut hot = ramp.clone();
        hot[77] = 65_535.0;
        let (shown, left_out) = window(&hot, (0.0, 65_535.0));
        assert!(left_out);
        assert_eq!(shown.bounds().0, 0.0);
        assert!((999.0..1001.0).contains(&shown.bounds().1), "{shown:?}");
        // One pixel in a hundred is a structure.
        let mut metal = ramp.clone();
        metal[..100].fill(65_535.0);
        let whole = (Window::from_range(0.0, 65_535.0), false);
        assert_eq!(window(&metal, (0.0, 65_535.0)), whole);
        assert_eq!(
            window(&ramp, (0.0, 999.0)).0,
            Window::from_range(0.0, 999.0)
        );
    }

    #[test]
    fn flat_and_empty_pictures_have_a_window() {
        assert!(!window(&[5.0; 64], (5.0, 5.0)).1);
        assert!(!window(&[], (0.0, 0.0)).1);
        assert!(!window(&[f32::NAN, 1.0], (1.0, 1.0)).1);
    }
}
