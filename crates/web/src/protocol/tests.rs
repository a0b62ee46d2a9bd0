//! The TypeScript that the page compiles against, and messages as they are written.

use super::*;
use ts_rs::{Config, TS};

fn declaration<T: TS>(config: &Config) -> String {
    let docs = T::docs().unwrap_or_default();
    format!("{docs}export {}\n", T::decl(config))
}

fn typescript() -> String {
    let config = Config::new().with_large_int("number");
    let parts = [
        "// Generated from crates/web/src/protocol by `cargo test -p medsam3-web`. Do not edit.\n"
            .to_owned(),
        declaration::<Request>(&config),
        declaration::<Response>(&config),
        declaration::<BackendChoice>(&config),
        declaration::<Backend>(&config),
        declaration::<SelfTest>(&config),
        declaration::<Stage>(&config),
        declaration::<WindowLevel>(&config),
        declaration::<MaskRule>(&config),
        declaration::<PixelKind>(&config),
        declaration::<ModelInfo>(&config),
        declaration::<CacheInfo>(&config),
        declaration::<PromptAnswer>(&config),
        declaration::<InstanceAnswer>(&config),
        declaration::<Failure>(&config),
        declaration::<ListingInfo>(&config),
        declaration::<CountedFailure>(&config),
        declaration::<FoundSegmentation>(&config),
        declaration::<SeriesInfo>(&config),
        declaration::<SeriesKind>(&config),
        declaration::<NamedWindow>(&config),
        declaration::<OpenSeries>(&config),
        declaration::<SlicePlane>(&config),
        declaration::<Samples>(&config),
        declaration::<PicturePlace>(&config),
        declaration::<Scope>(&config),
        declaration::<OnProtected>(&config),
        declaration::<SegmentAnswer>(&config),
        declaration::<DocumentInfo>(&config),
        declaration::<ChangedMask>(&config),
        declaration::<StepInfo>(&config),
        declaration::<StepKind>(&config),
        declaration::<SegmentInfo>(&config),
        declaration::<CodeInfo>(&config),
        declaration::<OriginInfo>(&config),
        declaration::<MethodInfo>(&config),
        declaration::<MaskInfo>(&config),
        declaration::<MeasurementInfo>(&config),
        declaration::<StatisticsInfo>(&config),
        declaration::<SliceMeasurementInfo>(&config),
        declaration::<EditRequest>(&config),
        declaration::<PatchBox>(&config),
        declaration::<ExportFormat>(&config),
        declaration::<ExportedFile>(&config),
        declaration::<RefusedFormat>(&config),
        declaration::<ImportInto>(&config),
        declaration::<ImportInfo>(&config),
        declaration::<ComparisonInfo>(&config),
    ];
    parts.join("\n")
}

/// The page compiles against a committed file; this writes it anew and fails when it was stale.
#[test]
fn typescript_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/src/protocol.ts");
    let wanted = typescript();
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found != wanted {
        std::fs::write(&path, wanted).unwrap();
        panic!("web/src/protocol.ts was stale; it has been written anew: commit it");
    }
}

#[test]
fn requests_read_as_the_page_writes_them() {
    let text = r#"{"kind":"segment-series","id":7,"prompts":["lungs","heart"],
        "scope":{"kind":"slice"},"at":{"slice":0,"frame":0},"window":{"center":40,"width":400},
        "rule":"model","threshold":null,"maskThreshold":null,"onProtected":"refuse"}"#;
    let request: Request = serde_json::from_str(text).unwrap();
    assert_eq!(request.id(), 7);
    let Request::SegmentSeries { window, rule, .. } = request else {
        panic!("not a segment-series request")
    };
    assert_eq!(
        window,
        Some(WindowLevel {
            center: 40.0,
            width: 400.0
        })
    );
    assert_eq!(rule, MaskRule::Model);
}

#[test]
fn responses_write_as_the_page_reads_them() {
    let response = Response::Error {
        id: 3,
        error: Failure {
            code: "DICOM-TRUNCATED".into(),
            message: "The file ends too early.".into(),
            next_step: "Copy it again.".into(),
        },
    };
    let value = serde_json::to_value(response).unwrap();
    assert_eq!(value["kind"], "error");
    assert_eq!(value["error"]["nextStep"], "Copy it again.");
}
