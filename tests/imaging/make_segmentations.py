"""Writes small DICOM segmentations and what pydicom reads in them.

    python make_segmentations.py [SHARED]

needs highdicom 0.28.2, pydicom 3.0.2, pyjpegls and pylibjpeg-openjpeg. `segmentation/` receives segmentations that
highdicom makes of a series of ours; `segmentation.json` what pydicom finds in them: of each frame its segment,
plane and sources, and 16 digits of the SHA-256 over its stored values as 16-bit little-endian numbers. Where SHARED, the folder of
MEDSAM3_SHARED, is given, `segmentation_shared.json` gets the same for every segmentation of its `dicom/`.
"""

import copy
import hashlib
import json
import sys
import warnings
import zlib
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
OUT = HERE / "segmentation"
ROOT = "1.2.826.0.1.3680043.10.1479"
CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
# 1221 pixels, so that frames of single bits do not begin at bytes.
ROWS, COLUMNS, SLICES = 33, 37, 4
UNCOMPRESSED = pydicom.uid.ExplicitVRLittleEndian
# An oblique plane, its row and column directions rounded as scanners round them.
ORIENTATION = [0.8, 0.6, 0.0, 0.0, 0.0, -1.0]
NORMAL = np.cross(ORIENTATION[:3], ORIENTATION[3:])


def series() -> list[Dataset]:
    images = []
    for slice_ in range(SLICES):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = UNCOMPRESSED
        image.SOPClassUID = pydicom.uid.CTImageStorage
        image.SOPInstanceUID = f"{ROOT}.1.{slice_ + 1}"
        image.SeriesInstanceUID, image.StudyInstanceUID = f"{ROOT}.2", f"{ROOT}.3"
        image.FrameOfReferenceUID = f"{ROOT}.4"
        image.PatientID = image.PatientName = "phantom"
        image.PatientBirthDate = image.PatientSex = image.AccessionNumber = image.StudyID = ""
        image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
        image.Modality, image.SeriesNumber, image.InstanceNumber = "CT", 1, slice_ + 1
        image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
        image.PhotometricInterpretation, image.PixelRepresentation = "MONOCHROME2", 0
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
        image.PixelSpacing, image.SliceThickness = [0.75, 0.5], 2.5
        image.ImageOrientationPatient = ORIENTATION
        image.ImagePositionPatient = [float(x) for x in np.round(np.array([-20, 5, 70]) + 2.5 * slice_ * NORMAL, 6)]
        image.PixelData = bytes(2 * ROWS * COLUMNS)
        images.append(image)
    return images


def descriptions() -> list[hd.seg.SegmentDescription]:
    algorithm = hd.AlgorithmIdentificationSequence("Phantom", codes.DCM.ArtificialIntelligence, "1.0")
    kidney = hd.seg.SegmentDescription(
        1,
        "Niere, linké",  # beyond ASCII, which the character set must say
        codes.SCT.Organ,
        codes.SCT.Kidney,
        hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm,
        tracking_uid=f"{ROOT}.5",
        tracking_id="kidney",
        display_color=hd.color.CIELabColor(60.0, 40.0, -20.0),
    )
    left = Dataset()
    left.CodeValue, left.CodingSchemeDesignator, left.CodeMeaning = "7771000", "SCT", "Left"
    kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [left]
    kidney.SegmentDescription = "The left kidney"
    tumour = hd.seg.SegmentDescription(
        2, "tumour", codes.SCT.MorphologicallyAbnormalStructure, Code("108369006", "SCT", "Neoplasm"),
        hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )  # fmt: skip
    return [kidney, tumour]


def masks() -> np.ndarray:
    """[slice, row, column, segment]; the tumour overlaps the kidney, the last slice has only a tumour."""
    found = np.zeros((SLICES, ROWS, COLUMNS, 2), np.uint8)
    found[0, 3:20, 6:30, 0] = 1
    found[1, 6:27, 0:17, 0] = 1
    found[1, 12:33, 9:37, 1] = 1
    found[3, 0:7, 31:37, 1] = 1
    return found


def segmentation(name: str, pixels: np.ndarray, kind: str, syntax: str = UNCOMPRESSED, **more) -> Dataset:
    made = hd.seg.Segmentation(
        series(), pixels, kind, descriptions(), f"{ROOT}.6", 2, f"{ROOT}.7", 1, "ours", "phantom", "1", "1",
        transfer_syntax_uid=syntax, content_label="PHANTOM", **more,
    )  # fmt: skip
    save(name, made)
    return made


