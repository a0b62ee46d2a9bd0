//! A software Vulkan driver for the native GPU tests, so that they run and give the same numbers on any machine.
//!
//! First choice is the SwiftShader driver that comes with Chromium: the very adapter of the browser tests. Then Mesa's lavapipe.

use std::env;
use std::path::Path;

/// Driver manifests, best first.
const DRIVERS: [(&str, &str); 5] = [
    ("SwiftShader", "/usr/lib/chromium/vk_swiftshader_icd.json"),
    (
        "SwiftShader",
        "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
    ),
    ("SwiftShader", "/opt/google/chrome/vk_swiftshader_icd.json"),
    ("llvmpipe", "/usr/share/vulkan/icd.d/lvp_icd.json"),
    ("llvmpipe", "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"),
];

/// Environment variables that let the native GPU tests run, and a name for the driver; `None` where there is no driver.
pub fn environment() -> Option<(String, Vec<(&'static str, String)>)> {
    first(DRIVERS.iter())
}

/// The same for lavapipe where it is there, which computes many times faster than SwiftShader but is slow to start.
pub fn fastest() -> Option<(String, Vec<(&'static str, String)>)> {
    first(DRIVERS.iter().rev())
}

fn first<'a>(
    mut drivers: impl Iterator<Item = &'a (&'static str, &'static str)>,
) -> Option<(String, Vec<(&'static str, String)>)> {
    let on = ("MEDSAM3_WGPU_TESTS", "1".to_owned());
    // wgpu falls back to OpenGL without a word if the Vulkan driver does not load.
    let backend = ("WGPU_BACKEND", "vulkan".to_owned());
    if let Ok(chosen) = env::var("VK_ICD_FILENAMES") {
        return Some((
            format!("as chosen by VK_ICD_FILENAMES: {chosen}"),
            vec![on, backend],
        ));
    }
    let (name, manifest) = drivers.find(|(_, manifest)| Path::new(manifest).is_file())?;
    let manifest = (*manifest).to_owned();
    // The loader's variable was renamed; older loaders know the first name, newer ones both.
    let files = [
        ("VK_ICD_FILENAMES", manifest.clone()),
        ("VK_DRIVER_FILES", manifest),
    ];
    Some((
        (*name).to_owned(),
        [on, backend].into_iter().chain(files).collect(),
    ))
}
