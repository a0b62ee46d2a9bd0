//! Which variant of a kernel wins on the adapter at hand: measured once, kept by the caller for the next visit.
//!
//! Never decided by an adapter's name. A [`Measurement`] is plain JSON: natively a file in the user's cache, in a browser
//! something that the page stores and hands back. Until one is set, every adapter gets what is safe everywhere.

use crate::attention::{Variant, attention, candidates, choose, fits};
use crate::clock::{Clock, first};
use crate::pieces::{self, MOST_OPERATIONS};
use crate::product::{Activation, Tiling, linear_as};
use burn::backend::DispatchDevice;
use burn::tensor::{Device, Distribution, Tensor};
use core::ops::Range;
use serde::{Deserialize, Serialize};
use std::sync::RwLock;

/// Changes when the kernels do: an older measurement is then made anew.
const VERSION: u32 = 3;
/// Rows, inner dimension and columns of the products. The later ones are for adapters that finish the ones before in
/// the time of a submission; the last is a projection of the full model.
const PRODUCTS: [[usize; 3]; 3] = [[128, 128, 128], [1024, 1024, 1024], [5184, 1024, 3072]];
/// Windows, tokens and heads of the attentions, with heads of [`HEAD`] channels: a third of the full model's window in
/// two heads, and all windows of the full model.
const ATTENTIONS: [[usize; 3]; 2] = [[1, 192, 2], [9, 576, 16]];
/// Channels of a head.
const HEAD: usize = 64;
/// An adapter that takes longer than this for a problem is not given a larger one.
const SECONDS_FOR_LARGER: f64 = 0.0005;
/// A variant this many times slower than the best one so far is out.
const HOPELESS: f64 = 4.0;

/// The variants in use on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Matrix products.
    pub product: Tiling,
    /// 3x3 convolutions, which Burn's own product cannot do.
    pub convolution: Tiling,
    /// Attention; one for all devices of the process.
    pub attention: Variant,
    /// Floating-point operations of one dispatch at most; one for all devices of the process.
    pub most_operations: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            product: Tiling::Register4x4,
            convolution: Tiling::Register4x4,
            attention: candidates()[0],
            most_operations: MOST_OPERATIONS,
        }
    }
}

/// What is set for each device of the process; there are one or two.
static CHOICES: RwLock<Vec<(Device, Choice)>> = RwLock::new(Vec::new());

impl Choice {
    /// What `device` uses.
    pub fn of(device: &Device) -> Self {
        let Ok(choices) = CHOICES.read() else {
            return Self::default();
        };
        choices
            .iter()
            .find(|(known, _)| known == device)
            .map_or_else(Self::default, |(_, choice)| *choice)
    }

    /// Uses this on `device` from now on.
    pub fn set(self, device: &Device) {
        choose(self.attention);
        pieces::limit(self.most_operations);
        if let Ok(mut choices) = CHOICES.write() {
            choices.retain(|(known, _)| known != device);
            choices.push((device.clone(), self));
        }
    }
}

/// How long a variant of a kernel took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing<V> {
    /// The variant.
    pub variant: V,
    /// Of a product rows, inner dimension and columns; of attention windows, tokens of a window, heads of 64 channels.
    pub shape: [usize; 3],
    /// Seconds for one run.
    pub seconds: f64,
}

/// What was measured on an adapter, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Of the kernels measured.
    pub version: u32,
    /// The adapter as it identifies itself; tells whether a stored measurement is of the adapter at hand.
    pub adapter: String,
    /// The winners.
    pub choice: Choice,
    /// Timings of the products, small products first.
    pub timings: Vec<Timing<Tiling>>,
    /// Timings of attention, small ones first.
    pub attention: Vec<Timing<Variant>>,
}

impl Measurement {
    /// A stored measurement, if it is of these kernels and of this device.
    pub fn from_json(json: &str, device: &Device) -> Option<Self> {
        let stored: Self = serde_json::from_str(json).ok()?;
        (stored.version == VERSION && stored.adapter == adapter(device)).then_some(stored)
    }

