//! Series, segments and measurements as the page reads them.

use medsam3_imaging::Window;
use medsam3_imaging::series::{Kind, Place, Plane, Problem, Series, direction_letters};
use medsam3_segmentation as segmentation;
use medsam3_segmentation::{Method, Origin, Segment, SegmentId, volume_of_voxel};

use super::Listed;
use crate::answers::window_level;
use crate::protocol::{
    ChangedMask, CodeInfo, DocumentInfo, MeasurementInfo, MethodInfo, NamedWindow, OriginInfo,
    PicturePlace, SegmentInfo, SeriesInfo, SeriesKind, SliceMeasurementInfo, SlicePlane,
    StatisticsInfo, StepInfo, StepKind,
};

/// A place as the page writes it.
pub fn place(place: PicturePlace) -> Place {
    Place {
        slice: place.slice as usize,
        frame: place.frame as usize,
    }
}

/// A place as the page reads it.
pub fn picture_place(place: Place) -> PicturePlace {
    PicturePlace {
        slice: place.slice as u32,
        frame: place.frame as u32,
    }
}

/// A series of the listing.
pub fn series_info(series: &Series, index: u32) -> SeriesInfo {
    let modality = series.modality().map(str::to_owned);
    let what = modality.clone().unwrap_or(series.format().to_owned());
    let spacing = series.spacing_mm();
    let is_single = series.slices() * series.frames() == 1;
    SeriesInfo {
        index,
        kind: match series.kind() {
            Kind::Image => SeriesKind::Image,
            Kind::Stack => SeriesKind::Stack,
            Kind::Volume => SeriesKind::Volume,
            Kind::Cine => SeriesKind::Cine,
        },
        format: series.format().to_owned(),
        number: series.number().map(|number| number as f64),
        label: match series.number() {
            Some(number) => format!("{what} {number}"),
            None => what,
        },
        rows: series.rows() as u32,
        columns: series.columns() as u32,
        slices: series.slices() as u32,
        frames: series.frames() as u32,
        spacing_mm: spacing,
        calibrated: matches!(spacing, Some([Some(_), Some(_), _])),
        problems: series
            .problems()
            .iter()
            .map(|problem| Problem::code(*problem).to_owned())
            .collect(),
        no_volume: series
            .why_no_volume()
            .filter(|_| !is_single)
            .map(str::to_owned),
        windows: match modality.as_deref() {
            Some("CT") => Window::names().filter_map(named).collect(),
            _ => Vec::new(),
        },
        modality,
    }
}

fn named(name: &str) -> Option<NamedWindow> {
    let Window { center, width } = Window::named(name)?;
    Some(NamedWindow {
        name: name.to_owned(),
        center,
        width,
    })
}

/// Where the slices of a series lie.
pub fn planes(series: &Series) -> Vec<SlicePlane> {
    let plane = |slice: usize| {
        let lies = series.plane(slice, 0);
        let at = series.places().get(slice);
        SlicePlane {
            position: lies.map(|plane| plane.position),
            orientation: lies.map(|plane| [plane.orientation.row, plane.orientation.column]),
            edges: lies.filter(|plane| plane.in_patient).map(edges),
            distance_mm: at.map(|at| at.distance_mm),
            grid_index: at.and_then(|at| at.grid_index).map(|index| index as u32),
        }
    };
    (0..series.slices()).map(plane).collect()
}

/// Left, right, top and bottom.
fn edges(plane: Plane) -> [String; 4] {
    let against = |direction: [f64; 3]| direction_letters(direction.map(|part| -part));
    let (row, column) = (plane.orientation.row, plane.orientation.column);
    [
        against(row),
        direction_letters(row),
        against(column),
        direction_letters(column),
    ]
}

/// The document of a series, with the masks that a request changed.
pub fn document(listed: &Listed, changed: Vec<segmentation::ChangedMask>) -> DocumentInfo {
    let editor = listed.editor.borrow();
    let step = |(kind, name): (segmentation::StepKind, Option<&str>)| StepInfo {
        what: step_kind(kind),
        name: name.map(str::to_owned),
    };
    let changed = changed.into_iter().map(|mask| ChangedMask {
        segment: mask.segment.0,
        slice: mask.place.slice as u32,
        frame: mask.place.frame as u32,
    });
    DocumentInfo {
        version: editor.version(),
        segments: editor
            .segments()
            .map(|(id, locked, segment)| segment_info(&listed.series, id, locked, segment))
            .collect(),
        undo: editor.undo_step().map(step),
        redo: editor.redo_step().map(step),
        changed: changed.collect(),
    }
}

