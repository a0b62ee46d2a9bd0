"""Writes `jpeg_ls.json`: small JPEG-LS images by CharLS in every interleave mode, and what CharLS decodes.

    python make_jpeg_ls.py

needs pyjpegls 1.5 or later, pydicom 3.0.2 and numpy. Each entry is a DICOM file in hexadecimal digits, and SHA-256
over its pixels as `make_goldens.py` takes it: f32 little endian for gray, u8 for colour.
"""

import hashlib
import io
import json
from pathlib import Path

import jpeg_ls
import numpy as np
import pydicom
from pydicom.encaps import encapsulate

HERE = Path(__file__).parent
UID = "1.2.840.10008.1.2.4."


def pixels(kind: str, rows: int, columns: int, components: int, bits: int, random) -> np.ndarray:
    shape = (rows, columns, components)
    if kind == "noise":
        return random.integers(0, 1 << bits, shape)
    runs = random.integers(0, 1 << bits, (rows, columns // 4 + 1, components))
    return np.repeat(runs, 4, axis=1)[:, :columns]


def file(stream: bytes, shape: tuple, bits: int, near: int) -> bytes:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID + ("81" if near else "80")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = shape
    dataset.PhotometricInterpretation = "RGB" if shape[2] == 3 else "MONOCHROME2"
    if shape[2] == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 if bits <= 8 else 16, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    written = io.BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def main() -> None:
    random = np.random.default_rng(14495)
    entries = {}
    gray = [(bits, 1, 0) for bits in (2, 8, 12, 16)]
    color = [(bits, 3, mode) for bits in (8, 12, 16) for mode in (0, 1, 2)]
    for kind in ("noise", "runs"):
        for rows, columns in ((7, 13), (24, 1)):
            for bits, components, mode in gray + color:
                for near in (0, 1 if bits == 2 else 2):
                    values = pixels(kind, rows, columns, components, bits, random)
                    cells = values.astype(np.uint8 if bits <= 8 else np.uint16)
                    # CharLS takes planes for mode 0, and pixels for the others.
                    source = cells.transpose(2, 0, 1) if mode == 0 else cells
                    try:
                        stream = bytes(jpeg_ls.encode_buffer(source.tobytes(), rows, columns, components, bits, near, mode))
                    except RuntimeError:  # its buffer is too small for noise that grows
                        continue
                    decoded = np.frombuffer(bytes(jpeg_ls.decode_buffer(stream)[0]), cells.dtype)
                    if mode == 0:
                        decoded = decoded.reshape(components, rows, columns).transpose(1, 2, 0)
                    decoded = decoded.reshape(rows, columns, components)
                    assert near or (decoded == cells).all()
                    shown = (decoded >> (bits - 8)).astype(np.uint8) if components == 3 else decoded.astype("<f4")
                    name = f"{kind} {rows}x{columns}, {components} of {bits} bits, mode {mode}, near {near}"
                    entries[name] = {
                        "file": file(stream, values.shape, bits, near).hex(),
                        "sha256": hashlib.sha256(shown.tobytes()).hexdigest(),
                    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    (HERE / "jpeg_ls.json").write_text("{\n" + lines + "\n}\n")
    print(len(entries))


if __name__ == "__main__":
    main()
