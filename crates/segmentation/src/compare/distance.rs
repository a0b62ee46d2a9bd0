//! Exact Euclidean distances on a grid, by the lower envelope of parabolas (Felzenszwalb and Huttenlocher, Theory of
//! Computing 2012), axis after axis. Marked cells `[depth, height, width]` in, the distance to the nearest of them out, in
//! the units of the spacing (pixels where it is 1).

/// Distance of every cell to the nearest marked one; infinite where nothing is marked. `size` and `spacing` are along
/// width, height and depth.
pub(crate) fn distances(marked: &[bool], size: [usize; 3], spacing: [f64; 3]) -> Vec<f64> {
    let mut squares: Vec<f64> = marked
        .iter()
        .map(|&is| if is { 0.0 } else { f64::INFINITY })
        .collect();
    let [width, height, depth] = size;
    let strides = [1, width, width * height];
    let mut line = Vec::new();
    let mut envelope = Envelope::default();
    for ((&count, &stride), &step) in size.iter().zip(&strides).zip(&spacing) {
        if count < 2 {
            continue;
        }
        let lines = width * height * depth / count;
        for number in 0..lines {
            // The first cell of the line: the other two axes in turn.
            let start = number / stride * stride * count + number % stride;
            line.clear();
            line.extend((0..count).map(|at| squares[start + at * stride]));
            envelope.build(&line, step);
            envelope.sample(step, count, |at, square| {
                squares[start + at * stride] = square;
            });
        }
    }
    squares
        .iter_mut()
        .for_each(|square| *square = square.sqrt());
    squares
}

/// The lowest of the parabolas `square[i] + (x - i * step)^2` over a line, as the stretches where each is lowest.
#[derive(Default)]
struct Envelope {
    /// Where the parabola stands, its height, and where its stretch begins.
    stretches: Vec<(f64, f64, f64)>,
}

impl Envelope {
    fn build(&mut self, squares: &[f64], step: f64) {
        self.stretches.clear();
        for (at, &height) in squares
            .iter()
            .enumerate()
            .filter(|(_, height)| height.is_finite())
        {
            let at = at as f64 * step;
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

    fn sample(&self, step: f64, count: usize, mut put: impl FnMut(usize, f64)) {
        let mut current = 0;
        for index in 0..count {
            let x = index as f64 * step;
            while self
                .stretches
                .get(current + 1)
                .is_some_and(|next| next.2 < x)
            {
                current += 1;
            }
            let square = self
                .stretches
                .get(current)
                .map_or(f64::INFINITY, |&(at, height, _)| {
                    height + (x - at) * (x - at)
                });
            put(index, square);
        }
    }
}
