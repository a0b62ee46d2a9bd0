//! Parts of files (RFC 9110, section 14) and copies that were compressed beforehand.

mod support;

use std::fs::File;
use std::time::{Duration, SystemTime};

use support::{Served, page, write};

#[test]
fn a_part_is_answered_as_the_standard_says() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    // Range; body and Content-Range of a partial answer.
    for (range, body, content_range) in [
        ("bytes=0-", "0123456789", "bytes 0-9/10"),
        ("bytes=4-", "456789", "bytes 4-9/10"),
        ("bytes=3-5", "345", "bytes 3-5/10"),
        ("bytes=3-500", "3456789", "bytes 3-9/10"),
        ("bytes=-4", "6789", "bytes 6-9/10"),
        ("bytes=9-9", "9", "bytes 9-9/10"),
    ] {
        let part = served.get_with("/digits", &[("Range", range)]);
        assert_eq!((part.status, part.text()), (206, body), "{range}");
        assert_eq!(part.header("content-range"), content_range);
        assert_eq!(part.header("content-length"), body.len().to_string());
        assert_eq!(part.header("accept-ranges"), "bytes");
    }
    for beyond in ["bytes=10-", "bytes=-0", "bytes=12-14"] {
        let part = served.get_with("/digits", &[("Range", beyond)]);
        assert_eq!((part.status, part.body.len()), (416, 0), "{beyond}");
        assert_eq!(part.header("content-range"), "bytes */10");
    }
    // All of it is a right answer to the last 40 of 10 bytes; the others do not count.
    for whole in [
        "bytes=-40",
        "",
        "bytes=-",
        "bytes=5-3",
        "bytes=0-1,3-4",
        "lines=0-",
        "bytes=a-",
    ] {
        let part = served.get_with("/digits", &[("Range", whole)]);
        assert_eq!((part.status, part.text()), (200, "0123456789"), "{whole}");
    }
}

#[test]
fn a_part_of_a_file_that_has_changed_is_not_sent() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    let whole = served.get("/digits");
    let part_if = |validator: &str| {
        let headers = [("Range", "bytes=4-"), ("If-Range", validator)];
        let answer = served.get_with("/digits", &headers);
        (answer.status, answer.text().to_owned())
    };
    assert_eq!(part_if(whole.header("etag")), (206, "456789".to_owned()));
    assert_eq!(
        part_if(whole.header("last-modified")),
        (206, "456789".to_owned())
    );
    assert_eq!(part_if("\"another\""), (200, "0123456789".to_owned()));
    let weak = format!("W/{}", whole.header("etag"));
    assert_eq!(part_if(&weak), (200, "0123456789".to_owned()));
}

#[test]
fn a_large_file_arrives_whole_and_in_parts() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let bytes: Vec<u8> = (0..3_000_001u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    write(root.path(), &[("large", &bytes)]);
    let served = Served::folder(root.path());
    assert!(served.get("/large").body == bytes, "whole");
    for (first, last) in [
        (0, 99),
        (262_143, 262_144),
        (1_234_567, 2_999_999),
        (3_000_000, 3_000_000),
    ] {
        let range = format!("bytes={first}-{last}");
        let part = served.get_with("/large", &[("Range", &range)]);
        assert_eq!(part.status, 206);
        assert!(part.body == bytes[first..=last], "{range}");
    }
}

#[test]
fn a_compressed_copy_is_sent_to_who_accepts_it() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    // The server never unpacks them; these bytes only tell the copies apart.
    write(
        root.path(),
        &[
            ("app/main.js.br", b"BR"),
            ("app/main.js.gz", b"GZ"),
            ("digits.gz", b"GZ"),
        ],
    );
    let served = Served::folder(root.path());
    let get = |path: &str, accepts: &str| {
        let answer = served.get_with(path, &[("Accept-Encoding", accepts)]);
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert_eq!(answer.header("x-common"), "yes");
        (
            answer.header("content-encoding").to_owned(),
            answer.text().to_owned(),
        )
    };
    let is = |coding: &str, body: &str| (coding.to_owned(), body.to_owned());
    assert_eq!(
        get("/app/main.js", "gzip, deflate, br, zstd"),
        is("br", "BR")
    );
    assert_eq!(get("/app/main.js", "gzip, deflate"), is("gzip", "GZ"));
    assert_eq!(get("/app/main.js", "br;q=0, gzip"), is("gzip", "GZ"));
    assert_eq!(get("/app/main.js", "identity"), is("", "script()"));
    assert_eq!(get("/digits", "br"), is("", "0123456789"));
    let compressed = served.get_with("/app/main.js", &[("Accept-Encoding", "br")]);
    assert_eq!(
        compressed.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    let plain = served.get("/app/main.js");
    assert_ne!(compressed.header("etag"), plain.header("etag"));
}

#[test]
fn a_part_is_never_one_of_a_compressed_copy() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    write(root.path(), &[("digits.br", b"BR"), ("digits.gz", b"GZ")]);
    let served = Served::folder(root.path());
    let headers = [("Range", "bytes=1-3"), ("Accept-Encoding", "gzip, br")];
    let part = served.get_with("/digits", &headers);
    assert_eq!((part.status, part.text()), (206, "123"));
    assert_eq!(part.header("content-encoding"), "");
}

#[test]
fn a_compressed_copy_of_a_file_that_has_changed_is_not_sent() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    write(root.path(), &[("digits.gz", b"GZ")]);
    let served = Served::folder(root.path());
    let get = || served.get_with("/digits", &[("Accept-Encoding", "gzip")]);
    assert_eq!(get().text(), "GZ");
    let later = SystemTime::now() + Duration::from_secs(5);
    let file = File::options()
        .append(true)
        .open(root.path().join("digits"))
        .unwrap();
    file.set_modified(later).unwrap();
    assert_eq!(
        (get().text(), get().header("content-encoding")),
        ("0123456789", "")
    );
}

#[test]
fn a_compressed_file_that_is_no_copy_of_another_is_a_file() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    write(root.path(), &[("samples/volume.nii.gz", b"GZ")]);
    let served = Served::folder(root.path());
    let gzip = [("Accept-Encoding", "gzip")];
    let volume = served.get_with("/samples/volume.nii.gz", &gzip);
    assert_eq!((volume.status, volume.text()), (200, "GZ"));
    assert_eq!(volume.header("content-encoding"), "");
    assert_eq!(volume.header("content-type"), "application/gzip");
    assert_eq!(served.get_with("/samples/volume.nii", &gzip).status, 404);
}
