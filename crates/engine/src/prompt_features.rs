//! Text features of many prompts with one block of the text encoder in memory at a time: what a vocabulary pack is
//! made of (reference 1.4). Prompts of equal length go through together, without padding; causal attention makes
//! that the same as with it.

use std::collections::BTreeMap;

use medsam3_model::burn::module::Module;
use medsam3_model::burn::tensor::{Device, Tensor, TensorData};
use medsam3_model::layers::{Linear, layer_norm};
use medsam3_model::parameters::{self, Values};
use medsam3_model::text_encoder_ve::{ResidualAttentionBlock, future};
use medsam3_model::{LoadError, Sam3Config};

use crate::Tokens;

/// Paths in the model.
const ENCODER: &str = "backbone.language_backbone.encoder";
const RESIZER: &str = "backbone.language_backbone.resizer";
/// Tokens that go through a block together: at width 1024 their largest activation takes 8 MB.
const TOKENS_AT_ONCE: usize = 512;

/// Prompts of one length.
struct Group {
    tokens: usize,
    prompts: Vec<usize>,
    x: Tensor<3>,
}

/// Features `[valid tokens, d]` of each prompt, row-major, in their order.
///
/// `source` gives canonical tensors of the text encoder, each asked for once; `progress` hears the blocks done and the
/// blocks in all.
///
/// # Errors
/// The source's own, or that of a tensor with the wrong number of values.
pub fn encode_prompts<E: std::error::Error + 'static>(
    config: &Sam3Config,
    prompts: &[Tokens],
    device: &Device,
    source: &mut dyn FnMut(&str) -> Result<Vec<f32>, E>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Vec<f32>>, LoadError<E>> {
    let text = &config.text;
    let mut groups = embed(config, prompts, device, source)?;
    let total = text.depth as u64;
    for index in 0..text.depth {
        progress(index as u64, total);
        let block = ResidualAttentionBlock::new(text, device);
        let start = format!("{ENCODER}.transformer.resblocks.{index}");
        let block = load(block, &start, source)?;
        for group in &mut groups {
            group.x = block.forward(group.x.clone(), future(group.tokens, device));
        }
    }
    let norm = layer_norm(text.width, device);
    let norm = load(norm, &format!("{ENCODER}.ln_final"), source)?;
    let resizer = Linear::new(text.width, config.transformer.width, device);
    let resizer = load(resizer, RESIZER, source)?;
    let mut features = vec![Vec::new(); prompts.len()];
    for group in groups {
        let values = resizer.forward(norm.forward(group.x)).into_data();
        let values: Vec<f32> = values.iter::<f32>().collect();
        let of_one = values.chunks(group.tokens * config.transformer.width);
        for (prompt, values) in group.prompts.iter().zip(of_one) {
            if let Some(place) = features.get_mut(*prompt) {
                *place = values.to_vec();
            }
        }
    }
    progress(total, total);
    Ok(features)
}

/// Token and position embeddings; the token table is let go of before the blocks.
fn embed<E: std::error::Error + 'static>(
    config: &Sam3Config,
    prompts: &[Tokens],
    device: &Device,
    source: &mut dyn FnMut(&str) -> Result<Vec<f32>, E>,
) -> Result<Vec<Group>, LoadError<E>> {
    let text = &config.text;
    let table = read(
        source,
        "token_embedding.weight",
        [text.vocabulary, text.width],
    )?;
    let positions = read(source, "positional_embedding", [text.context, text.width])?;
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, prompt) in prompts.iter().enumerate() {
        let tokens = prompt.valid.iter().filter(|valid| **valid).count();
        by_length.entry(tokens).or_default().push(index);
    }
    let mut groups = Vec::new();
    for (tokens, members) in by_length {
        if tokens == 0 {
            continue;
        }
        for some in members.chunks((TOKENS_AT_ONCE / tokens).max(1)) {
            let mut x = Vec::with_capacity(some.len() * tokens * text.width);
            for prompt in some.iter().filter_map(|index| prompts.get(*index)) {
                for (id, position) in prompt
                    .ids
                    .iter()
                    .take(tokens)
                    .zip(positions.chunks(text.width))
                {
                    let start = (*id).max(0) as usize * text.width;
                    let row = table.get(start..start + text.width).unwrap_or_default();
                    x.extend(row.iter().zip(position).map(|(a, b)| a + b));
                }
            }
            let shape = [some.len(), tokens, text.width];
            groups.push(Group {
                tokens,
                prompts: some.to_vec(),
                x: Tensor::from_data(TensorData::new(x, shape), device),
            });
        }
    }
    Ok(groups)
}

fn read<E: std::error::Error + 'static>(
    source: &mut dyn FnMut(&str) -> Result<Vec<f32>, E>,
    name: &str,
    shape: [usize; 2],
) -> Result<Vec<f32>, LoadError<E>> {
    let name = format!("detector.{ENCODER}.{name}");
    let values = source(&name).map_err(|source| LoadError::Source {
        name: name.clone(),
        source,
    })?;
    let expected = shape.iter().product();
    if values.len() != expected {
        return Err(LoadError::Count {
            name,
            expected,
            found: values.len(),
        });
    }
    Ok(values)
}

/// Fills the part of the model at a path.
fn load<M: Module, E: std::error::Error + 'static>(
    part: M,
    at: &str,
    source: &mut dyn FnMut(&str) -> Result<Vec<f32>, E>,
) -> Result<M, LoadError<E>> {
    parameters::load_some(part, at, &|_| true, &mut |info| {
        source(&info.name).map(Values::F32)
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use medsam3_model::burn::tensor::{Bool, Int};
    use medsam3_model::synthetic;

    use super::*;
    use crate::Tokenizer;

    /// Against the model's own text encoder, which pads every prompt to the context.
    #[test]
    fn features_are_those_of_the_whole_text_encoder() {
        let json = include_bytes!("../../../weights/default/tokenizer.json");
        let config = Sam3Config::default_small();
        let tokenizer = Tokenizer::from_json(json, 49408, config.text.context).unwrap();
        let device = Device::flex();
        let prompts: Vec<Tokens> = [
            "left lung",
            "polyp",
            "cell",
            "retinal blood vessel",
            "optic disc and cup",
        ]
        .iter()
        .map(|prompt| tokenizer.encode(prompt).unwrap())
        .collect();
        let infos = parameters::parameters(&config.init(&device));
        let shape_of = |name: &str| infos.iter().find(|info| info.name == name).unwrap();
        let mut source =
            |name: &str| Ok::<_, Infallible>(synthetic::weights(name, &shape_of(name).shape));
        let mut heard = Vec::new();
        let features = encode_prompts(
            &config,
            &prompts,
            &device,
            &mut source,
            &mut |done, total| {
                heard.push((done, total));
            },
        )
        .unwrap();
        assert_eq!(heard, [(0, 2), (1, 2), (2, 2)]);

        let model = parameters::load(config.init(&device), &mut |info| source(&info.name)).unwrap();
        for (prompt, features) in prompts.iter().zip(features) {
            let shape = [1, config.text.context];
            let ids = TensorData::new(prompt.ids.clone(), shape);
            let valid = TensorData::new(prompt.valid.clone(), shape);
            let whole = model.encode_text(
                Tensor::<2, Int>::from_data(ids, &device),
                Tensor::<2, Bool>::from_data(valid, &device),
            );
            let whole: Vec<f32> = whole.tokens.into_data().iter::<f32>().collect();
            assert!(features.len() >= 3 * config.transformer.width);
            for (a, b) in features.iter().zip(&whole) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }
}
