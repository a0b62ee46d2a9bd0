//! Imports of every layout, compared with an independent reader of it (`tests/import/make_fixtures.py`), through the corpus' own
//! reader: what a training would see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use medsam3_corpus::CorpusError;
use medsam3_corpus::import::manifest::Manifest;
use medsam3_corpus::import::{Options, Summary, Watch, import};
use medsam3_corpus::{Dataset, Split, Truth, load_samples, load_to_measure, questions};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/import");

struct Patient;

impl Watch for Patient {
    fn progress(&self, _: usize, _: usize) {}

    fn cancelled(&self) -> bool {
        false
    }
}

struct Impatient;

impl Watch for Impatient {
    fn progress(&self, _: usize, _: usize) {}

    fn cancelled(&self) -> bool {
        true
    }
}

/// Head of a manifest; `rest` has labels, prompts and layout.
fn manifest(folder: &Path, rest: &str) -> Manifest {
    let path = folder.join("made.toml");
    let labels_end = rest.find('\n').expect("labels are the first line");
    let text = format!(
        "name = \"made\"\ntitle = \"Made\"\nmodality = \"drawing\"\n{}\n[licence]\nname = \"CC0\"\ntier = \"A\"\n\
         [source]\nurl = \"none\"\ncitation = \"none\"\n{}",
        &rest[..labels_end],
        &rest[labels_end..]
    );
    std::fs::write(&path, text).expect("written");
    Manifest::read(&path).expect("a manifest")
}

struct Imported {
    out: PathBuf,
    summary: Summary,
    set: Dataset,
}

fn imported(manifest: &Manifest, from: &Path, out: &Path, options: &Options) -> Imported {
    let summary = import(manifest, from, out, options, &Patient).expect("imported");
    let set = load_to_measure(out, &["made".to_owned()])
        .expect("read")
        .remove(0);
    for split in [Split::Train, Split::Val, Split::Test] {
        load_samples(out, std::slice::from_ref(&set), split, 32).expect("training reads it");
    }
    Imported {
        out: out.to_owned(),
        summary,
        set,
    }
}

impl Imported {
    /// What is asked of an item, at its own size.
    fn questions(&self, id: &str) -> BTreeMap<String, Truth> {
        let item = self
            .set
            .items
            .iter()
            .find(|item| item.id == id)
            .expect("the item");
        let folder = self.out.join("made");
        let (width, height) = image::image_dimensions(folder.join(&item.image)).expect("an image");
        let asked =
            questions(&folder, &self.set, item, (width as usize, height as usize)).expect("truth");
        asked
            .into_iter()
            .map(|truth| (truth.prompt.clone(), truth))
            .collect()
    }
}

fn rows(truth: &Truth) -> Vec<String> {
    let sign = |bit: &u8| if *bit == 0 { '.' } else { '#' };
    let rows = truth.mask.bits.chunks(truth.mask.width);
    rows.map(|row| row.iter().map(sign).collect()).collect()
}

