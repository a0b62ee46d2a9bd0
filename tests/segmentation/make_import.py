"""Makes import.json: masks of other programs' segmentations on the slices of their series, read independently.

dcmqi's files: the NRRD label maps beside them, which they were written from (SimpleITK 2.5.7). highdicom's files:
highdicom 0.28.2, fractions by a threshold. Structure sets: the masks beside them (nibabel 5.4.2), and scikit-image's
polygon2mask where there is none. Slices in the order of positions along the normal.
Run: MEDSAM3_SHARED=... python tests/segmentation/make_import.py
"""
import hashlib
import json
import os
import pathlib

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from skimage.draw import polygon2mask

ROOT = pathlib.Path(os.environ["MEDSAM3_SHARED"]) / "dicom"


def load(image):
    path = ROOT / image
    files = [pydicom.dcmread(p) for p in ([path] if path.is_file() else sorted(path.iterdir()))]
    axes = np.array(files[0].ImageOrientationPatient, float)
    normal = np.cross(axes[:3], axes[3:])
    files.sort(key=lambda f: float(normal @ np.array(f.ImagePositionPatient, float)))
    return files, axes, normal


def described(masks):
    slices = {}
    for number, mask in enumerate(masks):
        if mask.any():
            data = np.ascontiguousarray(mask.astype(np.uint8))
            slices[str(number)] = {"pixels": int(data.sum()), "sha256": hashlib.sha256(data.tobytes()).hexdigest()}
    return slices


def from_points(index_to_point, voxels, image):
    """Voxels of another grid on the series, by their places."""
    files, axes, normal = load(image)
    first = files[0]
    spacing = np.array(first.PixelSpacing, float)
    out = np.zeros((len(files), first.Rows, first.Columns), np.uint8)
    at = np.array([float(normal @ np.array(f.ImagePositionPatient, float)) for f in files])
    for point in index_to_point(voxels):
        number = int(np.abs(at - normal @ point).argmin())
        step = point - np.array(files[number].ImagePositionPatient, float)
        out[number, round(step @ axes[3:] / spacing[0]), round(step @ axes[:3] / spacing[1])] = 1
    return out


def nrrd_voxels(path, image, label=None):
    read = sitk.ReadImage(str(ROOT / path))
    array = sitk.GetArrayFromImage(read)
    mask = array == label if label is not None else array > 0
    voxels = np.argwhere(mask)[:, ::-1]
    return from_points(lambda all_: (np.array(read.TransformIndexToPhysicalPoint(v.tolist())) for v in all_), voxels, image)


def nifti_voxels(path, image):
    read = nib.load(ROOT / path)
    voxels = np.argwhere(np.asarray(read.dataobj) > 0)
    to_lps = np.diag([-1, -1, 1, 1]) @ read.affine
    return from_points(lambda all_: nib.affines.apply_affine(to_lps, all_), voxels, image)


def by_reference(path, image, label_map=False):
    ds = pydicom.dcmread(ROOT / path)
    files, _, _ = load(image)
    order = {f.SOPInstanceUID: n for n, f in enumerate(files)}
    pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    segments = []
    for segment in ds.SegmentSequence:
        out = np.zeros((len(files), ds.Rows, ds.Columns), np.uint8)
        for frame, group in zip(pixels, ds.PerFrameFunctionalGroupsSequence):
            uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            if label_map:
                out[order[uid]] |= (frame == segment.SegmentNumber).astype(np.uint8)
            elif group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == segment.SegmentNumber:
                least = max(0.5 * ds.get("MaximumFractionalValue", 1), 1)
                out[order[uid]] |= (frame >= least).astype(np.uint8)
        segments.append((segment.SegmentLabel, out))
    return segments


def polygons(path, image):
    ds = pydicom.dcmread(ROOT / path)
    files, axes, normal = load(image)
    spacing = np.array(files[0].PixelSpacing, float)
    for roi, contours in zip(ds.StructureSetROISequence, ds.ROIContourSequence):
        out = np.zeros((len(files), files[0].Rows, files[0].Columns), np.uint8)
        for contour in contours.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            offsets = [abs(float(normal @ (points[0] - np.array(f.ImagePositionPatient, float)))) for f in files]
            number = int(np.argmin(offsets))
            if offsets[number] > 1:
                continue
            steps = points - np.array(files[number].ImagePositionPatient, float)
            out[number] ^= polygon2mask(out.shape[1:], np.c_[steps @ axes[3:] / spacing[0], steps @ axes[:3] / spacing[1]]).astype(np.uint8)
        yield roi.ROIName, out


