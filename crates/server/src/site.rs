//! Which files have an address: those of the page and those of the models that are offered. A path is below the site,
//! with `/`; a link that leads out of its folder leads nowhere, and every fault is "not found".

use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use tower_http::services::fs::Backend;

use crate::content::{Bytes, Content, Facts};
use crate::error::ServeError;
use crate::header_rules::HeaderRules;
use crate::models::Models;
use crate::page::{CarriedFile, Page};

const HEADERS: &str = "_headers";
const MODELS_INDEX: &str = "models/index.json";
/// How copies of a file that were compressed beforehand are named.
const COMPRESSED: [&str; 2] = [".br", ".gz"];

/// The page and the models beside it.
#[derive(Clone)]
pub struct Site(Arc<Parts>);

struct Parts {
    page: Page,
    headers: HeaderRules,
    models: Models,
    /// When serving began, which is the date of what is put together here.
    begun: SystemTime,
}

/// Where a path leads.
enum Place {
    Disk(PathBuf),
    Carried(&'static CarriedFile),
    Made(Bytes),
}

impl Site {
    /// Opens a page and takes model folders beside it.
    ///
    /// # Errors
    /// [`ServeError::Page`] where there is no page, or its `_headers` cannot be read.
    pub fn open(page: &Page, models: Models) -> Result<Self, ServeError> {
        let name = match page {
            Page::Folder(folder) => folder.display().to_string(),
            Page::Carried(_) => "what this program carries".to_owned(),
        };
        let refused = |reason: String| ServeError::Page {
            folder: name.clone(),
            reason,
        };
        let page = match page {
            Page::Folder(folder) => {
                let full = folder.canonicalize();
                Page::Folder(full.map_err(|error| refused(error.to_string()))?)
            }
            Page::Carried(files) => Page::Carried(files),
        };
        // A page without its headers would be one without its policy.
        let headers = match &page {
            Page::Folder(folder) => std::fs::read_to_string(folder.join(HEADERS))
                .map_err(|error| refused(format!("{HEADERS}: {error}")))?,
            Page::Carried(files) => {
                let file = find(files, HEADERS);
                let file = file.ok_or_else(|| refused(format!("{HEADERS} is missing")))?;
                String::from_utf8_lossy(file.bytes).into_owned()
            }
        };
        Ok(Self(Arc::new(Parts {
            page,
            headers: HeaderRules::parse(&headers).map_err(refused)?,
            models,
            begun: SystemTime::now(),
        })))
    }

    /// The page's response headers.
    pub fn headers(&self) -> &HeaderRules {
        &self.0.headers
    }

    /// The models that are offered beside the page's own.
    pub fn models(&self) -> &Models {
        &self.0.models
    }

    fn open_blocking(&self, path: &str) -> io::Result<(Facts, Opened)> {
        match self.locate(path).ok_or(io::ErrorKind::NotFound)? {
            Place::Disk(path) => {
                let file = std::fs::File::open(path)?;
                let facts = Facts::of(&file.metadata()?);
                Ok((facts, Opened::Disk(file)))
            }
            Place::Carried(file) => {
                let bytes = Bytes::Static(file.bytes);
                Ok((Facts::carried(file), Opened::Memory(bytes)))
            }
            Place::Made(bytes) => {
                let facts = Facts::made(bytes.as_ref(), self.0.begun);
                Ok((facts, Opened::Memory(bytes)))
            }
        }
    }

    fn facts_blocking(&self, path: &str) -> io::Result<Facts> {
        if path.is_empty() {
            return Ok(Facts::folder());
        }
        self.open_blocking(path).map(|(facts, _)| facts)
    }