/// Polygons of any shape, plain and compressed run lengths, categories that are left out, a crowd.
#[test]
fn coco_is_read_as_pycocotools_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = manifest(
        folder.path(),
        r#"labels = ["cell", "blood vessel"]
        [[prompts]]
        canonical = "cells"
        labels = ["cell"]
        [[prompts]]
        canonical = "vessels"
        labels = ["blood vessel"]
        [layout]
        kind = "coco"
        annotations = "{part}.json"
        images = "{part}/{file_name}"
        subject = "{subject}_view.png"
        categories = { vessel = "blood vessel", ruler = "" }
        [split]
        group = "part"
        names = { train = "train" }
        val = 0.3
        "#,
    );
    let from = Path::new(FIXTURES).join("coco");
    let found = imported(
        &manifest,
        &from,
        &folder.path().join("corpus"),
        &Options::default(),
    );
    let text = std::fs::read_to_string(Path::new(FIXTURES).join("coco.json")).expect("expected");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let mut compared = 0;
    for (name, masks) in expected["images"].as_object().expect("images") {
        let truths = found.questions(&format!("train-{}", name.trim_end_matches(".png")));
        for (prompt, label) in [("cells", "cell"), ("vessels", "vessel")] {
            // The crowd is a vessel nobody drew.
            if (name.as_str(), prompt) == ("p1_view.png", "vessels") {
                assert!(!truths.contains_key(prompt));
                continue;
            }
            let expected: Vec<String> =
                serde_json::from_value(masks[label]["rows"].clone()).expect("rows");
            assert_eq!(rows(&truths[prompt]), expected, "{name} {prompt}");
            compared += 1;
        }
        let objects = |label: &str| masks[label]["objects"].as_u64().expect("a number");
        let id = format!("train-{}", name.trim_end_matches(".png"));
        let json =
            std::fs::read_to_string(found.out.join("made/dataset.json")).expect("dataset.json");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let item = json["items"]
            .as_array()
            .expect("items")
            .iter()
            .find(|item| item["id"] == *id);
        assert_eq!(
            item.expect("the item")["n_instances"],
            objects("cell") + objects("vessel")
        );
    }
    assert_eq!(compared, 5);
    assert_eq!(
        found.summary.counts,
        BTreeMap::from([("train", 2), ("val", 1)])
    );
    assert!(
        found
            .set
            .items
            .iter()
            .any(|item| item.subject.as_deref() == Some("p1"))
    );
}

fn write_folders(root: &Path) {
    for folder in ["images", "organ", "cells/a", "cells/b", "colour"] {
        std::fs::create_dir_all(root.join(folder)).expect("folder");
    }
    let square =
        |x: u32, y: u32, from: u32, to: u32| (from..to).contains(&x) && (from..to).contains(&y);
    for (name, shift) in [("a", 0), ("b", 4)] {
        let image = GrayImage::from_fn(24, 20, |x, y| Luma([(x * 7 + y * 3 + shift) as u8]));
        image
            .save(root.join(format!("images/{name}.png")))
            .expect("image");
        let organ = GrayImage::from_fn(24, 20, |x, y| {
            Luma([if square(x, y, 2, 12) { 128 } else { 0 }])
        });
        organ
            .save(root.join(format!("organ/{name}.png")))
            .expect("mask");
        for (at, from) in [(0, 3), (1, 10)] {
            let cell = GrayImage::from_fn(24, 20, |x, y| {
                Luma([u8::from(square(x, y, from, from + 4)) * 255])
            });
            cell.save(root.join(format!("cells/{name}/{at}.bmp")))
                .expect("mask");
        }
        // As a JPEG would blur it: red and green with noise.
        let colour = RgbImage::from_fn(24, 20, |x, _| match x {
            0..4 => Rgb([240, 9, 12]),
            4..8 => Rgb([6, 250, 0]),
            _ => Rgb([8, 3, 5]),
        });
        colour
            .save(root.join(format!("colour/{name}.png")))
            .expect("mask");
    }
    std::fs::write(root.join("a.txt"), "0 0\n7.5 0\n7.5 7.5\n0 7.5\n").expect("contour");
}

const FOLDERS: &str = r##"labels = ["organ", "cell", "red", "green", "corner"]
    [[prompts]]
    canonical = "organ"
    labels = ["organ"]
    [[prompts]]
    canonical = "cells"
    labels = ["cell"]
    [[prompts]]
    canonical = "coloured"
    labels = ["red", "green"]
    [[prompts]]
    canonical = "corner"
    labels = ["corner"]
    [layout]
    kind = "folders"
    images = "images/{id}.png"
    [[layout.masks]]
    path = ["none/{id}.png", "organ/{id}.png"]
    read = "values"
    values = { 128 = "organ" }
    [[layout.masks]]
    path = "cells/{id}/*.bmp"
    read = "objects"
    label = "cell"
    [[layout.masks]]
    path = "colour/{id}.png"
    read = "colours"
    colours = { "#ff0000" = "red", "#00ff00" = "green" }
    tolerance = 40
    [[layout.masks]]
    path = "{id}.txt"
    read = "contour"
    label = "corner"
    missing = "unlabelled"
    "##;

