//! Model folders beside the page.

mod support;

use std::fs;
use std::path::Path;

use medsam3_server::{ServeError, Server};
use support::{Served, options, page, write};

fn model(folder: &Path) {
    let manifest =
        br#"{"format_version": 2, "files": [{"name": "shard", "bytes": 10, "sha256": ""}]}"#;
    write(
        folder,
        &[
            ("manifest.json", manifest),
            ("MODEL_CARD.md", b"# Card"),
            ("shard", b"0123456789"),
            ("patients.csv", b"nobody's business"),
            ("manifest.json.gz", b"GZ"),
        ],
    );
}

#[test]
fn models_are_offered_with_what_their_manifest_names_and_no_more() {
    let root = tempfile::tempdir().unwrap();
    page(&root.path().join("page"));
    model(&root.path().join("tiny-q8"));
    write(root.path(), &[("secret", b"secret")]);
    let mut options = options(&root.path().join("page"));
    options.models = vec![root.path().join("tiny-q8")];
    let served = Served::start(&options);

    let index = served.get("/models/index.json");
    assert_eq!(index.text(), r#"{"models":[{"folder":"tiny-q8"}]}"#);
    assert_eq!(index.header("x-common"), "yes");
    assert_eq!(
        index.header("content-type"),
        "application/json; charset=utf-8"
    );
    for (path, body) in [
        ("/models/tiny-q8/shard", "0123456789"),
        ("/models/tiny-q8/MODEL_CARD.md", "# Card"),
    ] {
        assert_eq!(served.get(path).text(), body, "{path}");
    }
    let whole = served.get("/models/tiny-q8/shard");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let part = served.get_with("/models/tiny-q8/shard", &[("Range", "bytes=4-")]);
    assert_eq!((part.status, part.text()), (206, "456789"));
    assert_eq!(part.header("content-range"), "bytes 4-9/10");
    let manifest = served.get_with(
        "/models/tiny-q8/manifest.json",
        &[("Accept-Encoding", "gzip")],
    );
    assert!(manifest.text().contains("format_version"));
    for absent in [
        "/models/tiny-q8/patients.csv",
        "/models/tiny-q8/manifest.json.gz",
        "/models/tiny-q8/..%2fsecret",
        "/models/tiny-q8/",
        "/models/tiny-q8",
        "/models/other/shard",
        "/secret",
    ] {
        assert_eq!(served.get(absent).status, 404, "{absent}");
    }
}

#[test]
fn a_model_that_is_written_anew_is_served_as_it_is_now() {
    let root = tempfile::tempdir().unwrap();
    page(&root.path().join("page"));
    let folder = root.path().join("tiny");
    model(&folder);
    let mut options = options(&root.path().join("page"));
    options.models = vec![folder.clone()];
    let served = Served::start(&options);
    assert_eq!(served.get("/models/tiny/shard").status, 200);
    write(
        &folder,
        &[
            ("manifest.json", br#"{"files": [{"name": "part-2"}]}"#),
            ("part-2", b"new"),
        ],
    );
    assert_eq!(served.get("/models/tiny/shard").status, 404);
    assert_eq!(served.get("/models/tiny/part-2").text(), "new");
}

#[test]
fn the_pages_own_models_stay_in_the_list() {
    let root = tempfile::tempdir().unwrap();
    page(&root.path().join("page"));
    let own = br#"{ "models": [{ "folder": "own" }, { "folder": "tiny" }] }"#;
    write(
        &root.path().join("page"),
        &[("models/index.json", own), ("models/own/shard", b"own")],
    );
    model(&root.path().join("tiny"));
    let mut options = options(&root.path().join("page"));
    assert_eq!(Served::start(&options).get("/models/index.json").body, own);
    options.models = vec![root.path().join("tiny")];
    let served = Served::start(&options);
    // A compressed copy of the page's own list is not this list.
    write(
        &root.path().join("page"),
        &[("models/index.json.gz", b"GZ")],
    );
    let index = served.get_with("/models/index.json", &[("Accept-Encoding", "gzip")]);
    assert_eq!(
        index.text(),
        r#"{"models":[{"folder":"own"},{"folder":"tiny"}]}"#
    );
    assert_eq!(served.get("/models/own/shard").text(), "own");
}

#[test]
fn what_is_no_model_folder_is_refused_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    page(&at("page"));
    model(&at("tiny"));
    model(&at("other/tiny"));
    model(&at("two words"));
    fs::create_dir(at("empty")).unwrap();
    write(&at("broken"), &[("manifest.json", b"{")]);
    let refused = |models: &[&str]| {
        let mut options = options(&at("page"));
        options.models = models.iter().map(|name| at(name)).collect();
        match Server::bind(&options) {
            Ok(_) => ("", String::new()),
            Err(error) => (error.code(), error.to_string()),
        }
    };
    for (models, code, word) in [
        (&["absent"][..], "SERVE-MODEL", "absent"),
        (&["empty"], "SERVE-MODEL", "manifest.json"),
        (&["broken"], "SERVE-MODEL", "manifest.json"),
        (&["two words"], "SERVE-MODEL-NAME", "two words"),
        (&["tiny", "other/tiny"], "SERVE-MODEL-NAME", "tiny"),
        (&["tiny", "tiny"], "", ""),
    ] {
        let (found, words) = refused(models);
        assert_eq!(found, code, "{models:?}");
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn the_models_of_the_repository_are_model_folders() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let mut options = options(root.path());
    options.models = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../weights/default")];
    let served = Served::start(&options);
    let manifest = served.get("/models/default/manifest.json");
    let on_disk = fs::read(options.models[0].join("manifest.json")).unwrap();
    assert!(manifest.body == on_disk);
    options.models = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")];
    let refused = Server::bind(&options).err();
    assert!(matches!(refused, Some(ServeError::Model { .. })));
}
