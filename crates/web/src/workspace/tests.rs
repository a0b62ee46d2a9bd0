//! A volume of six slices and a model with random weights, asked as the page asks.

use std::cell::RefCell;
use std::sync::Arc;

use medsam3_engine::EmbeddingCache;
use medsam3_engine::fixture::Fixture;
use medsam3_imaging::series::{MemorySource, Volume, Voxels};
use medsam3_imaging::{Affine, write_nifti};
use pollster::block_on;

use super::*;
use crate::protocol::*;

const SIDE: usize = 24;
const SLICES: usize = 6;

/// A bright square that moves to the right from slice to slice.
fn value(slice: usize, row: usize, column: usize) -> i16 {
    let inside = (4..12).contains(&row) && (2 * slice..2 * slice + 8).contains(&column);
    if inside {
        1000
    } else {
        (row * 3 + column) as i16
    }
}

fn volume() -> SharedSource {
    let at = |index: usize| value(index / (SIDE * SIDE), index / SIDE % SIDE, index % SIDE);
    let volume = Volume {
        columns: SIDE,
        rows: SIDE,
        slices: SLICES,
        frames: 1,
        voxels: Voxels::I16((0..SLICES * SIDE * SIDE).map(at).collect()),
        affine: Some(Affine::from_steps(
            [0.5, 0.0, 0.0],
            [0.0, 0.75, 0.0],
            [0.0, 0.0, 2.0],
            [0.0; 3],
        )),
        spacing_mm: [Some(0.5), Some(0.75), Some(2.0)],
        missing: Vec::new(),
    };
    let mut packed = Vec::new();
    write_nifti(&volume, &mut packed).unwrap();
    Arc::new(MemorySource::new("Doe^Jane/volume.nii.gz", packed))
}

type Sent = Rc<RefCell<Vec<(serde_json::Value, Vec<Vec<u8>>)>>>;

/// A workspace, and what it says.
struct Desk {
    workspace: Workspace,
    jobs: Jobs,
    sent: Sent,
}

impl Desk {
    fn new() -> Self {
        let sent = Sent::default();
        let ours = Rc::clone(&sent);
        let out = Outbox::new(move |response, buffers| {
            let message = serde_json::to_value(response).unwrap();
            let buffers = buffers.iter().map(|bytes| bytes.to_vec()).collect();
            ours.borrow_mut().push((message, buffers));
        });
        let jobs = Jobs::default();
        Self {
            workspace: Workspace::new(out, jobs.clone()),
            jobs,
            sent,
        }
    }

    fn opened() -> Self {
        let desk = Self::new();
        block_on(desk.workspace.open_files(1, vec![volume()])).unwrap();
        desk.workspace.open_series(2, 0).unwrap();
        desk.hear();
        desk
    }

    /// What was said since the last time, without progress.
    fn hear(&self) -> Vec<(serde_json::Value, Vec<Vec<u8>>)> {
        let sent = std::mem::take(&mut *self.sent.borrow_mut());
        sent.into_iter()
            .filter(|(message, _)| message["kind"] != "progress")
            .collect()
    }

    /// The one thing that was said.
    fn answer(&self) -> (serde_json::Value, Vec<Vec<u8>>) {
        let mut heard = self.hear();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.remove(0)
    }

    async fn run(
        &self,
        id: u32,
        ask: Ask,
        segmenter: &medsam3_engine::Segmenter,
    ) -> Option<Result<(), Failure>> {
        let embeddings = RefCell::new(EmbeddingCache::new(1 << 20, false));
        let model = Model {
            segmenter,
            embeddings: &embeddings,
            is_well: &|| Ok(()),
        };
        let work = self.workspace.segment_series(id, ask, model);
        let ran = self.jobs.run(id, true, work).await;
        ran.map(|ran| ran.map(drop))
    }
}

fn ask(prompts: &[&str], scope: Scope, at: u32) -> Ask {
    Ask {
        prompts: prompts.iter().map(|&prompt| prompt.to_owned()).collect(),
        scope,
        at: PicturePlace {
            slice: at,
            frame: 0,
        },
        window: None,
        rule: MaskRule::Model,
        // Random weights are sure of nothing: keep everything.
        threshold: Some(0.0),
        mask_threshold: None,
        on_protected: OnProtected::Refuse,
    }
}

