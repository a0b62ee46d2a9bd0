"""Writes the images for the preprocessing tests and what torchvision and torch make of them.

    python make_resize_goldens.py NUCLEI.jpg CINE.dcm

needs torch 2.15, torchvision 0.29.2 (on a CPU with AVX2, as its uint8 path is meant), pydicom 3.0.2 and Pillow.
NUCLEI is an image of BBBC038 (CC0), CINE a frame of the Sunnybrook cardiac data (CC0); the third real image is the
ultrasound of the pydicom wheel (MIT), the fourth is random and made alike here and in the test.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pydicom
import torch
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from torchvision.transforms import v2

OUT = Path(__file__).parent / "resize"
SIDES = (84, 252, 336, 1008)


def random_bytes(count: int, seed: int) -> np.ndarray:
    """Upper bytes of the generator of Numerical Recipes."""
    values = np.empty(count, np.uint8)
    state = seed
    for index in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values[index] = state >> 24
    return values


def resize(image: np.ndarray, side: int) -> np.ndarray:
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)
    return v2.Resize((side, side))(tensor).permute(1, 2, 0).contiguous().numpy()


def sample_positions(count: int) -> list[int]:
    return [step * (count - 1) // 511 for step in range(512)]


def images(nuclei: Path, cine: Path) -> dict[str, np.ndarray]:
    cells = np.asarray(Image.open(nuclei).convert("RGB"))[20:150, 30:127]
    dataset = pydicom.dcmread(cine, force=True)
    implicit, little = dataset.original_encoding
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
    assert little
    stored = pixel_array(dataset)[60:180, 60:220].astype(np.float64)
    heart = ((stored - stored.min()) / (stored.max() - stored.min()) * 255).round().astype(np.uint8)
    heart = np.repeat(heart[..., None], 3, axis=2)
    ultrasound = pixel_array(pydicom.dcmread(get_testdata_file("examples_rgb_color.dcm")))[80:200, 140:290]
    noise = random_bytes(530 * 410 * 3, 7).reshape(410, 530, 3)
    return {"nuclei": cells, "heart": heart, "ultrasound": ultrasound, "random": noise}


def main(nuclei: Path, cine: Path) -> None:
    OUT.mkdir(exist_ok=True)
    entries = []
    for name, image in images(nuclei, cine).items():
        if name != "random":
            # Gray where all channels agree: smaller, and the same after opening.
            gray = (image == image[..., :1]).all()
            Image.fromarray(image[..., 0] if gray else image).save(OUT / f"{name}.png", optimize=True)
        for side in SIDES:
            output = resize(image, side)
            if side == SIDES[0]:
                Image.fromarray(output).save(OUT / f"{name}_{side}.png", optimize=True)
            flat = output.reshape(-1)
            entries.append({
                "image": name,
                "width": image.shape[1],
                "height": image.shape[0],
                "side": side,
                "sha256": hashlib.sha256(output.tobytes()).hexdigest(),
                "samples": flat[sample_positions(len(flat))].tobytes().hex(),
            })
    masks = []
    for index, (grid, size, blur) in enumerate([((18, 24), (97, 131), 0), ((72, 72), (160, 220), 2), ((63, 63), (40, 31), 1)]):
        height, width = grid
        values = random_bytes(height * width, 100 + index).reshape(grid).astype(np.int64)
        for _ in range(blur):
            values = sum(np.roll(values, shift, axis) for shift in (-1, 0, 1) for axis in (0, 1))
        logits = (values.astype(np.float32) - np.float32(values.mean().round())) / np.float32(64)
        resized = torch.nn.functional.interpolate(torch.from_numpy(logits)[None, None], size=size, mode="bilinear", align_corners=False)
        mask = (resized[0, 0].sigmoid() > 0.5).numpy()
        Image.fromarray(mask).save(OUT / f"mask_{index}.png", optimize=True)
        masks.append({"seed": 100 + index, "grid": [width, height], "size": [size[1], size[0]], "blur": blur, "area": int(mask.sum()),
                      "centre": int(values.mean().round()), "near_zero": int((resized.abs() < 1e-5).sum())})
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    mask_lines = ",\n".join(json.dumps(entry) for entry in masks)
    (OUT.parent / "resize.json").write_text('{"resize": [\n' + lines + '\n],\n"masks": [\n' + mask_lines + "\n]}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
