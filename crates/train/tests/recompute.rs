//! Trunk blocks that are computed again in the backward pass give the gradients of those that are kept, to the last bit.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
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
