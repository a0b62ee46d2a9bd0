//! Matrix products in register tiles, after Goto and van de Geijn (2008): the right side is packed into panels as wide as
//! two vectors, a tile of rows of the left side runs down a panel, and its sums stay in registers.
//!
//! Written here because the tiles of the kept crates for this leave their sums in memory on the wide vectors of
//! AVX-512, at a quarter of the processor's peak.

use super::threads;
use macerator::{Scalar, Simd, Vector, vload_unaligned, vstore_unaligned};

/// Inner values of a pass: a panel of so many rows stays in the first cache while the left side's rows pass by.
pub(super) const DEPTH: usize = 256;

/// A matrix inside a slice: element (i, j) is `values[i * row_step + j * column_step]`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// Panics where the slice does not hold the matrix.
    pub fn new(
        values: &'a [f32],
        [rows, columns]: [usize; 2],
        [row_step, column_step]: [usize; 2],
    ) -> Self {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * row_step + (columns - 1) * column_step;
            assert!(
                last < values.len(),
                "a {rows}x{columns} matrix leaves its slice"
            );
        }
        Self {
            values,
            rows,
            columns,
            row_step,
            column_step,
        }
    }

    /// The same values, rows as columns.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_step: self.column_step,
            column_step: self.row_step,
            ..self
        }
    }

    /// The values times `scale`, rows next to each other.
    pub fn to_rows(self, scale: f32) -> Vec<f32> {
        let mut rows = Vec::with_capacity(self.rows * self.columns);
        for i in 0..self.rows {
            let row = self.values[i * self.row_step..]
                .iter()
                .step_by(self.column_step.max(1));
            rows.extend(row.take(self.columns).map(|value| scale * value));
        }
        rows
    }
}

/// The right side of products: for each run of [`DEPTH`] rows its panels one after the other, each row by row, the
/// columns that the last panel lacks as zeros.
pub(super) struct Packed {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl Packed {
    /// Packs on all threads where that pays.
    pub fn new(b: Matrix<'_>) -> Self {
        let (panel, panels) = (panel_width(), b.columns.div_ceil(panel_width()));
        let mut values = vec![0.0; b.rows * panels * panel];
        let depth = DEPTH.min(b.rows.max(1));
        // Runs are equally long but for the last, so a chunk is one run of rows.
        let run = depth * panels * panel;
        let fill = |first: usize, run: &mut [f32]| {
            let rows = run.len() / (panels * panel);
            for (p, part) in run.chunks_mut(rows * panel).enumerate() {
                pack_panel(b, first, p * panel, panel, part);
            }
        };
        if b.rows * b.columns > 1 << 18 {
            threads::for_chunks(&mut values, run, |i, run| fill(i * depth, run));
        } else {
            for (i, run) in values.chunks_mut(run.max(1)).enumerate() {
                fill(i * depth, run);
            }
        }
        Self {
            values,
            rows: b.rows,
            columns: b.columns,
        }
    }

