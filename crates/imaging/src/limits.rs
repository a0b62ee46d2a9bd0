//! Sizes checked before anything is allocated, so that a hostile header costs nothing.

use crate::ImagingError;

/// Most pixels in one frame: gray values take four bytes each, and WebAssembly has one small heap.
pub(crate) const MAX_FRAME_PIXELS: u64 = if cfg!(target_arch = "wasm32") {
    1 << 25
} else {
    1 << 27
};

/// Most bytes that a deflated data set may unpack to.
pub(crate) const MAX_INFLATED_BYTES: u64 = if cfg!(target_arch = "wasm32") {
    1 << 27
} else {
    1 << 30
};

/// Most frames in one file; each takes a few bytes before it is decoded.
pub(crate) const MAX_FRAMES: u64 = 1 << 20;

/// Number of pixels of a frame.
///
/// # Errors
///
/// [`ImagingError::TooLarge`] above [`MAX_FRAME_PIXELS`].
pub(crate) fn frame_pixels(width: u64, height: u64) -> Result<usize, ImagingError> {
    let needed = width.saturating_mul(height);
    if needed > MAX_FRAME_PIXELS {
        return Err(ImagingError::TooLarge {
            what: "pixels of one frame",
            needed,
            limit: MAX_FRAME_PIXELS,
        });
    }
    // At most 2^27, which fits `usize` everywhere.
    Ok(needed as usize)
}
