//! Faults that public datasets really have, each with pictures in which a wrong pixel shows: a white shape on black, whose mask
//! must be the shape.

use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageBuffer, Luma};
use medsam3_corpus::import::manifest::Manifest;
use medsam3_corpus::import::{Kind, Options, Summary, Watch, import};
use medsam3_corpus::{
    CorpusError, Dataset, Split, Truth, load_samples, load_to_measure, questions,
};
use serde_json::{Value, json};

struct Patient;

impl Watch for Patient {
    fn progress(&self, _: usize, _: usize) {}

    fn cancelled(&self) -> bool {
        false
    }
}

const FOLDERS: &str = "kind = \"folders\"\nimages = \"images/{id}.png\"\n[[layout.masks]]\n\
                       path = \"masks/{id}.png\"\nread = \"binary\"\nlabel = \"lesion\"\n";
const COCO: &str = "kind = \"coco\"\nannotations = \"ann.json\"\nimages = \"{file_name}\"\n";

/// A source folder and a corpus beside it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["from/images", "from/masks"] {
            fs::create_dir_all(folder.path().join(name)).expect("folders");
        }
        Self { folder }
    }

    fn from(&self) -> PathBuf {
        self.folder.path().join("from")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("corpus")
    }

    fn import(&self, layout: &str) -> Result<Summary, CorpusError> {
        self.import_as("set", layout, &Options::default())
    }

    fn import_as(
        &self,
        name: &str,
        layout: &str,
        options: &Options,
    ) -> Result<Summary, CorpusError> {
        let path = self.folder.path().join(format!("{name}.toml"));
        let text = format!(
            "name = \"{name}\"\ntitle = \"Set\"\nmodality = \"drawing\"\nlabels = [\"lesion\"]\n\
             [licence]\nname = \"CC0\"\ntier = \"A\"\n[source]\nurl = \"none\"\ncitation = \"none\"\n\
             [[prompts]]\ncanonical = \"lesion\"\nlabels = [\"lesion\"]\n[layout]\n{layout}"
        );
        fs::write(&path, text).expect("a manifest");
        let manifest = Manifest::read(&path)?;
        import(&manifest, &self.from(), &self.out(), options, &Patient)
    }

    fn set(&self) -> Dataset {
        load_to_measure(&self.out(), &["set".to_owned()])
            .expect("read")
            .remove(0)
    }

    /// What is asked of an item: `None` where its label is unknown, which leaves out an image without any other.
    fn truth(&self, id: &str) -> Option<Truth> {
        let set = self.set();
        let item = set.items.iter().find(|item| item.id == id)?;
        let folder = self.out().join("set");
        let (width, height) = image::image_dimensions(folder.join(&item.image)).expect("an image");
        let size = (width as usize, height as usize);
        questions(&folder, &set, item, size).expect("truth").pop()
    }

    /// Whether every white pixel of the image is inside of its mask, and no other.
    fn lies_on_the_shape(&self, id: &str) -> bool {
        let set = self.set();
        let item = set.items.iter().find(|item| item.id == id).expect(id);
        let shown = image::open(self.out().join("set").join(&item.image)).expect("an image");
        let white = shown.into_luma8().into_raw();
        let white: Vec<u8> = white.iter().map(|value| u8::from(*value > 127)).collect();
        assert!(white.contains(&1));
        self.truth(id).is_some_and(|truth| truth.mask.bits == white)
    }
}

fn count(summary: &Summary, kind: Kind) -> usize {
    let note = summary.notes.iter().find(|note| note.kind == kind);
    note.map_or(0, |note| note.count)
}

fn fails(result: Result<Summary, CorpusError>, code: &str, name: &str) {
    let error = result.expect_err(code);
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(name), "{error}");
}

/// White from column 8 to 24 and row 0 to 8 of 32 x 24 pixels: blocks of JPEG, so that no value is between.
fn is_white(x: u32, y: u32) -> bool {
    (8..24).contains(&x) && y < 8
}

fn shape() -> GrayImage {
    GrayImage::from_fn(32, 24, |x, y| Luma([if is_white(x, y) { 255 } else { 0 }]))
}