/// What is expected follows from the geometry above, written down again.
#[test]
fn masks_of_every_reading_lie_on_one_another_without_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("from");
    write_folders(&from);
    let manifest = manifest(folder.path(), FOLDERS);
    let found = imported(
        &manifest,
        &from,
        &folder.path().join("corpus"),
        &Options::default(),
    );
    let truths = found.questions("a");
    let area = |prompt: &str| truths[prompt].mask.area_px();
    assert_eq!(area("organ"), 100, "cells and colours lie on it");
    assert_eq!(area("cells"), 16 + 16);
    assert_eq!(
        truths["cells"]
            .objects()
            .ids
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        3
    );
    assert_eq!(area("coloured"), 8 * 20);
    assert_eq!(area("corner"), 64, "0 to 7.5, as pycocotools fills it");
    assert!(
        !found.questions("b").contains_key("corner"),
        "nobody looked for it"
    );
    // A JPEG that is called PNG would be copied under a name that the corpus' reader believes.
    std::fs::rename(from.join("images/b.png"), from.join("b.keep")).expect("moved");
    let jpeg = GrayImage::from_pixel(24, 20, Luma([77]));
    jpeg.save_with_format(from.join("images/b.png"), image::ImageFormat::Jpeg)
        .expect("saved");
    let other = folder.path().join("other");
    imported(&manifest, &from, &other, &Options::default());
    std::fs::rename(from.join("b.keep"), from.join("images/b.png")).expect("moved back");
    let copy = std::fs::read(found.out.join("made/images/a.png")).expect("the image");
    assert_eq!(
        copy,
        std::fs::read(from.join("images/a.png")).expect("the image"),
        "copied as it is"
    );
    // Another import of the same name is refused, and replaces with leave.
    let again = import(&manifest, &from, &found.out, &Options::default(), &Patient);
    assert_eq!(again.expect_err("it exists").code(), "CORPUS-IMPORT-EXISTS");
    let options = Options {
        replace: true,
        max_side: Some(12),
    };
    let small = imported(&manifest, &from, &found.out, &options);
    assert_eq!(small.questions("a")["organ"].mask.area_px(), 25);
    let index = std::fs::read_to_string(found.out.join("index.json")).expect("index.json");
    assert_eq!(index.matches("\"name\": \"made\"").count(), 1, "{index}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

/// Every wrong file is named, with a code, and nothing is left in the corpus.
#[test]
fn what_is_wrong_is_named_and_leaves_the_corpus_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, out) = (folder.path().join("from"), folder.path().join("corpus"));
    let manifest = manifest(folder.path(), FOLDERS);
    let fails = |change: &dyn Fn(&Path), code: &str, file: &str| {
        std::fs::remove_dir_all(&from).ok();
        write_folders(&from);
        change(&from);
        let error: CorpusError =
            import(&manifest, &from, &out, &Options::default(), &Patient).expect_err(code);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(file), "{error}");
        assert!(!error.next_step().is_empty());
        assert_eq!(names(&out), Vec::<String>::new(), "{code}");
    };
    let organ = |from: &Path| from.join("organ/b.png");
    let gray = |width, value| GrayImage::from_pixel(width, 20, Luma([value]));
    fails(
        &|from| std::fs::remove_file(organ(from)).expect("gone"),
        "CORPUS-IMPORT-NO-MASK",
        "none/b.png",
    );
    fails(
        &|from| gray(23, 0).save(organ(from)).expect("saved"),
        "CORPUS-MASK-SIZE",
        "organ/b.png",
    );
    fails(
        &|from| gray(24, 7).save(organ(from)).expect("saved"),
        "CORPUS-UNKNOWN-LABEL",
        "organ/b.png",
    );
    fails(
        &|from| std::fs::write(organ(from), b"no image").expect("saved"),
        "CORPUS-DECODE",
        "organ/b.png",
    );
    fails(
        &|from| {
            RgbImage::from_pixel(24, 20, Rgb([9, 1, 1]))
                .save(organ(from))
                .expect("saved");
        },
        "CORPUS-IMPORT-SOURCE",
        "organ/b.png",
    );
    fails(
        &|from| {
            RgbImage::from_pixel(24, 20, Rgb([90, 90, 200]))
                .save(from.join("colour/a.png"))
                .expect("saved");
        },
        "CORPUS-UNKNOWN-LABEL",
        "#5a5ac8",
    );
    fails(
        &|from| std::fs::write(from.join("a.txt"), "1 2\n3").expect("saved"),
        "CORPUS-IMPORT-SOURCE",
        "a.txt",
    );
    fails(
        &|from| {
            let file = from.join("images/a.png");
            let bytes = std::fs::read(&file).expect("bytes");
            std::fs::write(file, &bytes[..bytes.len() / 2]).expect("cut");
        },
        "CORPUS-DECODE",
        "images/a.png",
    );
    fails(
        &|from| std::fs::remove_dir_all(from.join("images")).expect("gone"),
        "CORPUS-IMPORT-NO-FILES",
        "images/{id}.png",
    );
    write_folders(&from);
    let stopped = import(&manifest, &from, &out, &Options::default(), &Impatient);
    assert_eq!(
        stopped.expect_err("stopped").code(),
        "CORPUS-IMPORT-CANCELLED"
    );
    assert_eq!(names(&out), Vec::<String>::new());
}

