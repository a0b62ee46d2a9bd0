//! What an import left out, or read otherwise than its files may mean: counted by kind, with the first ten names of each, so
//! that nothing is dropped in silence and no report is longer than the dataset.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Names that are shown before a count stands for the rest.
const SHOWN: usize = 10;

/// What is worth saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// COCO objects with `iscrowd`: their label is unknown on their image.
    Crowds,
    /// COCO objects without an outline: their label is unknown on their image.
    NoOutline,
    /// Outlines that hold no pixel, such as two points: left out.
    Degenerate,
    /// Run lengths without a pixel inside: kept, as a statement that nothing is there.
    EmptyRuns,
    /// Masks with values of which none is above the threshold.
    BelowThreshold,
    /// Pictures turned by their EXIF orientation, as their masks are drawn on the upright picture.
    Upright,
    /// Volumes of more than three axes, of which the first volume was taken.
    FirstVolume,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Crowds => "objects are crowds (iscrowd): their label counts as unknown there",
            Self::NoOutline => "objects have no outline: their label counts as unknown there",
            Self::Degenerate => "objects have an outline without a pixel and were left out",
            Self::EmptyRuns => "objects have empty run lengths: read as nothing there",
            Self::BelowThreshold => {
                "masks have values but none above the threshold: read as nothing there"
            }
            Self::Upright => "pictures were turned upright by their EXIF orientation",
            Self::FirstVolume => "volumes have more than three axes; the first was taken",
        }
    }
}

/// A kind with its count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What.
    pub kind: Kind,
    /// How often.
    pub count: usize,
    /// Where: the first ten names.
    pub files: Vec<String>,
    #[serde(skip)]
    more: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: ", self.count, self.kind.text())?;
        write!(out, "{}", self.files.join(", "))?;
        if self.more {
            write!(out, ", and more")
        } else {
            Ok(())
        }
    }
}

/// Everything that is worth saying about an import.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(BTreeMap<Kind, Note>);

impl Notes {
    pub(super) fn add(&mut self, kind: Kind, file: &str) {
        let note = self.0.entry(kind).or_insert_with(|| Note {
            kind,
            count: 0,
            files: Vec::new(),
            more: false,
        });
        note.count += 1;
        if !note.files.iter().any(|known| known == file) {
            if note.files.len() < SHOWN {
                note.files.push(file.to_owned());
            } else {
                note.more = true;
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for note in other.0.values() {
            let before = self.0.get(&note.kind).map_or(0, |note| note.count);
            for file in &note.files {
                self.add(note.kind, file);
            }
            if let Some(own) = self.0.get_mut(&note.kind) {
                own.count = before + note.count;
                own.more |= note.more;
            }
        }
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.0.get(&kind).map_or(0, |note| note.count)
    }

    pub(super) fn list(&self) -> Vec<Note> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_names_are_shown_and_all_are_counted() {
        let mut notes = Notes::default();
        for n in 0..12 {
            let mut one = Notes::default();
            one.add(Kind::Crowds, &format!("{n}.png"));
            one.add(Kind::Crowds, &format!("{n}.png"));
            notes.merge(&one);
        }
        let note = &notes.list()[0];
        assert_eq!((note.count, note.files.len()), (24, 10));
        assert!(note.to_string().ends_with("9.png, and more"), "{note}");
    }
}
