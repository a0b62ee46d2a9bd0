//! Parameters by the canonical names and layouts of `sam3.pt`, to and from the model.
//!
//! Names are the module path behind `detector.`. Layouts differ where the model keeps a weight as its matrix
//! product needs it; the permutation happens here, on the host, once.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// What every canonical name of the image model begins with.
const PREFIX: &str = "detector.";

/// Canonical tensors that the text-only image path does not use: accepted in a checkpoint, never loaded.
const UNUSED: [&str; 10] = [
    "tracker.",
    "detector.backbone.vision_backbone.sam2_convs.",
    "detector.backbone.vision_backbone.convs.3.",
    "detector.backbone.language_backbone.encoder.text_projection",
    "detector.geometry_encoder.label_embed.",
    "detector.geometry_encoder.points_",
    "detector.geometry_encoder.boxes_",
    "detector.geometry_encoder.img_pre_norm.",
    "detector.segmentation_head.pixel_decoder.conv_layers.2.",
    "detector.segmentation_head.pixel_decoder.norms.2.",
];

/// True for canonical tensors that belong to SAM 3 but not to the text-only image path.
pub fn is_unused(name: &str) -> bool {
    UNUSED.iter().any(|start| name.starts_with(start)) || name.ends_with(".freqs_cis")
}

/// A parameter as a checkpoint has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Canonical name, as in `sam3.pt`.
    pub name: String,
    /// Shape in the layout of the checkpoint.
    pub shape: Vec<usize>,
}

/// A tensor that does not fit the model.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E: std::error::Error + 'static> {
    /// The source failed.
    #[error("the tensor {name} could not be read")]
    Source {
        /// Canonical name.
        name: String,
        /// The source's own error.
        #[source]
        source: E,
    },
    /// The source gave another number of values.
    #[error("the tensor {name} has {found} values, the model needs {expected}")]
    Count {
        /// Canonical name.
        name: String,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
}

/// How a parameter of the model relates to the tensor of the checkpoint: the checkpoint's axis i is axis
/// `axes[i]` of the model's values seen in the shape `seen`.
struct Layout {
    seen: Vec<usize>,
    axes: Vec<usize>,
}

impl Layout {
    fn new(container: &str, field: &str, shape: &[usize]) -> Self {
        let (seen, axes): (Vec<usize>, Vec<usize>) = match (container, field, shape) {
            ("Linear", "weight", _) | ("MultiheadAttention", "in_proj_weight", _) => {
                (shape.to_vec(), vec![1, 0])
            }
            ("Conv1x1", "weight", &[input, output]) => {
                (vec![input, output, 1, 1], vec![1, 0, 2, 3])
            }
            ("ConvTranspose2x2", "weight", &[input, outputs]) => {
                (vec![input, 2, 2, outputs / 4], vec![0, 3, 1, 2])
            }
            ("Conv3x3", "weight", &[inputs, output]) => {
                (vec![3, 3, inputs / 9, output], vec![3, 2, 0, 1])
            }
            ("PatchProjection", "weight", &[inputs, output]) => {
                let patch = (inputs / 3).isqrt();
                (vec![3, patch, patch, output], vec![3, 0, 1, 2])
            }
            _ => (shape.to_vec(), (0..shape.len()).collect()),
        };
        Self { seen, axes }
    }

    /// Shape in the checkpoint.
    fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|&axis| self.seen[axis]).collect()
    }

    /// Values of the model to values of the checkpoint.
    fn to_checkpoint(&self, values: Vec<f32>) -> Vec<f32> {
        permute(values, &self.seen, &self.axes)
    }

    /// Values of the checkpoint to values of the model.
    fn to_model(&self, values: Vec<f32>) -> Vec<f32> {
        let mut back = vec![0; self.axes.len()];
        for (i, &axis) in self.axes.iter().enumerate() {
            back[axis] = i;
        }
        permute(values, &self.shape(), &back)
    }
}

/// Axis i of the result is axis `axes[i]` of `values`, which has the given shape.
fn permute(values: Vec<f32>, shape: &[usize], axes: &[usize]) -> Vec<f32> {
    if axes.iter().enumerate().all(|(i, &axis)| i == axis) {
        return values;
    }
    let mut strides = vec![1; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1];
    }
    let extents: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let steps: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
    let mut index = vec![0; axes.len()];
    let mut from = 0;
    (0..values.len())
        .map(|_| {
            let value = values[from];
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                from += steps[axis];
                if index[axis] < extents[axis] {
                    break;
                }
                from -= steps[axis] * extents[axis];
                index[axis] = 0;
            }
            value
        })
        .collect()
}

/// Where in the module tree a visit is.
#[derive(Default)]
struct Place {
    names: Vec<String>,
    containers: Vec<String>,
}

