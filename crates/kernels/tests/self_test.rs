//! The self-test on a GPU: it finds nothing wrong with the kernels, and finds the one that the feature `sabotage` breaks.

mod support;

use medsam3_kernels::{Kernel, route, self_test};

#[test]
fn kernels_are_right_and_a_broken_one_is_replaced() {
    let Some(device) = support::gpu() else {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    };
    let broken = cfg!(feature = "sabotage");
    let findings = pollster::block_on(self_test::run_and_replace(&device));
    for finding in &findings {
        let spoilt = broken && finding.kernel == Kernel::Attention;
        assert_eq!(finding.is_wrong(), spoilt, "{finding:?}");
        assert!(spoilt || finding.error < 1e-5, "{finding:?}");
    }
    for kernel in Kernel::ALL {
        assert!(findings.iter().any(|finding| finding.kernel == kernel));
        assert_eq!(
            route::is_on(kernel),
            !(broken && kernel == Kernel::Attention)
        );
    }
    // With plain operations in its place everything is right.
    let findings = pollster::block_on(self_test::run(&device));
    assert!(
        findings.iter().all(|finding| finding.error < 1e-5),
        "{findings:?}"
    );
}