/// Where a stored pixel is seen (TIFF 6.0, tag 274), on a picture that is stored with `width` x `height` pixels.
fn seen_at(turn: u8, x: u32, y: u32, width: u32, height: u32) -> (u32, u32) {
    match turn {
        2 => (width - 1 - x, y),
        3 => (width - 1 - x, height - 1 - y),
        4 => (x, height - 1 - y),
        5 => (y, x),
        6 => (height - 1 - y, x),
        7 => (height - 1 - y, width - 1 - x),
        8 => (y, width - 1 - x),
        _ => (x, y),
    }
}

fn upright(turn: u8) -> GrayImage {
    let stored = shape();
    let (width, height) = stored.dimensions();
    let mut seen = if turn >= 5 {
        GrayImage::new(height, width)
    } else {
        GrayImage::new(width, height)
    };
    for (x, y, value) in stored.enumerate_pixels() {
        let (u, v) = seen_at(turn, x, y, width, height);
        seen.put_pixel(u, v, *value);
    }
    seen
}

/// A JPEG with an EXIF orientation.
fn save_turned(path: &Path, turn: u8) {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 100)
        .encode_image(&shape())
        .expect("a JPEG");
    let mut exif =
        b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([turn, 0, 0, 0, 0, 0, 0, 0]);
    jpeg.splice(2..2, exif);
    fs::write(path, jpeg).expect("written");
}

/// The corners of the shape as a polygon, on the stored pixels or on those that are seen.
fn corners(turn: u8) -> Vec<u32> {
    let seen = upright(turn);
    let white: Vec<(u32, u32)> = seen
        .enumerate_pixels()
        .filter(|(_, _, value)| value.0[0] > 127)
        .map(|(x, y, _)| (x, y))
        .collect();
    let x0 = white.iter().map(|p| p.0).min().expect("white");
    let x1 = white.iter().map(|p| p.0).max().expect("white") + 1;
    let y0 = white.iter().map(|p| p.1).min().expect("white");
    let y1 = white.iter().map(|p| p.1).max().expect("white") + 1;
    vec![x0, y0, x1, y0, x1, y1, x0, y1]
}

fn coco(place: &Place, images: Value, annotations: Value) {
    let file = json!({
        "images": images, "annotations": annotations,
        "categories": [{ "id": 1, "name": "lesion" }]
    });
    fs::write(place.from().join("ann.json"), file.to_string()).expect("written");
}

#[test]
fn coco_masks_lie_on_the_pixels_that_the_annotator_saw_in_every_orientation() {
    for turn in 1..=8_u8 {
        for seen in [1, turn] {
            let place = Place::new();
            save_turned(&place.from().join("a.jpg"), turn);
            let (width, height) = upright(seen).dimensions();
            coco(
                &place,
                json!([{ "id": 1, "file_name": "a.jpg", "width": width, "height": height }]),
                json!([{ "image_id": 1, "category_id": 1, "segmentation": [corners(seen)] }]),
            );
            let found = place.import(COCO);
            if (2..=4).contains(&turn) {
                // Both sizes are the same: the manifest has to say it.
                fails(found, "CORPUS-IMPORT-OTHER-PIXELS", "a.jpg");
                let exif = if seen == 1 { "stored" } else { "upright" };
                place
                    .import(&format!("{COCO}exif = \"{exif}\"\n"))
                    .expect("imported");
            } else {
                found.expect("imported");
            }
            assert!(
                place.lies_on_the_shape("a"),
                "orientation {turn}, seen as {seen}"
            );
        }
    }
}

#[test]
fn folder_masks_lie_on_the_pixels_that_the_annotator_saw_in_every_orientation() {
    let layout = FOLDERS.replace("images/{id}.png", "images/{id}.jpg");
    for turn in 1..=8_u8 {
        for seen in [1, turn] {
            let place = Place::new();
            save_turned(&place.from().join("images/a.jpg"), turn);
            let mask = place.from().join("masks/a.png");
            upright(seen).save(mask).expect("a mask");
            let found = place.import(&layout);
            if (2..=4).contains(&turn) {
                fails(found, "CORPUS-IMPORT-OTHER-PIXELS", "a.jpg");
                let exif = if seen == 1 { "stored" } else { "upright" };
                let said = layout.replace("[[layout", &format!("exif = \"{exif}\"\n[[layout"));
                place.import(&said).expect("imported");
            } else {
                found.expect("imported");
            }
            assert!(
                place.lies_on_the_shape("a"),
                "orientation {turn}, seen as {seen}"
            );
        }
    }
}