/// 0 and 1 as a mask are empty by the usual threshold: an import that finds nothing says so.
#[test]
fn masks_that_are_all_empty_are_an_error_and_ids_are_objects() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("from");
    std::fs::create_dir_all(&from).expect("folder");
    GrayImage::from_pixel(8, 8, Luma([9]))
        .save(from.join("a.png"))
        .expect("image");
    let ids: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(8, 8, |x, _| Luma([[0, 1, 700, 1][x as usize / 2]]));
    ids.save(from.join("a_mask.tif")).expect("mask");
    let text = |read: &str| {
        format!(
            "labels = [\"cell\"]\n[[prompts]]\ncanonical = \"cells\"\nlabels = [\"cell\"]\n[layout]\nkind = \"folders\"\n\
             images = \"{{id}}.png\"\n[[layout.masks]]\npath = \"{{id}}_mask.tif\"\nread = \"{read}\"\nlabel = \"cell\"\n"
        )
    };
    let out = folder.path().join("corpus");
    let manifest_of = |read: &str| manifest(folder.path(), &text(read));
    let empty = import(
        &manifest_of("binary"),
        &from,
        &out,
        &Options::default(),
        &Patient,
    );
    assert_eq!(
        empty.expect_err("700 is below half of 65535").code(),
        "CORPUS-IMPORT-NOTHING-DRAWN"
    );
    let found = imported(&manifest_of("ids"), &from, &out, &Options::default());
    let truth = &found.questions("a")["cells"];
    assert_eq!(truth.mask.area_px(), 48);
    assert_eq!(truth.objects().ids[..8], [0, 0, 1, 1, 2, 2, 1, 1]);
}

type Slices = Vec<Vec<Vec<u16>>>;