    /// For storage.
    pub fn to_json(&self) -> String {
        // Plain numbers and names: nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Uses what was measured on an earlier visit (`stored`, from [`Measurement::to_json`]), or measures. `None` for devices
/// whose operations have no variants, such as the CPU.
pub async fn tune(device: &Device, stored: Option<&str>) -> Option<Measurement> {
    if !matches!(device.as_dispatch(), DispatchDevice::Cube(_)) {
        return None;
    }
    let known = stored.and_then(|json| Measurement::from_json(json, device));
    Some(match known {
        Some(known) => {
            known.choice.set(device);
            known
        }
        None => measure(device).await,
    })
}

/// How the device identifies itself. Empty for the CPU, whose operations have no variants.
pub fn adapter(device: &Device) -> String {
    device.identity().map_or_else(String::new, |identity| {
        format!("{} {}", identity.fingerprint, identity.name)
    })
}

/// Measures the variants on `device` and uses the winners from now on. A second or two on a slow adapter.
///
/// A browser's thread is never blocked. A variant that fails is not chosen.
pub async fn measure(device: &Device) -> Measurement {
    let clock = Clock::of(device).await;
    let timings = rounds(&Tiling::ALL, &PRODUCTS, async |tiling, shape, best| {
        product_seconds(tiling, shape, clock, best, device).await
    })
    .await;
    let attention = rounds(&forms(device), &ATTENTIONS, async |form, shape, best| {
        attention_seconds(form, shape, clock, best, device).await
    })
    .await;
    let choice = winners(&timings, &attention);
    choice.set(device);
    // Large buffers of the measurement are of no use to the model.
    device.memory_cleanup();
    Measurement {
        version: VERSION,
        adapter: adapter(device),
        choice,
        timings,
        attention,
    }
}

/// The variants of attention that the adapter has the memory for.
fn forms(device: &Device) -> Vec<Variant> {
    let mut forms = candidates().to_vec();
    if let DispatchDevice::Cube(device) = device.as_dispatch() {
        let client = device.client();
        forms.retain(|form| fits(*form, HEAD, &client));
    }
    forms
}

/// Times `candidates` on problem after problem, until one takes long enough to tell them apart; each problem is left to
/// those that were not hopeless on the one before. `time` is told the best time so far and gives `None` for a variant
/// that does not work.
async fn rounds<V: Copy>(
    candidates: &[V],
    problems: &[[usize; 3]],
    mut time: impl AsyncFnMut(V, [usize; 3], f64) -> Option<f64>,
) -> Vec<Timing<V>> {
    let mut timed = Vec::new();
    let mut candidates = candidates.to_vec();
    for &shape in problems {
        let mut best = f64::INFINITY;
        let mut round = Vec::with_capacity(candidates.len());
        for &variant in &candidates {
            if let Some(seconds) = time(variant, shape, best).await {
                best = best.min(seconds);
                round.push(Timing {
                    variant,
                    shape,
                    seconds,
                });
            }
        }
        candidates = round
            .iter()
            .filter(|timing| timing.seconds < HOPELESS * best)
            .map(|timing| timing.variant)
            .collect();
        timed.extend(round);
        if best > SECONDS_FOR_LARGER {
            break;
        }
    }
    timed
}

/// Timings of the largest problem that was measured.
fn of_largest<V>(timings: &[Timing<V>]) -> impl Iterator<Item = &Timing<V>> {
    let largest = timings.last().map(|timing| timing.shape);
    let is_largest = move |timing: &&Timing<V>| Some(timing.shape) == largest;
    timings.iter().filter(is_largest)
}

/// The variant that took the least time.
fn fastest<'a, V: Copy + 'a>(timings: impl Iterator<Item = &'a Timing<V>>) -> Option<V> {
    timings
        .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
        .map(|timing| timing.variant)
}

/// The fastest of each kind on the largest problem measured; of the own kernels for convolutions.
fn winners(products: &[Timing<Tiling>], attentions: &[Timing<Variant>]) -> Choice {
    let own = of_largest(products).filter(|timing| timing.variant != Tiling::Stock);
    let speeds = of_largest(products)
        .map(|timing| 2.0 * timing.shape.iter().product::<usize>() as f64 / timing.seconds);
    let speed = speeds.fold(0.0, f64::max);
    let safe = Choice::default();
    Choice {
        product: fastest(of_largest(products)).unwrap_or(safe.product),
        convolution: fastest(own).unwrap_or(safe.convolution),
        attention: fastest(of_largest(attentions)).unwrap_or(safe.attention),
        most_operations: if speed > 0.0 {
            pieces::at_speed(speed)
        } else {
            safe.most_operations
        },
    }
}

/// Seconds of one product, `None` if its result is wrong or never comes.
async fn product_seconds(
    tiling: Tiling,
    [rows, inner, columns]: [usize; 3],
    clock: Clock,
    best: f64,
    device: &Device,
) -> Option<f64> {
    let left = Tensor::<2>::random([rows, inner], Distribution::Uniform(0.5, 1.5), device);
    let right = Tensor::<2>::ones([inner, columns], device);
    let run = || linear_as(tiling, left.clone(), right.clone(), None, Activation::None);
    // The sum of a row lies between these bounds.
    let bounds = 0.5 * inner as f32..1.5 * inner as f32;
    works(run, bounds).await?;
    clock.seconds(run, HOPELESS * best).await
}

/// Seconds of one attention, `None` if its result is wrong or never comes.
async fn attention_seconds(
    variant: Variant,
    [windows, tokens, heads]: [usize; 3],
    clock: Clock,
    best: f64,
    device: &Device,
) -> Option<f64> {
    let random = || {
        let shape = [windows, tokens, heads * HEAD];
        Tensor::<3>::random(shape, Distribution::Uniform(0.5, 1.5), device)
    };
    let (q, k, v) = (random(), random(), random());
    choose(variant);
    let run = || attention(q.clone(), k.clone(), v.clone(), heads, None, None);
    // A mean of the values lies between them.
    works(run, 0.5..1.5).await?;
    clock.seconds(run, HOPELESS * best).await
}

/// Runs once, which compiles the kernel; `None` unless the first value comes and lies in `bounds`.
async fn works<const D: usize>(run: impl Fn() -> Tensor<D>, bounds: Range<f32>) -> Option<()> {
    bounds.contains(&first(run()).await?).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: [usize; 3] = [256; 3];
    const LARGE: [usize; 3] = [1024; 3];

    fn timing<V>(variant: V, shape: [usize; 3], seconds: f64) -> Timing<V> {
        Timing {
            variant,
            shape,
            seconds,
        }
    }

    #[test]
    fn the_fastest_on_the_largest_problem_wins() {
        let timings = [
            timing(Tiling::Register4x4, SMALL, 1.0),
            timing(Tiling::Shared8x8, SMALL, 2.0),
            timing(Tiling::Register4x4, LARGE, 3.0),
            timing(Tiling::Shared8x8, LARGE, 2.0),
            timing(Tiling::Stock, LARGE, 1.0),
        ];
        let attention = [
            timing(candidates()[0], SMALL, 1.0),
            timing(candidates()[1], SMALL, 2.0),
            timing(candidates()[0], LARGE, 4.0),
            timing(candidates()[1], LARGE, 3.0),
        ];
        let choice = winners(&timings, &attention);
        assert_eq!(choice.product, Tiling::Stock);
        assert_eq!(choice.convolution, Tiling::Shared8x8);
        assert_eq!(choice.attention, candidates()[1]);
        assert_eq!(winners(&[], &[]), Choice::default());
    }

    /// As on a fast GPU: the small problem ends within a submission, so that all variants see the large one.
    #[test]
    fn a_problem_too_small_to_tell_is_followed_by_a_larger_one() {
        let timed = |seconds: fn(u8, [usize; 3]) -> Option<f64>| {
            let time = async |candidate, problem, _best| seconds(candidate, problem);
            pollster::block_on(rounds(&[1, 2, 3, 4], &[SMALL, LARGE], time))
        };
        // One that fails and one that is hopeless are not tried again.
        let fast = timed(|candidate, problem| match (candidate, problem) {
            (1 | 2, SMALL) => Some(1e-5),
            (3, SMALL) => Some(1e-4),
            (1, LARGE) => Some(2e-3),
            (2, LARGE) => Some(1e-3),
            _ => None,
        });
        let seen: Vec<_> = fast.iter().map(|t| (t.variant, t.shape[0])).collect();
        assert_eq!(seen, [(1, 256), (2, 256), (3, 256), (1, 1024), (2, 1024)]);
        let slow = timed(|candidate, _| Some(f64::from(candidate)));
        assert!(slow.iter().all(|timing| timing.shape == SMALL));
    }

    #[test]
    fn a_measurement_of_another_adapter_or_version_is_not_taken() {
        let device = Device::flex();
        let measured = Measurement {
            version: VERSION,
            adapter: adapter(&device),
            choice: Choice::default(),
            timings: vec![timing(Tiling::Stock, SMALL, 0.5)],
            attention: vec![timing(candidates()[1], SMALL, 0.25)],
        };
        let json = measured.to_json();
        assert_eq!(
            Measurement::from_json(&json, &device),
            Some(measured.clone())
        );
        let other = Measurement {
            adapter: "other".to_owned(),
            ..measured.clone()
        };
        assert_eq!(Measurement::from_json(&other.to_json(), &device), None);
        let older = Measurement {
            version: VERSION + 1,
            ..measured
        };
        assert_eq!(Measurement::from_json(&older.to_json(), &device), None);
        assert_eq!(Measurement::from_json("{}", &device), None);
    }
}
