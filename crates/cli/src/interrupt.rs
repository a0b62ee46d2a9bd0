//! Ctrl-C: the first asks the work to stop at its next step, the second stops the program.

use anyhow::{Context as _, Result};
use medsam3_engine::CancelToken;

/// What a shell expects of a program stopped by an interrupt.
const INTERRUPTED: i32 = 130;

/// A token that Ctrl-C pulls. May be called once.
pub fn cancel_on_interrupt() -> Result<CancelToken> {
    let cancel = CancelToken::new();
    let pulled = cancel.clone();
    ctrlc::set_handler(move || {
        if pulled.is_cancelled() {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("stopping; press Ctrl-C again to stop at once");
        pulled.cancel();
    })
    .context("installing the interrupt handler")?;
    Ok(cancel)
}
