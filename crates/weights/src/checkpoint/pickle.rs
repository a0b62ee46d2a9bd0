//! A pickle read as data: a stack machine for the opcodes that `torch.save` writes (protocols 2 to 5), which builds
//! plain objects and descriptions of tensors. Nothing is ever imported or called; a global that is not on the list in
//! `globals.rs` ends the reading with its name.
//!
//! Objects live in one arena and point at each other by number, so that no nesting, however deep or circular, can
//! exhaust the stack when it is walked or dropped.

mod globals;
mod input;
mod machine;

use super::CheckpointError;
pub(super) use globals::{ElementType, Global};

/// A number of an object in [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// What a pickle is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    None,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// In the order of insertion; a key may be there twice, the later one counts.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
    /// Anything that no tensor is made of: numbers of training logs, devices, sets.
    Opaque,
}

/// A run of elements in a member of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// Name of the member in `data/`.
    pub(super) key: String,
    pub(super) element: ElementType,
    /// How many elements.
    pub(super) elements: usize,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    /// Elements before the first.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Elements from one to the next along each axis.
    pub(super) strides: Vec<usize>,
}

/// All objects of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// Reads a pickle.
    ///
    /// # Errors
    /// [`CheckpointError::Global`] or [`CheckpointError::Pickle`].
    pub(super) fn read(bytes: &[u8]) -> Result<Self, CheckpointError> {
        machine::run(bytes)
    }

    /// What the pickle is.
    pub(super) fn root(&self) -> &Object {
        self.get(self.root)
    }

    pub(super) fn get(&self, id: Id) -> &Object {
        self.objects.get(id.0 as usize).unwrap_or(&Object::Opaque)
    }

    /// Keys that are texts, with their values.
    pub(super) fn entries<'a>(&'a self, dict: &'a Object) -> Vec<(&'a str, &'a Object)> {
        let Object::Dict(entries) = dict else {
            return Vec::new();
        };
        let text = |(key, value): &(Id, Id)| match self.get(*key) {
            Object::Text(key) => Some((key.as_str(), self.get(*value))),
            _ => None,
        };
        entries.iter().filter_map(text).collect()
    }
}

#[cfg(test)]
mod tests;
