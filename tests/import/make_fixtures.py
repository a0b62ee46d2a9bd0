"""Makes small datasets of the layouts that can be imported and writes what an independent reader sees in them: pycocotools for COCO,
nibabel for NIfTI, highdicom for DICOM SEG.

    python make_fixtures.py

needs pycocotools, nibabel, highdicom, numpy and Pillow. Everything is drawn here, so that no data of others is in it.
"""

import json
from importlib.metadata import version
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
from highdicom.sr.coding import CodedConcept
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

HERE = Path(__file__).parent
RNG = np.random.default_rng(4)


def outline(width: int, height: int, corners: int) -> list[float]:
    """Corners of any simple or crossing polygon, some of them outside of the image."""
    points = RNG.uniform(-6, 1, (corners, 2)) + RNG.uniform(0, 1, (corners, 2)) * [width + 8, height + 8]
    return [round(float(value), 2) for value in points.ravel()]


def runs(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, beginning with the background."""
    flat, counts, last, run = mask.ravel(order="F"), [], 0, 0
    for value in flat:
        if value == last:
            run += 1
        else:
            counts.append(run)
            last, run = value, 1
    return [*counts, run]


def blob(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    cx, cy, rx, ry = RNG.uniform(0, width), RNG.uniform(0, height), RNG.uniform(2, 9), RNG.uniform(2, 9)
    return (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1).astype(np.uint8)


def make_coco() -> None:
    folder = HERE / "coco"
    (folder / "train").mkdir(parents=True, exist_ok=True)
    sizes = [(37, 29), (24, 41), (30, 30)]
    images, annotations = [], []
    for at, (width, height) in enumerate(sizes):
        name = f"p{at}_view.png"
        Image.fromarray(RNG.integers(0, 255, (height, width), np.uint8)).save(folder / "train" / name, optimize=True)
        images.append({"id": 10 + at, "file_name": name, "width": width, "height": height})
        for number in range(9):
            mask = blob(width, height)
            segmentation = [
                [outline(width, height, 3 + number)],
                [outline(width, height, 4), outline(width, height, 5)],
                {"size": [height, width], "counts": runs(mask)},
                {"size": [height, width], "counts": coco_mask.encode(np.asfortranarray(mask))["counts"].decode()},
            ][number % 4]
            annotations.append({"id": len(annotations) + 1, "image_id": 10 + at, "category_id": 1 + number % 3,
                                "segmentation": segmentation, "iscrowd": 0, "area": 1, "bbox": [0, 0, 1, 1]})
    crowd = {"size": [41, 24], "counts": runs(blob(24, 41))}
    annotations.append({"id": 99, "image_id": 11, "category_id": 2, "segmentation": crowd, "iscrowd": 1, "area": 1, "bbox": [0, 0, 1, 1]})
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "vessel"}, {"id": 3, "name": "ruler"}]
    file = folder / "train.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}) + "\n")

    coco = COCO(file)
    expected = {"pycocotools": version("pycocotools"), "images": {}}
    for image in images:
        entry = {}
        for label, category in (("cell", 1), ("vessel", 2)):
            ids = coco.getAnnIds(imgIds=image["id"], catIds=category, iscrowd=0)
            masks = [coco.annToMask(one) for one in coco.loadAnns(ids)]
            union = np.clip(sum(masks), 0, 1).astype(np.uint8)
            entry[label] = {"rows": ["".join(".#"[value] for value in row) for row in union], "objects": sum(int(m.any()) for m in masks)}
        expected["images"][image["file_name"]] = entry
    (HERE / "coco.json").write_text(json.dumps(expected, indent=1) + "\n")


def turn(degrees: float, axis: int) -> np.ndarray:
    a, b = [other for other in range(3) if other != axis]
    matrix, angle = np.eye(3), np.radians(degrees)
    matrix[[a, b, a, b], [a, b, b, a]] = np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)
    return matrix


def make_nifti() -> None:
    folder = HERE / "nifti"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # Axes in another order and direction, a little turned; only a quaternion; the other byte order.
    mixed = turn(12, 0) @ turn(-9, 2) @ np.array([[0, 0, -1.5], [2.0, 0, 0], [0, -0.8, 0]])
    cases = {
        "a.nii.gz": (np.int16, mixed, "<", "s"),
        "b.nii": (np.float32, turn(20, 1) @ np.diag([-1.0, -1.0, 3.0]), "<", "q"),
        "c.nii": (np.uint8, np.diag([0.7, -0.7, 1.1]), ">", "s"),
    }
    expected = {"nibabel": version("nibabel"), "volumes": {}}
    for name, (kind, matrix, order, form) in cases.items():
        shape = tuple(RNG.integers(4, 9, 3))
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = matrix, [5, -7, 11]
        values, labels = RNG.integers(0, 120, shape), RNG.integers(0, 3, shape)
        for part, array, to in (("images", values, kind), ("labels", labels, np.uint8)):
            header = nibabel.Nifti1Header(endianness=order)
            header.set_data_dtype(np.dtype(to).newbyteorder(order))
            image = nibabel.Nifti1Image(array.astype(to), affine, header)
            image.header.set_sform(affine, 1 if form == "s" else 0)
            image.header.set_qform(affine, 1 if form == "q" else 0)
            if (part, name[0]) == ("images", "a"):
                image.header.set_slope_inter(2, 10)  # as stored; the values are twice as large and 10 more
                raw = image.header.copy()
                path = folder / part / name
                nibabel.save(nibabel.Nifti1Image(array.astype(np.float64) * 2 + 10, affine, raw), path)
            else:
                nibabel.save(image, folder / part / name)
        read = {part: nibabel.as_closest_canonical(nibabel.load(folder / part / name)) for part in ("images", "labels")}
        planes = {}
        for plane, axes in {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}.items():
            # Slices grow with the world; rows and columns go against it.
            cut = {part: np.transpose(one.get_fdata(), axes)[:, ::-1, ::-1].round().astype(int) for part, one in read.items()}
            planes[plane] = {part: array.tolist() for part, array in cut.items()}
        raw = {part: np.transpose(nibabel.load(folder / part / name).get_fdata(), (2, 1, 0)).round().astype(int) for part in read}
        planes["stored"] = {part: array.tolist() for part, array in raw.items()}
        expected["volumes"][name] = planes
    (HERE / "nifti.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def uid(number: int) -> str:
    return f"2.25.{20261125000 + number}"


def slice_file(folder: Path, number: int, position: list[float], orientation: list[float]) -> pydicom.Dataset:
    """A CT slice of 12 columns and 10 rows; its values in HU are -100 to 155."""
    one = pydicom.Dataset()
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = pydicom.uid.CTImageStorage
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = uid(10 + number)
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = uid(1), uid(2), uid(3)
    one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = "made-up-1", "Made^Up", "", "O"
    one.StudyID, one.StudyDate, one.StudyTime, one.AccessionNumber, one.ReferringPhysicianName = "1", "", "", "", ""
    one.Modality, one.SeriesNumber, one.InstanceNumber, one.PositionReferenceIndicator = "CT", 1, number, ""
    one.ImagePositionPatient, one.ImageOrientationPatient, one.PixelSpacing, one.SliceThickness = position, orientation, [0.75, 0.75], 2
    one.Rows, one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation = 10, 12, 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.RescaleSlope, one.RescaleIntercept = 1, -1024
    one.PixelData = (RNG.integers(-100, 156, (10, 12)) + 1024).astype("<u2").tobytes()
    one.save_as(folder / f"slice{number}.dcm", enforce_file_format=True)
    return one


def make_dicom() -> None:
    folder = HERE / "dicom" / "series"
    folder.mkdir(parents=True, exist_ok=True)
    turned = turn(25, 0) @ turn(10, 2)
    orientation = [round(float(value), 6) for value in [*turned[:, 0], *turned[:, 1]]]
    # Numbered against their places, so that the order of the files is not that of the slices.
    places = [[round(float(value), 4) for value in np.array([-4, 7, 30]) + 2 * at * turned[:, 2]] for at in (2, 0, 3, 1)]
    images = [slice_file(folder, number, place, orientation) for number, place in enumerate(places)]
    organ = CodedConcept("10200004", "SCT", "Liver")
    finding = CodedConcept("52988006", "SCT", "Lesion")
    def described(number: int, label: str, kind: CodedConcept) -> highdicom.seg.SegmentDescription:
        return highdicom.seg.SegmentDescription(number, label, CodedConcept("123037004", "SCT", "Anatomical Structure"), kind,
                                                highdicom.seg.SegmentAlgorithmTypeValues.MANUAL)
    liver = np.zeros((4, 10, 12), bool)
    liver[1:, 2:8, 3:9] = True
    lesion = np.zeros_like(liver)
    lesion[2, 4:6, 7:11] = True  # on the liver and beyond it
    never = np.zeros_like(liver)
    shares = RNG.integers(0, 101, (4, 10, 12)) / 100
    def save(name: str, pixels: np.ndarray, kind: str, descriptions: list, number: int) -> None:
        seg = highdicom.seg.Segmentation(images, pixels, kind, descriptions, uid(100 + number), number, uid(200 + number), 1, "none", "none",
                                         "none", "none", max_fractional_value=100, omit_empty_frames=True)
        seg.save_as(folder.parent / f"{name}.dcm")
    save("binary", np.stack([liver, lesion, never], -1), "BINARY",
         [described(1, "Segment A", organ), described(2, "lesion 1", finding), described(3, "Spleen", CodedConcept("78961009", "SCT", "Spleen"))], 1)
    save("shares", shares, "FRACTIONAL", [described(1, "Vessel", CodedConcept("59820001", "SCT", "Blood vessel"))], 2)

    expected = {"highdicom": version("highdicom"), "pydicom": version("pydicom"), "slices": []}
    read = {name: highdicom.seg.segread(folder.parent / f"{name}.dcm") for name in ("binary", "shares")}
    normal = np.cross(orientation[:3], orientation[3:])
    for number in np.argsort([np.dot(place, normal) for place in places]):
        image = pydicom.dcmread(folder / f"slice{number}.dcm")
        masks = read["binary"].get_pixels_by_source_instance([image.SOPInstanceUID], ignore_spatial_locations=True, assert_missing_frames_are_empty=True)[0]
        vessel = read["shares"].get_pixels_by_source_instance([image.SOPInstanceUID], ignore_spatial_locations=True, rescale_fractional=True,
                                                              assert_missing_frames_are_empty=True)[0, :, :, 0]
        entry = {"image": (image.pixel_array.astype(int) - 1024 + 100).tolist()}
        for name, mask in (("liver", masks[..., 0]), ("lesion", masks[..., 1]), ("spleen", masks[..., 2]), ("vessel", vessel >= 0.5 - 1e-6)):
            entry[name] = ["".join(".#"[int(value)] for value in row) for row in mask]
        expected["slices"].append(entry)
    (HERE / "dicom.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def make_label_map() -> None:
    """A label map of the series above; it stands beside its folder, as a pixel has one segment in it."""
    images = [pydicom.dcmread(path) for path in sorted((HERE / "dicom" / "series").glob("*.dcm"))]
    labels = np.zeros((4, 10, 12), np.uint8)
    labels[1:, 2:8, 3:9] = 1
    labels[2, 4:6, 7:11] = 3
    kinds = [(1, "Segment A", "10200004", "Liver"), (3, "lesion 1", "52988006", "Lesion")]
    descriptions = [
        highdicom.seg.SegmentDescription(number, label, CodedConcept("123037004", "SCT", "Anatomical Structure"),
                                         CodedConcept(code, "SCT", meaning), highdicom.seg.SegmentAlgorithmTypeValues.MANUAL)
        for number, label, code, meaning in kinds
    ]
    seg = highdicom.seg.Segmentation(images, labels, "LABELMAP", descriptions, uid(103), 3, uid(203), 1, "none", "none", "none", "none")
    seg.save_as(HERE / "label_map.dcm")
    read = highdicom.seg.segread(HERE / "label_map.dcm")
    expected = []
    normal = np.cross(images[0].ImageOrientationPatient[:3], images[0].ImageOrientationPatient[3:])
    for image in sorted(images, key=lambda image: np.dot(image.ImagePositionPatient, normal)):
        masks = read.get_pixels_by_source_instance([image.SOPInstanceUID], ignore_spatial_locations=True,
                                                   assert_missing_frames_are_empty=True)[0]
        rows = {name: ["".join(".#"[int(value)] for value in row) for row in masks[..., at]] for at, name in enumerate(("liver", "lesion"))}
        expected.append(rows)
    (HERE / "label_map.json").write_text(json.dumps({"slices": expected}, separators=(",", ":")) + "\n")


def main() -> None:
    make_coco()
    make_nifti()
    make_dicom()
    make_label_map()


if __name__ == "__main__":
    main()
