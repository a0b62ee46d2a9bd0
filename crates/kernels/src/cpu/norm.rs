//! Group norm over channels-last maps, with the ReLU that follows it.

use super::threads::{for_chunks, map};
use super::view::{Dense, change, tensor};
use burn::tensor::Tensor;
use macerator::Simd;

/// Cells whose sums a thread takes at a time.
const CELLS: usize = 1024;

/// Gives `x` back where it does not apply; otherwise the norm of `x` `[b, h, w, c]` in `groups` groups of channels, times `gamma` plus `beta` `[c]`, then ReLU where `relu`.
pub fn group_norm(
    x: Tensor<4>,
    groups: usize,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> Result<Tensor<4>, Tensor<4>> {
    let [b, h, w, c] = x.dims();
    if groups == 0 || c % groups != 0 || b * h * w == 0 {
        return Err(x);
    }
    let (Some(gamma), Some(beta)) = (Dense::of(gamma.clone()), Dense::of(beta.clone())) else {
        return Err(x);
    };
    change(x, |values| {
        for image in values.chunks_mut(h * w * c) {
            let mean = group_means(image, c, groups, &vec![0.0; c], false);
            let variance = group_means(image, c, groups, &mean, true);
            let scale: Vec<f32> = variance
                .iter()
                .zip(gamma.values())
                .map(|(variance, gamma)| gamma / (f64::from(*variance) + epsilon).sqrt() as f32)
                .collect();
            for_chunks(image, CELLS * c, |_, part| {
                normalise(part, &mean, &scale, beta.values(), relu);
            });
        }
    })
}

/// For each channel the mean over its group of `x - centre`, or of its square.
fn group_means(image: &[f32], c: usize, groups: usize, centre: &[f32], squared: bool) -> Vec<f32> {
    let cells = image.len() / c;
    let parts = map(cells.div_ceil(CELLS), |i| {
        let end = ((i + 1) * CELLS).min(cells);
        let mut sums = vec![0.0; c];
        sum(&image[i * CELLS * c..end * c], centre, squared, &mut sums);
        sums
    });
    let width = c / groups;
    (0..groups)
        .flat_map(|group| {
            let total: f64 = parts
                .iter()
                .flat_map(|sums| &sums[group * width..(group + 1) * width])
                .map(|sum| f64::from(*sum))
                .sum();
            std::iter::repeat_n((total / (cells * width) as f64) as f32, width)
        })
        .collect()
}

#[macerator::with_simd]
fn sum<S: Simd>(values: &[f32], centre: &[f32], squared: bool, sums: &mut [f32]) {
    for cell in values.chunks_exact(centre.len()) {
        for ((sum, value), centre) in sums.iter_mut().zip(cell).zip(centre) {
            let value = value - centre;
            *sum += if squared { value * value } else { value };
        }
    }
}

#[macerator::with_simd]
fn normalise<S: Simd>(values: &mut [f32], mean: &[f32], scale: &[f32], beta: &[f32], relu: bool) {
    for cell in values.chunks_exact_mut(mean.len()) {
        for (((value, mean), scale), beta) in cell.iter_mut().zip(mean).zip(scale).zip(beta) {
            let normed = (*value - mean) * scale + beta;
            *value = if relu && normed < 0.0 { 0.0 } else { normed };
        }
    }
}

/// Gradients of `x`, `gamma` and `beta` from that of [`group_norm`]'s result.
pub(crate) fn group_norm_gradient(
    gradient: &Tensor<4>,
    x: &Tensor<4>,
    groups: usize,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> Option<(Tensor<4>, Tensor<1>, Tensor<1>)> {
    let [b, h, w, c] = x.dims();
    let device = x.device();
    let (x, gradient) = (Dense::of(x.clone())?, Dense::of(gradient.clone())?);
    let (gamma, beta) = (Dense::of(gamma.clone())?, Dense::of(beta.clone())?);
    let image = h * w * c;
    let mut out = vec![0.0; b * image];
    let (mut of_gamma, mut of_beta) = (vec![0.0; c], vec![0.0; c]);
    let images = x
        .values()
        .chunks(image)
        .zip(gradient.values().chunks(image));
    for ((x, g), out) in images.zip(out.chunks_mut(image)) {
        let mean = group_means(x, c, groups, &vec![0.0; c], false);
        let variance = group_means(x, c, groups, &mean, true);
        let inverse = |variance: &f32| (1.0 / (f64::from(*variance) + epsilon).sqrt()) as f32;
        let norm = Norm {
            mean: &mean,
            inverse: &variance.iter().map(inverse).collect::<Vec<f32>>(),
            gamma: gamma.values(),
            beta: beta.values(),
            relu,
        };
        let sums = map((h * w).div_ceil(CELLS), |i| {
            let part = i * CELLS * c..((i + 1) * CELLS * c).min(image);
            let mut sums = [vec![0.0; c], vec![0.0; c]];
            let [plain, along] = &mut sums;
            norm.sum(&g[part.clone()], &x[part], plain, along);
            sums
        });
        let (mut plain, mut along) = (vec![0.0; c], vec![0.0; c]);
        for [of_plain, of_along] in &sums {
            add_to(&mut plain, of_plain);
            add_to(&mut along, of_along);
        }
        add_to(&mut of_beta, &plain);
        add_to(&mut of_gamma, &along);
        // Over a group the mean of `gamma g`, plain and times the normed value.
        let share = 1.0 / (h * w * c / groups) as f32;
        let over_group = |sums: &[f32]| -> Vec<f32> {
            let width = c / groups;
            let weighted: Vec<f32> = sums
                .iter()
                .zip(gamma.values())
                .map(|(s, g)| s * g)
                .collect();
            let groups = weighted.chunks(width);
            groups
                .flat_map(|group| std::iter::repeat_n(group.iter().sum::<f32>() * share, width))
                .collect()
        };
        let (plain, along) = (over_group(&plain), over_group(&along));
        for_chunks(out, CELLS * c, |i, out| {
            let part = i * CELLS * c..i * CELLS * c + out.len();
            norm.gradient(out, &g[part.clone()], &x[part], &plain, &along);
        });
    }
    Some((
        tensor(out, [b, h, w, c], &device),
        tensor(of_gamma, [c], &device),
        tensor(of_beta, [c], &device),
    ))
}

fn add_to(sums: &mut [f32], part: &[f32]) {
    for (sum, part) in sums.iter_mut().zip(part) {
        *sum += part;
    }
}

/// What the cells of an image are normed by, channel by channel.
struct Norm<'a> {
    mean: &'a [f32],
    inverse: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    relu: bool,
}

impl Norm<'_> {
    /// Adds to the channels' sums of the gradient, plain and times the normed value.
    fn sum(&self, gradient: &[f32], x: &[f32], plain: &mut [f32], along: &mut [f32]) {
        sum_gradients(
            gradient,
            x,
            self.mean,
            self.inverse,
            self.gamma,
            self.beta,
            self.relu,
            plain,
            along,
        );
    }

    fn gradient(&self, out: &mut [f32], gradient: &[f32], x: &[f32], plain: &[f32], along: &[f32]) {
        gradient_of_cells(
            out,
            gradient,
            x,
            self.mean,
            self.inverse,
            self.gamma,
            self.beta,
            self.relu,
            plain,
            along,
        );
    }
}

