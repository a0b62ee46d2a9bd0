//! The server itself: a port of this machine, bound at once, and answers until it is told to stop.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::answer::{Answering, answer};
use crate::error::ServeError;
use crate::models::Models;
use crate::page::Page;
use crate::site::Site;

/// Where to look for a free port if none was chosen. The browser keeps models by address and port: the first one is
/// nearly always free, and so the same from day to day.
const PORTS: std::ops::RangeInclusive<u16> = 8080..=8179;
/// How often the wish to stop is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long answers that are on their way may take when it stops.
const GRACE: Duration = Duration::from_secs(2);

/// What is served, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The page.
    pub page: Page,
    /// Model folders to offer to it.
    pub models: Vec<PathBuf>,
    /// The address to listen on. On a loopback address only requests that name this machine are answered.
    pub bind: IpAddr,
    /// The port; 0 for any that is free, `None` for the first free one from 8080 on.
    pub port: Option<u16>,
}

impl Options {
    /// A page for this machine alone.
    #[must_use]
    pub fn new(page: Page) -> Self {
        Self {
            page,
            models: Vec::new(),
            bind: Ipv4Addr::LOCALHOST.into(),
            port: None,
        }
    }

    /// Looks at the model folders, where that is wanted long before serving.
    ///
    /// # Errors
    /// As [`Server::bind`] for models.
    pub fn check_models(&self) -> Result<(), ServeError> {
        Models::open(&self.models).map(drop)
    }
}

/// A server that listens. Requests wait until [`Server::run_until`] answers them.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    site: Site,
}

impl Server {
    /// Looks at the page and the models, and listens.
    ///
    /// # Errors
    /// [`ServeError`]: a folder that is not what it should be, or a port that cannot be had.
    pub fn bind(options: &Options) -> Result<Self, ServeError> {
        let models = Models::open(&options.models)?;
        let site = Site::open(&options.page, models)?;
        let listener = listen(options.bind, options.port)?;
        let address = listener.local_addr().map_err(|source| ServeError::Bind {
            address: (options.bind, 0).into(),
            source,
        })?;
        Ok(Self {
            listener,
            address,
            site,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether other machines can reach it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        !self.address.ip().is_loopback()
    }

    /// The page's address for a browser on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}/", SocketAddr::new(ip, self.address.port()))
    }

    /// Names of the models that are offered beside the page's own.
    #[must_use]
    pub fn models(&self) -> Vec<String> {
        self.site.models().names().map(str::to_owned).collect()
    }

    /// Answers until `stopped` says so, which is asked some times a second; what is being sent then has two seconds.
    ///
    /// # Errors
    /// [`ServeError::Stopped`] where the system takes the port away.
    pub fn run_until(self, stopped: impl Fn() -> bool) -> Result<(), ServeError> {
        let address = self.address.ip();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let served = runtime.and_then(|runtime| {
            let served = runtime.block_on(self.serve(stopped));
            // Without waiting for reads of files that nobody is sent any more.
            runtime.shutdown_background();
            served
        });
        served.map_err(|source| ServeError::Stopped { address, source })
    }

    async fn serve(self, stopped: impl Fn() -> bool) -> io::Result<()> {
        self.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let loopback = self.address.ip().is_loopback();
        let router = Router::new()
            .fallback(answer)
            .with_state(Answering::new(self.site, loopback));
        let (stop, stopping) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            // It ends when the sender is dropped.
            let stopping = async { drop(stopping.await) };
            axum::serve(listener, router)
                .with_graceful_shutdown(stopping)
                .await
        });
        while !stopped() && !serving.is_finished() {
            sleep(LOOK).await;
        }
        drop(stop);
        match timeout(GRACE, serving).await {
            Ok(served) => served.map_err(io::Error::other)?,
            // Somebody is still being sent a file.
            Err(_) => Ok(()),
        }
    }
}

fn listen(bind: IpAddr, port: Option<u16>) -> Result<TcpListener, ServeError> {
    let Some(port) = port else {
        return first_free(bind);
    };
    TcpListener::bind((bind, port)).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortInUse { port },
        _ => ServeError::Bind {
            address: (bind, port).into(),
            source,
        },
    })
}

fn first_free(bind: IpAddr) -> Result<TcpListener, ServeError> {
    for port in PORTS {
        match listen(bind, Some(port)) {
            Err(ServeError::PortInUse { .. }) => {}
            listening_or_refused => return listening_or_refused,
        }
    }
    Err(ServeError::NoFreePort {
        first: *PORTS.start(),
        last: *PORTS.end(),
    })
}
