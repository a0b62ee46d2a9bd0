//! The outlines of a mask as polygons, and polygons as masks. Outlines run along the edges of pixels, drawn
//! in by a hundredth of a pixel: areas are those of the pixels, centres are inside or outside without doubt,
//! and readers that round points to pixels (OpenCV) come to the same ones. A hole is joined to its outline by
//! a channel without width, the keyhole of PS3.3 C.8.8.6.3.

use crate::runs::Runs;

/// Column and row; pixel centres are at whole numbers.
pub(crate) type Point = [f64; 2];

/// How far outlines are drawn in, in pixels.
const INSET: f64 = 0.01;

/// Where within the row of a pixel a channel runs: not through its centre.
const CHANNEL: f64 = 0.25;

/// A step along the edges of pixels with the mask at its right hand (rows count downwards).
type Corner = (i64, i64);

/// The closed polygons of a mask, one for each of its pieces (4-connected), holes joined to them.
pub(crate) fn polygons(runs: &Runs, width: usize) -> Vec<Vec<Point>> {
    let loops = loops(runs, width);
    let (mut outer, mut holes): (Vec<Outline>, Vec<Outline>) =
        loops.into_iter().partition(|outline| outline.area > 0.0);
    // From left to right: what a hole's channel meets first is then joined already.
    holes.sort_by(|a, b| a.leftmost().0.total_cmp(&b.leftmost().0));
    for hole in holes {
        join(&mut outer, hole);
    }
    outer.into_iter().map(|outline| outline.points).collect()
}

/// A closed outline.
struct Outline {
    points: Vec<Point>,
    /// In pixels, negative of a hole.
    area: f64,
}

impl Outline {
    /// Column and index of the left side's upper point.
    fn leftmost(&self) -> (f64, usize) {
        let mut best = (f64::INFINITY, f64::INFINITY, 0);
        for (index, &[x, y]) in self.points.iter().enumerate() {
            if x < best.0 - 1e-9 || (x < best.0 + 1e-9 && y < best.1) {
                best = (x, y, index);
            }
        }
        (best.0, best.2)
    }
}

/// Joins a hole to the outline that is met on the way to the left, by a channel there and back.
fn join(outer: &mut [Outline], hole: Outline) {
    let (x, at) = hole.leftmost();
    let Some(&[_, top]) = hole.points.get(at) else {
        return;
    };
    // The left side of the hole runs down from here through at least one row of pixels.
    let y = top.ceil() + CHANNEL;
    // The nearest upright edge to the left that the channel meets.
    let mut nearest: Option<(f64, usize, usize)> = None;
    for (index, outline) in outer.iter().enumerate() {
        for (edge, (a, b)) in edges(&outline.points).enumerate() {
            let (low, high) = (a[1].min(b[1]), a[1].max(b[1]));
            let upright = (a[0] - b[0]).abs() < 1e-9;
            if upright
                && low < y
                && y < high
                && a[0] < x
                && nearest.is_none_or(|(best, ..)| a[0] > best)
            {
                nearest = Some((a[0], index, edge));
            }
        }
    }
    let Some((meets, index, edge)) = nearest else {
        return;
    };
    let Some(outline) = outer.get_mut(index) else {
        return;
    };
    // The hole from the channel round to the channel.
    let start = edges(&hole.points).position(|(a, b)| {
        let (low, high) = (a[1].min(b[1]), a[1].max(b[1]));
        (a[0] - x).abs() < 1e-9 && (b[0] - x).abs() < 1e-9 && low < y && y < high
    });
    let Some(start) = start else {
        return;
    };
    let mut joined = vec![[meets, y], [x, y]];
    let count = hole.points.len();
    joined.extend((1..=count).filter_map(|step| hole.points.get((start + step) % count).copied()));
    joined.extend([[x, y], [meets, y]]);
    let place = (edge + 1).min(outline.points.len());
    outline.points.splice(place..place, joined);
}

fn edges(points: &[Point]) -> impl Iterator<Item = (Point, Point)> + '_ {
    let next = points.iter().skip(1).chain(points.first());
    points.iter().copied().zip(next.copied())
}

/// All outlines, outer ones clockwise as seen with rows downwards, holes the other way round.
fn loops(runs: &Runs, width: usize) -> Vec<Outline> {
    use std::collections::BTreeMap;
    // Upright edges from the ends of runs: down on the right side, up on the left side.
    let mut rows: BTreeMap<i64, Vec<(i64, i64)>> = BTreeMap::new();
    for (row, left, right) in runs.rows(width) {
        rows.entry(row as i64)
            .or_default()
            .push((left as i64, right as i64));
    }
    // Of every corner the corners that edges lead to from it.
    let mut edges: BTreeMap<Corner, Vec<Corner>> = BTreeMap::new();
    let mut add = |from: Corner, to: Corner| edges.entry(from).or_default().push(to);
    let none = Vec::new();
    for (&row, spans) in &rows {
        for &(left, right) in spans {
            add((right, row), (right, row + 1));
            add((left, row + 1), (left, row));
        }
        // Level edges where this row has pixels and the one above has none, and the reverse below.
        let above = rows.get(&(row - 1)).unwrap_or(&none);
        for (left, right) in uncovered(spans, above) {
            add((left, row), (right, row));
        }
        let below = rows.get(&(row + 1)).unwrap_or(&none);
        for (left, right) in uncovered(spans, below) {
            add((right, row + 1), (left, row + 1));
        }
    }
    let mut outlines = Vec::new();
    while let Some((&start, _)) = edges.first_key_value() {
        let mut corners = Vec::new();
        let (mut at, mut came) = (start, None);
        while let Some(to) = take(&mut edges, at, came) {
            corners.push(at);
            came = Some((at, to));
            at = to;
            if at == start {
                break;
            }
        }
        outlines.extend(outline(&corners));
    }
    outlines
}

