//! The full model on made weights in every precision and at every side: seconds per image and per prompt, memory.

use std::convert::Infallible;
use std::time::Instant;

use anyhow::{Context as _, Result};
use medsam3_model::burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use medsam3_model::parameters::{Held, ParameterInfo, Values};
use medsam3_model::{Q8, Sam3, Sam3Config, flops, parameters, synthetic};
use medsam3_weights::Precision;
use serde::Serialize;

use super::{Options, Part};
use crate::commands::bench::median;
use crate::commands::bench::synthetic::prompt_of;

/// One precision at one side.
#[derive(Debug, Serialize)]
pub struct Run {
    pub preset: String,
    pub side: usize,
    pub precision: Precision,
    /// The first image and prompt, whose kernels are compiled.
    pub first_seconds: f64,
    /// Trunk and neck.
    pub image_seconds: f64,
    /// Of the text encoder, once per string.
    pub text_seconds: f64,
    /// A further prompt on the same image, its text known.
    pub prompt_seconds: f64,
    /// Operations of the image per second.
    pub image_gflops: f64,
    /// What the pools of the device hold at the end: weights, features, and the most that a step took.
    pub device_bytes: Option<u64>,
}

/// What is run: a configuration in a precision.
pub struct Step {
    config: Sam3Config,
    precision: Precision,
}

/// Every precision at every side.
pub fn steps(options: &Options) -> Result<Vec<Step>> {
    let preset = Sam3Config::preset(options.preset())
        .with_context(|| format!("there is no preset {}", options.preset()))?;
    let sides = match options.sides.as_slice() {
        [] => &[preset.image_side],
        sides => sides,
    };
    let mut steps = Vec::new();
    for precision in [Precision::F32, Precision::F16, Precision::Q8] {
        for &side in sides {
            let config = preset.clone().with_image_side(side)?;
            steps.push(Step { config, precision });
        }
    }
    Ok(steps)
}

/// One step, where the device holds its precision.
pub fn run(started: Instant, options: &Options, device: &Device, step: &Step) -> Part<Run> {
    if step.precision == Precision::F16 && !device.supports_dtype(DType::F16) {
        return Part::Skipped {
            skipped: "the device has no 16-bit floats",
        };
    }
    let (side, precision) = (step.config.image_side, step.precision);
    let name = format!("{} at {side}, {precision:?}", options.preset());
    let run = Part::of(&name, started, || {
        time(&step.config, options, precision, device)
    });
    device.memory_cleanup();
    run
}

/// Weights of a generator in the precision.
fn model(config: &Sam3Config, precision: Precision, device: &Device) -> Result<Sam3> {
    let mut values = |info: &ParameterInfo| {
        let values = synthetic::weights(&info.name, &info.shape);
        Ok::<_, Infallible>(match (precision, info.held) {
            (Precision::F16, Held::Matrix) => Values::F16(
                values
                    .iter()
                    .flat_map(|&value| half::f16::from_f32(value).to_le_bytes())
                    .collect(),
            ),
            (Precision::Q8, Held::Matrix) => quantised(values, &info.shape),
            _ => Values::F32(values),
        })
    };
    Ok(parameters::load_some(
        config.init(device),
        "",
        &|_| true,
        &mut values,
    )?)
}

/// In blocks, where these divide the rows.
fn quantised(values: Vec<f32>, shape: &[usize]) -> Values {
    let shape = <[usize; 2]>::try_from(shape).ok();
    match shape.and_then(|shape| Q8::quantise(&values, shape).ok()) {
        Some(blocks) => Values::Q8(blocks),
        None => Values::F32(values),
    }
}

fn time(
    config: &Sam3Config,
    options: &Options,
    precision: Precision,
    device: &Device,
) -> Result<Run> {
    let model = model(config, precision, device)?;
    let side = config.image_side;
    let pixels = TensorData::new(synthetic::image(side, side), [1, 3, side, side]);
    let pixels = Tensor::<4>::from_data(pixels, device);
    let (ids, valid) = prompt_of(config, device);
    let started = Instant::now();
    let (mut image, mut text, mut prompt) = (Vec::new(), Vec::new(), Vec::new());
    let mut first_seconds = 0.0;
    for round in 0..=options.rounds {
        let taken = once(&model, &pixels, &ids, &valid)?;
        if round == 0 {
            first_seconds = started.elapsed().as_secs_f64();
            continue;
        }
        image.push(taken[0]);
        text.push(taken[1]);
        prompt.push(taken[2]);
    }
    let image_seconds = median(image);
    Ok(Run {
        preset: options.preset().to_owned(),
        side,
        precision,
        first_seconds,
        image_seconds,
        text_seconds: median(text),
        prompt_seconds: median(prompt),
        image_gflops: flops::needed(config).image() as f64 / image_seconds / 1e9,
        device_bytes: device.memory_pool_usage().map(|usage| usage.bytes_reserved),
    })
}

/// Seconds of the image, of the text and of the prompt.
fn once(
    model: &Sam3,
    pixels: &Tensor<4>,
    ids: &Tensor<2, Int>,
    valid: &Tensor<2, Bool>,
) -> Result<[f64; 3]> {
    let start = Instant::now();
    let features = model.neck(&model.encode_trunk(pixels.clone()));
    wait(&features.maps[0])?;
    let image = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let text = model.encode_text(ids.clone(), valid.clone());
    wait(&text.tokens)?;
    let text_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let grounding = model.ground(&features, &text);
    wait(&model.masks(&grounding.pixels, grounding.hs.clone()))?;
    Ok([image, text_seconds, start.elapsed().as_secs_f64()])
}

/// Reads the first value, which waits for the device.
fn wait<const D: usize>(tensor: &Tensor<D>) -> Result<()> {
    let one = tensor
        .clone()
        .slice(core::array::from_fn::<_, D, _>(|_| 0..1));
    let value = one.reshape([1]).into_scalar::<f32>();
    anyhow::ensure!(
        value.is_finite(),
        "the model gave a value that is not finite"
    );
    Ok(())
}