/// Axes in any order and direction, quaternions, both byte orders, scaled values, compressed or not; the four planes.
#[test]
fn nifti_slices_are_those_of_nibabel() {
    let text = std::fs::read_to_string(Path::new(FIXTURES).join("nifti.json")).expect("expected");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    for plane in ["axial", "coronal", "sagittal", "stored"] {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = manifest(
            folder.path(),
            &format!(
                r#"labels = ["one", "two"]
                [[prompts]]
                canonical = "one"
                labels = ["one"]
                [[prompts]]
                canonical = "two"
                labels = ["two"]
                [images]
                window = [128, 256]
                [select]
                empty_every = 1
                [layout]
                kind = "nifti"
                images = ["images/{{id}}.nii.gz", "images/{{id}}.nii"]
                plane = "{plane}"
                [[layout.masks]]
                path = "labels/{{id}}.nii*"
                read = "values"
                values = {{ 1 = "one", 2 = "two" }}
                "#
            ),
        );
        let from = Path::new(FIXTURES).join("nifti");
        let found = imported(
            &manifest,
            &from,
            &folder.path().join("corpus"),
            &Options::default(),
        );
        let mut compared = 0;
        for (name, planes) in expected["volumes"].as_object().expect("volumes") {
            let slices = |part: &str| -> Slices {
                serde_json::from_value(planes[plane][part].clone()).expect("slices")
            };
            let stem = name.split('.').next().expect("a stem");
            for (at, (image, labels)) in slices("images")
                .into_iter()
                .zip(slices("labels"))
                .enumerate()
            {
                let path = found.out.join(format!("made/images/{stem}-{at:04}.png"));
                let shown = image::open(path).expect("an image").into_luma8();
                let wanted: Vec<u8> = image
                    .concat()
                    .into_iter()
                    .map(|value| value as u8)
                    .collect();
                assert_eq!(shown.as_raw(), &wanted, "{plane} {name} {at}");
                let path = found.out.join(format!("made/masks/{stem}-{at:04}.png"));
                let mask = image::open(path).expect("a mask").into_luma8();
                let wanted: Vec<u8> = labels
                    .concat()
                    .into_iter()
                    .map(|value| value as u8)
                    .collect();
                assert_eq!(mask.as_raw(), &wanted, "{plane} {name} {at}");
                compared += 1;
            }
        }
        assert_eq!(compared, found.summary.images);
        assert_eq!(found.summary.subjects, 3);
    }
}

/// Every manifest of the repository is valid, called like its file, and listed in the documentation as one that is there.
#[test]
fn the_manifests_of_the_repository_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed = std::fs::read_to_string(root.join("docs/datasets.md")).expect("the documentation");
    let files = names(&root.join("configs/datasets"));
    for file in &files {
        let manifest = Manifest::read(&root.join("configs/datasets").join(file)).expect("valid");
        assert_eq!(*file, format!("{}.toml", manifest.name));
        assert!(
            listed.contains(&format!("| `{}` | yes", manifest.name)),
            "{file}"
        );
    }
    assert_eq!(listed.matches("` | yes").count(), files.len());
}

fn dicom_manifest(folder: &Path) -> Manifest {
    manifest(
        folder,
        r#"labels = ["liver", "lesion", "spleen", "vessel", "kidney"]
        [[prompts]]
        canonical = "liver"
        labels = ["liver"]
        [[prompts]]
        canonical = "lesion"
        labels = ["lesion"]
        [[prompts]]
        canonical = "spleen"
        labels = ["spleen"]
        [[prompts]]
        canonical = "vessel"
        labels = ["vessel"]
        [[prompts]]
        canonical = "kidney"
        labels = ["kidney"]
        [images]
        window = [28, 256]
        [select]
        empty_every = 1
        [layout]
        kind = "dicom"
        segments = { LIVER = "liver", "lesion 1" = "lesion", 59820001 = "vessel" }
        "#,
    )
}

fn copy_dicom(to: &Path) {
    std::fs::create_dir_all(to.join("series")).expect("folder");
    let from = Path::new(FIXTURES).join("dicom");
    for file in names(&from)
        .into_iter()
        .filter(|name| name.ends_with(".dcm"))
    {
        std::fs::copy(from.join(&file), to.join(&file)).expect("copied");
    }
    for file in names(&from.join("series")) {
        std::fs::copy(
            from.join("series").join(&file),
            to.join("series").join(&file),
        )
        .expect("copied");
    }
}

