//! Names of results. No two results of a run share one, whatever their inputs are called, and none is longer than
//! file systems allow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use medsam3_weights::sha256_hex;

/// Bytes that a stem and a prompt may take each: file systems end at 255 with everything.
const LONGEST: usize = 100;
/// Digits of a hash that tell shortened names apart.
const DIGITS: usize = 8;

/// What results are called after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    path: PathBuf,
    /// A name whose last point begins no extension: a folder's.
    is_whole: bool,
    /// Which series of it, where there are several.
    series: Option<usize>,
}

impl Named {
    /// A file with one series.
    pub fn file(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            is_whole: false,
            series: None,
        }
    }

    /// A series of a folder or an archive.
    pub fn series(path: &Path, series: Option<usize>) -> Self {
        Self {
            path: path.to_owned(),
            is_whole: path.is_dir(),
            series,
        }
    }

    fn stem(&self) -> String {
        let name = if self.is_whole {
            file_name(&self.path)
        } else {
            stem(&self.path)
        };
        self.numbered(name)
    }

    fn file_name(&self) -> String {
        self.numbered(file_name(&self.path))
    }

    fn with_folder(&self) -> String {
        self.numbered(with_folder(&self.path))
    }

    fn numbered(&self, name: String) -> String {
        match self.series {
            Some(series) => format!("{name}-series-{series}"),
            None => name,
        }
    }
}

/// The beginnings of the names of all results, in the order given.
///
/// A stem, where no other input has it; else the whole name, else that with its folder, else a number behind it.
pub fn stems(inputs: &[&Named]) -> Vec<String> {
    let ways: [fn(&Named) -> String; 3] = [Named::stem, Named::file_name, Named::with_folder];
    let mut names: Vec<Option<String>> = vec![None; inputs.len()];
    let mut taken = BTreeSet::new();
    for way in ways {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, input) in inputs.iter().enumerate() {
            if names.get(at).is_some_and(Option::is_none) {
                groups.entry(folded(&way(input))).or_default().push(at);
            }
        }
        for (name, group) in groups {
            if let &[alone] = group.as_slice()
                && taken.insert(name)
                && let (Some(place), Some(input)) = (names.get_mut(alone), inputs.get(alone))
            {
                *place = Some(way(input));
            }
        }
    }
    let numbered = |(at, name): (usize, Option<String>)| {
        name.unwrap_or_else(|| {
            let base = inputs
                .get(at)
                .map(|input| input.with_folder())
                .unwrap_or_default();
            free(&base, &mut taken)
        })
    };
    names.into_iter().enumerate().map(numbered).collect()
}

/// The prompts as names have them: lower case, everything but letters and digits as `-`; no two alike.
pub fn slugs(prompts: &[String]) -> Vec<String> {
    let short: Vec<String> = prompts
        .iter()
        .map(|prompt| shortened(&medsam3_segmentation::slug(prompt)))
        .collect();
    medsam3_segmentation::slugs(short.iter().map(String::as_str))
}

/// `<stem>.<prompt>.png`; of a series with the slice, counted from 1, and where there are several the frame, from 0:
/// `<stem>.slice-<n>.frame-<n>.<prompt>.png`.
pub fn mask(stem: &str, slice: Option<usize>, frame: Option<usize>, slug: &str) -> String {
    let part = |name: &str, number: Option<usize>| {
        number.map_or_else(String::new, |number| format!(".{name}-{number}"))
    };
    let (slice, frame) = (part("slice", slice), part("frame", frame));
    format!("{stem}{slice}{frame}.{slug}.png")
}

/// `name`, or `name-2` and so on where that is taken.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while !taken.insert(folded(&candidate)) {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    candidate
}

/// Names that differ in case alone are one on some file systems.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// The last part of a path: a folder's name also where it is given as `.`.
fn file_name(input: &Path) -> String {
    let name = match input.file_name() {
        Some(name) => name.to_owned(),
        None => std::fs::canonicalize(input)
            .ok()
            .and_then(|path| path.file_name().map(ToOwned::to_owned))
            .unwrap_or_default(),
    };
    shortened(&name.to_string_lossy())
}