fn step_kind(kind: segmentation::StepKind) -> StepKind {
    use segmentation::StepKind as Of;
    match kind {
        Of::Run => StepKind::Run,
        Of::Paint => StepKind::Paint,
        Of::Erase => StepKind::Erase,
        Of::FillHoles => StepKind::FillHoles,
        Of::RemoveIslands => StepKind::RemoveIslands,
        Of::KeepLargest => StepKind::KeepLargest,
        Of::Interpolate => StepKind::Interpolate,
        Of::Union => StepKind::Union,
        Of::Difference => StepKind::Difference,
        Of::NewSegment => StepKind::NewSegment,
        Of::Change => StepKind::Change,
        Of::Delete => StepKind::Delete,
        Of::Import => StepKind::Import,
    }
}

/// A segment on the pictures of a series.
pub fn segment_info(
    series: &Series,
    id: SegmentId,
    locked: bool,
    segment: &Segment,
) -> SegmentInfo {
    let first = segment.masks().map(|(place, _)| place.frame).min();
    let at_first = segment
        .masks()
        .filter(|(place, _)| Some(place.frame) == first);
    let voxels: usize = at_first.map(|(_, runs)| runs.count()).sum();
    let volume = volume_of_voxel(series).map(|volume| voxels as f64 * volume / 1000.0);
    let coding = &segment.coding;
    SegmentInfo {
        id: id.0,
        name: segment.name.clone(),
        color: segment.color,
        code: CodeInfo {
            value: coding.kind.value.clone(),
            scheme: coding.kind.scheme.clone(),
            meaning: coding.kind.meaning.clone(),
            modifier: coding.modifier.as_ref().map(|code| code.meaning.clone()),
            known: coding.known,
        },
        origin: origin_info(&segment.origin),
        locked,
        slices: segment
            .masks()
            .map(|(place, _)| picture_place(place))
            .collect(),
        voxels: segment.count() as u32,
        volume_ml: volume,
    }
}

fn origin_info(origin: &Origin) -> OriginInfo {
    OriginInfo {
        method: match origin.method {
            Method::Automatic => MethodInfo::Automatic,
            Method::Semiautomatic => MethodInfo::Semiautomatic,
            Method::Manual => MethodInfo::Manual,
        },
        model: origin.model.clone(),
        model_version: origin.model_version.clone(),
        prompt: origin.prompt.clone(),
        threshold: origin.threshold,
        mask_threshold: origin.mask_threshold,
        window: origin.window.map(window_level),
        score: origin.score,
    }
}

/// A segment at one frame, measured.
pub fn measurement(segment: SegmentId, measured: &segmentation::Measurement) -> MeasurementInfo {
    let slice = |slice: &segmentation::SliceMeasurement| SliceMeasurementInfo {
        slice: slice.slice as u32,
        pixels: slice.pixels as u32,
        area_mm2: slice.area_mm2,
        axes_px: slice.axes_px,
        axes_mm: slice.axes_mm,
    };
    MeasurementInfo {
        segment: segment.0,
        frame: measured.frame as u32,
        voxels: measured.voxels as u32,
        volume_ml: measured.volume_ml,
        statistics: measured.statistics.map(|of| StatisticsInfo {
            mean: of.mean,
            sd: of.sd,
            min: of.min,
            max: of.max,
            unit: of.unit.to_owned(),
        }),
        slices: measured.slices.iter().map(slice).collect(),
        largest: measured.largest as u32,
        centroid_mm: measured.centroid_mm,
        bounding_box: measured.bounding_box.map(|ends| ends.map(|end| end as u32)),
        components: measured.components as u32,
        warnings: measured
            .warnings
            .iter()
            .map(|warning| warning.code().to_owned())
            .collect(),
    }
}
