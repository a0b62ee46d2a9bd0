//! Why the page cannot be served: a stable code, what happened, what to do.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No folder was named and none was built in.
    #[error("this program carries no page")]
    NoPage,
    /// The folder is not a built page.
    #[error("{folder} is not a built page: {reason}")]
    Page {
        /// The folder, or where the page is otherwise.
        folder: String,
        /// What is missing or wrong.
        reason: String,
    },
    /// The folder is not a model folder.
    #[error("{folder} is not a model folder: {reason}")]
    Model {
        /// The folder.
        folder: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// The folder's name cannot be part of an address.
    #[error("{folder} cannot be offered under its name")]
    ModelName {
        /// The folder.
        folder: PathBuf,
    },
    /// Two folders would have the same address.
    #[error("two model folders are named {name}")]
    SameName {
        /// Their name.
        name: String,
    },
    /// Somebody else listens there.
    #[error("port {port} is in use")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// Nothing was free.
    #[error("no port from {first} to {last} is free")]
    NoFreePort {
        /// First port that was tried.
        first: u16,
        /// Last port that was tried.
        last: u16,
    },
    /// This machine cannot listen there.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Address and port.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The server broke off.
    #[error("the server on {address} stopped: {source}")]
    Stopped {
        /// The address that was served.
        address: IpAddr,
        /// The system's reason.
        source: io::Error,
    },
}

impl ServeError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPage => "SERVE-NO-PAGE",
            Self::Page { .. } => "SERVE-PAGE",
            Self::Model { .. } => "SERVE-MODEL",
            Self::ModelName { .. } | Self::SameName { .. } => "SERVE-MODEL-NAME",
            Self::PortInUse { .. } | Self::NoFreePort { .. } => "SERVE-PORT",
            Self::Bind { .. } => "SERVE-BIND",
            Self::Stopped { .. } => "SERVE-STOPPED",
        }
    }

    /// What to do.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NoPage => {
                "Name the folder of a built page (`medsam3 serve dist`), or build the program with its page by \
                 `cargo xtask package`."
            }
            Self::Page { .. } => {
                "Name the folder that `cargo xtask serve` builds (dist), with its index.html and _headers."
            }
            Self::Model { .. } => "Name a folder that `medsam3 convert` or `medsam3 export` wrote.",
            Self::ModelName { .. } => {
                "Rename the folder: letters, digits, '.', '-' and '_', and no '.' at the start."
            }
            Self::SameName { .. } => "Rename one of them: the page tells models apart by it.",
            Self::PortInUse { .. } | Self::NoFreePort { .. } => {
                "Choose another port with --port, or 0 for any that is free."
            }
            Self::Bind { .. } => {
                "Give --bind an address of this machine, and a port that you may listen on."
            }
            Self::Stopped { .. } => "Start it again.",
        }
    }
}