/// In a corpus made by hand training would see the stored pixels and evaluation those that are shown.
#[test]
fn a_turned_picture_in_a_corpus_is_refused_by_training_and_evaluation() {
    let place = Place::new();
    let image = place.from().join("images/a.jpg");
    save_turned(&image, 1);
    shape()
        .save(place.from().join("masks/a.png"))
        .expect("a mask");
    let layout = FOLDERS.replace("images/{id}.png", "images/{id}.jpg");
    place.import(&layout).expect("imported");
    let sets = [place.set()];
    let read = || load_samples(&place.out(), &sets, Split::Train, 16);
    let folder = place.out().join("set");
    let asked = || questions(&folder, &sets[0], &sets[0].items[0], (32, 24));
    assert!(read().is_ok() && asked().is_ok());
    save_turned(&folder.join(&sets[0].items[0].image), 3);
    assert_eq!(read().expect_err("turned").code(), "CORPUS-TURNED");
    assert_eq!(asked().expect_err("turned").code(), "CORPUS-TURNED");
}

#[test]
fn coco_of_pictures_of_another_size_is_refused_by_name() {
    let place = Place::new();
    shape().save(place.from().join("a.png")).expect("an image");
    let annotations = json!([{ "image_id": 1, "category_id": 1, "segmentation": [corners(1)] }]);
    coco(
        &place,
        json!([{ "id": 1, "file_name": "a.png", "width": 64, "height": 48 }]),
        annotations,
    );
    fails(place.import(COCO), "CORPUS-IMPORT-OTHER-PIXELS", "a.png");
}

#[test]
fn coco_objects_without_an_outline_are_unknown_and_counted() {
    let place = Place::new();
    let names = ["whole", "none", "empty", "hollow", "runs", "point", "both"];
    let mut images = Vec::new();
    for (id, name) in names.iter().enumerate() {
        let file = format!("{name}.png");
        shape().save(place.from().join(&file)).expect("an image");
        images.push(json!({ "id": id, "file_name": file, "width": 32, "height": 24 }));
    }
    let object = |image: usize, segmentation: Value| json!({ "image_id": image, "category_id": 1, "iscrowd": false, "segmentation": segmentation });
    let runs = json!({ "size": [24, 32], "counts": [24 * 32] });
    coco(
        &place,
        images.into(),
        json!([
            object(0, json!([corners(1)])),
            object(1, Value::Null),
            object(2, json!([])),
            object(3, json!([[]])),
            object(4, runs),
            object(5, json!([[3.0, 3.0, 9.0, 9.0]])),
            object(6, json!([[3.0, 3.0, 9.0, 9.0]])),
            object(6, json!([corners(1)])),
        ]),
    );
    let summary = place.import(COCO).expect("imported");
    assert_eq!(count(&summary, Kind::NoOutline), 3);
    assert_eq!(count(&summary, Kind::EmptyRuns), 1);
    assert_eq!(count(&summary, Kind::Degenerate), 2);
    for whole in ["whole", "both"] {
        assert!(place.lies_on_the_shape(whole), "{whole}");
    }
    for unknown in ["none", "empty", "hollow", "point"] {
        assert!(place.truth(unknown).is_none(), "{unknown}");
    }
    assert_eq!(place.truth("runs").expect("a statement").mask.area_px(), 0);
}

#[test]
fn crowds_are_counted_and_may_be_objects() {
    let place = Place::new();
    shape().save(place.from().join("a.png")).expect("an image");
    // Down the columns: 8 empty ones, 16 of which the first 8 rows are inside.
    let mut counts = vec![8 * 24];
    for _ in 0..16 {
        counts.extend([8, 16]);
    }
    *counts.last_mut().expect("runs") += 8 * 24;
    coco(
        &place,
        json!([{ "id": 1, "file_name": "a.png", "width": 32, "height": 24 }]),
        json!([{ "image_id": 1, "category_id": 1, "iscrowd": true,
                 "segmentation": { "size": [24, 32], "counts": counts } }]),
    );
    let refused = place.import(COCO);
    fails(refused, "CORPUS-IMPORT-ONLY-CROWDS", "1 objects are crowds");
    place
        .import(&format!("{COCO}crowds = \"objects\"\n"))
        .expect("imported");
    assert!(place.lies_on_the_shape("a"));
}

