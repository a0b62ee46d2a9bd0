use super::*;
use serde_json::json;

#[test]
fn what_was_measured_is_shown_and_what_was_not_is_absent() {
    let report = json!({
        "machine": {"commit": "abc", "uncommittedChanges": false, "processor": "P", "threads": 2},
        "size": {"rawBytes": 9_600_000, "brotliBytes": 2_300_000},
        "operations": {"default": {"side": 252,
            "needed": {"trunk": 2_000_000_000u64}, "issued": {"trunk": 2_100_000_000u64}, "issued_in_tiles": {"trunk": 2_200_000_000u64}
        }},
        "browser": {"webgpu": {"ours": {"imageSeconds": 3.0}, "onnxRuntimeWeb": {"imageSeconds": 4.0}, "imageRatio": 0.7}},
        "native": {
            "cpu": [{"median": {"trunk": 0.3}}, {"median": {"trunk": 0.1}}, {"median": {"trunk": 0.2}}],
            "pytorch": [{"median": {"trunk": 0.4}, "neededFlops": {"trunk": 2.0e9}}]
        },
        "listing": [
            {"series": {"slices": 300}, "listedSeconds": 0.1, "shownSeconds": 0.5, "peakBytes": 8e6},
            {"series": {"slices": 1500}, "listedSeconds": 0.2, "shownSeconds": 0.3, "peakBytes": 1e7}
        ],
        "skipped": ["kernels: no Vulkan driver"]
    });
    let text = render(&report);
    let line = |start: &str| {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(line("module, brotli").ends_with("  2.3 MB"), "{text}");
    let trunk = line("native CPU against PyTorch: trunk");
    assert_eq!(
        trunk.split_whitespace().rev().take(5).collect::<Vec<_>>(),
        ["0.50", "s", "0.400", "s", "0.200"]
    );
    assert!(line("needed for trunk").contains("2.000 GFLOP"));
    assert!(line("left out").contains("no Vulkan driver"));
    assert!(
        line("default at 252, trunk: operations").ends_with("1.05"),
        "{text}"
    );
    assert!(
        line("default at 252, trunk: in tiles").ends_with("1.10"),
        "{text}"
    );
    assert!(
        line("page on WebGPU: image, in turns").ends_with("0.70"),
        "{text}"
    );
    let shown = line("300 slices: first shown");
    assert!(
        shown.ends_with("0.25") && shown.contains("2.000 s"),
        "{text}"
    );
    let peak = line("1500 slices: memory");
    assert!(
        peak.ends_with("0.03") && peak.contains("400.0 MB"),
        "{text}"
    );
    assert!(!text.contains("page on the processor"));
}