#[test]
fn files_are_listed_and_no_name_comes_out() {
    let desk = Desk::new();
    let text = MemorySource::new("Doe^Jane.txt", b"no image at all".to_vec());
    let broken = MemorySource::new("Doe^Jane.nii", b"no volume".to_vec());
    let sources: Vec<SharedSource> = vec![volume(), Arc::new(text), Arc::new(broken)];
    block_on(desk.workspace.open_files(1, sources)).unwrap();
    let (message, _) = desk.answer();
    let listing = &message["listing"];
    assert_eq!(listing["files"], 3);
    assert_eq!(listing["skipped"], 1);
    assert_eq!(listing["failures"][0]["count"], 1);
    assert_eq!(
        listing["failures"][0]["failure"]["code"],
        "NIFTI-UNREADABLE"
    );
    let series = &listing["series"][0];
    assert_eq!(series["kind"], "volume");
    assert_eq!(series["label"], "NIfTI");
    assert_eq!(series["slices"], 6);
    assert_eq!(series["spacingMm"], serde_json::json!([0.5, 0.75, 2.0]));
    assert_eq!(series["calibrated"], true);
    assert!(series["noVolume"].is_null());
    assert!(!message.to_string().contains("Jane"));
}

#[test]
fn a_series_is_opened_with_its_geometry_and_pixels() {
    let desk = Desk::new();
    assert_eq!(
        desk.workspace.open_series(2, 0).unwrap_err().code,
        "SERIES-NONE"
    );
    block_on(desk.workspace.open_files(1, vec![volume()])).unwrap();
    desk.workspace.open_series(2, 0).unwrap();
    let (message, _) = desk.hear().remove(1);
    let planes = &message["series"]["planes"];
    assert_eq!(planes.as_array().unwrap().len(), 6);
    assert_eq!(planes[3]["position"], serde_json::json!([0.0, 0.0, 6.0]));
    // Columns grow to the patient's left, rows to the back: the left edge of the picture is the right of the patient.
    assert_eq!(planes[3]["edges"], serde_json::json!(["R", "L", "A", "P"]));
    assert_eq!(message["document"]["segments"], serde_json::json!([]));

    let place = PicturePlace { slice: 5, frame: 0 };
    desk.workspace.slice(3, place, false).unwrap();
    let (message, buffers) = desk.answer();
    assert_eq!(message["samples"], "f32");
    let (values, _) = buffers[0].as_chunks::<4>();
    assert_eq!(values.len(), SIDE * SIDE);
    for (at, bytes) in values.iter().enumerate() {
        let expected = value(5, at / SIDE, at % SIDE);
        assert_eq!(f32::from_le_bytes(*bytes), f32::from(expected));
    }
    desk.workspace.slice(4, place, true).unwrap();
    let (message, compact) = desk.answer();
    assert_eq!(message["samples"], "i16");
    assert_eq!(compact[0].len(), 2 * SIDE * SIDE);
    let missing = PicturePlace { slice: 6, frame: 0 };
    assert!(desk.workspace.slice(5, missing, true).is_err());

    desk.workspace.thumbnail(6, 0, 12).unwrap();
    let (message, buffers) = desk.answer();
    assert_eq!(
        (message["width"].as_u64(), buffers[0].len()),
        (Some(12), 12 * 12 * 4)
    );
}

