//! Polygons and run lengths of COCO to pixels, bit by bit as pycocotools does (Lin et al. 2014; `maskApi`): corners are laid on a grid five
//! times as fine, and runs go down the columns.

/// Corners per pixel and axis that a polygon is traced on.
const FINE: f64 = 5.0;
/// Coordinates farther out than this many image sides are damage and would take memory for their length.
const FARTHEST: f64 = 16.0;

/// The pixels inside of a polygon `x0 y0 x1 y1 ...`, `[height, width]`.
///
/// # Errors
/// Fewer than three corners, an odd number of coordinates, coordinates far outside.
pub(super) fn fill(corners: &[f64], width: usize, height: usize) -> Result<Vec<bool>, String> {
    let (pairs, rest) = corners.as_chunks::<2>();
    if pairs.len() < 3 || !rest.is_empty() {
        return Err(format!("a polygon has {} coordinates", corners.len()));
    }
    let limit = FARTHEST * (width.max(height) as f64 + 64.0);
    if !corners.iter().all(|value| value.abs() < limit) {
        return Err("a corner of a polygon is far outside of its image".to_owned());
    }
    let fine: Vec<[i64; 2]> = pairs
        .iter()
        .map(|pair| pair.map(|value| (FINE * value + 0.5) as i64))
        .collect();
    let mut boundary: Vec<[i64; 2]> = Vec::new();
    for (&start, &end) in fine.iter().zip(fine.iter().cycle().skip(1)) {
        trace(start, end, &mut boundary);
    }
    let mut edges: Vec<usize> = Vec::new();
    for (&[u0, v0], &[u1, v1]) in boundary.iter().zip(boundary.iter().skip(1)) {
        if u0 == u1 {
            continue;
        }
        let left = if u1 < u0 { u1 } else { u1 - 1 };
        let x = (left as f64 + 0.5) / FINE - 0.5;
        if x.floor() != x || x < 0.0 || x > width as f64 - 1.0 {
            continue;
        }
        let y = ((v0.min(v1) as f64 + 0.5) / FINE - 0.5)
            .clamp(0.0, height as f64)
            .ceil();
        edges.push(x as usize * height + y as usize);
    }
    edges.sort_unstable();
    let mut toggled = vec![false; width * height];
    let (mut inside, mut next) = (false, edges.iter().peekable());
    for place in 0..width * height {
        while next.next_if(|edge| **edge <= place).is_some() {
            inside = !inside;
        }
        set(&mut toggled, place, width, height, inside);
    }
    Ok(toggled)
}

/// Points of a line, one for each step of its longer side.
fn trace([mut xs, mut ys]: [i64; 2], [mut xe, mut ye]: [i64; 2], out: &mut Vec<[i64; 2]>) {
    let (dx, dy) = ((xe - xs).abs(), (ye - ys).abs());
    let flip = (dx >= dy && xs > xe) || (dx < dy && ys > ye);
    if flip {
        (xs, xe, ys, ye) = (xe, xs, ye, ys);
    }
    let steps = dx.max(dy);
    let slope = match (dx >= dy, steps) {
        (_, 0) => 0.0,
        (true, _) => (ye - ys) as f64 / dx as f64,
        (false, _) => (xe - xs) as f64 / dy as f64,
    };
    for step in 0..=steps {
        let along = if flip { steps - step } else { step };
        let across = |start: i64| (start as f64 + slope * along as f64 + 0.5) as i64;
        out.push(if dx >= dy {
            [along + xs, across(ys)]
        } else {
            [across(xs), along + ys]
        });
    }
}

/// The pixels of run lengths that alternate between outside and inside, down the columns.
///
/// # Errors
/// Runs that do not add up to the image.
pub(super) fn runs(counts: &[u64], width: usize, height: usize) -> Result<Vec<bool>, String> {
    let total: u64 = counts.iter().fold(0, |sum, run| sum.saturating_add(*run));
    if total != (width * height) as u64 {
        return Err(format!(
            "run lengths add up to {total}, not to {width} x {height} pixels"
        ));
    }
    let mut pixels = vec![false; width * height];
    let mut place = 0;
    for (at, &run) in counts.iter().enumerate() {
        for _ in 0..run {
            set(&mut pixels, place, width, height, at % 2 == 1);
            place += 1;
        }
    }
    Ok(pixels)
}

/// Run lengths of COCO's compressed string: six bits a character, every count but the first three as a difference to that two before.
///
/// # Errors
/// Characters that do not belong to it.
pub(super) fn decompress(text: &str) -> Result<Vec<u64>, String> {
    let bad = || "a compressed run length is damaged".to_owned();
    let mut counts: Vec<i64> = Vec::new();
    let mut characters = text.bytes();
    while let Some(mut character) = characters.next() {
        let (mut value, mut shift) = (0_i64, 0_u32);
        loop {
            let bits = i64::from(
                character
                    .checked_sub(48)
                    .filter(|bits| *bits < 64)
                    .ok_or_else(bad)?,
            );
            value |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            character = characters.next().filter(|_| shift < 50).ok_or_else(bad)?;
        }
        if counts.len() > 2 {
            value = value.saturating_add(counts.get(counts.len() - 2).copied().unwrap_or_default());
        }
        counts.push(value);
    }
    counts
        .into_iter()
        .map(|count| u64::try_from(count).map_err(|_negative| bad()))
        .collect()
}

/// Place down the columns to place along the rows.
fn set(pixels: &mut [bool], place: usize, width: usize, height: usize, value: bool) {
    let at = (place % height.max(1)) * width + place / height.max(1);
    if let Some(pixel) = pixels.get_mut(at) {
        *pixel = value;
    }
}
