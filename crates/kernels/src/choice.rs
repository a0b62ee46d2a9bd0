//! Which variant of a kernel wins on the adapter at hand: measured once, kept by the caller for the next visit.
//!
//! Never decided by an adapter's name. A [`Measurement`] is plain JSON: natively a file in the user's cache, in a browser
//! something that the page stores and hands back. Until one is set, every adapter gets what is safe everywhere.

use crate::product::{Activation, Tiling, linear_as};
use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::RwLock;
use web_time::Instant;

/// Changes when the kernels do: an older measurement is then made anew.
const VERSION: u32 = 1;
/// A run shorter than this measures submission, not the kernel.
const SECONDS_TO_MEASURE: f64 = 0.02;
/// Most repetitions of a product in one run.
const MOST_REPEATS: u32 = 64;
/// Sides of the square products: the second is for adapters that finish the first before it can be timed.
const SIDES: [usize; 2] = [256, 1024];
/// An adapter slower than this on the small product is not given the large one.
const SECONDS_FOR_LARGE: f64 = 0.002;
/// A variant this many times slower than the best one so far is out.
const HOPELESS: f64 = 4.0;

/// The variants in use on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Matrix products.
    pub product: Tiling,
    /// 3x3 convolutions, which Burn's own product cannot do.
    pub convolution: Tiling,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            product: Tiling::Register4x4,
            convolution: Tiling::Register4x4,
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
    /// All timings.
    pub timings: Vec<Timing>,
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
            if let Some(seconds) = seconds(tiling, side, best, device).await {
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
    let choice = winners(&timings);
    choice.set(device);
    // Large buffers of the measurement are of no use to the model.
    device.memory_cleanup();
    Measurement {
        version: VERSION,
        adapter: adapter(device),
        choice,
        timings,
    }
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
    }
}

/// Seconds of one product of `side`; `None` if its result is wrong or never comes.
async fn seconds(tiling: Tiling, side: usize, best: f64, device: &Device) -> Option<f64> {
    let left = Tensor::<2>::random([side, side], Distribution::Uniform(0.5, 1.5), device);
    let right = Tensor::<2>::ones([side, side], device);
    let run = |count: u32| {
        let mut product = left.clone();
        for _ in 0..count {
            product = linear_as(tiling, left.clone(), right.clone(), None, Activation::None);
        }
        product
    };
    // The first one compiles, and tells whether the kernel works at all: the sum of a row lies between these bounds.
    let start = Instant::now();
    let sum = first(run(1)).await?;
    let bounds = 0.5 * side as f32..1.5 * side as f32;
    if !bounds.contains(&sum) {
        return None;
    }
    let mut each = start.elapsed().as_secs_f64();
    let mut repeats = 1;
    loop {
        let start = Instant::now();
        first(run(repeats)).await?;
        let taken = start.elapsed().as_secs_f64();
        each = each.min(taken / f64::from(repeats));
        if taken > SECONDS_TO_MEASURE || repeats >= MOST_REPEATS || each > HOPELESS * best {
            return Some(each);
        }
        repeats *= 4;
    }
}

async fn first(product: Tensor<2>) -> Option<f32> {
    let data = product.slice([0..1, 0..1]).into_data_async().await.ok()?;
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