/// Takes the edge that leads on from a corner. Where two do, pixels meet at the corner alone, and the turn
/// to the right stays with the same pixel.
fn take(
    edges: &mut std::collections::BTreeMap<Corner, Vec<Corner>>,
    at: Corner,
    came: Option<(Corner, Corner)>,
) -> Option<Corner> {
    let next = edges.get_mut(&at)?;
    let chosen = match came {
        Some((from, _)) if next.len() > 1 => {
            let (dx, dy) = (at.0 - from.0, at.1 - from.1);
            next.iter().position(|to| {
                let (ex, ey) = (to.0 - at.0, to.1 - at.1);
                dx * ey - dy * ex > 0
            })
        }
        _ => None,
    };
    let to = next.swap_remove(chosen.unwrap_or(0));
    if next.is_empty() {
        edges.remove(&at);
    }
    Some(to)
}

/// The parts of `spans` that no span of `others` covers.
fn uncovered(spans: &[(i64, i64)], others: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut parts = Vec::new();
    for &(left, right) in spans {
        let mut start = left;
        for &(first, last) in others {
            if last <= start || first >= right {
                continue;
            }
            if first > start {
                parts.push((start, first));
            }
            start = start.max(last);
        }
        if start < right {
            parts.push((start, right));
        }
    }
    parts
}

/// A loop of corners as points: corners at turns alone, drawn into the mask.
fn outline(corners: &[Corner]) -> Option<Outline> {
    let count = corners.len();
    let mut turns: Vec<(Corner, Corner, Corner)> = Vec::new();
    for (index, &at) in corners.iter().enumerate() {
        let before = *corners.get((index + count - 1) % count)?;
        let after = *corners.get((index + 1) % count)?;
        let (dx, dy) = ((at.0 - before.0).signum(), (at.1 - before.1).signum());
        let (ex, ey) = ((after.0 - at.0).signum(), (after.1 - at.1).signum());
        if (dx, dy) != (ex, ey) {
            turns.push((at, (dx, dy), (ex, ey)));
        }
    }
    let points: Vec<Point> = turns
        .iter()
        .map(|&((x, y), (dx, dy), (ex, ey))| {
            // Inside is at the right hand of a step (dx, dy): (-dy, dx) with rows downwards.
            let inside = (-dy - ey, dx + ex);
            [
                x as f64 - 0.5 + INSET * inside.0 as f64,
                y as f64 - 0.5 + INSET * inside.1 as f64,
            ]
        })
        .collect();
    let doubled: f64 = edges(&points).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum();
    (points.len() >= 4).then_some(Outline {
        points,
        area: doubled / 2.0,
    })
}

/// The pixels whose centres are inside of an odd number of the polygons, as holes drawn as polygons of their
/// own need. A centre on an edge belongs to the side that is to the right of it.
pub(crate) fn fill(polygons: &[Vec<Point>], width: usize, height: usize) -> Runs {
    let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); height];
    for polygon in polygons {
        for (a, b) in edges(polygon) {
            let (low, high) = if a[1] < b[1] { (a, b) } else { (b, a) };
            let first = low[1].ceil().max(0.0);
            let last = (high[1].ceil() - 1.0).min(height as f64 - 1.0);
            // A level edge, and one that passes no centre, has none.
            for row in first as i64..=last as i64 {
                let Ok(row) = usize::try_from(row) else {
                    continue;
                };
                let part = (row as f64 - low[1]) / (high[1] - low[1]);
                let x = low[0] + part * (high[0] - low[0]);
                if let Some(row) = crossings.get_mut(row) {
                    row.push(x);
                }
            }
        }
    }
    let mut runs = Vec::new();
    for (row, mut at) in crossings.into_iter().enumerate() {
        at.sort_by(f64::total_cmp);
        for pair in at.chunks_exact(2) {
            let &[enter, leave] = pair else { continue };
            let start = enter.ceil().clamp(0.0, width as f64) as usize;
            let end = leave.ceil().clamp(0.0, width as f64) as usize;
            if start < end {
                runs.push(crate::runs::Run {
                    start: (row * width + start) as u32,
                    end: (row * width + end) as u32,
                });
            }
        }
    }
    Runs::of_sorted(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(points: &[Point]) -> f64 {
        edges(points)
            .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
            .sum::<f64>()
            / 2.0
    }

    /// Every mask of 4 x 4 pixels: corners that touch, holes, holes in holes' neighbours.
    #[test]
    fn every_small_mask_comes_back_from_its_polygons() {
        for bits in 0u32..1 << 16 {
            let runs = Runs::of_bits((0..16).map(|at| bits >> at & 1 == 1));
            let polygons = polygons(&runs, 4);
            assert_eq!(fill(&polygons, 4, 4), runs, "{bits:016b}");
            let total: f64 = polygons.iter().map(|points| area(points)).sum();
            assert!(
                (total - f64::from(bits.count_ones())).abs() < 0.5,
                "{bits:016b} {total}"
            );
        }
    }

    #[test]
    fn rings_within_rings_come_back() {
        let width = 31;
        let ring = |x: f64, y: f64| {
            let r = (x - 14.0).hypot(y - 15.0);
            (2.0..5.0).contains(&r) || (7.0..10.0).contains(&r) || (12.0..14.0).contains(&r)
        };
        let runs = Runs::of_bits(
            (0..width * width).map(|at| ring((at % width) as f64, (at / width) as f64)),
        );
        let polygons = polygons(&runs, width);
        assert_eq!(polygons.len(), 3);
        assert_eq!(fill(&polygons, width, width), runs);
    }
}