/// An oblique series whose files are in another order than its slices; segments by the meaning of their code, by label, by code and by the
/// label's own name, on one another, without a frame, as bits and as shares.
#[test]
fn dicom_segmentations_are_those_of_highdicom() {
    let text = std::fs::read_to_string(Path::new(FIXTURES).join("dicom.json")).expect("expected");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    let from = Path::new(FIXTURES).join("dicom");
    let found = imported(
        &dicom_manifest(folder.path()),
        &from,
        &folder.path().join("corpus"),
        &Options::default(),
    );
    let slices = expected["slices"].as_array().expect("slices");
    assert_eq!(found.set.items.len(), slices.len());
    for (item, slice) in found.set.items.iter().zip(slices) {
        let shown = image::open(found.out.join("made").join(&item.image))
            .expect("an image")
            .into_luma8();
        let wanted: Vec<Vec<u8>> = serde_json::from_value(slice["image"].clone()).expect("pixels");
        assert_eq!(shown.as_raw(), &wanted.concat(), "{}", item.id);
        let truths = found.questions(&item.id);
        for prompt in ["liver", "lesion", "spleen", "vessel"] {
            let wanted: Vec<String> = serde_json::from_value(slice[prompt].clone()).expect("rows");
            assert_eq!(rows(&truths[prompt]), wanted, "{} {prompt}", item.id);
        }
        assert!(
            !truths.contains_key("kidney"),
            "no segmentation looked for it"
        );
    }
    let json = std::fs::read_to_string(found.out.join("made/dataset.json")).expect("dataset.json");
    for identifier in ["made-up-1", "Made^Up", "2.25."] {
        assert!(!json.contains(identifier), "{identifier}");
    }
}

/// A label map in place of the bits: the same liver and lesion, and no pixel of both.
#[test]
fn a_label_map_is_that_of_highdicom() {
    let text =
        std::fs::read_to_string(Path::new(FIXTURES).join("label_map.json")).expect("expected");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("from");
    copy_dicom(&from);
    for other in ["binary.dcm", "shares.dcm"] {
        std::fs::remove_file(from.join(other)).expect("gone");
    }
    let map = Path::new(FIXTURES).join("label_map.dcm");
    std::fs::copy(map, from.join("label_map.dcm")).expect("copied");
    let found = imported(
        &dicom_manifest(folder.path()),
        &from,
        &folder.path().join("corpus"),
        &Options::default(),
    );
    // A slice without a label, of which others were not looked for, says nothing.
    let slices = expected["slices"].as_array().expect("slices").iter();
    let slices: Vec<_> = slices
        .filter(|slice| slice.to_string().contains('#'))
        .collect();
    assert_eq!(slices.len(), 3);
    assert_eq!(found.set.items.len(), slices.len());
    for (item, slice) in found.set.items.iter().zip(slices) {
        let truths = found.questions(&item.id);
        for prompt in ["liver", "lesion"] {
            let wanted: Vec<String> = serde_json::from_value(slice[prompt].clone()).expect("rows");
            assert_eq!(rows(&truths[prompt]), wanted, "{} {prompt}", item.id);
        }
        assert!(!truths.contains_key("spleen"), "it does not describe one");
    }
}

/// What lies beside the images and is none: an archive of the same files, a cut volume, a text.
#[test]
fn what_lies_beside_dicom_files_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("from");
    copy_dicom(&from);
    std::fs::write(from.join("all.zip"), b"PK\x03\x04 and no more").expect("written");
    std::fs::write(from.join("volume.nii"), b"cut").expect("written");
    std::fs::write(from.join("picture.png"), b"\x89PNG\r\n\x1a\n").expect("written");
    std::fs::write(from.join("readme.txt"), "Thanks for downloading.").expect("written");
    let found = imported(
        &dicom_manifest(folder.path()),
        &from,
        &folder.path().join("corpus"),
        &Options::default(),
    );
    assert_eq!(found.set.items.len(), 4);
}