impl Place {
    fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_owned());
        self.containers.push(
            container
                .strip_prefix("Struct:")
                .unwrap_or(container)
                .to_owned(),
        );
    }

    fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    fn layout(&self, shape: &[usize]) -> Layout {
        let container = self.containers.last().map_or("", String::as_str);
        let field = self.names.last().map_or("", String::as_str);
        Layout::new(container, field, shape)
    }

    /// Canonical name: norms call their parameters weight and bias there.
    fn name(&self) -> String {
        let (field, path) = match self.names.split_last() {
            Some((field, path)) => (field.as_str(), path.join(".")),
            None => ("", String::new()),
        };
        let field = match field {
            "gamma" => "weight",
            "beta" => "bias",
            other => other,
        };
        format!("{PREFIX}{path}.{field}").replace("..", ".")
    }
}

struct Lister {
    place: Place,
    found: Vec<ParameterInfo>,
}

impl ModuleVisitor for Lister {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape: Vec<usize> = param.lazy_shape().to_vec();
        self.found.push(ParameterInfo {
            name: self.place.name(),
            shape: self.place.layout(&shape).shape(),
        });
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

/// All parameters of a model (or of a module of it, with paths from there), in the order of the modules.
pub fn parameters<M: Module>(model: &M) -> Vec<ParameterInfo> {
    let mut lister = Lister {
        place: Place::default(),
        found: Vec::new(),
    };
    model.visit(&mut lister);
    lister.found
}

struct Loader<'a, E: std::error::Error + 'static> {
    place: Place,
    source: &'a mut dyn FnMut(&ParameterInfo) -> Result<Vec<f32>, E>,
    error: Option<LoadError<E>>,
}

impl<E: std::error::Error + 'static> ModuleMapper for Loader<'_, E> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let shape: Vec<usize> = param.lazy_shape().to_vec();
        let layout = self.place.layout(&shape);
        let info = ParameterInfo {
            name: self.place.name(),
            shape: layout.shape(),
        };
        let expected = shape.iter().product();
        match (self.source)(&info) {
            Ok(values) if values.len() == expected => {
                // An autodiff device gives a tensor of its own kind; the parameter's gradient setting is kept.
                let device = param.lazy_device();
                let data = TensorData::new(layout.to_model(values), shape);
                let id = param.id;
                let tensor = device
                    .memory_persistent_allocations(data, |data| Tensor::from_data(data, &device));
                param.transform_for_load(tensor, id)
            }
            Ok(values) => {
                self.error = Some(LoadError::Count {
                    name: info.name,
                    expected,
                    found: values.len(),
                });
                param
            }
            Err(source) => {
                self.error = Some(LoadError::Source {
                    name: info.name,
                    source,
                });
                param
            }
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

/// Fills a model from `source`, which is asked for one tensor at a time in the layout of the checkpoint.
///
/// Initial values that were not drawn yet never are. The first error ends the loading.
pub fn load<M: Module, E: std::error::Error + 'static>(
    model: M,
    source: &mut dyn FnMut(&ParameterInfo) -> Result<Vec<f32>, E>,
) -> Result<M, LoadError<E>> {
    let mut loader = Loader {
        place: Place::default(),
        source,
        error: None,
    };
    let model = model.map(&mut loader);
    match loader.error {
        Some(error) => Err(error),
        None => Ok(model),
    }
}

struct Saver<'a> {
    place: Place,
    sink: &'a mut dyn FnMut(ParameterInfo, Vec<f32>),
}

impl ModuleVisitor for Saver<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let layout = self.place.layout(&tensor.dims());
        let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
        let info = ParameterInfo {
            name: self.place.name(),
            shape: layout.shape(),
        };
        (self.sink)(info, layout.to_checkpoint(values));
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

/// Hands every parameter to `sink` in the layout of the checkpoint. Reads synchronously: not for the browser.
pub fn save<M: Module>(model: &M, sink: &mut dyn FnMut(ParameterInfo, Vec<f32>)) {
    model.visit(&mut Saver {
        place: Place::default(),
        sink,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_their_own_inverse() {
        let values: Vec<f32> = (0..54).map(|v| v as f32).collect();
        let layout = Layout::new("Conv3x3", "weight", &[27, 2]);
        assert_eq!(layout.shape(), [2, 3, 3, 3]);
        let checkpoint = layout.to_checkpoint(values.clone());
        // [out 0][in 0] holds the nine kernel cells, which lie in * out apart in the model.
        assert_eq!(checkpoint[..9], [0., 6., 12., 18., 24., 30., 36., 42., 48.]);
        assert_eq!(layout.to_model(checkpoint), values);
    }
}
