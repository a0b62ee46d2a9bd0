//! How the model's values lie beside the checkpoint's: a permutation of axes, done on the host, once.

/// How a parameter of the model relates to the tensor of the checkpoint: the checkpoint's axis i is axis
/// `axes[i]` of the model's values seen in the shape `seen`.
pub(super) struct Layout {
    seen: Vec<usize>,
    axes: Vec<usize>,
}

impl Layout {
    pub(super) fn new(container: &str, field: &str, shape: &[usize]) -> Self {
        let (seen, axes): (Vec<usize>, Vec<usize>) = match (container, field, shape) {
            ("Linear", "weight", _) | ("MultiheadAttention", "in_proj_weight", _) => {
                (shape.to_vec(), vec![1, 0])
            }
            ("Conv1x1", "weight", &[input, output]) => {
                (vec![input, output, 1, 1], vec![1, 0, 2, 3])
            }
            ("ConvTranspose2x2", "weight", &[input, outputs]) => {
                (vec![input, 2, 2, outputs / 4], vec![0, 3, 1, 2])
            }
            ("Conv3x3" | "Conv3x3Stride2", "weight", &[inputs, output]) => {
                (vec![3, 3, inputs / 9, output], vec![3, 2, 0, 1])
            }
            ("Conv2x2Stride2", "weight", &[inputs, output]) => {
                (vec![2, 2, inputs / 4, output], vec![3, 2, 0, 1])
            }
            ("Conv4x4Stride4", "weight", &[inputs, output]) => {
                (vec![4, 4, inputs / 16, output], vec![3, 2, 0, 1])
            }
            ("Conv7x7Stride7", "weight", &[inputs, output]) => {
                (vec![7, 7, inputs / 49, output], vec![3, 2, 0, 1])
            }
            ("PatchProjection", "weight", &[inputs, output]) => {
                let patch = (inputs / 3).isqrt();
                (vec![3, patch, patch, output], vec![3, 0, 1, 2])
            }
            _ => (shape.to_vec(), (0..shape.len()).collect()),
        };
        Self { seen, axes }
    }

    /// Shape in the checkpoint.
    pub(super) fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|&axis| self.seen[axis]).collect()
    }

    /// Values of the model to values of the checkpoint.
    pub(super) fn to_checkpoint<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        permute(values, &self.seen, &self.axes)
    }

    /// Values of the checkpoint to values of the model.
    pub(super) fn to_model<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        let mut back = vec![0; self.axes.len()];
        for (i, &axis) in self.axes.iter().enumerate() {
            back[axis] = i;
        }
        permute(values, &self.shape(), &back)
    }
}

/// Axis i of the result is axis `axes[i]` of `values`, which has the given shape.
fn permute<T: Copy>(values: Vec<T>, shape: &[usize], axes: &[usize]) -> Vec<T> {
    if axes.iter().enumerate().all(|(i, &axis)| i == axis) {
        return values;
    }
    if let ([rows, columns], [1, 0]) = (shape, axes) {
        return transpose(&values, *rows, *columns);
    }
    let mut strides = vec![1; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1];
    }
    let extents: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let steps: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
    let mut index = vec![0; axes.len()];
    let mut from = 0;
    (0..values.len())
        .map(|_| {
            let value = values[from];
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                from += steps[axis];
                if index[axis] < extents[axis] {
                    break;
                }
                from -= steps[axis] * extents[axis];
                index[axis] = 0;
            }
            value
        })
        .collect()
}

/// `[rows, columns]` to `[columns, rows]`, in tiles that stay in the cache: 95 % of a model goes through here.
fn transpose<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    const TILE: usize = 32;
    let mut turned = values.to_vec();
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for column in left..columns.min(left + TILE) {
                for row in top..rows.min(top + TILE) {
                    turned[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_their_own_inverse() {
        let values: Vec<f32> = (0..54).map(|v| v as f32).collect();
        let layout = Layout::new("Conv3x3", "weight", &[27, 2]);
        assert_eq!(layout.shape(), [2, 3, 3, 3]);
        let checkpoint = layout.to_checkpoint(values.clone());
        // [out 0][in 0] holds the nine kernel cells, which lie in * out apart in the model.
        assert_eq!(checkpoint[..9], [0., 6., 12., 18., 24., 30., 36., 42., 48.]);
        assert_eq!(layout.to_model(checkpoint), values);
    }

    #[test]
    fn a_matrix_larger_than_a_tile_is_turned_whole() {
        let (rows, columns) = (70, 45);
        let values: Vec<usize> = (0..rows * columns).collect();
        let turned = transpose(&values, rows, columns);
        let right = |i: usize| turned[i] == (i % rows) * columns + i / rows;
        assert!((0..rows * columns).all(right));
        assert_eq!(transpose(&turned, columns, rows), values);
    }
}
