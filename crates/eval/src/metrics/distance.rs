//! Exact Euclidean distances on a pixel grid, by the lower envelope of parabolas (Felzenszwalb and Huttenlocher, Theory of
//! Computing 2012). Marked cells `[height, width]` in, the distance in pixels to the nearest of them out.

/// Distance of every cell to the nearest marked one; infinite where nothing is marked.
pub(crate) fn distances(marked: &[bool], width: usize) -> Vec<f64> {
    let mut squares = along_columns(marked, width);
    let mut row_of_squares = vec![0.0; width];
    let mut envelope = Envelope::with_capacity(width);
    for row in squares.chunks_exact_mut(width.max(1)) {
        row_of_squares.copy_from_slice(row);
        envelope.build(&row_of_squares);
        envelope.sample(row);
    }
    squares
        .iter_mut()
        .for_each(|square| *square = square.sqrt());
    squares
}

/// Squared distance to the nearest marked cell of the same column.
fn along_columns(marked: &[bool], width: usize) -> Vec<f64> {
    let mut steps = vec![f64::INFINITY; marked.len()];
    let mut sweep = |order: &mut dyn Iterator<Item = usize>| {
        let mut last = vec![f64::INFINITY; width];
        for row in order {
            let cells = row * width..(row + 1) * width;
            for ((step, &is), last) in steps[cells.clone()]
                .iter_mut()
                .zip(&marked[cells])
                .zip(&mut last)
            {
                *last = if is { 0.0 } else { *last + 1.0 };
                *step = step.min(*last);
            }
        }
    };
    let height = marked.len().checked_div(width).unwrap_or(0);
    sweep(&mut (0..height));
    sweep(&mut (0..height).rev());
    steps.iter_mut().for_each(|step| *step *= *step);
    steps
}

/// The lowest of the parabolas `square[i] + (x - i)^2` over a row, as the stretches where each is lowest.
struct Envelope {
    /// Where the parabola stands, its height, and where its stretch begins.
    stretches: Vec<(f64, f64, f64)>,
}

impl Envelope {
    fn with_capacity(width: usize) -> Self {
        Self {
            stretches: Vec::with_capacity(width),
        }
    }

    fn build(&mut self, squares: &[f64]) {
        self.stretches.clear();
        for (at, &height) in squares
            .iter()
            .enumerate()
            .filter(|(_, height)| height.is_finite())
        {
            let at = at as f64;
            let mut begins = f64::NEG_INFINITY;
            while let Some(&(other, other_height, other_begins)) = self.stretches.last() {
                begins =
                    ((height + at * at) - (other_height + other * other)) / (2.0 * (at - other));
                if begins > other_begins {
                    break;
                }
                self.stretches.pop();
                begins = f64::NEG_INFINITY;
            }
            self.stretches.push((at, height, begins));
        }
    }

    fn sample(&self, row: &mut [f64]) {
        let mut current = 0;
        for (x, value) in row.iter_mut().enumerate() {
            let x = x as f64;
            while self
                .stretches
                .get(current + 1)
                .is_some_and(|next| next.2 < x)
            {
                current += 1;
            }
            *value = self
                .stretches
                .get(current)
                .map_or(f64::INFINITY, |&(at, height, _)| {
                    height + (x - at) * (x - at)
                });
        }
    }
}