#[macerator::with_simd]
fn sum_gradients<S: Simd>(
    gradient: &[f32],
    x: &[f32],
    mean: &[f32],
    inverse: &[f32],
    gamma: &[f32],
    beta: &[f32],
    relu: bool,
    plain: &mut [f32],
    along: &mut [f32],
) {
    let c = mean.len();
    let (inverse, gamma, beta) = (&inverse[..c], &gamma[..c], &beta[..c]);
    let (plain, along) = (&mut plain[..c], &mut along[..c]);
    for (g, x) in gradient.chunks_exact(c).zip(x.chunks_exact(c)) {
        for i in 0..c {
            let normed = (x[i] - mean[i]) * inverse[i];
            let on = !relu || normed * gamma[i] + beta[i] > 0.0;
            let g = if on { g[i] } else { 0.0 };
            plain[i] += g;
            along[i] += g * normed;
        }
    }
}

#[macerator::with_simd]
fn gradient_of_cells<S: Simd>(
    out: &mut [f32],
    gradient: &[f32],
    x: &[f32],
    mean: &[f32],
    inverse: &[f32],
    gamma: &[f32],
    beta: &[f32],
    relu: bool,
    plain: &[f32],
    along: &[f32],
) {
    let c = mean.len();
    let (inverse, gamma, beta) = (&inverse[..c], &gamma[..c], &beta[..c]);
    let (plain, along) = (&plain[..c], &along[..c]);
    let cells = gradient.chunks_exact(c).zip(x.chunks_exact(c));
    for (out, (g, x)) in out.chunks_exact_mut(c).zip(cells) {
        for i in 0..c {
            let normed = (x[i] - mean[i]) * inverse[i];
            let on = !relu || normed * gamma[i] + beta[i] > 0.0;
            let g = if on { g[i] } else { 0.0 };
            out[i] = inverse[i] * (g * gamma[i] - plain[i] - normed * along[i]);
        }
    }
}
