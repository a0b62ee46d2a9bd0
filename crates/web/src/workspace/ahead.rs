//! The neighbours of a picture that was asked about: what may be asked about next.

use std::rc::Rc;

use medsam3_engine::{View, view_frame};
use medsam3_imaging::series::Place;
use medsam3_imaging::{Rgb8, Window};

use super::{Listed, Workspace};

/// A picture of a series, and how it was looked at.
pub struct Ahead {
    pub(super) listed: Rc<Listed>,
    pub(super) at: Place,
    pub(super) window: Option<Window>,
}

impl Ahead {
    /// The next slice and the one before; of a cine the frames.
    pub fn neighbours(&self) -> Vec<Place> {
        let series = &self.listed.series;
        let along_frames = self.listed.runs_along_frames();
        let (at, count) = if along_frames {
            (self.at.frame, series.frames())
        } else {
            (self.at.slice, series.slices())
        };
        let beside = [at.checked_add(1), at.checked_sub(1)];
        let place = |number| self.listed.place_along(number, self.at.frame);
        let there = beside
            .into_iter()
            .flatten()
            .filter(|&number| number < count);
        there.map(place).collect()
    }

    /// What an embedding of a picture of this series is kept as.
    pub fn view(&self, place: Place) -> View {
        View {
            picture: self.listed.picture,
            frame: view_frame(&self.listed.series, place),
            window: self.window.map(|window| [window.center, window.width]),
        }
    }

    /// A picture of this series as the model sees it; `None` where it cannot be shown, which is said when it is asked for.
    pub fn picture(&self, place: Place) -> Option<Rgb8> {
        let mut reader = self.listed.reader.try_borrow_mut().ok()?;
        let (picture, frame) = reader.picture(place.slice, place.frame).ok()?;
        picture.render(frame, self.window).ok()
    }
}

impl Workspace {
    /// Whether the series is still the one in view.
    pub fn is_in_view(&self, ahead: &Ahead) -> bool {
        let open = self.open.borrow();
        open.as_ref()
            .is_some_and(|open| Rc::ptr_eq(open, &ahead.listed))
    }
}
