"""Fills `corpus/` from the fixtures: whole files, the first frame of each with its geometry before it, and folders."""

import gzip
import struct
import sys
import warnings
from pathlib import Path

import pydicom

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
FIXTURES = HERE / "../../../tests/imaging"
UID = "1.2.840.10008.1.2."
TARGETS = {
    **{UID + f"4.{last}": "jpeg" for last in (50, 51, 53, 55, 57, 70)},
    **{UID + f"4.{last}": "jpeg_ls" for last in (80, 81)},
    **{UID + f"4.{last}": "jpeg2000" for last in (90, 91)},
    UID + "5": "rle",
    UID + "8.1": "deflated",
}


def segmentations() -> None:
    target = HERE / "corpus/segmentation"
    target.mkdir(parents=True, exist_ok=True)
    for path in (FIXTURES / "segmentation").glob("*.dcm"):
        (target / path.name).write_bytes(path.read_bytes())


def main() -> None:
    segmentations()
    folders = [FIXTURES / name for name in ("dicom", "regressions", "phantom", "standard", "tiff", "mosaic")]
    files = [path for folder in folders + [Path(more) for more in sys.argv[1:]] for path in folder.rglob("*")]
    for path in files:
        if not path.is_file() or path.stat().st_size > 40_000:
            continue
        target = HERE / "corpus/file"
        target.mkdir(parents=True, exist_ok=True)
        (target / path.name).write_bytes(path.read_bytes())
        try:
            dataset = pydicom.dcmread(path)
            name = TARGETS[dataset.file_meta.TransferSyntaxUID]
            count = int(dataset.get("NumberOfFrames", 1) or 1)
            frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=count))
        except Exception:  # no image, or not compressed
            continue
        allocated = {1: 0, 8: 1, 16: 2, 32: 3}[dataset.BitsAllocated]
        flags = dataset.PixelRepresentation | 2 * (dataset.PhotometricInterpretation == "RGB")
        sizes = struct.pack(">HH", dataset.Rows, dataset.Columns)
        rest = bytes([dataset.SamplesPerPixel, allocated, dataset.BitsStored, flags])
        target = HERE / "corpus" / name
        target.mkdir(parents=True, exist_ok=True)
        (target / path.name).write_bytes(sizes + rest + frame)
    volumes()


def volumes() -> None:
    """NIfTI files, and series as `folder` wants them: name, length and bytes of each file."""
    for name in ("folder", "nifti"):
        (HERE / "corpus" / name).mkdir(parents=True, exist_ok=True)
    for path in (FIXTURES / "nifti").glob("*.nii*"):
        packed = path.read_bytes()
        plain = gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed
        (HERE / "corpus/nifti" / path.name).write_bytes(packed)
        (HERE / "corpus/nifti" / f"{path.name}.plain").write_bytes(plain)
        (HERE / "corpus/folder" / path.name).write_bytes(entry(5, packed) + entry(3, plain) + entry(4, plain))
    (HERE / "corpus/folder/zip").write_bytes(entry(6, (FIXTURES / "series/axial.zip").read_bytes()))
    for folder in [*(FIXTURES / "series").iterdir(), FIXTURES / "mosaic"]:
        if folder.is_dir():
            files = sorted(folder.iterdir())
            content = b"".join(entry(at % 2, path.read_bytes()) for at, path in enumerate(files))
            (HERE / "corpus/folder" / folder.name).write_bytes(content)


def entry(name: int, content: bytes) -> bytes:
    return bytes([name]) + struct.pack(">H", len(content)) + content


if __name__ == "__main__":
    main()
