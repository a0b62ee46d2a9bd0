//! A Measurement Group: a segment at one frame of the series (PS3.16 TID 1411, of a single slice TID 1410), what it is,
//! what made it, its numbers with their units, and the references to the segment and to what it was drawn on.

use dicom_dictionary_std::tags;

use super::concepts::{self as is, Concept, code};
use super::content::{Relation, coded, container, image, number, text, uid, with};
use super::segmentation_reference;
use crate::dicom::element::Item;
use crate::dicom::reference::picture_reference;
use crate::dicom::source::SourceSeries;
use crate::dicom::stamp::{Stamp, uid_of};
use crate::document::{Place, Segment, Segmentation};
use crate::measure::Measurement;
use crate::origin::Method;

pub(super) fn group(
    source: &SourceSeries<'_>,
    segmentation: &Segmentation,
    measured: &Measurement,
    seg: &Stamp,
) -> Option<Item> {
    let index = measured.number.checked_sub(1)?;
    let segment = segmentation.segments().get(index)?;
    let planar = segmentation.grid().slices == 1;
    let mut items = identity(segment, measured, seg);
    if segmentation.grid().frames > 1 {
        let time = (measured.frame + 1).to_string();
        items.push(text(Relation::Context, is::TIME_POINT, &time));
    }
    items.extend(numbers(source, measured));
    if planar {
        let at = [index, measured.frame];
        items.extend(frame_references(source, segmentation, at, seg)?);
    } else {
        let mut reference = segmentation_reference(seg);
        let number = u16::try_from(measured.number).ok()?;
        reference.us(tags::REFERENCED_SEGMENT_NUMBER, &[number]);
        items.push(image(is::SEGMENT, reference));
        let series = source.series.uid().unwrap_or_default();
        items.push(uid(Relation::Contains, is::SOURCE_SERIES, series));
    }
    let template = if planar { "1410" } else { "1411" };
    Some(container(is::GROUP, Some(template), items))
}

/// Name and UID to follow it by, category, type, site with its side, and algorithm (TID 4019).
fn identity(segment: &Segment, measured: &Measurement, seg: &Stamp) -> Vec<Item> {
    let name = if measured.name.trim().is_empty() {
        format!("Segment {}", measured.number)
    } else {
        measured.name.clone()
    };
    // The same for all frames of a segment: it is one thing.
    let tracking = uid_of(&[&seg.uid("instance"), &measured.number.to_string()]);
    let coding = &segment.coding;
    let mut items = vec![
        text(Relation::Context, is::TRACKING_ID, &name),
        uid(Relation::Context, is::TRACKING_UID, &tracking),
        coded(Relation::Contains, is::CATEGORY, &coding.category),
        coded(Relation::Contains, is::FINDING, &coding.kind),
    ];
    // A structure of the body is where it is; of a lesion or a device the words alone say it.
    if coding.category.value == "91723000" {
        let side = coding.modifier.iter();
        let side = side.map(|side| coded(Relation::Modifier, is::LATERALITY, side));
        let site = coded(Relation::Modifier, is::SITE, &coding.kind);
        items.push(with(site, side.collect()));
    }
    let origin = &segment.origin;
    if origin.method != Method::Manual {
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let mut say =
            |name: Concept, value: &str| items.push(text(Relation::Modifier, name, value));
        say(is::ALGORITHM_NAME, &known(&origin.model));
        say(is::ALGORITHM_VERSION, &known(&origin.model_version));
        let parameters = origin.parameters();
        if !parameters.is_empty() {
            say(is::ALGORITHM_PARAMETERS, &parameters);
        }
    }
    items
}

/// The numbers that are known.
fn numbers(source: &SourceSeries<'_>, measured: &Measurement) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(volume) = measured.volume_ml {
        let method = coded(Relation::Modifier, is::METHOD, &code(is::SUM_OF_VOXELS));
        items.push(number(is::VOLUME, volume, is::ML, vec![method]));
    }
    // Of several slices the sum of areas is none.
    if let ([_only], Some(area)) = (measured.slices.as_slice(), measured.area_mm2()) {
        items.push(number(is::AREA, area, is::MM2, Vec::new()));
    }
    let largest = measured.largest_slice();
    if let Some([long, short]) = largest.and_then(|slice| slice.axes_mm) {
        items.push(number(is::LONG_AXIS, long, is::MM, Vec::new()));
        items.push(number(is::SHORT_AXIS, short, is::MM, Vec::new()));
    }
    let known = measured
        .statistics
        .zip(is::intensity(source.series.modality()));
    if let Some((statistics, (name, unit))) = known {
        for (derivation, value) in [
            (is::MEAN, statistics.mean),
            (is::DEVIATION, statistics.sd),
            (is::MINIMUM, statistics.min),
            (is::MAXIMUM, statistics.max),
        ] {
            let derived = coded(Relation::Modifier, is::DERIVATION, &code(derivation));
            items.push(number(name, value, unit, vec![derived]));
        }
    }
    items
}

/// Of a single slice: the frame of the segmentation, and the picture.
fn frame_references(
    source: &SourceSeries<'_>,
    segmentation: &Segmentation,
    [index, frame]: [usize; 2],
    seg: &Stamp,
) -> Option<[Item; 2]> {
    let place = Place { slice: 0, frame };
    // Frames are in the order of segments and pictures.
    let segments = segmentation.segments();
    let before: usize = segments
        .iter()
        .take(index)
        .map(|segment| segment.masks().count())
        .sum();
    let within = segments.get(index)?.masks();
    let within = within.take_while(|(other, _)| *other < place).count();
    // With a frame number there is no segment number (table 10-3): the frame has one segment.
    let mut reference = segmentation_reference(seg);
    let number = i64::try_from(before + within + 1).ok()?;
    reference.integer(tags::REFERENCED_FRAME_NUMBER, number);
    let picture = picture_reference(&source.instance(place)?);
    Some([
        image(is::SEGMENT_FRAME, reference),
        image(is::SOURCE_IMAGE, picture),
    ])
}