    fn locate(&self, path: &str) -> Option<Place> {
        let Parts { models, .. } = &*self.0;
        if let Some((model, file)) = self.offered(path) {
            let file = models.file(model, file)?;
            return within(file.parent()?, &file).map(Place::Disk);
        }
        if path == MODELS_INDEX && !models.is_empty() {
            let of_page = self.locate_in_page(path).and_then(|place| place.read());
            let index = models.index(of_page.as_deref());
            return Some(Place::Made(Bytes::Shared(index.into())));
        }
        let place = self.locate_in_page(path)?;
        match COMPRESSED.iter().find_map(|end| path.strip_suffix(end)) {
            Some(original) if self.is_outdated(&place, original) => None,
            _ => Some(place),
        }
    }

    /// The offered model that a path leads into, and the file there.
    fn offered<'a>(&self, path: &'a str) -> Option<(&'a str, &'a str)> {
        let (model, file) = path.strip_prefix("models/")?.split_once('/')?;
        self.0.models.has(model).then_some((model, file))
    }

    /// A compressed copy does not count where its file is newer, or is put together here: it would be the file as it
    /// was. A file that is compressed and no copy of another, as a volume may be, counts.
    fn is_outdated(&self, copy: &Place, original: &str) -> bool {
        if original == MODELS_INDEX && !self.0.models.is_empty() {
            return true;
        }
        let original = self.locate_in_page(original);
        original.is_some_and(|original| copy.modified() < original.modified())
    }

    fn locate_in_page(&self, path: &str) -> Option<Place> {
        if path == HEADERS {
            return None;
        }
        match &self.0.page {
            Page::Folder(folder) => within(folder, &folder.join(path)).map(Place::Disk),
            Page::Carried(files) => find(files, path).map(Place::Carried),
        }
    }
}

impl Place {
    fn modified(&self) -> Option<SystemTime> {
        match self {
            Self::Disk(path) => std::fs::metadata(path).ok()?.modified().ok(),
            Self::Carried(file) => Some(Facts::carried(file).modified()),
            Self::Made(_) => None,
        }
    }

    fn read(&self) -> Option<Vec<u8>> {
        match self {
            Self::Disk(path) => std::fs::read(path).ok(),
            Self::Carried(file) => Some(file.bytes.to_vec()),
            Self::Made(bytes) => Some(bytes.as_ref().to_vec()),
        }
    }
}

enum Opened {
    Disk(std::fs::File),
    Memory(Bytes),
}

impl Backend for Site {
    type File = Content;
    type Metadata = Facts;
    type OpenFuture = Pin<Box<dyn Future<Output = io::Result<Content>> + Send>>;
    type MetadataFuture = Pin<Box<dyn Future<Output = io::Result<Facts>> + Send>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let site = self.clone();
        Box::pin(async move {
            let (facts, opened) =
                blocking(move || site.open_blocking(&with_slashes(&path)?)).await?;
            Ok(match opened {
                Opened::Disk(file) => Content::disk(facts, tokio::fs::File::from_std(file)),
                Opened::Memory(bytes) => Content::memory(facts, bytes),
            })
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let site = self.clone();
        Box::pin(blocking(move || site.facts_blocking(&with_slashes(&path)?)))
    }
}

/// Runs off the thread that answers. A file that cannot be read is one that is not there: the answer says no more.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let result = done.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
    result.map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))
}

/// `ServeDir` puts `.` in front, and lets nothing but names through.
fn with_slashes(path: &Path) -> io::Result<String> {
    let names = path.components().filter(|part| *part != Component::CurDir);
    let names: Option<Vec<&str>> = names.map(|name| name.as_os_str().to_str()).collect();
    Ok(names.ok_or(io::ErrorKind::NotFound)?.join("/"))
}

/// The file itself, behind any links, if it lies in the folder.
fn within(folder: &Path, file: &Path) -> Option<PathBuf> {
    let full = file.canonicalize().ok()?;
    (full.starts_with(folder) && full.is_file()).then_some(full)
}

fn find(files: &'static [CarriedFile], path: &str) -> Option<&'static CarriedFile> {
    files.iter().find(|file| file.path == path)
}