/// Masks of 0 and 1, of 0 and 255, of 16 bits with 255, and one of which nothing is above the threshold.
#[test]
fn a_mask_is_read_by_its_own_values_and_a_dim_one_is_named() {
    let place = Place::new();
    let masks = place.from().join("masks");
    for name in ["one", "full", "deep", "dim"] {
        let image = place.from().join(format!("images/{name}.png"));
        shape().save(image).expect("an image");
    }
    let scaled = |by: u8| GrayImage::from_fn(32, 24, |x, y| Luma([u8::from(is_white(x, y)) * by]));
    scaled(1).save(masks.join("one.png")).expect("a mask");
    scaled(255).save(masks.join("full.png")).expect("a mask");
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(32, 24, |x, y| Luma([u16::from(is_white(x, y)) * 255]));
    deep.save(masks.join("deep.png")).expect("a mask");
    let dim = GrayImage::from_fn(32, 24, |x, _| Luma([(x % 3) as u8]));
    dim.save(masks.join("dim.png")).expect("a mask");
    let summary = place.import(FOLDERS).expect("imported");
    for name in ["one", "full", "deep"] {
        assert!(place.lies_on_the_shape(name), "{name}");
    }
    assert_eq!(count(&summary, Kind::BelowThreshold), 1);
    assert!(
        summary.notes[0].to_string().contains("masks/dim.png"),
        "{}",
        summary.notes[0]
    );
}

#[test]
fn hidden_files_are_skipped_endings_count_in_any_case_and_letters_stay() {
    let place = Place::new();
    // The last is composed in the image's name alone.
    for name in ["患者甲", "患者乙", "Müller", "Möller", "plain"] {
        let image = place.from().join(format!("images/{name}.png"));
        shape().save(image).expect("an image");
        let mask = place.from().join(format!("masks/{name}.png"));
        shape().save(mask).expect("a mask");
    }
    let images = place.from().join("images");
    fs::rename(images.join("plain.png"), images.join("plain.PNG")).expect("renamed");
    for junk in [
        "images/._plain.png",
        "images/.DS_Store",
        "masks/._plain.png",
    ] {
        fs::write(place.from().join(junk), "resource fork").expect("written");
    }
    let summary = place.import(FOLDERS).expect("imported");
    assert_eq!(summary.images, 5);
    let names: Vec<String> = place.set().items.into_iter().map(|item| item.id).collect();
    for name in ["患者甲", "患者乙", "Müller", "Möller", "plain"] {
        assert!(names.iter().any(|id| id == name), "{name} of {names:?}");
        assert!(place.lies_on_the_shape(name), "{name}");
    }
}

/// A NIfTI-1 file of 32 x 24 x 1 voxels of `code` with the shape.
fn nifti(code: i16, bits: i16, volumes: i16, value: &dyn Fn(bool) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![0; 352];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348_i32.to_le_bytes());
    let dim = [if volumes > 1 { 4 } else { 3 }, 32, 24, 1, volumes, 1, 1, 1];
    for (axis, size) in dim.iter().enumerate() {
        put(40 + 2 * axis, &i16::to_le_bytes(*size));
    }
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());
    for axis in 0..4 {
        put(76 + 4 * axis, &1_f32.to_le_bytes());
    }
    put(108, &352_f32.to_le_bytes());
    put(344, b"n+1\0");
    for _ in 0..volumes {
        for y in 0..24 {
            bytes.extend((0..32).flat_map(|x| value(is_white(x, y))));
        }
    }
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

