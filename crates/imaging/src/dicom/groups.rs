//! Functional groups of multi-frame objects (PS3.3 C.7.6.16): what is said of one frame goes before what is
//! said of all. The one place that knows this rule.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::attributes::Attributes;

/// The shared group and the group of every frame.
#[derive(Debug, Clone)]
pub(super) struct Groups<'a> {
    shared: Option<Attributes<'a>>,
    per_frame: Vec<Attributes<'a>>,
}

/// What is said of one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    frame: Option<Attributes<'a>>,
    shared: Option<Attributes<'a>>,
}

impl<'a> Groups<'a> {
    /// The groups of a data set; both are absent in classic objects.
    pub(super) fn of(attributes: Attributes<'a>) -> Self {
        Self {
            shared: attributes
                .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
                .next(),
            per_frame: attributes
                .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
                .collect(),
        }
    }

    /// Number of frames that have a group of their own.
    pub(super) fn len(&self) -> usize {
        self.per_frame.len()
    }

    /// What is said of all frames.
    pub(super) fn all(&self) -> Group<'a> {
        Group {
            frame: None,
            shared: self.shared,
        }
    }

    /// What is said of a frame, counted from 0.
    pub(super) fn frame(&self, frame: usize) -> Group<'a> {
        Group {
            frame: self.per_frame.get(frame).copied(),
            shared: self.shared,
        }
    }

    /// The frames with a group of their own.
    pub(super) fn frames(&self) -> impl Iterator<Item = Group<'a>> {
        (0..self.len()).map(|frame| self.frame(frame))
    }
}

impl<'a> Group<'a> {
    /// The first item of a functional group: the frame's own, else that of all frames.
    pub(super) fn item(self, sequence: Tag) -> Option<Attributes<'a>> {
        self.items(sequence).next()
    }

    /// All items of a functional group: the frame's own where it has any, else those of all frames.
    pub(super) fn items(self, sequence: Tag) -> impl Iterator<Item = Attributes<'a>> {
        let own = [self.frame, self.shared]
            .into_iter()
            .flatten()
            .find(|group| group.items(sequence).next().is_some());
        own.into_iter().flat_map(move |group| group.items(sequence))
    }
}
