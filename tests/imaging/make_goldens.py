"""Writes the DICOM fixtures and what pydicom reads in them.

    python make_goldens.py [SHARED [PIXELS]]

needs pydicom 3.0.2, pydicom-data 1.0.0, python-gdcm, pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg,
pyjpegls, zstandard and Pillow. `dicom/` receives copies of small files of the two packages (MIT) and transcoded
ones; `dicom.json` what pydicom finds in them; `corpus.json` the same for every file of both packages, which the
test reads from the folders in PYDICOM_DATA where that is set. Where SHARED, the folder of MEDSAM3_SHARED, is given,
`shared.json` gets the same for its `dicom/` and `wg04.json` for the uncompressed truth of NEMA's working group 4
set. Where the codec is lossless, `sha256` covers every pixel of every frame; of lossy files PIXELS receives all of
them, which the test compares where PYDICOM_PIXELS names that folder.
"""

import hashlib
import importlib.util
import io
import json
import shutil
import sys
import warnings
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import zstandard
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing, pixel_array

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
OUT = HERE / "dicom"
PIXELS = Path(sys.argv[2]) if len(sys.argv) > 2 else None


def package_folder(name: str, *inside: str) -> Path:
    return Path(importlib.util.find_spec(name).origin).parent.joinpath(*inside)


WHEEL = package_folder("pydicom", "data", "test_files")
DATA = package_folder("data_store", "data")

COPIED = [
    WHEEL / "MR_small.dcm",  # explicit little endian
    WHEEL / "MR_small_implicit.dcm",
    WHEEL / "MR_small_bigendian.dcm",
    WHEEL / "MR_small_RLE.dcm",
    WHEEL / "MR_small_padded.dcm",
    WHEEL / "image_dfl.dcm",  # deflated
    WHEEL / "SC_rgb_small_odd.dcm",  # odd length
    WHEEL / "SC_rgb_small_odd_big_endian.dcm",
    WHEEL / "SC_rgb_small_odd_jpeg.dcm",
    WHEEL / "SC_rgb_rle_2frame.dcm",
    WHEEL / "SC_rgb_rle_16bit.dcm",
    WHEEL / "SC_ybr_full_422_uncompressed.dcm",
    WHEEL / "SC_rgb_jpeg_dcmtk.dcm",  # baseline, YBR
    WHEEL / "SC_rgb_dcmtk_+eb+cr.dcm",  # baseline, RGB kept
    WHEEL / "SC_rgb_dcmtk_+eb+cy+s2.dcm",  # baseline, 4:2:2
    WHEEL / "JPGExtended.dcm",  # 12 bit
    WHEEL / "JPEG2000.dcm",
    WHEEL / "MR_small_jpeg_ls_lossless.dcm",
    WHEEL / "rtdose_1frame.dcm",  # 32 bit
    # Refused or broken:
    WHEEL / "MR_truncated.dcm",
    WHEEL / "test-SR.dcm",
]

ERRORS = {
    "MR_truncated.dcm": "DICOM-TRUNCATED",
    "test-SR.dcm": "DICOM-NO-PIXELS",
    "derived_declared_htj2k.dcm": "DICOM-TRANSFER-SYNTAX",
}
# What pydicom leaves to the caller, by construction.
SPACINGS = {
    "derived_magnified.dcm": [0.08, 0.16],
    "derived_uncalibrated.dcm": None,
    "derived_ultrasound.dcm": [0.4, 0.3],
}
DCT = {f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 53, 55)}
J2K = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}


