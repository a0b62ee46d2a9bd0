//! Which variants of the kernels win on the user's GPU: measured at the first use, kept in the user's cache folder.

use std::fs;
use std::path::{Path, PathBuf};

use medsam3_engine::kernels::{adapter, tune};
use medsam3_model::burn::tensor::Device;

/// Uses what was measured earlier on this adapter, or measures and keeps it. Without a cache folder it is measured anew
/// each time.
pub fn choose(device: &Device) {
    let file = dirs::cache_dir().map(|folder| file_in(&folder, &adapter(device)));
    let stored = file
        .as_deref()
        .and_then(|file| fs::read_to_string(file).ok());
    let Some(measured) = pollster::block_on(tune(device, stored.as_deref())) else {
        return;
    };
    let measured = measured.to_json();
    if stored.as_ref() == Some(&measured) {
        return;
    }
    if let Some(file) = file {
        // A folder that cannot be written costs the next start a second, nothing else.
        let _ = file.parent().map(fs::create_dir_all);
        let _ = fs::write(file, measured);
    }
}

/// One file for each adapter.
fn file_in(cache: &Path, adapter: &str) -> PathBuf {
    let name: String = adapter
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    cache.join("medsam3").join(format!("kernels-{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapters_name_cannot_leave_the_folder() {
        let file = file_in(Path::new("cache"), "../x/GPU 1 (\u{e9})");
        assert_eq!(file, Path::new("cache/medsam3/kernels----x-GPU-1----.json"));
    }
}
