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

/// A driver's name and the environment variables that let the native GPU tests run on it.
pub type Adapter = (String, Vec<(&'static str, String)>);

/// The driver that the native tests run on; `None` where there is none.
pub fn environment() -> Option<Adapter> {
    all().into_iter().next()
}

/// Lavapipe where it is there, which computes many times faster than SwiftShader but is slow to start.
pub fn fastest() -> Option<Adapter> {
    all().into_iter().next_back()
}

/// Every driver there is, one of each kind, the tests' own first. One that the environment names is the only one.
pub fn all() -> Vec<Adapter> {
    let on = ("MEDSAM3_WGPU_TESTS", "1".to_owned());
    // wgpu falls back to OpenGL without a word if the Vulkan driver does not load.
    let backend = ("WGPU_BACKEND", "vulkan".to_owned());
    if let Ok(chosen) = env::var("VK_ICD_FILENAMES") {
        return vec![(
            format!("as chosen by VK_ICD_FILENAMES: {chosen}"),
            vec![on, backend],
        )];
    }
    let mut adapters: Vec<Adapter> = Vec::new();
    for (name, manifest) in DRIVERS {
        if !Path::new(manifest).is_file() || adapters.iter().any(|(known, _)| known == name) {
            continue;
        }
        // The loader's variable was renamed; older loaders know the first name, newer ones both.
        let files = ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"].map(|key| (key, manifest.to_owned()));
        let variables = [on.clone(), backend.clone()].into_iter().chain(files);
        adapters.push((name.to_owned(), variables.collect()));
    }
    adapters
}
