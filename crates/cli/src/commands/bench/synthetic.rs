//! `medsam3 bench --synthetic PRESET`: the stages of a model of any size, full size too, on weights that a generator
//! makes, one JSON line per image, the counterpart of `tests/benchmarks/torch_stages.py`; and with `--count` the operations
//! that such a model takes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Instant;

use anyhow::Result;
use medsam3_model::burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::{Sam3Config, flops, parameters, synthetic};
use serde::Serialize;

use crate::memory;

/// Ids of a prompt of two pieces between start and end: "Polyp" in the full vocabulary.
const IDS: [i32; 4] = [1, 2, 3, 4];

/// How long a stage took once.
#[derive(Debug, Serialize)]
struct Took {
    /// Seconds on the clock.
    seconds: f64,
    /// Seconds of all processors together, where the system tells.
    processor: Option<f64>,
}

/// One image.
#[derive(Debug, Serialize)]
struct Line {
    program: &'static str,
    threads: usize,
    side: usize,
    /// Every time of each stage; text and prompt once per prompt.
    stages: BTreeMap<&'static str, Vec<Took>>,
    /// Floating-point operations needed, for one image and one prompt.
    needed_flops: u64,
    /// The same, issued by the processor's kernels.
    issued_flops: u64,
    peak_memory_bytes: Option<u64>,
}

#[derive(Default)]
struct Stopwatch(BTreeMap<&'static str, Vec<Took>>);

impl Stopwatch {
    /// Runs a stage. Reading one value back waits for a device that works on its own.
    fn time<R>(&mut self, stage: &'static str, work: impl FnOnce() -> R) -> R {
        let (clock, processor) = (Instant::now(), memory::processor_seconds());
        let result = work();
        self.0.entry(stage).or_default().push(Took {
            seconds: clock.elapsed().as_secs_f64(),
            processor: memory::processor_seconds()
                .zip(processor)
                .map(|(after, before)| after - before),
        });
        result
    }
}

/// Floating-point operations per stage, of one image and one prompt.
#[derive(Debug, Serialize)]
struct Operations {
    side: usize,
    /// By the model.
    needed: flops::Flops,
    /// By the kernels on the host.
    issued: flops::Flops,
    /// At most, by those on a GPU.
    issued_in_tiles: flops::Flops,
}

/// Counts and runs nothing.
pub fn count(config: &Sam3Config) -> Result<()> {
    let operations = Operations {
        side: config.image_side,
        needed: flops::needed(config),
        issued: flops::issued(config),
        issued_in_tiles: flops::issued_in_tiles(config),
    };
    crate::terminal::json(&operations)?;
    Ok(())
}

/// Token ids of a prompt and which of them count, `[1, context]`.
pub fn prompt_of(config: &Sam3Config, device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let context = config.text.context;
    let ids: Vec<i32> = (0..context)
        .map(|i| IDS.get(i).copied().unwrap_or(0))
        .collect();
    let valid: Vec<bool> = ids.iter().map(|id| *id != 0).collect();
    (
        Tensor::from_data(TensorData::new(ids, [1, context]), device),
        Tensor::from_data(TensorData::new(valid, [1, context]), device),
    )
}

/// Times `rounds` images with two prompts each.
pub fn run(config: &Sam3Config, device: &Device, rounds: u16) -> Result<()> {
    let model = parameters::load(config.init(device), &mut |info| {
        Ok::<_, Infallible>(synthetic::weights(&info.name, &info.shape))
    })?;
    let side = config.image_side;
    let pixels = TensorData::new(synthetic::image(side, side), [1, 3, side, side]);
    let pixels = Tensor::<4>::from_data(pixels, device);
    let (ids, valid) = prompt_of(config, device);
    for _ in 0..rounds {
        let mut watch = Stopwatch::default();
        let wait = |sum: Tensor<1>| sum.into_scalar::<f32>();
        let trunk = watch.time("trunk", || {
            let trunk = model.encode_trunk(pixels.clone());
            wait(trunk.clone().slice([0..1, 0..1, 0..1, 0..1]).reshape([1]));
            trunk
        });
        let features = watch.time("neck", || {
            let features = model.neck(&trunk);
            wait(
                features.maps[0]
                    .clone()
                    .slice([0..1, 0..1, 0..1, 0..1])
                    .reshape([1]),
            );
            features
        });
        for _ in 0..2 {
            let text = watch.time("text", || {
                let text = model.encode_text(ids.clone(), valid.clone());
                wait(text.tokens.clone().slice([0..1, 0..1, 0..1]).reshape([1]));
                text
            });
            let masks = watch.time("prompt", || {
                let grounding = model.ground(&features, &text);
                let masks = model.masks(&grounding.pixels, grounding.hs.clone());
                wait(masks.clone().slice([0..1, 0..1, 0..1, 0..1]).reshape([1]));
                masks
            });
            anyhow::ensure!(
                masks.sum().into_scalar::<f32>().is_finite(),
                "the masks hold values that are not finite"
            );
        }
        let line = Line {
            program: concat!("medsam3 ", env!("CARGO_PKG_VERSION")),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            side,
            stages: watch.0,
            needed_flops: flops::needed(config).total(),
            issued_flops: flops::issued(config).total(),
            peak_memory_bytes: memory::peak_bytes(),
        };
        crate::terminal::json(&line)?;
    }
    Ok(())
}
