//! The model beside the reference's tensors that `tests/parity/make_fixture.py` recorded, and properties that must hold
//! whatever the weights.

use medsam3_model::burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::{Sam3, Sam3Config, parameters, synthetic};
use medsam3_weights::huggingface;
use safetensors::SafeTensors;
use std::convert::Infallible;

fn fixture(name: &str) -> Vec<f32> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/parity/tiny.safetensors"
    );
    let bytes = std::fs::read(path).expect("the fixture is in the repository");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let data = file
        .tensor(name)
        .expect("a recorded tensor")
        .data()
        .to_vec();
    data.as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

/// A model with the synthetic weights of the fixture, which are keyed by Hugging Face names.
fn model(config: &Sam3Config) -> Sam3 {
    parameters::load(config.init(&Device::flex()), &mut |info| {
        let names = huggingface::names(&info.name);
        let mut shape = info.shape.clone();
        let mut values = Vec::new();
        if info.name.ends_with("pos_embed") {
            values = vec![0.0; shape[2]];
            shape[1] -= 1;
        }
        shape[0] /= names.len();
        values.extend(
            names
                .iter()
                .flat_map(|name| synthetic::weights(name, &shape)),
        );
        Ok::<_, Infallible>(values)
    })
    .expect("every tensor has a value")
}

fn image(side: usize) -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(synthetic::image(side, side), [1, 3, side, side]),
        &Device::flex(),
    )
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// At side 126 the grid of 9 x 9 tokens does not hold windows of 4 x 4, and the tiled position embedding is cropped.
#[test]
fn windows_that_do_not_fit_are_padded_as_in_the_reference() {
    let config = Sam3Config::tiny_parity()
        .with_image_side(126)
        .expect("a valid side");
    let trunk = model(&config)
        .encode_trunk(image(126))
        .into_data()
        .iter::<f32>()
        .collect::<Vec<_>>();
    let golden = fixture("side_126/trunk");
    let largest = golden
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    let difference = largest_difference(&golden, &trunk);
    assert!(difference < 1e-5 * largest, "{difference} of {largest}");
}

#[test]
fn text_features_ignore_padding() {
    let config = Sam3Config::tiny_parity();
    let model = model(&config);
    let device = Device::flex();
    let features = |ids: &[i32]| {
        let count = ids.len();
        let valid: Vec<bool> = ids.iter().map(|id| *id != 0).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids.to_vec(), [1, count]), &device);
        let valid = Tensor::<2, Bool>::from_data(TensorData::new(valid, [1, count]), &device);
        model.encode_text(ids, valid)
    };
    let words = [510, 5, 77, 300, 511];
    let mut padded = words.to_vec();
    padded.resize(config.text.context, 0);
    let (short, long) = (features(&words), features(&padded));

    let values = |tensor: Tensor<3>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
    let difference = largest_difference(
        &values(short.tokens.clone()),
        &values(long.tokens.clone().narrow(1, 0, words.len())),
    );
    assert!(
        difference < 1e-6,
        "the words' features differ by {difference}"
    );

    // And so does everything behind them.
    let image = model.encode_image(image(config.image_side));
    let (short, long) = (model.ground(&image, &short), model.ground(&image, &long));
    let difference = largest_difference(&values(short.boxes), &values(long.boxes));
    assert!(difference < 1e-6, "the boxes differ by {difference}");
    let difference = largest_difference(&values(short.semantic), &values(long.semantic));
    assert!(
        difference < 1e-4,
        "the semantic mask differs by {difference}"
    );
}

/// A batch of prompts on one image gives what each prompt alone gives.
#[test]
fn prompts_in_a_batch_do_not_touch_each_other() {
    let config = Sam3Config::tiny_parity();
    let model = model(&config);
    let device = Device::flex();
    let image = model.encode_image(image(config.image_side));
    let prompts = [[510, 5, 511, 0], [510, 9, 4, 511]];
    let ground = |prompts: &[[i32; 4]]| {
        let shape = [prompts.len(), 4];
        let ids: Vec<i32> = prompts.concat();
        let valid: Vec<bool> = ids.iter().map(|id| *id != 0).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, shape), &device);
        let valid = Tensor::<2, Bool>::from_data(TensorData::new(valid, shape), &device);
        let text = model.encode_text(ids, valid);
        model.ground(&image.select(&vec![0; prompts.len()]), &text)
    };
    let together = ground(&prompts);
    for (row, prompt) in prompts.iter().enumerate() {
        let alone = ground(&[*prompt]);
        let difference = (together.semantic.clone().narrow(0, row, 1) - alone.semantic)
            .abs()
            .max()
            .into_scalar::<f32>();
        assert!(difference < 1e-4, "row {row} differs by {difference}");
    }
}

#[test]
fn parameters_survive_saving_and_loading() {
    let config = Sam3Config::tiny_parity();
    let model = model(&config);
    let mut saved = std::collections::HashMap::new();
    parameters::save(&model, &mut |info, values| {
        assert_eq!(info.shape.iter().product::<usize>(), values.len());
        saved.insert(info.name, values);
    });
    let again = parameters::load(config.init(&Device::flex()), &mut |info| {
        Ok::<_, Infallible>(saved.remove(&info.name).expect("a saved tensor"))
    })
    .expect("loads");
    assert!(saved.is_empty(), "left over: {:?}", saved.keys());
    let difference = (model.encode_trunk(image(168)) - again.encode_trunk(image(168)))
        .abs()
        .max()
        .into_scalar::<f32>();
    assert!(difference == 0.0);
}

/// The names and shapes are those of the published checkpoint, whose listing is `tests/parity/checkpoint_keys.txt`.
#[test]
fn parameters_are_those_of_the_published_checkpoint() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/parity/checkpoint_keys.txt"
    );
    let listing = std::fs::read_to_string(path).expect("the listing is in the repository");
    let mut published: std::collections::BTreeMap<&str, &str> = listing
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .collect();
    for parameter in parameters::parameters(&Sam3Config::sam3().init(&Device::flex())) {
        let shape = published.remove(parameter.name.as_str());
        assert_eq!(
            shape,
            Some(format!("{:?}", parameter.shape).as_str()),
            "{}",
            parameter.name
        );
    }
    let unknown: Vec<_> = published
        .keys()
        .filter(|name| !parameters::is_unused(name))
        .collect();
    assert!(
        unknown.is_empty(),
        "published, neither loaded nor known to be unused: {unknown:?}"
    );
}
