//! Ctrl-C (SIGINT) and SIGTERM: the first asks the work to stop at its next step and keep what is done, the second
//! ends the program at once. Both end with the code that a shell expects: 128 and the signal's number.

use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context as _, Result};
use medsam3_engine::CancelToken;

/// The first signal, or 0.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// The exit code of a program that a signal ended, where one has arrived.
pub fn exit_code() -> Option<u8> {
    match RECEIVED.load(Ordering::SeqCst) {
        0 => None,
        signal => u8::try_from(128 + signal).ok(),
    }
}

/// A token that the signals cancel. To be called once.
#[cfg(unix)]
pub fn cancel_on_signal() -> Result<CancelToken> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let cancel = CancelToken::new();
    let token = cancel.clone();
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("installing the signal handlers")?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                received(signal, &token);
            }
        })
        .context("starting the thread that waits for signals")?;
    Ok(cancel)
}

/// A token that Ctrl-C cancels. To be called once.
#[cfg(not(unix))]
pub fn cancel_on_signal() -> Result<CancelToken> {
    const SIGINT: i32 = 2;
    let cancel = CancelToken::new();
    let token = cancel.clone();
    ctrlc::set_handler(move || received(SIGINT, &token))
        .context("installing the handler of Ctrl-C")?;
    Ok(cancel)
}

fn received(signal: i32, cancel: &CancelToken) {
    if cancel.is_cancelled() {
        std::process::exit(128 + signal);
    }
    RECEIVED.store(signal, Ordering::SeqCst);
    cancel.cancel();
    note!("stopping after the current step; press Ctrl-C again to stop at once");
}
