//! Every library's error as the page gets it, and the failures that only exist here.

use medsam3_engine::Warning;

use crate::protocol::Failure;

/// Builds a failure of this crate's own.
pub fn failure(code: &str, message: impl Into<String>, next_step: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: message.into(),
        next_step: next_step.to_owned(),
    }
}

/// Something to be said beside a result.
pub fn warning(warning: Warning) -> Failure {
    failure(warning.code(), warning.message(), warning.next_step())
}

/// A request about a series came before one was opened.
pub fn no_series() -> Failure {
    failure(
        "SERIES-NONE",
        "No series is open, or it is none of those that are listed.",
        "Choose a series from the list.",
    )
}

/// A request that needs the model came before it was loaded, or while it is at work.
pub fn no_model() -> Failure {
    failure(
        "MODEL-NOT-READY",
        "The model is not ready.",
        "Wait until the status line says \"Ready\", or reload the page.",
    )
}

/// The model's folder is not in the browser's storage.
pub fn no_stored_model() -> Failure {
    failure(
        "MODEL-NOT-STORED",
        "The model is not in this browser's storage.",
        "Download it again, or choose another model.",
    )
}

/// A message that this worker cannot read: page and worker are of different versions.
pub fn unreadable_message() -> Failure {
    failure(
        "ENGINE-PROTOCOL",
        "The engine was asked for something it does not know.",
        "Reload the page: parts of it are of different versions.",
    )
}

/// WebGPU is not there, or no adapter can be had.
pub fn no_webgpu(why: &str) -> Failure {
    failure(
        "GPU-NONE",
        format!("{why}: the model runs on the CPU, which is much slower."),
        "For full speed use a current Chrome, Edge, Firefox or Safari with hardware acceleration switched on.",
    )
}

/// Some kernels are wrong on this GPU and are not used.
pub fn kernels_replaced(names: &str) -> Failure {
    failure(
        "GPU-KERNELS",
        format!(
            "This graphics processor computes wrongly with the fast {names}: something slower that it gets right stands in."
        ),
        "Nothing needs to be done; updating browser and graphics driver may bring the full speed back.",
    )
}

/// Known inputs give wrong results on this GPU whatever is tried.
pub fn gpu_wrong() -> Failure {
    failure(
        "GPU-WRONG",
        "This graphics processor gives wrong results: the model runs on the CPU, which is much slower.",
        "Update browser and graphics driver, or use another browser.",
    )
}

/// The GPU could not set aside what the model asked for.
pub fn gpu_out_of_memory() -> Failure {
    failure(
        "GPU-MEMORY",
        "The graphics processor ran out of memory.",
        "Close other tabs and programs that use it, then segment again.",
    )
}

/// The GPU went away.
pub fn gpu_lost() -> Failure {
    failure(
        "GPU-LOST",
        "The graphics processor stopped answering.",
        "Reload the page; if it happens again, add ?backend=cpu to its address.",
    )
}

/// The GPU refused a command: results would be wrong.
pub fn gpu_fault() -> Failure {
    failure(
        "GPU-FAULT",
        "The graphics processor refused a command, so that results would be wrong.",
        "Reload the page; if it happens again, add ?backend=cpu to its address and report it.",
    )
}

/// A range of slices that the series does not have.
pub fn no_such_slices() -> Failure {
    failure(
        "SLICE-RANGE",
        "The series does not have these slices.",
        "Choose slices between the first and the last one.",
    )
}

/// The browser gave no random bits, which identifiers of new objects are made of.
pub fn no_randomness() -> Failure {
    failure(
        "EXPORT-RANDOMNESS",
        "The browser gave no random numbers, which new files need for their identifiers.",
        "Reload the page, or use a current version of Chrome, Edge, Firefox or Safari.",
    )
}
