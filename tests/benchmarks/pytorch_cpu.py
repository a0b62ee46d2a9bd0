"""Times the stages of a model folder in PyTorch on the CPU, and counts the operations that each needs.

    python tests/benchmarks/pytorch_cpu.py weights/default --image IMAGE --prompt lungs --rounds 5 --threads 2

Prints one JSON object with the stages of `medsam3 bench`.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

import sam3
from export_onnx import tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--image", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    manifest, tensors = sam3.load_folder(arguments.model)
    config = manifest["config"]
    side = config["image_side"]
    picture = Image.open(arguments.image).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    image = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    ids, valid = tokens(arguments.model, arguments.prompt, config["text"]["context"])
    encoder, text, grounding = (part(config, tensors).eval() for part in (sam3.ImageEncoder, sam3.TextEncoder, sam3.Grounding))

    def timed(work):
        started = time.perf_counter()
        result = work()
        return result, time.perf_counter() - started

    rounds = []
    with torch.no_grad():
        for _ in range(arguments.rounds + 1):
            trunk, trunk_seconds = timed(lambda: encoder.trunk(image))
            maps, neck_seconds = timed(lambda: encoder.neck(trunk))
            features, text_seconds = timed(lambda: text(ids))
            answers, prompt_seconds = timed(lambda: grounding(*maps, features, valid))
            rounds.append({"trunk": trunk_seconds, "neck": neck_seconds, "text": text_seconds, "prompt": prompt_seconds})
        flops = {}
        stages = {
            "trunk": lambda: encoder.trunk(image),
            "neck": lambda: encoder.neck(trunk),
            "text": lambda: text(ids),
            "prompt": lambda: grounding(*maps, features, valid),
        }
        for name, work in stages.items():
            with FlopCounterMode(display=False) as counter:
                work()
            flops[name] = counter.get_total_flops()

    logits, _, presence, _, _ = answers
    first, *later = rounds
    report = {
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "first": first,
        "median": {name: statistics.median(entry[name] for entry in later) for name in first},
        "neededFlops": flops,
        "presence": float(presence.sigmoid()),
        "best_score": float(logits.max().sigmoid() * presence.sigmoid()),
        "version": torch.__version__,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
