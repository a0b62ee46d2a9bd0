//! 3x3 convolution of channels-last maps as nine matrix products per strip of rows, without gathering neighbourhoods:
//! in a strip padded with zeros, each of the nine is the same run of cells, shifted.

use super::gemm::{Into, Matrix, Packed, product};
use super::threads::for_chunks;
use super::view::{Dense, tensor};
use burn::tensor::Tensor;

/// Cells of a strip: its sums stay in the second cache while the nine products add to them.
const CELLS: usize = 640;

/// `x` `[b, h, w, in]`, `weight` `[9 * in, out]` (kernel row, kernel column, input channel) and `bias` `[out]` to
/// `[b, h, w, out]`, with a border of zeros.
pub fn conv3x3(x: &Tensor<4>, weight: &Tensor<2>, bias: &Tensor<1>) -> Option<Tensor<4>> {
    let [b, h, w, c] = x.dims();
    let [inputs, outputs] = weight.dims();
    if inputs != 9 * c || b * h * w * c * outputs == 0 {
        return None;
    }
    let device = x.device();
    let (x, weight, bias) = (
        Dense::of(x.clone())?,
        Dense::of(weight.clone())?,
        Dense::of(bias.clone())?,
    );
    let taps: Vec<Packed> = weight
        .values()
        .chunks(c * outputs)
        .map(|tap| Packed::new(Matrix::new(tap, [c, outputs], [outputs, 1])))
        .collect();
    let mut out = vec![0.0; b * h * w * outputs];
    let rows = strip_rows(h, w);
    let wide = w + 2;
    // A strip never crosses from one image into the next.
    for image in 0..b {
        let x = &x.values()[image * h * w * c..(image + 1) * h * w * c];
        let out = &mut out[image * h * w * outputs..(image + 1) * h * w * outputs];
        for_chunks(out, rows * w * outputs, |i, part| {
            let count = part.len() / (w * outputs);
            let padded = pad(x, [h, w, c], i * rows, count);
            // The last two cells of the last row would start beyond the padding, and are not wanted.
            let cells = count * wide - 2;
            let mut sums = vec![0.0; cells * outputs];
            for (tap, weight) in taps.iter().enumerate() {
                let shift = (tap / 3) * wide + tap % 3;
                let x = Matrix::new(&padded[shift * c..], [cells, c], [c, 1]);
                let into = Into {
                    add: tap > 0,
                    ..Into::place(outputs)
                };
                product(&mut sums, into, x, weight);
            }
            for (y, row) in part.chunks_mut(w * outputs).enumerate() {
                let sums = &sums[y * wide * outputs..];
                for ((cell, sums), _) in row.chunks_mut(outputs).zip(sums.chunks(outputs)).zip(0..w)
                {
                    for ((out, sum), bias) in cell.iter_mut().zip(sums).zip(bias.values()) {
                        *out = sum + bias;
                    }
                }
            }
        });
    }
    Some(tensor(out, [b, h, w, outputs], &device))
}

/// Rows of a strip: near [`CELLS`] cells, but at least four strips to share out.
pub(super) fn strip_rows(h: usize, w: usize) -> usize {
    (CELLS / w).clamp(1, h.div_ceil(4))
}

/// Cells that [`conv3x3`] computes for a map of `h` rows and `w` columns: of the two between rows of a padded strip all
/// but the last two too.
pub fn conv3x3_cells(h: usize, w: usize) -> usize {
    let rows = strip_rows(h, w);
    (0..h)
        .step_by(rows)
        .map(|top| rows.min(h - top) * (w + 2) - 2)
        .sum()
}

/// Rows `top - 1` to `top + count` with a border of zeros: `[count + 2, w + 2, c]`.
pub(super) fn pad(x: &[f32], [h, w, c]: [usize; 3], top: usize, count: usize) -> Vec<f32> {
    let wide = (w + 2) * c;
    let mut padded = vec![0.0; (count + 2) * wide];
    for (y, row) in padded.chunks_mut(wide).enumerate() {
        if let Some(from) = (top + y).checked_sub(1).filter(|from| *from < h) {
            row[c..wide - c].copy_from_slice(&x[from * w * c..(from + 1) * w * c]);
        }
    }
    padded
}