    /// Columns of the matrix that was packed.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows from `first`, a multiple of [`DEPTH`], to the end of its run, of the panels from column `column` on.
    fn run(&self, first: usize, column: usize, columns: usize) -> &[f32] {
        let panel = panel_width();
        let panels = self.columns.div_ceil(panel);
        let rows = DEPTH.min(self.rows - first);
        let start = first * panels * panel + column / panel * rows * panel;
        &self.values[start..start + columns.div_ceil(panel) * rows * panel]
    }
}

fn pack_panel(b: Matrix<'_>, first: usize, column: usize, panel: usize, out: &mut [f32]) {
    let columns = panel.min(b.columns - column);
    let from = &b.values[first * b.row_step + column * b.column_step..];
    if b.column_step == 1 {
        for (k, out) in out.chunks_mut(panel).enumerate() {
            out[..columns].copy_from_slice(&from[k * b.row_step..k * b.row_step + columns]);
        }
    } else {
        for j in 0..columns {
            let from = from[j * b.column_step..].iter().step_by(b.row_step.max(1));
            for (out, value) in out[j..].iter_mut().step_by(panel).zip(from) {
                *out = *value;
            }
        }
    }
}

/// Where a product goes and how.
#[derive(Clone, Copy)]
pub(super) struct Into {
    /// Steps from one row of the result to the next.
    pub row_step: usize,
    /// The product is multiplied by this.
    pub scale: f32,
    /// The product is added to what is there.
    pub add: bool,
}

impl Into {
    /// The product itself, over what is there.
    pub fn place(row_step: usize) -> Self {
        Self {
            row_step,
            scale: 1.0,
            add: false,
        }
    }
}

/// `out = scale * a b`, or `out += scale * a b`. `a` has as many columns as `b` rows, next to each other. One thread.
pub(super) fn product(out: &mut [f32], into: Into, a: Matrix<'_>, b: &Packed) {
    assert!(
        a.columns == b.rows && (a.column_step == 1 || a.columns < 2),
        "extents differ"
    );
    for first in (0..b.rows).step_by(DEPTH) {
        let into = Into {
            add: into.add || first > 0,
            ..into
        };
        let depth = DEPTH.min(b.rows - first);
        let part = Rows {
            values: &a.values[first.min(a.values.len())..],
            row_step: a.row_step,
            rows: a.rows,
            depth,
        };
        pass(out, into, part, b.run(first, 0, b.columns), b.columns);
    }
}

/// [`product`] for the rows from `first` on, a multiple of [`DEPTH`], and the columns from `column` on, a multiple of
/// [`panel_width`].
pub(super) fn partial_product(
    out: &mut [f32],
    into: Into,
    a: Rows<'_>,
    b: &Packed,
    first: usize,
    columns: core::ops::Range<usize>,
) {
    assert!(first.is_multiple_of(DEPTH) && a.depth == DEPTH.min(b.rows - first));
    assert!(columns.start.is_multiple_of(panel_width()) && columns.end <= b.columns);
    pass(
        out,
        into,
        a,
        b.run(first, columns.start, columns.len()),
        columns.len(),
    );
}

/// `depth` columns, next to each other, of some rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// The values, from the first on.
    pub values: &'a [f32],
    /// Steps from one row to the next.
    pub row_step: usize,
    /// Number of rows.
    pub rows: usize,
    /// Values of each.
    pub depth: usize,
}

/// Columns of a panel: two vectors.
pub(super) fn panel_width() -> usize {
    width()
}

#[macerator::with_simd]
fn width<S: Simd>() -> usize {
    2 * f32::lanes::<S>()
}

#[macerator::with_simd]
fn pass<'a, S: Simd>(out: &mut [f32], into: Into, a: Rows<'a>, panels: &[f32], columns: usize) {
    // Tiles as tall as sums, two vectors of the right side and one of the left fit the registers.
    match f32::lanes::<S>() {
        16 => pass_in_tiles::<S, 12>(out, into, a, panels, columns),
        8 => pass_in_tiles::<S, 6>(out, into, a, panels, columns),
        _ => pass_in_tiles::<S, 4>(out, into, a, panels, columns),
    }
}