def is_lossy(dataset) -> bool:
    """Whether two right decoders may differ: DCT and the 9/7 wavelet; near-lossless JPEG-LS is exact."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in DCT or dataset.PhotometricInterpretation == "YBR_PARTIAL_422":
        return True
    if syntax not in J2K:
        return False
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1)))
    coding = frame.index(b"\xff\x52")  # COD; its last parameter is the wavelet
    return frame[coding + 13] == 0


def with_whole_spectrum(frame: bytes) -> bytes:
    """12-bit JPEG whose scan says that its spectrum ends at 0: no decoder in Python takes it."""
    scan = frame.index(b"\xff\xda")
    last = scan + 5 + 2 * frame[scan + 4] + 1
    return frame[:last] + b"\x3f" + frame[last + 1:]


def transcode(source: Path, target: Path, syntax) -> None:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def rewritten(source: Path, target: Path, change) -> None:
    dataset = pydicom.dcmread(source)
    change(dataset)
    dataset.save_as(target)


def derived() -> None:
    """Files that the packages lack, made of theirs."""
    transcode(WHEEL / "MR_small.dcm", OUT / "derived_jpeg_lossless_57.dcm", gdcm.TransferSyntax.JPEGLosslessProcess14)
    transcode(WHEEL / "MR_small.dcm", OUT / "derived_jpeg_lossless_70.dcm", gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    transcode(DATA / "SC_rgb.dcm", OUT / "derived_jpeg_lossless_rgb.dcm", gdcm.TransferSyntax.JPEGLosslessProcess14_1)

    def planar(dataset):
        dataset.PixelData = dataset.pixel_array.transpose(2, 0, 1).tobytes() + b"\0"
        dataset.PlanarConfiguration = 1

    rewritten(WHEEL / "SC_rgb_small_odd.dcm", OUT / "derived_planar.dcm", planar)

    progressive_jpeg(OUT / "derived_jpeg_progressive_55.dcm", "1.2.840.10008.1.2.4.55")

    def declared(dataset):
        """A stream of another syntax: the refusal goes by what is declared."""
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"

    rewritten(WHEEL / "MR_small_jp2klossless.dcm", OUT / "derived_declared_htj2k.dcm", declared)

    def palette(dataset):
        """Sixteen stored values as a colour ramp of 16-bit entries, first value mapped 3."""
        pixels = (dataset.pixel_array % 24).astype(np.uint8)
        dataset.PixelData = pixels.tobytes()
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        ramp = np.arange(16, dtype=np.uint16)
        for channel, values in (("Red", ramp * 4096), ("Green", 65535 - ramp * 4000), ("Blue", ramp * ramp * 256)):
            dataset.add_new(f"{channel}PaletteColorLookupTableDescriptor", "US", [16, 3, 16])
            dataset.add_new(f"{channel}PaletteColorLookupTableData", "OW", values.astype("<u2").tobytes())
        for name in ("WindowCenter", "WindowWidth", "SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
            if name in dataset:
                delattr(dataset, name)

    rewritten(WHEEL / "MR_small.dcm", OUT / "derived_palette.dcm", palette)

    def packed_high(dataset):
        """Signed 10-bit values in the middle of 16-bit cells, with slope, intercept, padding and two windows."""
        values = (dataset.pixel_array.astype(np.int32) % 1000) - 500
        cells = ((values & 0x3FF) << 3).astype(np.uint16)
        dataset.PixelData = cells.tobytes()
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 10, 12, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-100.25"
        dataset.add_new("PixelPaddingValue", "SS", int(values.min()))
        dataset.WindowCenter, dataset.WindowWidth = [40, 300], [80, 2000]
        for name in ("SmallestImagePixelValue", "LargestImagePixelValue"):
            if name in dataset:
                delattr(dataset, name)

    rewritten(WHEEL / "MR_small.dcm", OUT / "derived_packed_high.dcm", packed_high)

    def shown_by(function):
        def change(dataset):
            dataset.VOILUTFunction = function
        return change

    rewritten(WHEEL / "MR_small.dcm", OUT / "derived_sigmoid.dcm", shown_by("SIGMOID"))
    rewritten(WHEEL / "MR_small.dcm", OUT / "derived_linear_exact.dcm", shown_by("LINEAR_EXACT"))

    def slope_zero(dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = "0", "-7"

    rewritten(WHEEL / "MR_small.dcm", OUT / "derived_slope_zero.dcm", slope_zero)

    def mammogram(dataset):
        """A detector's spacing of 0.1 x 0.2 mm behind a breast that is magnified by 1.25."""
        dataset.Modality = "MG"
        del dataset.PixelSpacing
        dataset.ImagerPixelSpacing = [0.1, 0.2]
        dataset.EstimatedRadiographicMagnificationFactor = "1.25"

    rewritten(WHEEL / "MR_small.dcm", OUT / "derived_magnified.dcm", mammogram)

    def projection(dataset):
        mammogram(dataset)
        dataset.Modality = "DX"
        dataset.PixelSpacing = dataset.ImagerPixelSpacing  # the same number, not calibrated
        del dataset.EstimatedRadiographicMagnificationFactor

    rewritten(WHEEL / "MR_small.dcm", OUT / "derived_uncalibrated.dcm", projection)

    def regions(dataset):
        """Two views of one scale and a Doppler curve; pixels 0.4 mm high and 0.3 mm wide."""
        def region(form, units, delta):
            item = pydicom.Dataset()
            item.RegionSpatialFormat = form
            item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
            item.PhysicalDeltaX, item.PhysicalDeltaY = delta
            return item

        dataset.Modality = "US"
        if "PixelSpacing" in dataset:
            del dataset.PixelSpacing
        view = (1, (3, 3), (0.03, -0.04))
        dataset.SequenceOfUltrasoundRegions = [region(3, (4, 7), (0.01, 2.0)), region(*view), region(*view)]

    rewritten(WHEEL / "SC_rgb_small_odd.dcm", OUT / "derived_ultrasound.dcm", regions)

    def other_scale(dataset):
        regions(dataset)
        dataset.SequenceOfUltrasoundRegions[2].PhysicalDeltaX = 0.05

    rewritten(WHEEL / "SC_rgb_small_odd.dcm", OUT / "derived_ultrasound_two_scales.dcm", other_scale)

    def partial(dataset):
        """BT.601 in the range of video, 4:2:2."""
        rgb = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None], 4, axis=1) * np.array([2, 1, 0], np.uint8)
        red, green, blue = (rgb[..., channel].astype(float) for channel in range(3))
        luma = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
        cb = 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256
        cr = 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256
        cells = np.stack([luma[:, 0::2], luma[:, 1::2], cb[:, 0::2], cr[:, 0::2]], axis=-1)
        dataset.Rows, dataset.Columns, dataset.PlanarConfiguration = 100, 4, 0
        dataset.PhotometricInterpretation = "YBR_PARTIAL_422"
        dataset.PixelData = cells.round().astype(np.uint8).tobytes()

    rewritten(WHEEL / "SC_rgb_small_odd.dcm", OUT / "derived_partial_422.dcm", partial)

    # Files in the wild: no preamble and no meta group; a meta group with a title over 16 characters and no length.
    for name in ("implicit", "bigendian"):
        source = (WHEEL / f"MR_small_{name}.dcm").read_bytes()
        (OUT / f"derived_bare_{name}.dcm").write_bytes(source[data_start(source):])
    source = (WHEEL / "MR_small.dcm").read_bytes()
    start = data_start(source)
    title = bytes.fromhex("02001600") + b"AE" + (18).to_bytes(2, "little") + b"EIGHTEEN_CHARACTER"
    group_length = 12  # (0002,0000) UL 4
    (OUT / "derived_long_title.dcm").write_bytes(source[:132] + source[132 + group_length:start] + title + source[start:])