def save(name: str, dataset: Dataset) -> None:
    # No time of today, so that the same script makes the same bytes.
    for keyword in ("ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        if keyword in dataset:
            setattr(dataset, keyword, "20260101" if keyword.endswith("Date") else "120000")
    dataset.save_as(OUT / f"{name}.dcm", enforce_file_format=True)


def check(name: str, expected: np.ndarray) -> None:
    """pydicom reads back what was put in, frame for frame with pixels: [slice, row, column, segment]."""
    dataset = pydicom.dcmread(OUT / f"{name}.dcm")
    pixels = np.atleast_3d(dataset.pixel_array).reshape(-1, ROWS, COLUMNS)
    uids = [f"{ROOT}.1.{slice_ + 1}" for slice_ in range(SLICES)]
    for pixels_of, group in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        of = expected[uids.index(source)]
        if "SegmentIdentificationSequence" in group:
            of = of[..., group.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]
        assert np.array_equal(pixels_of, of), name


def packed(pixels: np.ndarray) -> bytes:
    """Single bits without a gap between frames, of an even number of bytes."""
    packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    return packed + bytes(len(packed) % 2)


def shuffled(dataset: Dataset) -> None:
    """The frames in another order than that of the slices, as the standard allows."""
    mixed = copy.deepcopy(dataset)
    order = [2, 0, 3, 1]
    pixels = dataset.pixel_array[order]
    mixed.PerFrameFunctionalGroupsSequence = [dataset.PerFrameFunctionalGroupsSequence[at] for at in order]
    mixed.PixelData = packed(pixels)
    mixed.SOPInstanceUID = mixed.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.8"
    save("binary_shuffled", mixed)
    check("binary_shuffled", masks())


def deflated() -> None:
    """Deflated Image Frame Compression, which neither highdicom nor pydicom has: the pixels of `binary`."""
    base = pydicom.dcmread(OUT / "binary.dcm")
    frames = []
    for frame in base.pixel_array:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        frames.append(packer.compress(np.packbits(frame.ravel(), bitorder="little").tobytes()) + packer.flush())
    base.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    base.PixelData = pydicom.encaps.encapsulate([frame + bytes(len(frame) % 2) for frame in frames])
    base["PixelData"].VR, base["PixelData"].is_undefined_length = "OB", True
    save("binary_deflated_frames", base)
    path = OUT / "binary_deflated_frames.dcm"
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.8.1\0", 1))


def tiled() -> None:
    """Tiles that follow by the rule of TILED_FULL, of two segments, 2 x 2 tiles of a whole of 70 x 60."""
    base = pydicom.dcmread(OUT / "binary.dcm")
    whole = np.zeros((2, 2 * ROWS, 2 * COLUMNS), np.uint8)
    whole[0, 9:45, 15:60] = 1
    whole[1, 30:60, 0:70] = 1
    tiles = [whole[s, y : y + ROWS, x : x + COLUMNS] for s in range(2) for y in (0, ROWS) for x in (0, COLUMNS)]
    del base.PerFrameFunctionalGroupsSequence
    base.DimensionOrganizationType, base.NumberOfFrames = "TILED_FULL", len(tiles)
    base.TotalPixelMatrixColumns, base.TotalPixelMatrixRows = 70, 60
    base.PixelData = packed(np.stack(tiles))
    save("tiled_full", base)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    binary = masks()
    shuffled(segmentation("binary", binary, "BINARY"))
    check("binary", binary)
    segmentation("binary_jpeg_2000", binary, "BINARY", pydicom.uid.JPEG2000Lossless)
    check("binary_jpeg_2000", binary)
    deflated()
    share = np.round(binary * np.linspace(0.1, 1.0, COLUMNS)[None, None, :, None] * 200).astype(np.uint8)
    for name, syntax in [
        ("fractional", UNCOMPRESSED),
        ("fractional_rle", pydicom.uid.RLELossless),
        ("fractional_jpeg_ls", pydicom.uid.JPEGLSLossless),
        ("fractional_jpeg_2000", pydicom.uid.JPEG2000Lossless),
    ]:
        segmentation(name, share / 200.0, "FRACTIONAL", syntax, max_fractional_value=200)
        check(name, share)
    labels = np.where(binary[..., 1] > 0, 2, binary[..., 0]).astype(np.uint8)
    segmentation("label_map", labels, "LABELMAP")
    segmentation("label_map_jpeg_ls", labels, "LABELMAP", pydicom.uid.JPEGLSLossless)
    for name in ("label_map", "label_map_jpeg_ls"):
        check(name, labels)
    wide = pydicom.dcmread(OUT / "label_map.dcm")
    wide.PixelData = (wide.pixel_array.astype("<u2")).tobytes()
    wide.BitsAllocated, wide.BitsStored, wide.HighBit = 16, 16, 15
    wide["PixelData"].VR = "OW"
    save("label_map_16", wide)
    check("label_map_16", labels)
    tiled()
    found = {path.name: describe(path) for path in sorted(OUT.glob("*.dcm")) if "deflated" not in path.name}
    write("segmentation.json", found | {"binary_deflated_frames.dcm": found["binary.dcm"]})
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1]) / "dicom"
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and is_segmentation(path):
                found[str(path.relative_to(folder))] = describe(path)
        write("segmentation_shared.json", found)


