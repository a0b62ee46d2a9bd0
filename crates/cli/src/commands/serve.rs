//! `medsam3 serve`: the page on this machine, or for others where that is asked for, until a signal ends it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::Result;
use medsam3_server::{Options, Page, ServeError, Server, carried};
use serde::Serialize;

use crate::failure::CommandError;
use crate::{signals, terminal};

/// Serves the page in which images are segmented.
///
/// Images and results stay in the browser: nothing is sent to this program, and it keeps no log. The page is the one
/// that the program carries (`cargo xtask package` builds such a program) or a folder. Without --bind only this machine
/// can open it. Ctrl-C ends it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 serve
  medsam3 serve --model models/medsam3-q8
  medsam3 serve dist --port 8090 --bind 0.0.0.0

Browsers give a page from another machine neither the graphics processor nor storage unless it comes by HTTPS: put a
reverse proxy with TLS in front (docs/serving.md).")]
pub struct Arguments {
    /// Folder of a built page; by default the page that this program carries
    #[arg(value_name = "DIST")]
    page: Option<PathBuf>,
    /// Offer this model folder to the page; may be given several times
    #[arg(long, value_name = "DIR")]
    model: Vec<PathBuf>,
    /// Port; the first free one from 8080 if not given, any that is free if 0
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Address to listen on; 0.0.0.0 for every one of this machine
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into())]
    bind: IpAddr,
    /// One JSON object on standard output instead of text, once the page is served
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Serving<'a> {
    address: &'a str,
    models: &'a [String],
    /// Whether other machines can reach it.
    public: bool,
}

/// Serves until a signal arrives.
pub fn run(arguments: &Arguments) -> Result<()> {
    let page = arguments.page.clone().map(Page::Folder).or_else(carried);
    let options = Options {
        page: page.ok_or_else(|| failed(&ServeError::NoPage))?,
        models: arguments.model.clone(),
        bind: arguments.bind,
        port: arguments.port,
    };
    let cancel = signals::cancel_on_signal()?;
    let server = Server::bind(&options).map_err(|error| failed(&error))?;
    let (address, models) = (server.url(), server.models());
    if arguments.json {
        terminal::json(&Serving {
            address: &address,
            models: &models,
            public: server.is_public(),
        })?;
    } else {
        say!("The page is at {address} (stop with Ctrl-C)")?;
    }
    if server.is_public() {
        note!(
            "other machines can open the page; their browsers need HTTPS for it (docs/serving.md)"
        );
    }
    let served = server.run_until(|| cancel.is_cancelled());
    served.map_err(|error| failed(&error).into())
}

fn failed(error: &ServeError) -> CommandError {
    CommandError {
        code: error.code(),
        message: error.to_string(),
        next_step: error.next_step(),
    }
}