def fractions(path, image, threshold):
    """Of a fractional segmentation, by highdicom."""
    files, _, _ = load(image)
    read = hd.seg.segread(ROOT / path)
    values = read.get_pixels_by_source_instance([f.SOPInstanceUID for f in files], rescale_fractional=True,
                                                assert_missing_frames_are_empty=True)
    for number in read.segment_numbers:
        yield read.get_segment_description(number).segment_label, values[..., number - 1] >= max(threshold, 1e-9)


S = "series/dcmqi-seg/"
CT = S + "ct-liver-spine/image"


def main():
    cases = [
        ("seg", S + "ct-liver-spine/liver.dcm", CT, [("Liver", nrrd_voxels(S + "ct-liver-spine/liver_seg.nrrd", CT))]),
        ("seg", S + "ct-liver-spine/partial_overlaps.dcm", CT, by_reference(S + "ct-liver-spine/partial_overlaps.dcm", CT)),
        ("seg", S + "23x38x3/label.seg", S + "23x38x3/image", None),
        ("seg", S + "24x38x3/label.seg", S + "24x38x3/image", None),
        ("seg", S + "labelmap/sparse-labelmap-noppv.dcm", S + "24x38x3/image", "labelmap"),
        # The slice that is not stored is padding (5), which is no segment.
        ("seg", S + "labelmap/sparse-labelmap-ppv5.dcm", S + "24x38x3/image", "labelmap"),
    ]
    result = []
    for kind, file, image, segments in cases:
        if segments is None:
            name = pydicom.dcmread(ROOT / file, stop_before_pixels=True).SegmentSequence[0].SegmentLabel
            segments = [(name, nrrd_voxels(file.replace("label.seg", "label.nrrd"), image))]
        if segments == "labelmap":
            ds = pydicom.dcmread(ROOT / file, stop_before_pixels=True)
            segments = [(s.SegmentLabel, nrrd_voxels(file.replace("-", "_").replace("dcmqi_seg", "dcmqi-seg").replace(".dcm", "_seg.nrrd"), image, s.SegmentNumber))
                        for s in ds.SegmentSequence if s.SegmentNumber]
        result.append({"kind": kind, "file": file, "image": image,
                       "segments": [{"name": name, "slices": described(masks)} for name, masks in segments]})
    for folder in ("mr-tumour", "pet-tumour"):
        file, image = f"series/rtstruct/{folder}/rtstruct.dcm", f"series/rtstruct/{folder}/image"
        name = pydicom.dcmread(ROOT / file).StructureSetROISequence[0].ROIName
        result.append({"kind": "rtstruct", "file": file, "image": image,
                       "segments": [{"name": name, "slices": described(nifti_voxels(f"series/rtstruct/{folder}/mask.nii.gz", image))}]})
    P = "series/rtstruct/phantom-ct/"
    result.append({"kind": "rtstruct", "file": P + "rt.dcm", "image": P + "image",
                   "segments": [{"name": n, "slices": described(m)} for n, m in polygons(P + "rt.dcm", P + "image")]})
    for name, thresholds in (("binary", [0.5]), ("true", [0.2, 0.5, 0.501, 0.502])):
        for threshold in thresholds:
            file = f"series/highdicom-seg/seg_image_ct_{name}_fractional.dcm"
            image = "series/dicomdir/77654033/CT2"
            result.append({"kind": "seg", "file": file, "image": image, "threshold": threshold,
                           "segments": [{"name": n, "slices": described(m)} for n, m in fractions(file, image, threshold)]})
    path = pathlib.Path(__file__).with_name("import.json")
    path.write_text(json.dumps({"cases": result}, indent=1) + "\n")
    for case in result:
        print(case["file"], [(s["name"], sum(v["pixels"] for v in s["slices"].values())) for s in case["segments"]])


if __name__ == "__main__":
    main()
