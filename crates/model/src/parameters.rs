//! Parameters by the canonical names and layouts of `sam3.pt`, to and from the model.
//!
//! Names are the module path, behind `detector.` for all but the tracker; a field `at_3` is layer 3 of a sequence. Layouts differ where the model keeps a weight as its matrix
//! product needs it; the permutation happens here, on the host, once.

mod layout;
mod load;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};
use layout::Layout;

pub use load::{LoadError, Values, load, load_some};

/// What every canonical name of the image model begins with.
const PREFIX: &str = "detector.";
/// What those of the tracker begin with.
const TRACKER: &str = "tracker.";
/// In front of the number of a layer in a sequence of them, where Rust wants a name.
const NUMBERED: &str = "at_";

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

/// How the model may hold a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// In f32 only.
    Single,
    /// The matrix of a linear layer: 95 % of all parameters, so it may also be f16 or int8 in blocks.
    Matrix,
}

/// A parameter as a checkpoint has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Canonical name, as in `sam3.pt`.
    pub name: String,
    /// Shape in the layout of the checkpoint.
    pub shape: Vec<usize>,
    /// How the model may hold it.
    pub held: Held,
}

/// Where in the module tree a visit is.
#[derive(Default)]
struct Place {
    names: Vec<String>,
    containers: Vec<String>,
}

impl Place {
    /// In front of the part of a model at a dotted path.
    fn at(path: &str) -> Self {
        let mut place = Self::default();
        if !path.is_empty() {
            place.enter(path, "");
        }
        place
    }

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

    /// The parameter at this place, which the model keeps in the given shape.
    fn parameter(&self, shape: &[usize]) -> (ParameterInfo, Layout) {
        let container = self.containers.last().map_or("", String::as_str);
        let field = self.names.last().map_or("", String::as_str);
        let layout = Layout::new(container, field, shape);
        let held = match (container, field) {
            ("Linear", "weight") | ("MultiheadAttention", "in_proj_weight") => Held::Matrix,
            _ => Held::Single,
        };
        let info = ParameterInfo {
            name: self.name(),
            shape: layout.shape(),
            held,
        };
        (info, layout)
    }

    /// Canonical name: norms call their parameters weight and bias there.
    fn name(&self) -> String {
        let (field, path) = match self.names.split_last() {
            Some((field, path)) => (field.as_str(), path),
            None => ("", &[][..]),
        };
        let container = self.containers.last().map_or("", String::as_str);
        let field = match (container, field) {
            // A scale of its own, named as it is.
            ("CXBlock", "gamma") => "gamma",
            (_, "gamma") => "weight",
            (_, "beta") => "bias",
            (_, other) => other,
        };
        let path: Vec<&str> = path
            .iter()
            .map(|name| name.strip_prefix(NUMBERED).unwrap_or(name))
            .collect();
        let name = format!("{}.{field}", path.join(".")).replace("..", ".");
        if name.starts_with(TRACKER) {
            name
        } else {
            format!("{PREFIX}{}", name.trim_start_matches('.'))
        }
    }
}

struct Lister {
    place: Place,
    found: Vec<ParameterInfo>,
}

impl ModuleVisitor for Lister {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut shape: Vec<usize> = param.lazy_shape().to_vec();
        // Rows of an int8 matrix are outputs, those of a float one inputs.
        if param.is_initialized() && matches!(param.val().dtype(), DType::QFloat(_)) {
            shape.reverse();
        }
        self.found.push(self.place.parameter(&shape).0);
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
    parameters_at(model, "")
}

/// As [`parameters`], for the part of a model that stands at the dotted path `at`.
pub fn parameters_at<M: Module>(part: &M, at: &str) -> Vec<ParameterInfo> {
    let mut lister = Lister {
        place: Place::at(at),
        found: Vec::new(),
    };
    part.visit(&mut lister);
    lister.found
}

struct Saver<'a> {
    place: Place,
    sink: &'a mut dyn FnMut(ParameterInfo, Vec<f32>),
}

impl ModuleVisitor for Saver<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let (info, layout) = self.place.parameter(&tensor.dims());
        let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
        (self.sink)(info, layout.to_checkpoint(values));
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

/// Hands every parameter of a model in floats to `sink` in the layout of the checkpoint. Reads synchronously: not for
/// the browser.
pub fn save<M: Module>(model: &M, sink: &mut dyn FnMut(ParameterInfo, Vec<f32>)) {
    save_at(model, "", sink);
}

/// As [`save`], for the part of a model that stands at the dotted path `at`.
pub fn save_at<M: Module>(part: &M, at: &str, sink: &mut dyn FnMut(ParameterInfo, Vec<f32>)) {
    part.visit(&mut Saver {
        place: Place::at(at),
        sink,
    });
}