#[test]
fn nifti_is_read_by_content_with_labels_of_64_bits_and_labels_of_four_axes_are_refused() {
    let layout = "kind = \"nifti\"\nimages = \"images/{id}.nii*\"\nplane = \"stored\"\n[[layout.masks]]\n\
                  path = \"masks/{id}.nii*\"\nread = \"values\"\nvalues = { 1 = \"lesion\" }\n";
    let image = nifti(2, 8, 1, &|white| vec![if white { 255 } else { 0 }]);
    let labels = |volumes| {
        nifti(1024, 64, volumes, &|white| {
            i64::from(white).to_le_bytes().to_vec()
        })
    };
    for (ending, packed) in [
        ("nii", false),
        ("nii", true),
        ("nii.gz", false),
        ("nii.gz", true),
    ] {
        let place = Place::new();
        let write = |folder: &str, bytes: &[u8]| {
            let bytes = if packed { gzip(bytes) } else { bytes.to_vec() };
            fs::write(place.from().join(format!("{folder}/a.{ending}")), bytes).expect("written");
        };
        write("images", &image);
        write("masks", &labels(1));
        place.import(layout).expect("imported");
        assert!(place.lies_on_the_shape("a-0000"), "{ending} {packed}");
        write("masks", &labels(2));
        let again = Options {
            replace: true,
            ..Options::default()
        };
        let refused = place.import_as("set", layout, &again);
        fails(refused, "CORPUS-IMPORT-SOURCE", "2 volumes");
    }
}

#[test]
fn a_label_map_segmentation_is_named() {
    let place = Place::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/import/dicom");
    let mut bytes = fs::read(fixtures.join("binary.dcm")).expect("the segmentation");
    let (old, new) = (
        b"1.2.840.10008.5.1.4.1.1.66.4",
        b"1.2.840.10008.5.1.4.1.1.66.7",
    );
    let places: Vec<usize> = (0..bytes.len() - old.len())
        .filter(|at| bytes[*at..].starts_with(old))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    fs::write(place.from().join("map.dcm"), bytes).expect("written");
    fails(
        place.import("kind = \"dicom\"\n"),
        "CORPUS-IMPORT-SOURCE",
        "LABELMAP",
    );
    fails(
        place.import("kind = \"dicom\"\n"),
        "CORPUS-IMPORT-SOURCE",
        "map.dcm",
    );
}

#[test]
fn six_imports_at_once_lose_nothing_and_leave_nothing() {
    let place = Place::new();
    shape()
        .save(place.from().join("images/a.png"))
        .expect("an image");
    shape()
        .save(place.from().join("masks/a.png"))
        .expect("a mask");
    let again = Options {
        replace: true,
        ..Options::default()
    };
    for round in 0..20 {
        std::thread::scope(|scope| {
            for n in 0..6 {
                let (place, again) = (&place, &again);
                scope.spawn(move || {
                    let name = format!("set{n}");
                    place.import_as(&name, FOLDERS, again).expect("imported");
                });
            }
        });
        let sets = load_to_measure(&place.out(), &[]).expect("a valid index");
        assert_eq!(sets.len(), 6, "round {round}");
        let mut names: Vec<_> = fs::read_dir(place.out())
            .expect("the corpus")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        let wanted = [
            ".lock",
            "index.json",
            "set0",
            "set1",
            "set2",
            "set3",
            "set4",
            "set5",
        ];
        assert_eq!(names, wanted, "round {round}");
        if round % 2 == 0 {
            fs::remove_dir_all(place.out()).expect("a new corpus for the next round");
        }
    }
}

#[test]
fn what_a_killed_import_left_is_removed_and_a_corpus_that_is_a_file_is_found_first() {
    let place = Place::new();
    shape()
        .save(place.from().join("images/a.png"))
        .expect("an image");
    let left = place.out().join(".medsam3-set-dead.part");
    fs::create_dir_all(left.join("images")).expect("leftovers");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let folder = fs::File::open(&left).expect("a folder");
    folder.set_modified(old).expect("older");
    // Without a mask: found out after the corpus was looked at.
    fails(place.import(FOLDERS), "CORPUS-IMPORT-NO-MASK", "a.png");
    assert!(!left.exists());
    fs::remove_dir_all(place.out()).expect("gone");
    fs::write(place.out(), "a file").expect("written");
    fails(place.import(FOLDERS), "CORPUS-WRITE", "corpus");
}
