//! Where things are: the repository, the cache that outlives a clone, and the environment every tool is started in.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The repository and its caches.
pub struct Workspace {
    /// Root of the repository.
    pub root: PathBuf,
    /// `$XDG_CACHE_HOME/medsam3`: tools and build output, shared by all clones.
    pub cache: PathBuf,
    /// `CARGO_TARGET_DIR`, by default inside the cache, so that a fresh clone does not build Burn again.
    pub target_dir: PathBuf,
}

impl Workspace {
    /// Finds the repository: that of the `cargo run` that started us, else the one we are in.
    pub fn find() -> Result<Self> {
        // Read when we run: the program may have been compiled in another clone that shares the build folder.
        let start = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => env::current_dir()?,
        };
        let root = start
            .ancestors()
            .find(|dir| dir.join("crates/xtask/Cargo.toml").is_file())
            .context("not inside the repository")?
            .to_path_buf();
        let base = env::var_os("XDG_CACHE_HOME")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
            .context("neither XDG_CACHE_HOME nor HOME is set")?;
        let cache = base.join("medsam3");
        let target_dir = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| cache.join("target"), |dir| root.join(dir));
        Ok(Self {
            root,
            cache,
            target_dir,
        })
    }

    /// A path inside the repository.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Where `cargo install` puts the tools of this project.
    pub fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// A command in the root of the repository that finds this project's tools before the system's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("PATH", self.search_path())
            .env("CARGO_TARGET_DIR", &self.target_dir);
        command
    }

    /// The full path of a program, looked up as `command` would.
    pub fn which(&self, program: &str) -> Option<PathBuf> {
        env::split_paths(&self.search_path())
            .map(|dir| dir.join(program))
            .find(|path| path.is_file())
    }

    /// Cargo, the one that started us where there is one.
    pub fn cargo(&self) -> Command {
        self.command(&env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
    }

    fn search_path(&self) -> OsString {
        let mut dirs = vec![self.tools().join("bin"), self.path("web/node_modules/.bin")];
        if let Some(path) = env::var_os("PATH") {
            dirs.extend(env::split_paths(&path));
        }
        // Fails only if a folder's name holds the separator; then the system's own PATH must do.
        env::join_paths(dirs).unwrap_or_else(|_| env::var_os("PATH").unwrap_or_default())
    }
}

/// Whether this is a continuous-integration run, where nothing may be left out silently.
pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}