def progressive_jpeg(target: Path, syntax: str) -> None:
    """Full progression, which is retired, so that pydicom has no decoder for it."""
    dataset = pydicom.dcmread(DATA / "SC_rgb.dcm")
    packed = io.BytesIO()
    Image.fromarray(dataset.pixel_array).save(packed, "JPEG", quality=90, progressive=True, subsampling=0)
    dataset.PixelData = pydicom.encaps.encapsulate([packed.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.PhotometricInterpretation = "YBR_FULL"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(target)


def data_start(source: bytes) -> int:
    """Offset after the meta group, by its group length."""
    assert source[128:136] == b"DICM\x02\0\0\0"
    return 144 + int.from_bytes(source[140:144], "little")


def packed_high_values(dataset) -> np.ndarray:
    """pydicom leaves High Bit to the caller."""
    cells = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns).astype(np.int32)
    values = (cells >> (dataset.HighBit + 1 - dataset.BitsStored)) & ((1 << dataset.BitsStored) - 1)
    return np.where(values >= 1 << (dataset.BitsStored - 1), values - (1 << dataset.BitsStored), values)


def transforms_of(dataset) -> list:
    """Where each frame's modality transform is; apply_modality_lut does not read the functional groups."""
    def of(groups, otherwise):
        for group in groups:
            if "PixelValueTransformationSequence" in group:
                return group.PixelValueTransformationSequence[0]
        return otherwise

    shared = of(dataset.get("SharedFunctionalGroupsSequence", []), dataset)
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence", [])
    return [of([group], shared) for group in per_frame] or [shared]


def frames_of(path: Path, dataset) -> np.ndarray:
    """[frames, rows, columns] or [frames, rows, columns, 3]."""
    photometric = dataset.PhotometricInterpretation
    if path.name == "derived_partial_422.dcm":  # by construction
        return np.repeat(np.arange(100, dtype=np.uint8)[:, None, None], 4, axis=1)[None] * np.array([2, 1, 0], np.uint8)
    if "progressive" in path.name:
        packed = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        pixels = np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))
    elif path.name == "derived_packed_high.dcm":
        pixels = packed_high_values(dataset)
    else:
        pixels = pixel_array(dataset)  # YBR becomes RGB
    if photometric == "PALETTE COLOR":
        if dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRBigEndian:
            # pydicom takes the words of the tables for little endian.
            for channel in ("Red", "Green", "Blue"):
                for name in (f"{channel}PaletteColorLookupTableData", f"Segmented{channel}PaletteColorLookupTableData"):
                    if name in dataset and dataset[name].VR == "OW":
                        setattr(dataset, name, np.frombuffer(getattr(dataset, name), ">u2").astype("<u2").tobytes())
        pixels = apply_color_lut(pixels, dataset)
        if pixels.dtype.itemsize == 2:
            pixels = (pixels >> 8).astype(np.uint8)
    elif dataset.SamplesPerPixel == 1:
        transforms = transforms_of(dataset)
        if len(transforms) > 1 and len(transforms) == len(pixels):
            pixels = np.stack([apply_modality_lut(frame, by) for frame, by in zip(pixels, transforms)])
        else:
            pixels = apply_modality_lut(pixels, transforms[0])
    elif pixels.dtype.itemsize > 1:
        pixels = (pixels >> (dataset.BitsStored - 8)).astype(np.uint8)
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    return pixels if frames > 1 else pixels[None]


