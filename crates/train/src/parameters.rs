//! Parameters, their gradients and their values as flat vectors, in the order of the model's modules.
//!
//! The optimiser, the average and the checkpoint work on these. For a step they are lent to a model, and every worker differentiates
//! one of its own that looks at the same values: two workers never share a graph, and weights are held once.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use medsam3_model::Sam3;
use medsam3_model::parameters::{self, Held};

/// What is known of a parameter besides its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Canonical name.
    pub name: String,
    /// Shape as the model keeps it.
    pub shape: Vec<usize>,
    /// Whether it is the matrix of a linear layer, kept as `[inputs, outputs]`.
    pub linear: bool,
    /// Whether weight decay applies: to matrices, not to biases, norms and embeddings of positions and queries.
    pub decay: bool,
    /// Factor on the learning rate of the schedule; 0 freezes.
    pub rate: f32,
    /// Whether the schedule leaves its rate as it is at its peak.
    pub constant: bool,
    /// Whether a low-rank adapter changes it in its place.
    pub adapted: bool,
}

impl Slot {
    /// Whether a step has to find its gradient.
    pub fn needs_gradient(&self) -> bool {
        self.rate > 0.0 || self.adapted
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values a moment or the average of it has: as many as it has itself, none where it is frozen.
    pub fn state_len(&self, values: usize) -> usize {
        if self.rate > 0.0 { values } else { 0 }
    }
}

/// Slots and current values of a model.
pub fn collect(model: &Sam3) -> (Vec<Slot>, Vec<Vec<f32>>) {
    struct Reader(Vec<Vec<f32>>);
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(numbers(param.val()));
        }
    }
    let mut reader = Reader(Vec::new());
    model.visit(&mut reader);
    (slots(model), reader.0)
}

/// Slots of a model; values that nobody has drawn yet stay so.
pub fn slots(model: &Sam3) -> Vec<Slot> {
    struct Reader(Vec<Vec<usize>>);
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.lazy_shape().to_vec());
        }
    }
    let mut reader = Reader(Vec::new());
    model.visit(&mut reader);
    let shapes = parameters::parameters(model).into_iter().zip(reader.0);
    shapes
        .map(|(info, shape)| Slot {
            decay: shape.len() >= 2 && !info.name.contains("embed") && !info.name.contains("token"),
            linear: info.held == Held::Matrix,
            name: info.name,
            shape,
            rate: 1.0,
            constant: false,
            adapted: false,
        })
        .collect()
}

/// The same model with a copy of other values, each a fresh leaf that a gradient is kept for where `train` is set.
pub fn assign<V: AsRef<[f32]>>(model: Sam3, values: &[V], train: bool) -> Sam3 {
    let copies = values.iter().map(|values| values.as_ref().to_vec());
    write(model, &mut copies.into_iter(), train)
}

/// The same model with other values on the host, which it takes over as they are: at full size a copy is 3.4 GB.
pub fn hold(model: Sam3, values: Vec<Vec<f32>>) -> Sam3 {
    write(model, &mut values.into_iter(), false)
}

fn write(model: Sam3, values: &mut dyn Iterator<Item = Vec<f32>>, train: bool) -> Sam3 {
    struct Writer<'a>(&'a mut dyn Iterator<Item = Vec<f32>>, bool);
    impl ModuleMapper for Writer<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(values) = self.0.next() else {
                return param;
            };
            let (device, shape, id) = (param.lazy_device(), param.lazy_shape(), param.id);
            let tensor = Tensor::from_data(TensorData::new(values, shape), &device);
            Param::initialized(id, tensor.set_require_grad(self.1))
        }
    }
    model.map(&mut Writer(values, train))
}

/// What [`hold`] took: the same memory, where nothing else looks at it any more.
pub fn release(model: Sam3) -> Vec<Vec<f32>> {
    struct Taker(Vec<Vec<f32>>);
    impl ModuleMapper for Taker {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let id = param.id;
            let tensor = param.into_value();
            let nothing = Tensor::empty([0; D], &tensor.device());
            self.0.push(numbers(tensor));
            Param::initialized(id, nothing)
        }
    }
    let mut taker = Taker(Vec::new());
    model.map(&mut taker);
    taker.0
}

/// A copy of the model on a device that differentiates, each parameter a leaf of a graph of its own; gradients are kept for
/// those that are not frozen. Where the device is the one that the model is on, both look at the same values.
pub fn tracked(model: &Sam3, slots: &[Slot], device: &Device) -> Sam3 {
    struct Tracker<'a>(std::slice::Iter<'a, Slot>, &'a Device);
    impl ModuleMapper for Tracker<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let train = self.0.next().is_some_and(Slot::needs_gradient);
            let id = param.id;
            let (tensor, inner) = (param.into_value(), self.1.clone().inner());
            let tensor = if tensor.device() == inner {
                tensor
            } else {
                tensor.to_device(&inner)
            };
            let tensor = tensor.autodiff();
            let tensor = match self.1.gradient_checkpointing_strategy() {
                Some(strategy) => tensor.with_gradient_checkpointing_strategy(strategy),
                None => tensor,
            };
            Param::initialized(id, tensor.set_require_grad(train))
        }
    }
    model.clone().map(&mut Tracker(slots.iter(), device))
}

/// Gradients in the order of the slots; empty where the loss does not depend on a parameter.
pub fn gradients(model: &Sam3, mut gradients: Gradients) -> Vec<Vec<f32>> {
    struct Reader<'a>(&'a mut Gradients, Vec<Vec<f32>>);
    impl ModuleVisitor for Reader<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // Removed one by one, so that none is held twice.
            let values = param.val().grad_remove(self.0).map(numbers);
            self.1.push(values.unwrap_or_default());
        }
    }
    let mut reader = Reader(&mut gradients, Vec::new());
    model.visit(&mut reader);
    reader.1
}

/// The values of a tensor, without copying where it is the only one to hold them.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data();
    match data.dtype() {
        DType::F32 => data.try_into_vec().expect("values of f32"),
        _ => data.iter::<f32>().collect(),
    }
}
