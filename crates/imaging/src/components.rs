//! Connected components of a binary map: the separate regions of a mask. `[height, width]` in and out.

/// Numbers the 8-connected components of `inside` from 1, in row-major order of their first cell; 0 elsewhere. What would
/// have a number above 65,535 is left out.
pub fn connected_components(inside: &[bool], width: usize) -> Vec<u16> {
    let height = inside.len().checked_div(width).unwrap_or(0);
    let mut ids = vec![0_u16; inside.len()];
    let mut next = 0_u16;
    let mut stack = Vec::new();
    for (start, &is) in inside.iter().enumerate() {
        if !is || ids.get(start) != Some(&0) || next == u16::MAX {
            continue;
        }
        next += 1;
        stack.push(start);
        while let Some(at) = stack.pop() {
            match ids.get_mut(at) {
                Some(id) if *id == 0 => *id = next,
                _ => continue,
            }
            let (x, y) = (at % width, at / width);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let near = ny * width + nx;
                    if inside.get(near) == Some(&true) && ids.get(near) == Some(&0) {
                        stack.push(near);
                    }
                }
            }
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagonal_neighbours_belong_together() {
        // scipy.ndimage.label(a, structure=np.ones((3, 3)))
        let picture = ["##..#", "....#", "..#..", ".#...", "#...#"];
        let inside: Vec<bool> = picture.concat().chars().map(|c| c == '#').collect();
        let expected = [
            1, 1, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 4,
        ];
        assert_eq!(connected_components(&inside, 5), expected);
        // The same rows, read as one more row of a picture that is not square.
        let wide: Vec<bool> = inside.iter().copied().chain([false; 5]).collect();
        assert_eq!(
            connected_components(&wide, 5),
            [&expected[..], &[0; 5]].concat()
        );
    }
}
