"""Writes PNG and JPEG files in the forms in which they come, and the pixels that Pillow reads in them.

    python make_standard.py

needs Pillow and numpy; starts from `resize/nuclei.png`. Lossless truth is stored as a hash, lossy as a PNG.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
OUT = HERE / "standard"


def main() -> None:
    OUT.mkdir(exist_ok=True)
    nuclei = Image.open(HERE / "resize" / "nuclei.png").convert("RGB").crop((10, 20, 71, 73))  # odd sizes
    array = np.asarray(nuclei)
    alpha = np.dstack([array, np.tile(np.arange(array.shape[1], dtype=np.uint8) * 4, (array.shape[0], 1))])
    Image.fromarray(alpha).save(OUT / "rgba.png", optimize=True)
    nuclei.quantize(16).save(OUT / "palette.png", optimize=True)
    nuclei.convert("1").save(OUT / "one_bit.png", optimize=True)
    nuclei.convert("L").save(OUT / "gray.jpg", quality=90)
    for name, sampling in (("444", 0), ("420", 2)):
        nuclei.save(OUT / f"color_{name}.jpg", quality=90, subsampling=sampling)
    nuclei.save(OUT / "progressive.jpg", quality=90, progressive=True)

    entries = {}
    for path in sorted(OUT.iterdir()):
        if path.name.endswith("_truth.png"):
            continue
        image = Image.open(path)
        pixels = np.asarray(image.convert("RGB"))
        entry = {"width": image.width, "height": image.height, "kind": "Gray" if image.mode in ("L", "1") else "Rgb"}
        if path.suffix == ".png":
            entry["sha256"] = hashlib.sha256(pixels.tobytes()).hexdigest()
        else:
            Image.fromarray(pixels).save(OUT / f"{path.stem}_truth.png", optimize=True)
        entries[path.name] = entry
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    (HERE / "standard.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
