//! A file of `torch.save`: a zip archive with `data.pkl`, which describes the objects, and a member of `data/` for
//! each storage. Of the objects the model's tensors are kept; nothing else of the archive is ever read.

mod archive;

use std::collections::BTreeMap;
use std::fs::File;

pub(super) use archive::Archive;

use super::element::Element;
use super::pickle::{ElementType, Object, Pickle, Tensor};
use super::{CheckpointError, Place, Stored};

/// Where training checkpoints keep the model, beside optimizer and counters. The first that is there is taken: an
/// average (EMA) only where the weights themselves are not in the file.
const MODELS: [&str; 6] = [
    "model",
    "state_dict",
    "model_state_dict",
    "ema",
    "model_ema",
    "ema_state_dict",
];

/// The archive, the model's tensors, and what lies beside the model.
type Opened = (Archive, BTreeMap<String, Stored>, Vec<String>);

pub(super) fn open(file: File, file_bytes: u64) -> Result<Opened, CheckpointError> {
    let mut archive = Archive::open(file, file_bytes)?;
    let pickle = Pickle::read(&archive.pickle()?)?;
    let root = pickle.entries(pickle.root());
    let nested = MODELS.iter().find_map(|model| {
        let mut entries = root.iter().rev();
        entries.find(|(key, value)| key == model && matches!(value, Object::Dict(_)))
    });
    let (model, left_out) = match nested {
        Some((model_key, model)) => {
            let beside = root.iter().map(|(key, _)| *key);
            let beside = beside.filter(|key| key != model_key);
            (pickle.entries(model), beside.map(str::to_owned).collect())
        }
        None => (root, Vec::new()),
    };
    let is_tensor = |(_, value): &(&str, &Object)| matches!(value, Object::Tensor(_));
    if !model.iter().any(is_tensor) {
        return Err(CheckpointError::Format {
            reason: "its pickle holds no dictionary of tensors, nor one called \"model\" or \"state_dict\""
                .to_owned(),
        });
    }
    let mut tensors = BTreeMap::new();
    for (name, value) in model {
        if let Object::Tensor(tensor) = value {
            tensors.insert(name.to_owned(), stored(&archive, name, tensor)?);
        }
    }
    Ok((archive, tensors, left_out))
}

/// Compares a tensor with the member that holds it.
fn stored(archive: &Archive, name: &str, tensor: &Tensor) -> Result<Stored, CheckpointError> {
    let format = |reason: String| CheckpointError::Format { reason };
    let storage = &tensor.storage;
    let (member, found) = archive
        .storage(&storage.key)
        .ok_or_else(|| format(format!("the storage of \"{name}\" is not in the archive")))?;
    let expected = storage.elements.checked_mul(storage.element.bytes());
    if expected.map(|bytes| bytes as u64) != Some(found) {
        return Err(format(format!(
            "the storage of \"{name}\" has {found} bytes where the pickle says {} elements of {}",
            storage.elements,
            storage.element.name()
        )));
    }
    if span(tensor).is_none_or(|end| end > storage.elements) {
        return Err(format(format!("\"{name}\" reaches beyond its storage")));
    }
    let element = match storage.element {
        ElementType::F64 => Element::F64,
        ElementType::F32 => Element::F32,
        ElementType::F16 => Element::F16,
        ElementType::Bf16 => Element::Bf16,
        ElementType::Other(name, _) => Element::Other(name.to_owned()),
    };
    Ok(Stored {
        element,
        shape: tensor.shape.clone(),
        place: Place::Member {
            member,
            offset: tensor.offset,
            strides: tensor.strides.clone(),
        },
    })
}

/// One past the last element of the storage that the tensor looks at; `None` when that overflows.
fn span(tensor: &Tensor) -> Option<usize> {
    if tensor.shape.contains(&0) {
        return Some(0);
    }
    let mut last = tensor.offset;
    let mut count = 1_usize;
    for (side, stride) in tensor.shape.iter().zip(&tensor.strides) {
        last = last.checked_add((side - 1).checked_mul(*stride)?)?;
        count = count.checked_mul(*side)?;
    }
    last.checked_add(1)
}