/// A slice that is missing, one that lies elsewhere, a segment that is not named, a cut file.
#[test]
fn a_segmentation_that_does_not_fit_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, out) = (folder.path().join("from"), folder.path().join("corpus"));
    let manifest = dicom_manifest(folder.path());
    let fails = |change: &dyn Fn(), code: &str, file: &str| {
        std::fs::remove_dir_all(&from).ok();
        copy_dicom(&from);
        change();
        let error = import(&manifest, &from, &out, &Options::default(), &Patient).expect_err(code);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(file), "{error}");
        assert_eq!(names(&out), Vec::<String>::new());
    };
    let slice = from.join("series/slice2.dcm");
    fails(
        &|| std::fs::remove_file(&slice).expect("gone"),
        "CORPUS-IMPORT-SOURCE",
        "binary.dcm",
    );
    let swap = |file: &Path, from: &[u8], to: &[u8]| {
        let mut bytes = std::fs::read(file).expect("bytes");
        let at = bytes
            .windows(from.len())
            .position(|window| window == from)
            .expect("it is there");
        bytes[at..at + to.len()].copy_from_slice(to);
        std::fs::write(file, bytes).expect("changed");
    };
    // Four millimetres up, so that segmentation and image disagree about where they lie.
    fails(
        &|| swap(&slice, b"\\35.4378", b"\\39.4378"),
        "CORPUS-IMPORT-SOURCE",
        "binary.dcm",
    );
    fails(
        &|| swap(&from.join("binary.dcm"), b"Liver", b"Livor"),
        "CORPUS-UNKNOWN-LABEL",
        "Livor",
    );
    let cut = |file: &Path, by: usize| {
        let bytes = std::fs::read(file).expect("bytes");
        std::fs::write(file, &bytes[..bytes.len() - by]).expect("cut");
    };
    fails(
        &|| cut(&from.join("binary.dcm"), 60),
        "CORPUS-IMPORT-SOURCE",
        "binary.dcm",
    );
    fails(&|| cut(&slice, 100), "CORPUS-IMPORT-SOURCE", "slice2.dcm");
}

/// Twelve real volumes (MSD Task04, as `data/volumes/index.json` describes them): slices and voxels as nibabel 5.4.2 counts them.
#[test]
fn real_hippocampus_volumes_lose_no_voxel() {
    let Some(shared) = std::env::var_os("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = manifest(
        folder.path(),
        r#"labels = ["anterior", "posterior"]
        [[prompts]]
        canonical = "anterior"
        labels = ["anterior"]
        [[prompts]]
        canonical = "posterior"
        labels = ["posterior"]
        [layout]
        kind = "nifti"
        images = "{id}_image.nii.gz"
        plane = "coronal"
        [[layout.masks]]
        path = "{id}_label.nii.gz"
        read = "values"
        values = { 1 = "anterior", 2 = "posterior" }
        "#,
    );
    let from = PathBuf::from(shared).join("data/volumes/nifti_hippocampus");
    let found = imported(
        &manifest,
        &from,
        &folder.path().join("corpus"),
        &Options::default(),
    );
    assert_eq!((found.summary.images, found.summary.subjects), (462, 12));
    let mut voxels = BTreeMap::<String, usize>::new();
    for item in &found.set.items {
        for (prompt, truth) in found.questions(&item.id) {
            *voxels.entry(prompt).or_default() += truth.mask.area_px();
        }
    }
    assert_eq!(
        voxels,
        BTreeMap::from([
            ("anterior".to_owned(), 20758),
            ("posterior".to_owned(), 19941)
        ])
    );
}