#[inline(always)]
fn pass_in_tiles<S: Simd, const ROWS: usize>(
    out: &mut [f32],
    into: Into,
    a: Rows<'_>,
    panels: &[f32],
    columns: usize,
) {
    let panel = 2 * f32::lanes::<S>();
    if a.rows == 0 || columns == 0 || a.depth == 0 {
        return;
    }
    // All that the pointers below rely on.
    assert!((a.rows - 1) * a.row_step + a.depth <= a.values.len());
    assert!(
        (a.rows - 1) * into.row_step + columns <= out.len()
            && (columns <= into.row_step || a.rows == 1)
    );
    assert!(columns.div_ceil(panel) * a.depth * panel <= panels.len());
    for (p, b) in panels
        .chunks_exact(a.depth * panel)
        .enumerate()
        .take(columns.div_ceil(panel))
    {
        let count = panel.min(columns - p * panel);
        for first in (0..a.rows).step_by(ROWS) {
            let rows = ROWS.min(a.rows - first);
            let left = &a.values[first * a.row_step..];
            let out = &mut out[first * into.row_step + p * panel..];
            tile::<S, ROWS>(out, into, left, a.row_step, rows, a.depth, b, count);
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const ROWS: usize>(
    out: &mut [f32],
    into: Into,
    a: &[f32],
    a_step: usize,
    rows: usize,
    depth: usize,
    b: &[f32],
    columns: usize,
) {
    let lanes = f32::lanes::<S>();
    let zero = 0.0f32.splat::<S>();
    let mut sums: [[Vector<S, f32>; 2]; ROWS] = [[zero; 2]; ROWS];
    // SAFETY: `pass_in_tiles` checked that `rows` rows of `depth` values, `a_step` apart, are in `a`, that `b` has
    // `depth` rows of two vectors, and that the result's rows are in `out`. Rows that a short tile lacks repeat its last.
    unsafe {
        let left: [*const f32; ROWS] =
            core::array::from_fn(|i| a.as_ptr().add(i.min(rows - 1) * a_step));
        let mut right = b.as_ptr();
        for k in 0..depth {
            let first = vload_unaligned::<S, f32>(right);
            let second = vload_unaligned::<S, f32>(right.add(lanes));
            right = right.add(2 * lanes);
            for i in 0..ROWS {
                let value = (*left[i].add(k)).splat::<S>();
                sums[i][0] = value.mul_add(first, sums[i][0]);
                sums[i][1] = value.mul_add(second, sums[i][1]);
            }
        }
    }
    let scale = into.scale.splat::<S>();
    if columns == 2 * lanes {
        for (i, sums) in sums.iter().enumerate().take(rows) {
            let row = &mut out[i * into.row_step..i * into.row_step + 2 * lanes];
            for (half, sum) in sums.iter().enumerate() {
                // SAFETY: a row has two vectors.
                unsafe {
                    let place = row.as_mut_ptr().add(half * lanes);
                    let before = if into.add {
                        vload_unaligned(place)
                    } else {
                        zero
                    };
                    vstore_unaligned(place, sum.mul_add(scale, before));
                }
            }
        }
    } else {
        let mut buffer = [0.0f32; 64];
        for (i, sums) in sums.iter().enumerate().take(rows) {
            for (half, sum) in sums.iter().enumerate() {
                // SAFETY: the buffer has room for two of the widest vectors, 32 values each.
                unsafe { vstore_unaligned(buffer.as_mut_ptr().add(half * lanes), *sum) };
            }
            for (j, sum) in buffer[..columns].iter().enumerate() {
                let place = &mut out[i * into.row_step + j];
                let before = if into.add { *place } else { 0.0 };
                *place = before + into.scale * sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against sums in f64, at extents around those of tiles, panels and runs.
    #[test]
    fn products_agree_with_plain_sums() {
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        for [m, k, n] in [
            [1, 1, 1],
            [5, 7, 3],
            [12, 256, 32],
            [13, 257, 33],
            [25, 600, 70],
            [7, 64, 100],
        ] {
            let a: Vec<f32> = (0..m * (k + 3)).map(value).collect();
            let b: Vec<f32> = (0..k * n).map(|i| value(i + 77)).collect();
            let transposed: Vec<f32> = (0..n * k).map(|i| b[(i % k) * n + i / k]).collect();
            let sides = [
                Packed::new(Matrix::new(&b, [k, n], [n, 1])),
                Packed::new(Matrix::new(&transposed, [n, k], [k, 1]).transposed()),
            ];
            for side in &sides {
                let mut out: Vec<f32> = (0..m * (n + 2)).map(|i| i as f32).collect();
                let into = Into {
                    row_step: n + 2,
                    scale: 0.5,
                    add: true,
                };
                product(&mut out, into, Matrix::new(&a, [m, k], [k + 3, 1]), side);
                for i in 0..m {
                    for j in 0..n + 2 {
                        let before = (i * (n + 2) + j) as f64;
                        let sum: f64 = if j < n {
                            (0..k)
                                .map(|l| f64::from(a[i * (k + 3) + l]) * f64::from(b[l * n + j]))
                                .sum()
                        } else {
                            0.0
                        };
                        let error = f64::from(out[i * (n + 2) + j]) - (before + 0.5 * sum);
                        assert!(
                            error.abs() < 1e-4 * (1.0 + before),
                            "{m}x{k}x{n} at {i}, {j}: {error}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "leaves its slice")]
    fn a_matrix_beyond_its_slice_is_refused() {
        let _ = Matrix::new(&[0.0; 5], [2, 3], [3, 1]);
    }
}