def display(values: np.ndarray, dataset) -> np.ndarray:
    """0..255 through the first window. pydicom maps to the range of the stored values, in modality units."""
    bits = dataset.BitsStored
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dataset.PixelRepresentation else (0, (1 << bits) - 1)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    low, high = low * slope + intercept, high * slope + intercept
    shown = apply_windowing(values, dataset).astype(np.float64)
    return np.floor((shown - low) / (high - low) * 255 + 0.5)


def number(value):
    value = float(value)
    return int(value) if value.is_integer() else value


def describe(path: Path, dataset=None) -> dict:
    dataset = dataset or pydicom.dcmread(path, force=True)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        little_syntax = pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = little_syntax if little else pydicom.uid.ExplicitVRBigEndian
    lossy = is_lossy(dataset)
    if dataset.get("RescaleSlope") == 0:
        dataset.RescaleSlope = 1  # as viewers do
    if dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.51" and b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" in dataset.PixelData:
        frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = pydicom.encaps.encapsulate([with_whole_spectrum(frame) for frame in frames])
    frames = frames_of(path, dataset)
    color = frames.ndim == 4
    entry = {
        "rows": frames.shape[1],
        "columns": frames.shape[2],
        "frames": frames.shape[0],
        "kind": "Rgb" if color else "Gray",
        "modality": dataset.get("Modality") or None,
        "syntax": dataset.file_meta.TransferSyntaxUID,
        "lossy": lossy,
        "slope": abs(float(transforms_of(dataset)[0].get("RescaleSlope", 1) or 1)),
        "checked": [],
    }
    exact = np.ascontiguousarray(frames, np.uint8 if color else "<f4")
    if not lossy:
        entry["sha256"] = hashlib.sha256(exact.tobytes()).hexdigest()
    elif PIXELS:
        PIXELS.mkdir(exist_ok=True)
        (PIXELS / path.name).write_bytes(exact.tobytes())
    spacing = dataset.get("PixelSpacing")
    entry["spacing_mm"] = [float(value) for value in spacing] if spacing else None
    if path.name in SPACINGS:
        entry["spacing_mm"] = SPACINGS[path.name]
    center, width = dataset.get("WindowCenter"), dataset.get("WindowWidth")
    if not color and center is not None and width is not None:
        first = lambda value: float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
        entry["window"] = [first(center), first(width)]
        if dataset.get("VOILUTFunction") == "LINEAR_EXACT":
            entry["window"] = [first(center) + 0.5, first(width) + 1]  # the same line as a LINEAR window
    else:
        entry["window"] = None
    for index in sorted({0, frames.shape[0] // 2, frames.shape[0] - 1}):
        flat = frames[index].reshape(-1, 3) if color else frames[index].reshape(-1)
        positions = [int(step * (len(flat) - 1) / 23) for step in range(24)]
        entry["checked"].append({
            "frame": index,
            "mean": float(np.asarray(flat, np.float64).mean()),
            "min": number(flat.min()),
            "max": number(flat.max()),
            "samples": [[at, [number(v) for v in np.atleast_1d(flat[at])]] for at in positions],
        })
    if entry["window"]:
        shown = display(frames[0], dataset).reshape(-1)
        entry["rendered"] = [[at, int(shown[at])] for at in range(0, len(shown), max(1, len(shown) // 64))]
    return entry


def write(path: Path, entries: dict) -> None:
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(entries.items()))
    path.write_text("{\n" + lines + "\n}\n")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for path in COPIED:
        shutil.copyfile(path, OUT / path.name)
    derived()
    entries = {}
    for path in sorted(OUT.glob("*.dcm")):
        entries[path.name] = {"error": ERRORS[path.name]} if path.name in ERRORS else describe(path)
    write(HERE / "dicom.json", entries)

    write(HERE / "corpus.json", folder(WHEEL) | folder(DATA))

    if len(sys.argv) > 1:
        shared = Path(sys.argv[1], "dicom")
        write(HERE / "shared.json", folder(shared))
        truths = {}
        for path in sorted((shared / "wg04/REF").glob("*_UNC.zst")):
            packed = path.read_bytes()
            plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=1 << 28)
            truth = truths[path.name.split("_")[0]] = describe(path, pydicom.dcmread(io.BytesIO(plain)))
            truth.pop("rendered", None)
        write(HERE / "wg04.json", truths)


def folder(root: Path) -> dict:
    """Every file of a folder that pydicom can read, by its path in there."""
    entries = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.suffix in {".zst", ".json", ".gz", ".zip", ".md", ".py", ".nii", ".npy"}:
            continue
        name = str(path.relative_to(root))
        try:
            entry = describe(path)
        except Exception as error:  # what pydicom cannot read has no golden
            print(f"{name}: {type(error).__name__}: {str(error)[:90]}", file=sys.stderr)
            continue
        entry.pop("rendered", None)
        for checked in entry["checked"]:
            checked["samples"] = checked["samples"][::1 if entry["lossy"] else 6]
        entries[name] = entry
    return entries


if __name__ == "__main__":
    main()