def is_segmentation(path: Path) -> bool:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).SOPClassUID in CLASSES
    except Exception:  # no DICOM
        return False


def code(items) -> list | None:
    return [str(items[0].CodeValue), str(items[0].CodingSchemeDesignator), str(items[0].CodeMeaning)] if items else None


def describe(path: Path) -> dict:
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    segments = []
    for segment in dataset.SegmentSequence:
        types = segment.get("SegmentedPropertyTypeCodeSequence")
        modifiers = types[0].get("SegmentedPropertyTypeModifierCodeSequence", []) if types else []
        segments.append({
            "number": int(segment.SegmentNumber),
            "label": str(segment.SegmentLabel),
            "description": segment.get("SegmentDescription") or None,
            "category": code(segment.get("SegmentedPropertyCategoryCodeSequence")),
            "type": code(types),
            "modifiers": [code([modifier]) for modifier in modifiers],
            "algorithm_type": segment.get("SegmentAlgorithmType") or None,
            "algorithm_name": segment.get("SegmentAlgorithmName") or None,
            "cielab": [int(v) for v in segment.get("RecommendedDisplayCIELabValue") or []] or None,
        })  # fmt: skip
    shared = dataset.SharedFunctionalGroupsSequence[0]
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or [Dataset()] * len(pixels)
    frames = [describe_frame(group, shared, frame) for group, frame in zip(groups, pixels, strict=True)]
    return {
        "kind": str(dataset.get("SegmentationType", "LABELMAP")),
        "maximum": dataset.get("MaximumFractionalValue"),
        "rows": dataset.Rows,
        "columns": dataset.Columns,
        "series": [str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence", [])],
        "frame_of_reference": dataset.get("FrameOfReferenceUID"),
        "segments": segments,
        "frames": frames,
    }


def describe_frame(group: Dataset, shared: Dataset, pixels: np.ndarray) -> dict:
    def item(keyword: str):
        return (group.get(keyword) or shared.get(keyword) or [Dataset()])[0]

    def floats(keyword: str, attribute: str):
        value = item(keyword).get(attribute)
        return None if value is None else [float(part) for part in np.atleast_1d(value)]

    derivations = group.get("DerivationImageSequence") or shared.get("DerivationImageSequence") or []
    sources = [source for derivation in derivations for source in derivation.get("SourceImageSequence", [])]
    tile = item("PlanePositionSlideSequence")
    found = {
        "segment": item("SegmentIdentificationSequence").get("ReferencedSegmentNumber"),
        "position": floats("PlanePositionSequence", "ImagePositionPatient"),
        "orientation": floats("PlaneOrientationSequence", "ImageOrientationPatient"),
        "row_and_column_mm": floats("PixelMeasuresSequence", "PixelSpacing"),
        "thickness": floats("PixelMeasuresSequence", "SliceThickness"),
        "tile": [tile.ColumnPositionInTotalImagePixelMatrix - 1, tile.RowPositionInTotalImagePixelMatrix - 1]
        if "ColumnPositionInTotalImagePixelMatrix" in tile
        else None,
        "sources": [
            [str(s.ReferencedSOPInstanceUID), [int(n) - 1 for n in np.atleast_1d(s.get("ReferencedFrameNumber", []))]]
            for s in sources
        ],
        "inside": int(np.count_nonzero(pixels)),
        "sha256": hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest()[:16],
    }
    return {key: value for key, value in found.items() if value is not None}


def write(name: str, found: dict) -> None:
    (HERE / name).write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
    print(name, len(found))


if __name__ == "__main__":
    main()
