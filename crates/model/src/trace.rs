//! A recorder for intermediate tensors, so that parity with the reference can be shown module by module.
//!
//! Modules name what they compute with [`at`] inside a [`scope`]; nothing is kept unless [`record`] is
//! running on this thread. Paths are those of the parameters, without the leading `detector.`.

use burn::tensor::Tensor;
use std::cell::RefCell;

/// A recorded tensor: path, shape and values as f32.
pub struct Recorded {
    /// Dotted path of the module.
    pub path: String,
    /// Shape as computed here.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

struct Recorder {
    path: Vec<String>,
    wanted: Box<dyn Fn(&str) -> bool>,
    kept: Vec<Recorded>,
}

thread_local!(static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) });

/// Runs `forward` and returns its result with every tensor named meanwhile whose path is `wanted`. Reads
/// synchronously: not for the browser.
pub fn record<R>(
    wanted: impl Fn(&str) -> bool + 'static,
    forward: impl FnOnce() -> R,
) -> (R, Vec<Recorded>) {
    RECORDER.set(Some(Recorder {
        path: Vec::new(),
        wanted: Box::new(wanted),
        kept: Vec::new(),
    }));
    let result = forward();
    let kept = RECORDER
        .take()
        .map(|recorder| recorder.kept)
        .unwrap_or_default();
    (result, kept)
}

/// Whether [`record`] is running on this thread.
pub fn is_recording() -> bool {
    RECORDER.with_borrow(Option::is_some)
}

/// Runs `inner` with `name` appended to the path.
pub fn scope<R>(name: impl AsRef<str>, inner: impl FnOnce() -> R) -> R {
    let active = RECORDER.with_borrow_mut(|recorder| {
        recorder
            .as_mut()
            .map(|r| r.path.push(name.as_ref().to_owned()))
            .is_some()
    });
    let result = inner();
    if active {
        RECORDER.with_borrow_mut(|recorder| recorder.as_mut().map(|r| r.path.pop()));
    }
    result
}

/// Names a tensor and hands it on.
pub fn at<const D: usize>(name: &str, tensor: Tensor<D>) -> Tensor<D> {
    at_as(name, tensor, |tensor| tensor)
}

/// Names a tensor and hands it on; records it as the reference lays it out, which `view` makes of it.
pub fn at_as<const D: usize, const E: usize>(
    name: &str,
    tensor: Tensor<D>,
    view: impl FnOnce(Tensor<D>) -> Tensor<E>,
) -> Tensor<D> {
    RECORDER.with_borrow_mut(|recorder| {
        if let Some(recorder) = recorder {
            let mut path = recorder.path.join(".");
            if !name.is_empty() {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            if !(recorder.wanted)(&path) {
                return;
            }
            let seen = view(tensor.clone());
            let shape = seen.dims().to_vec();
            let values = seen.to_data().iter::<f32>().collect();
            recorder.kept.push(Recorded {
                path,
                shape,
                values,
            });
        }
    });
    tensor
}
