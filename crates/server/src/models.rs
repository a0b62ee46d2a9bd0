//! Model folders that are offered to the page beside those it comes with, each as `models/<its name>/`. Of a folder
//! only what its manifest names is served, the manifest and the model card, whatever else lies in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::ServeError;

const MANIFEST: &str = "manifest.json";
/// It has the model's licence and attribution, which travel with it.
const MODEL_CARD: &str = "MODEL_CARD.md";

/// Folders by the name under which they are offered.
#[derive(Debug, Default)]
pub struct Models(BTreeMap<String, PathBuf>);

/// The part of a manifest that says which files there are (`crates/weights/src/manifest.rs` has the whole).
#[derive(Deserialize)]
struct Manifest {
    files: Vec<FileEntry>,
}

#[derive(Deserialize)]
struct FileEntry {
    name: String,
}

/// `models/index.json`, by which the page finds models.
#[derive(Serialize, Deserialize)]
struct Index {
    models: Vec<IndexEntry>,
}

#[derive(Serialize, Deserialize)]
struct IndexEntry {
    folder: String,
}

impl Models {
    /// Looks at each folder's name and manifest.
    ///
    /// # Errors
    /// [`ServeError::Model`], [`ServeError::ModelName`] or [`ServeError::SameName`].
    pub fn open(folders: &[PathBuf]) -> Result<Self, ServeError> {
        let mut models = BTreeMap::new();
        for folder in folders {
            let refused = |reason: String| ServeError::Model {
                folder: folder.clone(),
                reason,
            };
            let full = folder
                .canonicalize()
                .map_err(|error| refused(error.to_string()))?;
            manifest(&full).map_err(refused)?;
            // It becomes part of an address, and the name by which the page keeps the model apart from others.
            let name = full.file_name().and_then(OsStr::to_str);
            let Some(name) = name.filter(|name| is_plain_name(name)) else {
                return Err(ServeError::ModelName { folder: full });
            };
            let name = name.to_owned();
            if models.get(&name).is_some_and(|other| *other != full) {
                return Err(ServeError::SameName { name });
            }
            models.insert(name, full);
        }
        Ok(Self(models))
    }

    /// Whether none is offered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a folder is offered under this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The file of a model, if its manifest names it now: a folder may be written anew while it is offered.
    pub fn file(&self, model: &str, name: &str) -> Option<PathBuf> {
        let folder = self.0.get(model)?;
        let listed = || {
            manifest(folder)
                .ok()
                .is_some_and(|manifest| manifest.files.iter().any(|file| file.name == name))
        };
        let served = is_plain_name(name) && (name == MANIFEST || name == MODEL_CARD || listed());
        served.then(|| folder.join(name))
    }

    /// The list of models: what the page's own says, if it can be read, and these.
    pub fn index(&self, of_page: Option<&[u8]>) -> Vec<u8> {
        let of_page = of_page.and_then(|bytes| serde_json::from_slice::<Index>(bytes).ok());
        let mut models = of_page.map_or(Vec::new(), |index| index.models);
        models.retain(|model| !self.has(&model.folder));
        models.extend(self.names().map(|name| IndexEntry {
            folder: name.to_owned(),
        }));
        // Strings alone: nothing in it can fail.
        serde_json::to_vec(&Index { models }).unwrap_or_default()
    }
}

fn manifest(folder: &Path) -> Result<Manifest, String> {
    let bytes = fs::read(folder.join(MANIFEST)).map_err(|error| format!("{MANIFEST}: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{MANIFEST}: {error}"))
}

/// Letters, digits, `.`, `-` and `_`, not starting with a dot: such a name cannot leave its folder.
fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}
