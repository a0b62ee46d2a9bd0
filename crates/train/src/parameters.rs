//! Parameters, their gradients and their values as flat vectors, in the order of the model's modules.
//!
//! The optimiser, the average and the checkpoint work on these; every worker gets its own copy of the model from them,
//! so that two workers never share an autodiff graph.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
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
    /// Whether a low-rank adapter changes it in its place.
    pub adapted: bool,
}

impl Slot {
    /// Whether a step has to find its gradient.
    pub fn needs_gradient(&self) -> bool {
        self.rate > 0.0 || self.adapted
    }

    /// How many values a moment or the average of it has: as many as it has itself, none where it is frozen.
    pub fn state_len(&self, values: usize) -> usize {
        if self.rate > 0.0 { values } else { 0 }
    }
}

/// Slots and current values of a model.
pub fn collect(model: &Sam3) -> (Vec<Slot>, Vec<Vec<f32>>) {
    struct Reader(Vec<(Vec<usize>, Vec<f32>)>);
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            self.0.push((
                tensor.dims().to_vec(),
                tensor.into_data().iter::<f32>().collect(),
            ));
        }
    }
    let mut reader = Reader(Vec::new());
    model.visit(&mut reader);
    parameters::parameters(model)
        .into_iter()
        .zip(reader.0)
        .map(|(info, (shape, values))| {
            let decay =
                shape.len() >= 2 && !info.name.contains("embed") && !info.name.contains("token");
            (
                Slot {
                    name: info.name,
                    shape,
                    linear: info.held == Held::Matrix,
                    decay,
                    rate: 1.0,
                    adapted: false,
                },
                values,
            )
        })
        .unzip()
}

/// The same model with other values, each a fresh leaf that a gradient is kept for where `train` is set.
pub fn assign<V: AsRef<[f32]>>(model: Sam3, values: &[V], train: bool) -> Sam3 {
    write(model, values, &mut std::iter::repeat(train))
}

/// The same model with other values, each a fresh leaf; gradients are kept for those that are not frozen.
pub fn assign_trained<V: AsRef<[f32]>>(model: Sam3, values: &[V], slots: &[Slot]) -> Sam3 {
    write(model, values, &mut slots.iter().map(Slot::needs_gradient))
}

fn write<V: AsRef<[f32]>>(
    model: Sam3,
    values: &[V],
    train: &mut dyn Iterator<Item = bool>,
) -> Sam3 {
    struct Writer<'a, V> {
        values: std::slice::Iter<'a, V>,
        train: &'a mut dyn Iterator<Item = bool>,
    }
    impl<V: AsRef<[f32]>> ModuleMapper for Writer<'_, V> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (Some(values), Some(train)) = (self.values.next(), self.train.next()) else {
                return param;
            };
            let (device, shape, id) = (param.lazy_device(), param.lazy_shape(), param.id);
            let tensor =
                Tensor::from_data(TensorData::new(values.as_ref().to_vec(), shape), &device);
            Param::initialized(id, tensor.set_require_grad(train))
        }
    }
    model.map(&mut Writer {
        values: values.iter(),
        train,
    })
}

/// Gradients in the order of the slots; empty where the loss does not depend on a parameter.
pub fn gradients(model: &Sam3, gradients: &Gradients) -> Vec<Vec<f32>> {
    struct Reader<'a>(&'a Gradients, Vec<Vec<f32>>);
    impl ModuleVisitor for Reader<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = param
                .val()
                .grad(self.0)
                .map(|gradient| gradient.into_data().iter::<f32>().collect());
            self.1.push(values.unwrap_or_default());
        }
    }
    let mut reader = Reader(gradients, Vec::new());
    model.visit(&mut reader);
    reader.1
}
