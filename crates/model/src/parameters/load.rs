//! Values from a source into the model, one tensor at a time: turned to the model's layout, sent to the device, forgotten.

use super::{Held, ParameterInfo, Place};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use medsam3_kernels::Q8;

/// A tensor of the checkpoint as its source hands it over, row-major, in the layout of the checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Little-endian half precision, which the device must know; for matrices only.
    F16(Vec<u8>),
    /// Int8 in blocks; for matrices only.
    Q8(Q8),
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(bytes) => bytes.len() / 2,
            Self::Q8(matrix) => matrix.values.len(),
        }
    }
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
    /// The source gave another number of values, or values of a kind that the model does not hold there.
    #[error("the tensor {name} has {found} values, the model needs {expected}")]
    Count {
        /// Canonical name.
        name: String,
        /// Values needed.
        expected: usize,
        /// Values given; 0 when they were of the wrong kind.
        found: usize,
    },
}

struct Loader<'a, E: std::error::Error + 'static> {
    place: Place,
    wanted: &'a dyn Fn(&str) -> bool,
    source: &'a mut dyn FnMut(&ParameterInfo) -> Result<Values, E>,
    error: Option<LoadError<E>>,
}

impl<E: std::error::Error + 'static> Loader<'_, E> {
    /// Values of the parameter, if it is wanted and nothing went wrong before; their number is right.
    fn ask(&mut self, info: &ParameterInfo) -> Option<Values> {
        if self.error.is_some() || !(self.wanted)(&info.name) {
            return None;
        }
        let values = (self.source)(info)
            .map_err(|source| LoadError::Source {
                name: info.name.clone(),
                source,
            })
            .and_then(|values| {
                let expected = info.shape.iter().product();
                let right_kind = match &values {
                    Values::F32(_) => true,
                    Values::F16(_) => info.held == Held::Matrix,
                    Values::Q8(matrix) => {
                        info.held == Held::Matrix && matrix.shape[..] == info.shape
                    }
                };
                let found = if right_kind { values.count() } else { 0 };
                if found == expected {
                    return Ok(values);
                }
                Err(LoadError::Count {
                    name: info.name.clone(),
                    expected,
                    found,
                })
            });
        values.map_err(|error| self.error = Some(error)).ok()
    }
}

/// To the device, into memory that is not given to anything else.
fn place_float<const D: usize>(data: TensorData, device: &Device) -> Tensor<D> {
    let dtype = data.dtype();
    device.memory_persistent_allocations(data, |data| Tensor::from_data(data, (device, dtype)))
}

impl<E: std::error::Error + 'static> ModuleMapper for Loader<'_, E> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape: Vec<usize> = param.lazy_shape().to_vec();
        let (info, layout) = self.place.parameter(&shape);
        let Some(values) = self.ask(&info) else {
            return param;
        };
        // An autodiff device gives a tensor of its own kind; the parameter's gradient setting is kept.
        let (device, id) = (param.lazy_device(), param.id);
        let data = match values {
            Values::F32(values) => TensorData::new(layout.to_model(values), shape),
            Values::F16(bytes) => {
                let halves = bytes.as_chunks::<2>().0.to_vec();
                drop(bytes);
                let halves = layout.to_model(halves).into_flattened();
                TensorData::from_bytes_vec(halves, shape, DType::F16)
            }
            Values::Q8(matrix) => {
                // A matrix has two axes and so has this parameter, which the compiler cannot know.
                let tensor =
                    Tensor::<D>::from_dispatch(matrix.into_tensor(&device).into_dispatch());
                return param.transform_for_load(tensor, id);
            }
        };
        param.transform_for_load(place_float(data, &device), id)
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
    load_some(model, "", &|_| true, &mut |info| {
        source(info).map(Values::F32)
    })
}

/// As [`load`], for the part of a model that stands at the dotted path `at`, and for the parameters in it whose canonical
/// names are `wanted`; the others stay as they are. So a model can be loaded part by part, and parts left out.
pub fn load_some<M: Module, E: std::error::Error + 'static>(
    part: M,
    at: &str,
    wanted: &dyn Fn(&str) -> bool,
    source: &mut dyn FnMut(&ParameterInfo) -> Result<Values, E>,
) -> Result<M, LoadError<E>> {
    let mut loader = Loader {
        place: Place::at(at),
        wanted,
        source,
        error: None,
    };
    let part = part.map(&mut loader);
    match loader.error {
        Some(error) => Err(error),
        None => Ok(part),
    }
}