#[test]
fn a_run_goes_outwards_and_fills_the_document() {
    let desk = Desk::opened();
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let scope = Scope::Range { first: 1, last: 4 };
    let done = block_on(desk.run(
        7,
        ask(&["Polyp", "polyp ", "left lung"], scope, 2),
        &segmenter,
    ));
    done.unwrap().unwrap();
    let heard = desk.hear();
    let slices: Vec<u64> = heard
        .iter()
        .filter(|(message, _)| message["kind"] == "slice-segmented")
        .map(|(message, _)| message["place"]["slice"].as_u64().unwrap())
        .collect();
    assert_eq!(slices, [2, 3, 1, 4]);
    let (first, masks) = &heard[0];
    assert_eq!(
        (first["done"].as_u64(), first["total"].as_u64()),
        (Some(1), Some(4))
    );
    assert_eq!(masks.len(), 2, "the same words twice are one prompt");
    let (last, _) = heard.last().unwrap();
    assert_eq!(last["kind"], "series-segmented");
    let segments = last["document"]["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 2);
    assert_eq!(segments[0]["name"], "Polyp");
    let origin = &segments[0]["origin"];
    assert_eq!(origin["method"], "automatic");
    assert_eq!(origin["prompt"], "Polyp");
    assert_eq!(origin["threshold"], 0.0);
    assert_eq!(
        origin["modelVersion"],
        segmenter.manifest().weights_sha256()
    );
    assert!(origin["score"].as_f64().unwrap() > 0.0);

    // The masks of the document are those that were sent.
    let id = segments[0]["id"].as_u64().unwrap() as u32;
    let place = PicturePlace { slice: 2, frame: 0 };
    desk.workspace.masks(8, place, Some(&[id]), false).unwrap();
    let (message, found) = desk.answer();
    if masks[0].contains(&1) {
        assert_eq!(found[0], masks[0]);
        let pixels = masks[0].iter().filter(|&&pixel| pixel == 1).count();
        assert_eq!(message["masks"][0]["pixels"], pixels);
        assert_eq!(message["masks"][0]["areaMm2"], pixels as f64 * 0.5 * 0.75);
    }
    desk.workspace.undo(9).unwrap();
    let (message, _) = desk.answer();
    assert_eq!(message["document"]["segments"], serde_json::json!([]));
    assert_eq!(message["document"]["redo"]["what"], "run");
}

#[test]
fn a_cancelled_run_keeps_what_it_found_and_a_halted_one_goes_on() {
    let desk = Rc::new(Desk::opened());
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let run = desk.run(7, ask(&["polyp"], Scope::All, 0), &segmenter);
    let person = async {
        let count = || {
            let sent = desk.sent.borrow();
            let done = sent
                .iter()
                .filter(|(message, _)| message["kind"] == "slice-segmented");
            done.count()
        };
        while count() < 2 {
            crate::event_loop::breathe().await;
        }
        assert!(desk.jobs.set_paused(7, true));
        assert!(!desk.jobs.set_paused(8, true), "no such request");
        for _ in 0..50 {
            crate::event_loop::breathe().await;
        }
        let halted = count();
        assert!(halted <= 3);
        // What needs no engine is answered meanwhile.
        let place = PicturePlace { slice: 0, frame: 0 };
        desk.workspace.slice(9, place, true).unwrap();
        assert_eq!(desk.workspace.undo(10).unwrap_err().code, "RUN-UNDER-WAY");
        desk.jobs.set_paused(7, false);
        while count() < halted + 1 {
            crate::event_loop::breathe().await;
        }
        desk.jobs.cancel(7);
    };
    let (ended, ()) = block_on(futures_util::future::join(run, person));
    assert!(ended.is_none(), "cancelled");
    let heard = desk.hear();
    let done = heard
        .iter()
        .filter(|(message, _)| message["kind"] == "slice-segmented");
    let done = done.count();
    assert!((3..SLICES).contains(&done), "{done}");
    assert!(heard.iter().any(|(message, _)| message["kind"] == "slice"));
    desk.workspace.document(11).unwrap();
    let (message, _) = desk.answer();
    let segment = &message["document"]["segments"][0];
    assert!(segment["slices"].as_array().unwrap().len() <= done);
    assert_eq!(message["document"]["undo"]["what"], "run");
    desk.workspace.undo(12).unwrap();
}

#[test]
fn a_corrected_segment_is_asked_about() {
    let desk = Desk::opened();
    let fixture = Fixture::new();
    let segmenter = fixture.load().unwrap();
    let one = |on_protected| Ask {
        on_protected,
        ..ask(&["polyp"], Scope::Slice, 3)
    };
    block_on(desk.run(7, one(OnProtected::Refuse), &segmenter))
        .unwrap()
        .unwrap();
    let heard = desk.hear();
    let id = heard[0].0["answers"][0]["segment"].as_u64().unwrap() as u32;
    let patch = PatchBox {
        left: 20,
        top: 20,
        width: 3,
        height: 2,
    };
    let stroke = EditRequest::Paint {
        slice: 3,
        frame: 0,
        patch,
    };
    let erase = EditRequest::Erase {
        slice: 3,
        frame: 0,
        patch,
    };
    assert_eq!(
        desk.workspace
            .edit(8, id, stroke, &[1; 5])
            .unwrap_err()
            .code,
        "ENGINE-PROTOCOL"
    );
    // Whatever the model found there, one of the two changes it.
    desk.workspace.edit(8, id, erase, &[1; 6]).unwrap();
    desk.workspace.edit(9, id, stroke, &[1; 6]).unwrap();
    let (message, _) = desk.hear().remove(1);
    assert_eq!(message["document"]["changed"][0]["slice"], 3);
    assert_eq!(
        message["document"]["segments"][0]["origin"]["method"],
        "semiautomatic"
    );
    let refused = block_on(desk.run(10, one(OnProtected::Refuse), &segmenter)).unwrap();
    assert_eq!(refused.unwrap_err().code, "SEGMENT-PROTECTED");
    block_on(desk.run(11, one(OnProtected::Add), &segmenter))
        .unwrap()
        .unwrap();
    let (message, _) = desk.hear().pop().unwrap();
    assert_eq!(message["document"]["segments"].as_array().unwrap().len(), 2);
    desk.workspace
        .change_segment(12, id, None, None, Some(true))
        .unwrap();
    assert_eq!(
        desk.workspace.delete_segment(13, id).unwrap_err().code,
        "SEGMENT-LOCKED"
    );
}

#[test]
fn a_drawn_segment_is_measured() {
    let desk = Desk::opened();
    desk.workspace.new_segment(3, "tumor".to_owned()).unwrap();
    let (message, _) = desk.answer();
    let id = message["document"]["segments"][0]["id"].as_u64().unwrap() as u32;
    // The bright square of slice 2 and a column beside it.
    let patch = PatchBox {
        left: 4,
        top: 4,
        width: 8,
        height: 8,
    };
    let stroke = EditRequest::Paint {
        slice: 2,
        frame: 0,
        patch,
    };
    desk.workspace.edit(4, id, stroke, &[1; 64]).unwrap();
    let (message, _) = desk.answer();
    let segment = &message["document"]["segments"][0];
    assert_eq!(segment["voxels"], 64);
    assert_eq!(segment["volumeMl"], 64.0 * 0.5 * 0.75 * 2.0 / 1000.0);
    assert_eq!(segment["origin"]["method"], "manual");
    block_on(desk.workspace.measure(5, None)).unwrap();
    let (message, _) = desk.answer();
    let measured = &message["measurements"][0];
    assert_eq!(measured["segment"], id);
    assert_eq!(measured["statistics"]["mean"], 1000.0);
    assert_eq!(measured["statistics"]["sd"], 0.0);
    assert_eq!(measured["slices"][0]["areaMm2"], 24.0);
    block_on(desk.workspace.measure(6, Some(&[]))).unwrap();
    let (message, _) = desk.answer();
    assert_eq!(message["measurements"], serde_json::json!([]));
}

#[test]
fn what_is_exported_comes_in_again_and_agrees() {
    let desk = Desk::opened();
    desk.workspace
        .new_segment(3, "Doe, Jane: left lung".to_owned())
        .unwrap();
    let (message, _) = desk.answer();
    let id = message["document"]["segments"][0]["id"].as_u64().unwrap() as u32;
    let patch = PatchBox {
        left: 4,
        top: 4,
        width: 8,
        height: 8,
    };
    for slice in 1..4 {
        let stroke = EditRequest::Paint {
            slice,
            frame: 0,
            patch,
        };
        desk.workspace.edit(4, id, stroke, &[1; 64]).unwrap();
    }
    desk.hear();
    use ExportFormat as Format;
    let formats = [
        Format::Nifti,
        Format::NiftiLabelmap,
        Format::Csv,
        Format::Json,
        Format::Png,
        Format::Seg,
    ];
    block_on(desk.workspace.export(5, &formats, true)).unwrap();
    let (message, bytes) = desk.answer();
    let names: Vec<&str> = message["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "nifti.segment.nii.gz",
            "nifti.labelmap.nii.gz",
            "nifti.labelmap.txt",
            "nifti.csv",
            "nifti.json",
            "nifti.masks.zip"
        ]
    );
    // A NIfTI volume has nothing that a DICOM object could refer to.
    assert_eq!(message["refused"][0]["format"], "seg");
    assert_eq!(
        message["refused"][0]["failure"]["code"],
        "SEGMENT-NOT-WRITABLE"
    );

    let source: SharedSource = Arc::new(MemorySource::new("", bytes[1].clone()));
    desk.workspace
        .import(6, &source, ImportInto::Reference)
        .unwrap();
    let (message, _) = desk.answer();
    assert_eq!(message["document"]["segments"].as_array().unwrap().len(), 1);
    let reference = message["import"]["segments"][0]["id"].as_u64().unwrap() as u32;
    let erase = EditRequest::Erase {
        slice: 3,
        frame: 0,
        patch: PatchBox {
            left: 4,
            top: 4,
            width: 8,
            height: 4,
        },
    };
    desk.workspace.edit(7, id, erase, &[1; 32]).unwrap();
    desk.hear();
    desk.workspace.compare(8, id, reference, 0, 2.0).unwrap();
    let (message, _) = desk.answer();
    // 160 voxels, 192, and 160 in both.
    assert_eq!(message["comparison"]["dice"], 2.0 * 160.0 / 352.0);
    assert_eq!(
        message["comparison"]["voxels"],
        serde_json::json!([160, 192, 160])
    );
    assert_eq!(message["comparison"]["unit"], "mm");
    let place = PicturePlace { slice: 3, frame: 0 };
    desk.workspace.masks(9, place, None, true).unwrap();
    assert_eq!(desk.answer().0["masks"][0]["pixels"], 64);

    desk.workspace
        .import(10, &source, ImportInto::Document)
        .unwrap();
    let (message, _) = desk.answer();
    assert_eq!(message["document"]["segments"].as_array().unwrap().len(), 2);
    assert_eq!(message["document"]["undo"]["what"], "import");
    let other: SharedSource = Arc::new(MemorySource::new("", b"no segmentation".to_vec()));
    assert!(
        desk.workspace
            .import(11, &other, ImportInto::Document)
            .is_err()
    );
    assert!(desk.workspace.found(0).is_err());
}