/// The name without its extension. What follows the last point of a DICOM UID is no extension: it has no letter.
fn stem(input: &Path) -> String {
    let name = file_name(input);
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty() && extension.chars().any(|c| c.is_ascii_alphabetic()) =>
        {
            stem.to_owned()
        }
        _ => name.to_owned(),
    }
}

fn with_folder(input: &Path) -> String {
    let absolute = std::path::absolute(input).unwrap_or_else(|_| input.to_owned());
    let folder = absolute
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    // A hidden folder must not hide its results.
    let folder = folder.to_string_lossy();
    let folder = folder.trim_start_matches('.');
    shortened(&format!("{folder}-{}", file_name(input)))
}

/// A long name cut, with a hash of all of it.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let mut start = String::new();
    for c in name.chars() {
        if start.len() + c.len_utf8() + 1 + DIGITS > LONGEST {
            break;
        }
        start.push(c);
    }
    let hash: String = sha256_hex(name.as_bytes()).chars().take(DIGITS).collect();
    format!("{start}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inputs: &[&str]) -> Vec<String> {
        let inputs: Vec<Named> = inputs
            .iter()
            .map(|path| Named::file(Path::new(path)))
            .collect();
        stems(&inputs.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_stem_is_the_name_without_its_extension() {
        assert_eq!(
            of(&[
                "a/chest.1.dcm",
                "IM0001",
                "volume.nii.gz",
                ".hidden",
                "ÄÖ.PNG"
            ]),
            ["chest.1", "IM0001", "volume", ".hidden", "ÄÖ"]
        );
    }

    #[test]
    fn uids_keep_their_last_number() {
        assert_eq!(
            of(&["s/1.2.840.1", "s/1.2.840.2"]),
            ["1.2.840.1", "1.2.840.2"]
        );
    }

    #[test]
    fn inputs_of_one_stem_are_told_apart() {
        assert_eq!(
            of(&["scan.png", "scan.jpg", "b.png"]),
            ["scan.png", "scan.jpg", "b"]
        );
        assert_eq!(of(&["x/1.png", "y/1.png"]), ["x-1.png", "y-1.png"]);
        let same = of(&["q/x/1.png", "r/x/1.png", "r/x/1.png"]);
        assert_eq!(same, ["x-1.png", "x-1.png-2", "x-1.png-3"]);
        assert_eq!(of(&["Scan.png", "scan.jpg"]), ["Scan.png", "scan.jpg"]);
        let all = of(&[
            "a.png.png",
            "a.png",
            "a.jpg",
            "b/a.png",
            "c/a.png",
            "c/a.png",
        ]);
        let folded: BTreeSet<String> = all.iter().map(|name| folded(name)).collect();
        assert_eq!(folded.len(), all.len(), "{all:?}");
    }

    #[test]
    fn prompts_are_told_apart_and_cut() {
        let slugs =
            |prompts: &[&str]| slugs(&prompts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            slugs(&[" Left Lung", "left-lung", "L4/L5 disc", "Ödem, größer"]),
            ["left-lung", "left-lung-2", "l4-l5-disc", "ödem--größer"]
        );
        let (a, b) = ("ä".repeat(200), format!("{}b", "ä".repeat(200)));
        let long = slugs(&[&a, &b]);
        assert!(long.iter().all(|slug| slug.len() <= LONGEST));
        assert_ne!(long[0], long[1]);
        assert_eq!(mask("s", None, Some(3), "lungs"), "s.frame-3.lungs.png");
        assert_eq!(mask("s", Some(12), None, "lungs"), "s.slice-12.lungs.png");
    }

    #[test]
    fn a_folder_is_named_whole_and_its_series_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.2.ct");
        std::fs::create_dir(&path).unwrap();
        let named = [None, Some(2)].map(|series| Named::series(&path, series));
        assert_eq!(
            stems(&[&named[0], &named[1]]),
            ["1.2.ct", "1.2.ct-series-2"]
        );
    }
}
