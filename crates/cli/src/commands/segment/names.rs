//! Names of results. No two results of a run share one, whatever their inputs are called, and none is longer than
//! file systems allow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use medsam3_weights::sha256_hex;

/// Bytes that a stem and a prompt may take each: file systems end at 255 with everything.
const LONGEST: usize = 100;
/// Digits of a hash that tell shortened names apart.
const DIGITS: usize = 8;

/// The beginnings of the names of every input's results, in the order of the inputs.
///
/// An input's stem, where no other input has it; else its whole name, else that with its folder, else a number
/// behind it.
pub fn stems(inputs: &[PathBuf]) -> Vec<String> {
    let ways: [fn(&Path) -> String; 3] = [stem, file_name, with_folder];
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
                .map(|input| with_folder(input))
                .unwrap_or_default();
            free(&base, &mut taken)
        })
    };
    names.into_iter().enumerate().map(numbered).collect()
}

/// The prompts as names have them: lower case, everything but letters and digits as `-`; no two alike.
pub fn slugs(prompts: &[String]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    prompts
        .iter()
        .map(|prompt| {
            let slug: String = prompt.trim().to_lowercase().chars().map(plain).collect();
            free(&shortened(&slug), &mut taken)
        })
        .collect()
}

/// `<stem>.<prompt>.png`, of a file with several frames `<stem>.frame-<n>.<prompt>.png`.
pub fn mask(stem: &str, frame: Option<usize>, slug: &str) -> String {
    match frame {
        None => format!("{stem}.{slug}.png"),
        Some(frame) => format!("{stem}.frame-{frame}.{slug}.png"),
    }
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

fn file_name(input: &Path) -> String {
    let name = input.file_name().unwrap_or_default();
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
        let inputs: Vec<PathBuf> = inputs.iter().map(PathBuf::from).collect();
        stems(&inputs)
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
        assert_eq!(mask("s", Some(3), "lungs"), "s.frame-3.lungs.png");
    }
}
