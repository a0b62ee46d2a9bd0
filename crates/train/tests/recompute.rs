//! What is computed again in the backward pass gives the gradients of what is kept: trunk blocks to the last bit, layers of the
//! fusion encoder, whose prompt gathers gradients in another order, but for rounding.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use medsam3_model::dropout::{Dropout, PromptTraining};
use medsam3_model::vitdet::{BranchFactors, TrunkTraining, ViT};
use medsam3_model::{Sam3Config, synthetic};
use medsam3_train::parameters;

/// What the trunk gives, and the gradients of a sum over it: of the image, and of every parameter that has one.
#[derive(Debug, PartialEq)]
struct Found {
    result: Vec<f32>,
    image: Vec<f32>,
    parameters: Vec<Option<Vec<f32>>>,
}

struct Reader<'a>(&'a Gradients, Vec<Option<Vec<f32>>>);

impl ModuleVisitor for Reader<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.push(param.val().grad(self.0).map(values));
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn run(trunk: &ViT, device: &Device, side: usize, recompute: bool, dropped: bool) -> Found {
    let images = [synthetic::image(side, side), synthetic::image(side, side)];
    let data = TensorData::new(images.concat(), [2, 3, side, side]);
    let image = Tensor::<4>::from_data(data, device).require_grad();
    let keep = |attention: [f32; 2], mlp: [f32; 2]| BranchFactors {
        attention: attention.to_vec(),
        mlp: mlp.to_vec(),
    };
    let factors = if dropped {
        // Of the first three blocks alone: those that have none are not scaled.
        vec![
            keep([1.0, 1.0], [1.0, 1.0]),
            keep([0.0, 1.25], [1.25, 0.0]),
            keep([1.25, 1.25], [0.0, 1.25]),
        ]
    } else {
        Vec::new()
    };
    let y = trunk.forward_trained(image.clone(), TrunkTraining { factors, recompute });
    let weights = Tensor::<1>::from_data(
        (0..y.shape().num_elements())
            .map(|at| (at as f32 * 0.37).sin())
            .collect::<Vec<_>>()
            .as_slice(),
        &y.device(),
    );
    let loss = (y.clone() * weights.reshape(y.shape())).sum();
    let gradients = loss.backward();
    let mut reader = Reader(&gradients, Vec::new());
    trunk.visit(&mut reader);
    Found {
        result: values(y.inner()),
        image: values(image.grad(&gradients).expect("a gradient of the image")),
        parameters: reader.1,
    }
}

fn compare(device: &Device, side: usize, dropped: bool) {
    let mut config = Sam3Config::tiny_parity();
    config.image_side = side;
    let host = Device::flex();
    host.seed(3);
    let model = config.init(&host);
    let mut slots = parameters::slots(&model);
    // A frozen weight in the middle of a block has no gradient either way.
    let frozen = |name: &str| name.ends_with("blocks.2.attn.proj.weight");
    for slot in &mut slots {
        slot.rate = f32::from(!frozen(&slot.name));
    }
    let model = parameters::tracked(&model, &slots, device);
    let trunk = &model.backbone.vision_backbone.trunk;
    let kept = run(trunk, device, side, false, dropped);
    let again = run(trunk, device, side, true, dropped);
    let without = kept.parameters.iter().filter(|found| found.is_none());
    assert_eq!(
        without.count(),
        1,
        "the frozen weight alone has no gradient"
    );
    let nonzero = |found: &Vec<f32>| found.iter().any(|&v| v != 0.0);
    assert!(kept.parameters.iter().flatten().all(nonzero));
    assert!(
        kept == again,
        "side {side}, drop-path {dropped}: something differs"
    );
}

/// With Burn's own recomputation of operations too; 10 x 10 tokens, so that attention is Burn's own.
#[test]
fn both_ways_of_recomputing_go_together() {
    compare(
        &Device::flex().autodiff().gradient_checkpointing(),
        140,
        true,
    );
}

/// 12 x 12 tokens are three windows a side; of 10 x 10, windows stand over, and attention is Burn's own.
#[test]
fn gradients_are_the_same_to_the_last_bit() {
    let device = Device::flex().autodiff();
    for side in [168, 140] {
        for dropped in [false, true] {
            compare(&device, side, dropped);
        }
    }
}

/// Several graphs at once, as several workers have them: a backward pass within another waits for nobody.
#[test]
fn workers_do_not_wait_for_each_other() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    compare(&Device::flex().autodiff(), 168, true);
                }
            });
        }
    });
}

/// Gradients of every parameter of the model for two prompts of one picture, with dropout.
fn prompted(model: &medsam3_model::Sam3, side: usize, recompute: bool) -> Vec<Option<Vec<f32>>> {
    let device = &Device::flex().autodiff();
    let image = TensorData::new(synthetic::image(side, side), [1, 3, side, side]);
    let trunk = TrunkTraining {
        factors: Vec::new(),
        recompute,
    };
    let features = model.encode_image_trained(Tensor::from_data(image, device), trunk);
    let ids = TensorData::new(vec![1, 5, 9, 2, 1, 7, 2, 0], [2, 4]);
    let valid = TensorData::new(
        vec![true, true, true, true, true, true, true, false],
        [2, 4],
    );
    let text = model.encode_text(
        Tensor::from_data(ids, device),
        Tensor::from_data(valid, device),
    );
    let training = PromptTraining {
        duplicate: true,
        recompute,
        dropout: Dropout::new(0.1, [3, 4]),
    };
    let answer = model.ground_trained(&features.select(&[0, 0]), &text, &training);
    let last = answer.duplicated.last().expect("a copy of the queries");
    let loss = answer.semantic.sin().sum()
        + answer.logits.sin().sum()
        + answer.boxes.sin().sum()
        + answer.presence.sum()
        + last.logits.clone().sin().sum()
        + model.masks(&answer.pixels, answer.hs).sin().sum();
    let gradients = loss.backward();
    let mut reader = Reader(&gradients, Vec::new());
    model.visit(&mut reader);
    reader.1
}

#[test]
fn layers_of_the_fusion_encoder_have_the_same_gradients() {
    let config = Sam3Config::tiny_parity();
    let host = Device::flex();
    host.seed(4);
    let model = config.init(&host);
    let slots = parameters::slots(&model);
    let model = parameters::tracked(&model, &slots, &Device::flex().autodiff());
    let kept = prompted(&model, config.image_side, false);
    let again = prompted(&model, config.image_side, true);
    let mut compared = 0;
    for ((kept, again), slot) in kept.iter().zip(&again).zip(&slots) {
        assert_eq!(kept.is_some(), again.is_some(), "{}", slot.name);
        let (Some(kept), Some(again)) = (kept, again) else {
            continue;
        };
        let norm = |values: &mut dyn Iterator<Item = f32>| {
            values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
        };
        let size = norm(&mut kept.iter().copied());
        let off = norm(&mut kept.iter().zip(again).map(|(a, b)| a - b));
        assert!(off <= 1e-5 * size, "{}: off by {off} of {size}", slot.name);
        compared += 1;
    }
    // All but those of auxiliary outputs of layers before the last.
    assert!(
        compared + 20 > slots.len(),
        "{compared} of {} tensors",
        slots.len()
    );
}
