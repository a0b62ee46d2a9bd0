//! Which variant of a kernel wins on the adapter at hand: measured once, kept by the caller for the next visit.
//!
//! Never decided by an adapter's name. A [`Measurement`] is plain JSON: natively a file in the user's cache, in a browser
//! something that the page stores and hands back. Until one is set, every adapter gets what is safe everywhere.

use crate::attention::{Variant, attention, candidates, choose};
use crate::product::{Activation, Tiling, linear_as};
use burn::backend::DispatchDevice;
use burn::tensor::{Device, Distribution, Tensor};
use core::ops::Range;
use serde::{Deserialize, Serialize};
use std::sync::RwLock;
use web_time::Instant;

/// Changes when the kernels do: an older measurement is then made anew.
const VERSION: u32 = 2;
/// A run shorter than this measures submission, not the kernel.
const SECONDS_TO_MEASURE: f64 = 0.02;
/// Most repetitions of a product in one run.
const MOST_REPEATS: u32 = 64;
/// Sides of the square products: the second is for adapters that finish the first before it can be timed.
const SIDES: [usize; 2] = [128, 1024];
/// An adapter slower than this on the small product is not given the large one.
const SECONDS_FOR_LARGE: f64 = 0.0005;
/// Tokens, heads and channels of a head of the attention: a third of the full model's window, at its head size.
const ATTENTION: [usize; 3] = [192, 2, 64];
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
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            product: Tiling::Register4x4,
            convolution: Tiling::Register4x4,
            attention: candidates()[0],
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
        if let Ok(mut choices) = CHOICES.write() {
            choices.retain(|(known, _)| known != device);
            choices.push((device.clone(), self));
        }
    }
}

/// How long a variant took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The variant.
    pub tiling: Tiling,
    /// Side of the square product.
    pub side: usize,
    /// Seconds for one product.
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
    /// Timings of the products.
    pub timings: Vec<Timing>,
    /// Seconds of one attention for each variant.
    pub attention: Vec<(Variant, f64)>,
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
/// A few products are submitted, then the last one's first value is awaited: it needs no timer on the GPU, and a
/// browser's thread is never blocked. A variant that fails is not chosen.
pub async fn measure(device: &Device) -> Measurement {
    let mut timings: Vec<Timing> = Vec::new();
    let mut candidates = Tiling::ALL.to_vec();
    for side in SIDES {
        let mut best = f64::INFINITY;
        let mut round = Vec::new();
        for &tiling in &candidates {
            if let Some(seconds) = product_seconds(tiling, side, best, device).await {
                best = best.min(seconds);
                round.push(Timing {
                    tiling,
                    side,
                    seconds,
                });
            }
        }
        candidates = round
            .iter()
            .filter(|timing| timing.seconds < HOPELESS * best)
            .map(|timing| timing.tiling)
            .collect();
        timings.extend(round);
        if best > SECONDS_FOR_LARGE {
            break;
        }
    }
    let attention = attention_timings(device).await;
    let choice = Choice {
        attention: attention
            .iter()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(Choice::default().attention, |(variant, _)| *variant),
        ..winners(&timings)
    };
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

/// Seconds of each variant of attention that works.
async fn attention_timings(device: &Device) -> Vec<(Variant, f64)> {
    let [tokens, heads, channels] = ATTENTION;
    let random = || {
        let shape = [1, tokens, heads * channels];
        Tensor::<3>::random(shape, Distribution::Uniform(0.5, 1.5), device)
    };
    let (q, k, v) = (random(), random(), random());
    let mut timings = Vec::new();
    let mut best = f64::INFINITY;
    for variant in candidates() {
        choose(variant);
        let run = || attention(q.clone(), k.clone(), v.clone(), heads, None, None);
        // A mean of the values lies between them.
        if let Some(seconds) = seconds(run, 0.5..1.5, best).await {
            best = best.min(seconds);
            timings.push((variant, seconds));
        }
    }
    timings
}

/// The fastest at the largest side measured; of the own kernels for convolutions.
fn winners(timings: &[Timing]) -> Choice {
    let side = timings.iter().map(|timing| timing.side).max();
    let fastest = |own: bool| {
        timings
            .iter()
            .filter(|timing| Some(timing.side) == side && !(own && timing.tiling == Tiling::Stock))
            .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
            .map(|timing| timing.tiling)
    };
    let safe = Choice::default();
    Choice {
        product: fastest(false).unwrap_or(safe.product),
        convolution: fastest(true).unwrap_or(safe.convolution),
        attention: safe.attention,
    }
}

/// Seconds of one product of `side`; `None` if its result is wrong or never comes.
async fn product_seconds(tiling: Tiling, side: usize, best: f64, device: &Device) -> Option<f64> {
    let left = Tensor::<2>::random([side, side], Distribution::Uniform(0.5, 1.5), device);
    let right = Tensor::<2>::ones([side, side], device);
    let run = || linear_as(tiling, left.clone(), right.clone(), None, Activation::None);
    // The sum of a row lies between these bounds.
    seconds(run, 0.5 * side as f32..1.5 * side as f32, best).await
}

/// Seconds of one `run`, whose first value must lie in `bounds`; `None` if it does not or never comes.
async fn seconds<const D: usize>(
    run: impl Fn() -> Tensor<D>,
    bounds: Range<f32>,
    best: f64,
) -> Option<f64> {
    // The first one compiles, and tells whether the kernel works at all.
    if !bounds.contains(&first(run()).await?) {
        return None;
    }
    let mut each = f64::INFINITY;
    let mut repeats = 1;
    loop {
        let start = Instant::now();
        for _ in 1..repeats {
            let _ = run();
        }
        first(run()).await?;
        let taken = start.elapsed().as_secs_f64();
        each = each.min(taken / f64::from(repeats));
        if taken > SECONDS_TO_MEASURE || repeats >= MOST_REPEATS || each > HOPELESS * best {
            return Some(each);
        }
        repeats *= 4;
    }
}

async fn first<const D: usize>(result: Tensor<D>) -> Option<f32> {
    let one = result.slice(core::array::from_fn::<_, D, _>(|_| 0..1));
    let data = one.into_data_async().await.ok()?;
    data.iter::<f32>().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(tiling: Tiling, side: usize, seconds: f64) -> Timing {
        Timing {
            tiling,
            side,
            seconds,
        }
    }

    #[test]
    fn the_fastest_on_the_largest_product_wins() {
        let timings = [
            timing(Tiling::Register4x4, 256, 1.0),
            timing(Tiling::Shared8x8, 256, 2.0),
            timing(Tiling::Register4x4, 1024, 3.0),
            timing(Tiling::Shared8x8, 1024, 2.0),
            timing(Tiling::Stock, 1024, 1.0),
        ];
        let choice = winners(&timings);
        assert_eq!(choice.product, Tiling::Stock);
        assert_eq!(choice.convolution, Tiling::Shared8x8);
        assert_eq!(winners(&[]), Choice::default());
    }

    #[test]
    fn a_measurement_of_another_adapter_or_version_is_not_taken() {
        let device = Device::flex();
        let measured = Measurement {
            version: VERSION,
            adapter: adapter(&device),
            choice: Choice::default(),
            timings: vec![timing(Tiling::Stock, 256, 0.5)],
            attention: vec![(candidates()[1], 0.25)],
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
