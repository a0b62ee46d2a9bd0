//! The largest diameter of a mask in its picture and the extent at right angles to it, in the units of the
//! spacing. Between points of the outline half a pixel from the centres of its pixels, where marching squares
//! puts it: a single square pixel measures 1 x 1, and a disc neither gains nor loses a pixel.

use crate::runs::Runs;

type Point = [f64; 2];

/// Long and short axis of a mask on pictures `width` pixels wide; `spacing` between columns and rows.
/// `None` without a pixel.
pub(crate) fn axes(runs: &Runs, width: usize, [across, down]: [f64; 2]) -> Option<[f64; 2]> {
    let mut points: Vec<Point> = Vec::new();
    for (row, left, right) in runs.rows(width) {
        let (y, left, last) = (row as f64, left as f64, right as f64 - 1.0);
        for (x, y) in [
            (left - 0.5, y),
            (last + 0.5, y),
            (left, y - 0.5),
            (last, y - 0.5),
            (left, y + 0.5),
            (last, y + 0.5),
        ] {
            points.push([x * across, y * down]);
        }
    }
    let hull = convex_hull(points);
    let mut longest: Option<(f64, Point)> = None;
    for (index, a) in hull.iter().enumerate() {
        for b in hull.iter().skip(index + 1) {
            let step = minus(*b, *a);
            let length = step[0].hypot(step[1]);
            if longest.is_none_or(|(so_far, _)| length > so_far) {
                longest = Some((length, step));
            }
        }
    }
    let (long, [x, y]) = longest?;
    let beside = |[a, b]: &Point| (a * -y + b * x) / long;
    let extent = hull
        .iter()
        .map(beside)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    Some([long, extent.1 - extent.0])
}

fn minus([a, b]: Point, [c, d]: Point) -> Point {
    [a - c, b - d]
}

/// Andrew's monotone chain.
fn convex_hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain.as_slice() {
                let (first, second) = (minus(*b, *a), minus(point, *a));
                if first[0] * second[1] - first[1] * second[0] > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_measures_itself_and_a_bar_its_length() {
        let runs = Runs::of_bits([false, true, false, false].into_iter());
        assert_eq!(axes(&runs, 4, [1.0, 1.0]), Some([1.0, 1.0]));
        let bar = Runs::of_bits([false, true, true, true].into_iter());
        let [long, short] = axes(&bar, 4, [0.5, 2.0]).unwrap();
        // From the middle of the lower side of one end to that of the upper side of the other.
        assert!((long - 2.0f64.hypot(1.0)).abs() < 1e-12, "{long}");
        assert!(short > 0.0);
        assert_eq!(axes(&Runs::default(), 4, [1.0, 1.0]), None);
    }
}
