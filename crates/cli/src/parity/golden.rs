//! A golden file: safetensors, every tensor as f32.

use anyhow::{Context as _, Result, bail};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// Shape and values of a tensor.
pub struct GoldenTensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// All tensors of a golden file by name.
pub struct Golden(BTreeMap<String, GoldenTensor>);

impl Golden {
    /// Reads the file. Integer tensors become f32, which holds every id exactly.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes).context("not a safetensors file")?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
                Dtype::I32 => data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| i32::from_le_bytes(*b) as f32)
                    .collect(),
                Dtype::I64 => data
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| i64::from_le_bytes(*b) as f32)
                    .collect(),
                Dtype::BOOL | Dtype::U8 => data.iter().map(|b| f32::from(*b)).collect(),
                other => bail!("the tensor {name} has the dtype {other:?}"),
            };
            tensors.insert(
                name,
                GoldenTensor {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        Ok(Self(tensors))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn get(&self, name: &str) -> Option<&GoldenTensor> {
        self.0.get(name)
    }

    pub fn require(&self, name: &str) -> Result<&GoldenTensor> {
        self.get(name)
            .with_context(|| format!("the golden file has no tensor {name}"))
    }

    /// Names that start with `prefix`, in order.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a String> {
        self.0.keys().filter(move |name| name.starts_with(prefix))
    }
}
